/**
 * A thread that reports that it has started, and crashes when it is asked for its metrics. It
 * accepts the zip of v1.0.0, rejects that of v1.1.0, and crashes on any other.
 */
/// <reference lib="deno.worker" />
import { Peer } from "../../server/threads/rpc.ts";
import type { MainMethods, ThreadMethods } from "../../server/threads/protocol.ts";
import type { H1 } from "../../lib/module/h1.ts";
import { parseModulePath } from "../../lib/module/path.ts";
import { parseVersion } from "../../lib/module/version.ts";

const path = parseModulePath("example.com/m");
/** Of no zip: a thread has said it. */
const BY_THREAD = "h1:by a thread" as H1;

const methods: ThreadMethods = {
  start: async () => {
    await main.call("seen", { value: { path, version: parseVersion(path, "v1.0.0") } });
    return { value: null };
  },
  usage: () => ({ value: [] }),
  policyChanged: () => ({ value: null }),
  stop: () => ({ value: [] }),
  metrics: crash,
  inspectZip: ({ module: { version } }) => {
    if (version === "v1.0.0") {
      return { value: { summary: { h1: BY_THREAD, sizeBytes: 1, goMod: null } } };
    }
    return version === "v1.1.0" ? { value: { fault: "it is bad" } } : crash();
  },
};

function crash(): Promise<never> {
  setTimeout(() => {
    throw new Error("out of order");
  });
  return new Promise<never>(() => {});
}

const main = new Peer<MainMethods>(self, { ...methods });
