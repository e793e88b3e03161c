import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config/config.ts";
import { createLogger } from "../../lib/log/log.ts";
import { moduleVersion } from "../../lib/module/module_version.ts";
import { parseModulePath } from "../../lib/module/path.ts";
import { ZipError } from "../../lib/zip/read.ts";
import { buildModuleZip } from "../../tests/support/module_zip.ts";
import { Prometheus } from "../prometheus.ts";
import type { ThreadStart } from "./protocol.ts";
import { type MainParts, Threads, type ThreadsOptions } from "./threads.ts";
import { eventually } from "../../tests/support/eventually.ts";

const START: ThreadStart = {
  config: parseConfig(""),
  env: {},
  logLevel: "info",
  host: "127.0.0.1",
  port: 0,
  via: "1.1 test",
  threads: 2,
  maxConnections: 10,
  isGuarded: false,
  policy: null,
};
const CRASHING = "../../tests/processes/crashing_thread.ts";

interface Opened extends AsyncDisposable {
  readonly threads: Threads;
  readonly errors: string[];
  /** What the main thread has for them. */
  readonly main: MainParts;
  /** Resolves when as many threads have come up. */
  started(count: number): Promise<void>;
}

function open(module: string, options: Partial<ThreadsOptions> = {}): Opened {
  const errors: string[] = [];
  let count = 0;
  const threads = new Threads({
    count: 2,
    module: new URL(module, import.meta.url),
    log: createLogger("error", { write: (line) => void errors.push(JSON.parse(line).msg) }),
    restartPauseMs: 0,
    ...options,
  });
  return {
    threads,
    errors,
    main: {
      app: () => Promise.resolve(new Response()),
      recognize: () => null,
      knownVersions: () => null,
      onSeen: () => void count++,
      onAnswered: () => {},
      decider: null,
    },
    started: async (wanted) => {
      await eventually(`${wanted} threads to have started`, () => count >= wanted);
    },
    [Symbol.asyncDispose]: async () => void await threads.stop(),
  };
}

Deno.test("Threads starts another thread for one that has crashed", async () => {
  await using opened = open(CRASHING);
  const { threads, errors, main, started } = opened;
  await threads.start(START, main);
  await started(2);
  const metrics = new Prometheus({ version: "0" });
  // What is asked for them crashes both, and is answered without them.
  const page = await threads.renderMetrics(metrics);
  assert.match(page, /^gomodproxy_build_info\{.*\} 1$/m);
  await started(4);
  assert.deepEqual(errors, ["a thread has crashed", "a thread has crashed"]);
});

Deno.test("Threads.inspectZip() has a thread look, and looks itself where none can", async (t) => {
  await using opened = open(CRASHING, { count: 1 });
  const { threads, main, started } = opened;
  const path = parseModulePath("example.com/m");
  const file = await Deno.makeTempFile({ suffix: ".zip" });
  const inspect = async (version: string, signal?: AbortSignal) => {
    const files = { "go.mod": `module ${path}\n` };
    const { bytes } = await buildModuleZip({ path, version, files });
    await Deno.writeFile(file, bytes);
    const options = { module: moduleVersion(path, version), ...signal && { signal } };
    return (await threads.inspectZip(file, options)).h1;
  };
  try {
    await t.step("none has started", async () => {
      assert.match(await inspect("v1.0.0"), /^h1:.{44}$/);
    });
    await threads.start(START, main);
    await t.step("it is good", async () => {
      assert.equal(await inspect("v1.0.0"), "h1:by a thread");
    });
    await t.step("it is bad", () => assert.rejects(inspect("v1.1.0"), ZipError));
    await t.step("nobody wants to know any more", async () => {
      const reason = new Error("the client has gone");
      await assert.rejects(inspect("v1.0.0", AbortSignal.abort(reason)), reason);
    });
    await t.step("the thread crashes", async () => {
      assert.match(await inspect("v1.2.0"), /^h1:.{44}$/);
    });
    await started(2);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("Threads gives up on threads that never start", async () => {
  await using opened = open("./there_is_none.ts", { count: 1 });
  const { threads, errors, main } = opened;
  await threads.start(START, main);
  await eventually(
    "the threads to be given up",
    () => errors.some((line) => line.startsWith("cannot start threads")),
  );
  assert.equal(errors.filter((line) => line === "a thread has crashed").length, 5);
});
