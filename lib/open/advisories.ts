/** The advisories, if the configuration has a source of them. */
import type { Advisories } from "../advisories/advisories.ts";
import { Background } from "../async/background.ts";
import { openAdvisories } from "../advisories/open.ts";
import { describeError, ProxyError } from "../errors.ts";
import type { ModulePath } from "../module/path.ts";
import type { ObjectStore } from "../store/object_store.ts";
import type { Parts } from "./parts.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenConfiguredAdvisoriesOptions {
  readonly store: ObjectStore;
  readonly scratchDirectory: () => Promise<string>;
  readonly isPrivate: (path: ModulePath) => boolean;
}

/** Null without a source. They are empty until they are started: {@linkcode startAdvisories}. */
export function openConfiguredAdvisories(
  { config, configDirectory, fetch, log, metrics }: Surroundings,
  { store, scratchDirectory, isPrivate }: OpenConfiguredAdvisoriesOptions,
): Advisories | null {
  return openAdvisories(config.advisories, {
    store,
    fetch,
    directory: configDirectory,
    scratchDirectory,
    // Of entries any text may be the name of a module.
    isPrivate: (path) => isPrivate(path as ModulePath),
    now: Date.now,
    log,
    metrics,
  });
}

/**
 * Takes over what is in the store, then keeps it up to date until the signal is aborted or the
 * result is disposed of. Null without a source.
 */
export async function startAdvisories(
  parts: Parts,
  signal: AbortSignal,
): Promise<Background | null> {
  const advisories = await parts.advisories();
  if (advisories === null) return null;
  try {
    await advisories.load(signal);
  } catch (error) {
    if (!signal.aborted && !(error instanceof ProxyError)) throw error;
    // The first refresh tries again.
    parts.surroundings.log.warn(
      { error: describeError(error) },
      "cannot read the advisories in the store",
    );
  }
  return new Background((signal) => advisories.run(signal), signal);
}
