/**
 * `import <kind> <directory>`: brings what others have kept into the configured store (lib/import/), with a line for each
 * version that is refused:
 *
 * ```text
 * refused example.com/hello/@v/v1.0.0: its zip has h1:…, and h1:… is published
 * 7 versions: 4 imported, 1 known, 1 without a zip, 1 refused
 * ```
 */
import { InvalidRequestError } from "../lib/errors.ts";
import { athens } from "../lib/import/athens.ts";
import type { FoundVersion } from "../lib/import/import_entry.ts";
import { goModCache } from "../lib/import/gomodcache.ts";
import { type FindHashes, importVersions } from "../lib/import/import.ts";
import { original, parseTimes } from "../lib/import/original.ts";
import { openScratch } from "../lib/scratch/scratch.ts";
import { Upstream } from "../lib/source/upstream.ts";
import { Copies } from "../lib/store/copies.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { probeStore } from "../lib/store/probe.ts";
import { chooseUpstreams } from "../lib/open/upstreams.ts";
import { openDatabases } from "../lib/open/databases.ts";
import { newVia, openFetch } from "../lib/open/fetch.ts";
import { openIndex } from "../lib/open/index.ts";
import { openConfiguredStore } from "../lib/open/store.ts";
import { plural } from "./print.ts";
import { privatePaths } from "../lib/open/private_paths.ts";
import { openProgress } from "./progress.ts";
import type { ServeOptions } from "../server/server.ts";

export type ImportKind = "gomodcache" | "athens" | "original";

export interface RunImportOptions
  extends Pick<ServeOptions, "config" | "scratchDir" | "env" | "log" | "signal"> {
  readonly kind: ImportKind;
  readonly directory: string;
  /** The file with the times of the original's objects, where there is one. */
  readonly timesFile: string | undefined;
}

/** Whether nothing was refused. */
export async function runImport(options: RunImportOptions): Promise<boolean> {
  const { config, env, kind, log, signal } = options;
  const versions = await openVersions(options);
  const store = await openConfiguredStore(config, { env });
  await probeStore(store);
  const index = openIndex(config, { store, log });
  await using scratch = await openScratch(options.scratchDir);
  using progress = await openProgress(() => count(versions()));
  const summary = await importVersions({
    versions: versions(),
    kind,
    copies: new Copies(store, { onSeen: (manifest) => index?.add(manifest) }),
    findHashes: await openFindHashes(options, store),
    scratchDirectory: scratch.directory,
    onRefused: (name, reason) => progress.print(`refused ${name}: ${reason}`),
    onDone: (name) => progress.advance(name),
    signal,
  });
  await index?.drain();
  const { imported, known, incomplete, refused } = summary;
  const total = plural(imported + known + incomplete + refused, "version");
  progress.print(
    `${total}: ${imported} imported, ${known} known, ${incomplete} without a zip, ${refused} refused`,
  );
  return refused === 0;
}

/** Public modules are verified as the server verifies them. */
async function openFindHashes(
  { config, env, log }: RunImportOptions,
  store: ObjectStore,
): Promise<FindHashes> {
  const fetch = await openFetch(config, { env, via: newVia() });
  const proxies = chooseUpstreams(config, { env, log })
    .filter((entry) => entry.kind === "proxy");
  const databases = openDatabases(config, {
    fetch,
    upstreams: proxies.map(({ url }) => new Upstream(url, fetch)),
    store,
    isPrivate: privatePaths(config),
    log,
  });
  return (module, signal) => databases.findHashes(module, signal);
}

async function openVersions(
  { kind, directory, timesFile }: RunImportOptions,
): Promise<() => AsyncIterable<FoundVersion>> {
  await assertDirectory(directory);
  if (timesFile !== undefined && kind !== "original") {
    throw new InvalidRequestError(
      `Cannot use a file of times for ${kind}: its .info files have them`,
    );
  }
  switch (kind) {
    case "gomodcache":
      return () => goModCache(directory);
    case "athens":
      return () => athens(directory);
    case "original": {
      const times = parseTimes(timesFile === undefined ? "" : await Deno.readTextFile(timesFile));
      return () => original(directory, times);
    }
  }
}

/** @throws {InvalidRequestError} when there is no such directory, which else would be one without any version */
async function assertDirectory(directory: string): Promise<void> {
  try {
    for await (const _ of Deno.readDir(directory)) break;
  } catch (cause) {
    throw new InvalidRequestError(`Cannot import from "${directory}"`, { cause });
  }
}

async function count(things: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of things) count++;
  return count;
}
