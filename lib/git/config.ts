/** Keys of the configuration about git. */
import { z } from "zod";

export const gitMirrors = z.strictObject({
  /**
   * What the git repositories of public modules, and of each private prefix, may take in the
   * scratch directory.
   */
  maxSizeMiB: z.int().positive().default(20 * 1024),
});

/** How many git processes may run at once. */
export const maxChildProcesses = z.int().positive().default(30);
