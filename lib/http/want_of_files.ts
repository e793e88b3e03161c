/**
 * Whether a connection or a look-up failed because this process, or the system, has no file
 * descriptor left. Deno's errors of these have no code (2.9.6), and that of a look-up says that the
 * name is unknown.
 */
import { devNull } from "node:os";
import { isOutOfFiles } from "../errors.ts";

/** How the innermost error of `fetch` ends: ENFILE and EMFILE, the same on Linux and macOS. */
const OUT_OF_FILES = /\(os error 2[34]\)$/;

/** To be asked at once after the failure: it also looks whether a file can be opened now. */
export function isWantOfFiles(failure: unknown): boolean {
  let innermost = failure;
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause;
  // The only place where a message decides: there is nothing else to go by.
  if (innermost instanceof Error && OUT_OF_FILES.test(innermost.message)) return true;
  try {
    Deno.openSync(devNull).close();
    return false;
  } catch (error) {
    return isOutOfFiles(error);
  }
}
