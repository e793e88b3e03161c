/**
 * Which of many modules a client may know of: by their paths, and where that is not enough by the
 * repositories that their published copies come from.
 */
import type { Client } from "../lib/auth/guard.ts";
import { each, forEach } from "../lib/async/workers.ts";
import type { ModuleVersion } from "../lib/module/module_version.ts";
import type { RepositoryName } from "../lib/module/repository_identity.ts";
import type { CopyNames } from "../lib/service/copy_names.ts";

export interface LookUpNames {
  readonly client: Client;
  readonly copyNames: Pick<CopyNames, "of">;
  readonly signal: AbortSignal;
}

/** Copies that are looked up at once. */
const MAX_LOOK_UPS_AT_ONCE = 32;

/** Those that the client may know of, in their order. */
export async function readableOf<T extends ModuleVersion>(
  modules: readonly T[],
  { client, copyNames, signal }: LookUpNames,
): Promise<T[]> {
  const candidates = modules.filter(({ path }) => client.mayRead(path));
  const names = new Map<T, readonly RepositoryName[] | null>();
  const undecided = candidates.filter(({ path }) => client.dependsOnRepository(path));
  if (undecided.length === 0) return candidates;
  await forEach(each(undecided), {
    workers: MAX_LOOK_UPS_AT_ONCE,
    work: async (module) => {
      names.set(module, await copyNames.of(module, signal));
    },
  });
  return candidates.filter((module) => {
    const own = names.get(module);
    // Of a damaged copy it is not known where it is from.
    return own === undefined || own !== null && client.mayRead(module.path, own);
  });
}
