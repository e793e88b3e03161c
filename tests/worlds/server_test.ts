import assert from "node:assert/strict";
import { exists } from "../support/exists.ts";
import { Server, startServer } from "./server.ts";

Deno.test("startServer() waits until the program is ready", async () => {
  await using server = await startServer({
    entry: PROGRAM,
    args: ["--fast"],
    env: { COLOUR: "red" },
  });
  const seen = await server.log(({ msg }) => msg === "started");
  assert.deepEqual(seen["args"], ["--workers", "1", "--port", "0", "--fast"]);
  assert.equal(seen["cwd"], await Deno.realPath(server.dir));
  assert.equal(await (await fetch(`${server.url}/hello`)).text(), "hello");
});

Deno.test("startServer() passes on what it needs and nothing else of the environment", async () => {
  await using server = await startServer({ entry: PROGRAM, env: { COLOUR: "red" } });
  const { env } = await server.log(({ msg }) => msg === "started");
  assert.deepEqual(env, [
    "COLOUR",
    "DENO_DIR",
    "DENO_NO_UPDATE_CHECK",
    "DENO_TOKIO_EVENT_INTERVAL",
    "HOME",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "NO_COLOR",
    "PATH",
    "TMPDIR",
  ]);
});

Deno.test("startServer() gives the permissions of the start task and no more", async () => {
  await using server = await startServer({ entry: PROGRAM });
  const { mayRun } = await server.log(({ msg }) => msg === "started");
  // Deno says "prompt" where it would ask, also under --no-prompt.
  assert.deepEqual(mayRun, { git: "granted", sh: "prompt" });
});

Deno.test("startServer() fails with the log when the program ends", async () => {
  await assert.rejects(
    startServer({ entry: PROGRAM, env: { MODE: "crash" } }),
    /not ready, and logged:[^]*cannot start: no disk/,
  );
});

Deno.test("startServer() fails when the program is not ready", async () => {
  await assert.rejects(
    startServer({ entry: PROGRAM, env: { MODE: "unready" } }),
    (error: Error) => /readyz answers 503/.test(String(error.cause)),
  );
});

Deno.test("kill() tells how the program ended", async (t) => {
  const rows = [
    { signal: "SIGTERM", want: { success: true, code: 0, signal: null } },
    { signal: "SIGKILL", want: { success: false, code: 137, signal: "SIGKILL" } },
  ] as const;
  for (const { signal, want } of rows) {
    await t.step(signal, async () => {
      await using server = await startServer({ entry: PROGRAM });
      const first = await server.kill(signal);
      const again = await server.kill(signal);
      assert.deepEqual([{ ...first }, { ...again }], [want, want]);
    });
  }
});

Deno.test("log() fails at once when no line can come any more", async () => {
  await using server = await startServer({ entry: PROGRAM });
  const waiting = assert.rejects(server.log(({ msg }) => msg === "never"), /has ended/);
  await server.kill("SIGKILL");
  await waiting;
});

Deno.test("the folder of a server is removed, one that was given stays", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (const given of [undefined, dir]) {
      let used = "";
      {
        await using server = await Server.spawn({ entry: PROGRAM, ...(given && { dir: given }) });
        used = server.dir;
      }
      assert.equal(await exists(used), given !== undefined);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** Behaves as the product does at start and end, and logs what it was given. */
const PROGRAM = "tests/processes/stand_in_main.ts";
