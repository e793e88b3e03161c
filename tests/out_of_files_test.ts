/**
 * A process that has as many files open as it may: what needs another one fails in a way that
 * passes.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { withFileLimit } from "./worlds/server.ts";

const TIMEOUT_MS = 60_000;

Deno.test("without a file left, git, the store and fetch fail as overloaded, and work again afterwards", async () => {
  const directory = await Deno.makeTempDir({ prefix: "out-of-files-" });
  try {
    const module = fileURLToPath(new URL("processes/out_of_files_main.ts", import.meta.url));
    const [program, ...before] = withFileLimit(128);
    const { stdout, stderr } = await new Deno.Command(program, {
      args: [
        ...before,
        Deno.execPath(),
        "run",
        "--no-lock",
        "--no-check",
        "--no-prompt",
        "--allow-read",
        "--allow-write",
        "--allow-env",
        "--allow-net=127.0.0.1",
        "--allow-sys",
        "--allow-run=git",
        module,
        directory,
      ],
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).output();
    const decoder = new TextDecoder();
    assert.deepEqual(JSON.parse(decoder.decode(stdout) || "null"), {
      // All are answered 503 with Retry-After.
      without: {
        ...{ git: "overloaded", get: "store", create: "store", list: "store" },
        ...{ fetch: "overloaded", upstream: "overloaded" },
        ...{ stranger: "overloaded", name: "overloaded" },
      },
      after: {
        ...{ git: "ok", get: "ok", create: "ok", list: "ok" },
        ...{ fetch: "ok", upstream: "ok", stranger: "ok", name: "ok" },
      },
    }, decoder.decode(stderr));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
