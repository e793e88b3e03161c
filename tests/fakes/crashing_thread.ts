/** A thread that says that it is there, and crashes when it is asked for its metrics. */
/// <reference lib="deno.worker" />
import { Remote } from "../../lib/async/rpc.ts";
import type { MainMethods, ThreadMethods } from "../../lib/cli/threads/protocol.ts";
import { parseModulePath } from "../../lib/module/path.ts";
import { parseVersion } from "../../lib/module/version.ts";

const path = parseModulePath("example.com/m");

const methods: ThreadMethods = {
  start: async () => {
    await main.call("seen", { value: { path, version: parseVersion(path, "v1.0.0") } });
    return { value: null };
  },
  stop: () => ({ value: null }),
  metrics: () => {
    setTimeout(() => {
      throw new Error("out of order");
    });
    return new Promise<never>(() => {});
  },
};

const main = new Remote<MainMethods>(self, { ...methods });
