/** Collects garbage when a test wants it, not when the runtime does. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Frees everything that is no longer referred to. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("this runtime cannot collect garbage");
  // What a WeakRef was asked for stays until the end of the job.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
}
