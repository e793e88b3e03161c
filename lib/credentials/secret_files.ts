/**
 * Secret files that every user of the machine can read: legal, and likely a slip.
 *
 * A file counts if others may read it and may enter every folder above it. Files below
 * `/run/secrets` and `/var/run/secrets` do not count: there Kubernetes and container engines mount
 * secrets for one container alone, readable for whatever user it has. Nor does what only a group
 * may read, which is how a service gets at a file of root's.
 */
import { dirname, resolve } from "node:path";
import type { Fault } from "../schema/fault.ts";
import type { NamedSecret } from "../schema/secret.ts";
import type { SecretPlaces } from "./secret.ts";

const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;
const MOUNTED = /^(?:\/var)?\/run\/secrets\//;

/** One for each file that others can read. A file that is not there is a fault of its own. */
export async function secretFileWarnings(
  secrets: readonly NamedSecret[],
  { directory }: Pick<SecretPlaces, "directory">,
): Promise<Fault[]> {
  const warnings: Fault[] = [];
  for (const { path, secret } of secrets) {
    if (typeof secret === "string" || !("file" in secret)) continue;
    if (!await isReadByOthers(resolve(directory, secret.file))) continue;
    warnings.push({
      path,
      message: `every user of this machine can read "${secret.file}"; ` +
        "take that right away: chmod o= FILE",
    });
  }
  return warnings;
}

async function isReadByOthers(file: string): Promise<boolean> {
  if (MOUNTED.test(file)) return false;
  try {
    const path = await Deno.realPath(file);
    if (MOUNTED.test(path)) return false;
    const { isFile, mode } = await Deno.stat(path);
    if (!isFile || mode === null || (mode & OTHERS_READ) === 0) return false;
    for (let folder = dirname(path);; folder = dirname(folder)) {
      const { mode } = await Deno.stat(folder);
      if (mode === null || (mode & OTHERS_ENTER) === 0) return false;
      if (folder === dirname(folder)) return true;
    }
  } catch {
    // Whoever reads the secret says what is wrong.
    return false;
  }
}
