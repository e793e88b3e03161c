/**
 * `explain <module>@<version>`: what is published of a version, what its sources and the checksum database say now, and
 * which identities may read it. It publishes nothing.
 */
import { type Explanation, parseModuleVersion } from "../lib/service/explainer.ts";
import { openScratch } from "../lib/scratch/scratch.ts";
import { Copies } from "../lib/store/copies.ts";
import { chooseUpstreams } from "../lib/open/upstreams.ts";
import { openExplainer } from "../lib/open/explainer.ts";
import { openDatabases } from "../lib/open/databases.ts";
import { newVia, openFetch } from "../lib/open/fetch.ts";
import { openSources } from "../lib/open/sources.ts";
import { openConfiguredStore } from "../lib/open/store.ts";
import type { ServeOptions } from "../server/server.ts";

export interface ExplainOptions extends
  Pick<
    ServeOptions,
    "config" | "configDirectory" | "program" | "scratchDir" | "env" | "log" | "signal"
  > {
  /** `<module>@<version>`. */
  readonly module: string;
}

/** @throws {InvalidRequestError} when `module` is no module version */
export async function runExplain(options: ExplainOptions): Promise<Explanation> {
  const { config, env, log, signal } = options;
  const module = parseModuleVersion(options.module);
  const store = await openConfiguredStore(config, { env });
  await using scratch = await openScratch(options.scratchDir);
  const fetch = await openFetch(config, { env, via: newVia() });
  await using sources = await openSources({
    ...options,
    entries: chooseUpstreams(config, { env, log }),
    fetch,
    scratchDirectory: scratch.directory,
  });
  const databases = openDatabases(config, {
    fetch,
    upstreams: sources.upstreams,
    store,
    isPrivate: (path) => sources.isPrivate(path),
    log,
  });
  const explainer = openExplainer(config, { copies: new Copies(store), sources, databases });
  const identities = config.clientAuth.identities.map(({ name }) => name);
  return await explainer.explain(module, { identities, signal });
}
