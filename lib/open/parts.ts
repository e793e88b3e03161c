/**
 * The object graph: the parts that the program consists of. Each part is made from the
 * configuration once, when it is first requested. Nothing else composes: the server, all commands
 * and the tests get their parts from here.
 *
 * ```text
 * service ── publisher ── sources ── upstreams, git
 *    │           │  └──── databases ── upstreams
 *    └─ copies ──┴─────── store
 * ```
 *
 * The private checksum database looks up hashes of what the service publishes, and the publisher
 * verifies with its log: that circle is closed here, by {@linkcode Parts.ownDatabase}.
 */
import type { Advisories } from "../advisories/advisories.ts";
import { once } from "../async/once.ts";
import { pause } from "../async/pause.ts";
import type { ClientAuth } from "../auth/client_auth.ts";
import { openClientAuth } from "../auth/open.ts";
import { ForbiddenError } from "../errors.ts";
import type { ModuleIndex } from "../index/module_index.ts";
import { LicenceReader } from "../licences/licence_reader.ts";
import type { DatabaseFor } from "../module/hash_database.ts";
import type { ModulePath } from "../module/path.ts";
import { PrivatePrefixes } from "../module/private_prefixes.ts";
import { openScratch, type Scratch } from "../scratch/scratch.ts";
import { ScratchQuota } from "../scratch/scratch_quota.ts";
import type { Explainer } from "../service/explainer.ts";
import { PUBLISH_TIMEOUT_MS, Publisher, type PublisherOptions } from "../service/publisher.ts";
import {
  ModuleService,
  type ModuleServiceOptions,
  type ServiceLimits,
} from "../service/service.ts";
import type { SourceEntry } from "../source/open.ts";
import { ClockLog } from "../policy/clock_log.ts";
import { isEmptyPolicy, type PolicyConfig } from "../policy/config.ts";
import { Exceptions } from "../policy/exceptions.ts";
import { Policy } from "../policy/policy.ts";
import type { Facts } from "../policy/facts.ts";
import { GovernedModules } from "../service/governed_modules.ts";
import type { ModuleAnswers } from "../service/stored_modules.ts";
import type { UpstreamTimes } from "../source/upstream.ts";
import { Copies } from "../store/copies.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { probeStore } from "../store/probe.ts";
import type { SumDatabases } from "../sumdb/databases.ts";
import type { OnTree } from "../sumdb/trusted_log.ts";
import type { PrivateSumDatabase } from "../sumdb/private_database.ts";
import { UsageLog } from "../usage/usage_log.ts";
import type { UsageRow } from "../usage/usage_row.ts";
import type { InspectZip } from "../zip/read.ts";
import { openConfiguredAdvisories } from "./advisories.ts";
import { openDatabases } from "./databases.ts";
import { openExplainer } from "./explainer.ts";
import { openFacts } from "./facts.ts";
import { openIndex } from "./index.ts";
import { type OpenedPolicy, openHook, openPolicy } from "./policy.ts";
import { type OpenedPrivateSumDatabase, openPrivateSumDatabase } from "./private_sum_database.ts";
import { type OpenedSources, openSources } from "./sources.ts";
import { openConfiguredStore } from "./store.ts";
import type { Surroundings } from "./surroundings.ts";
import { openUpstreams } from "./upstreams.ts";

export interface PartsOptions {
  /** For the server: `storage.cache` is used. Commands read the store itself. */
  readonly isServing?: boolean;
  /** For commands that inspect the store: reading changes nothing in it. Default: false. */
  readonly isReadOnly?: boolean;
  /** The port that this process listens on, which no upstream may be. Default: none. */
  readonly port?: number;
  /** The number of threads that share a process's memory limits. Default 1. */
  readonly threads?: number;
  /** Inspects zips of upstreams. Default: this thread. */
  readonly inspectZip?: InspectZip;
  /** Replacements of configured parts, for tests. */
  readonly replaced?: Replacements;
}

export interface Replacements {
  readonly store?: ObjectStore;
  readonly auth?: ClientAuth;
  readonly databaseFor?: DatabaseFor;
  readonly advisories?: Advisories;
  /** Which paths must not be disclosed to checksum databases. */
  readonly isPrivate?: (path: ModulePath) => boolean;
  readonly upstreamTimes?: UpstreamTimes;
  readonly serviceLimits?: Partial<ServiceLimits>;
  readonly publishTimeoutMs?: number;
  /** Facts that a policy asks for. */
  readonly facts?: Partial<Facts>;
  /** The clock of a policy, in milliseconds since 1970. */
  readonly now?: () => number;
}

/** How many versions are fetched ahead at once where all come from git. */
const MAX_AHEAD_BY_GIT = 4;

export class Parts implements AsyncDisposable {
  readonly surroundings: Surroundings;
  readonly #options: PartsOptions;
  readonly #replaced: Replacements;
  readonly #opened = new AsyncDisposableStack();
  readonly #now: () => number;

  constructor(surroundings: Surroundings, options: PartsOptions = {}) {
    this.surroundings = surroundings;
    this.#options = options;
    this.#replaced = options.replaced ?? {};
    this.#now = this.#replaced.now ?? Date.now;
    const prefixes = new PrivatePrefixes(surroundings.config.privateModules);
    this.isPrivate = this.#replaced.isPrivate ?? ((path) => prefixes.find(path) !== null);
    this.checkPath = prefixes.checkPath;
  }

  /** The configured store. It has not been probed: see {@linkcode probedStore}. */
  readonly store = once(async (): Promise<ObjectStore> =>
    this.#replaced.store ??
      await openConfiguredStore(this.surroundings, {
        isReadOnly: this.#options.isReadOnly,
        cacheLog: this.#options.isServing ? this.surroundings.log : undefined,
      })
  );

  /** The configured store after a probe of its contract: for everything that writes. */
  readonly probedStore = once(async (): Promise<ObjectStore> => {
    const store = await this.store();
    await probeStore(store);
    return store;
  });

  readonly scratch = once(async (): Promise<Scratch> =>
    this.#opened.use(await openScratch(this.surroundings.scratchDir))
  );

  /** Null if the configuration turns it off. */
  readonly index = once(async (): Promise<ModuleIndex | null> =>
    openIndex(this.surroundings, await this.store())
  );

  /**
   * Null if the configuration has no source of them. They are empty until they have been loaded or
   * started (open/advisories.ts).
   */
  readonly advisories = once(async (): Promise<Advisories | null> =>
    this.#replaced.advisories ?? openConfiguredAdvisories(this.surroundings, {
      store: await this.store(),
      scratchDirectory: async () => (await this.scratch()).directory,
      isPrivate: this.isPrivate,
    })
  );

  readonly copies = once(async (): Promise<Copies> => {
    const index = await this.index();
    return new Copies(await this.store(), {
      threads: this.#options.threads ?? 1,
      onSeen: (manifest) => index?.add(manifest),
      log: this.surroundings.log,
    });
  });

  /** The upstream list, in its order. */
  readonly upstreams = once((): readonly SourceEntry[] =>
    openUpstreams(this.surroundings, {
      port: this.#options.port ?? null,
      times: this.#replaced.upstreamTimes,
    })
  );

  /** The sources of modules. */
  readonly sources = once(async (): Promise<OpenedSources> =>
    this.#opened.use(
      await openSources(this.surroundings, {
        upstreams: this.upstreams(),
        scratch: await this.scratch(),
        inspectZip: this.#options.inspectZip,
      }),
    )
  );

  /** Whether a module is private: {@linkcode PrivatePrefixes.find}. */
  readonly isPrivate: (path: ModulePath) => boolean;

  /** {@linkcode PrivatePrefixes.checkPath}. */
  readonly checkPath: ((path: ModulePath) => void) | undefined;

  /** The checksum databases of others. */
  readonly databases = once(async (): Promise<SumDatabases> =>
    openDatabases(this.surroundings, {
      upstreams: this.upstreams(),
      store: await this.store(),
      isPrivate: this.isPrivate,
      onTree: isEmptyPolicy(this.surroundings.config.policy) ? undefined : await this.#onTree(),
    })
  );

  /** The database that modules of a path are verified with. */
  readonly databaseFor = once(async (): Promise<DatabaseFor> => {
    const { databaseFor } = this.#replaced;
    if (databaseFor !== undefined) return databaseFor;
    const databases = await this.#ownLog() ?? await this.databases();
    return (path) => databases.databaseFor(path);
  });

  readonly publisher = once(async (): Promise<Publisher> => {
    const { directory } = await this.scratch();
    const { config: { limits }, metrics } = this.surroundings;
    const quota = new ScratchQuota({
      directory,
      maxBytes: limits.scratchMaxMiB * 1024 * 1024,
      now: () => performance.now(),
    });
    metrics.gauge("gomodproxy_scratch_bytes", () => quota.sizeBytes());
    return await this.newPublisher({ quota });
  });

  /** A publisher that differs from {@linkcode publisher}. */
  async newPublisher(differences: Partial<PublisherOptions>): Promise<Publisher> {
    const { config, log, metrics } = this.surroundings;
    return new Publisher({
      copies: await this.copies(),
      source: (await this.sources()).source,
      databaseFor: await this.databaseFor(),
      zips: config.publicModules.zips,
      isEager: this.isPrivate,
      scratchDirectory: (await this.scratch()).directory,
      timeoutMs: this.#replaced.publishTimeoutMs ?? PUBLISH_TIMEOUT_MS,
      log,
      metrics,
      ...differences,
    });
  }

  readonly service = once(async (): Promise<ModuleService> => {
    const { config, log, metrics } = this.surroundings;
    const source = (await this.sources()).source;
    const service = new ModuleService({
      copies: await this.copies(),
      source,
      publisher: await this.publisher(),
      log,
      threads: this.#options.threads ?? 1,
      limits: this.#replaced.serviceLimits ?? {},
      metrics,
      ahead: config.fetch.ahead === "off" ? null : await this.#ahead(),
    });
    return this.#opened.use(service);
  });

  /** What may be fetched ahead of clients. */
  async #ahead(): Promise<NonNullable<ModuleServiceOptions["ahead"]>> {
    const { config } = this.surroundings;
    const databaseFor = await this.databaseFor();
    const isLazy = (path: ModulePath) =>
      config.publicModules.zips === "lazy" && databaseFor(path) !== null;
    const hasProxy = this.upstreams().some(({ kind }) => kind === "proxy");
    return {
      publishable: (path) => {
        if (!this.#isAllowed(path)) return null;
        return this.isPrivate(path) ? "private" : isLazy(path) ? "public" : null;
      },
      // Git works for minutes where a proxy answers at once, and its places are few.
      ...hasProxy ? {} : { maxUnderWay: MAX_AHEAD_BY_GIT },
      maxPrivate: Math.max(1, Math.floor(config.maxChildProcesses / 4)),
    };
  }

  #isAllowed(path: ModulePath): boolean {
    try {
      this.checkPath?.(path);
      return true;
    } catch (error) {
      if (error instanceof ForbiddenError) return false;
      throw error;
    }
  }

  /** Null where the configuration denies nothing. */
  readonly policy = once(async (): Promise<OpenedPolicy | null> => {
    if (isEmptyPolicy(this.surroundings.config.policy)) return null;
    const opened = await openPolicy(this.surroundings, {
      store: await this.store(),
      facts: await this.facts(),
      now: this.#now,
    });
    (await this.advisories())?.onChange(() => opened.changed());
    return this.#opened.use(opened);
  });

  /** Another policy, over the same facts; without what is recorded, and without remembering. */
  async newPolicy(config: PolicyConfig): Promise<Policy> {
    const exceptions = new Exceptions(config.exceptions);
    return new Policy({
      config,
      facts: await this.facts(),
      exceptions: () => exceptions,
      hook: openHook(this.surroundings, config, this.#now),
      now: this.#now,
    });
  }

  /** Detects the licences of copies in their zips, which are fetched for it. */
  readonly licences = once(async (): Promise<LicenceReader> => {
    const service = await this.service();
    return new LicenceReader({
      store: await this.store(),
      openZip: async ({ manifest: { path, version } }, { range, signal }) => {
        const zip = await service.zip({ path, version }, { mayFetch: true, signal, facts: {} });
        return await zip.open(range);
      },
      log: this.surroundings.log,
    });
  });

  readonly facts = once(async (): Promise<Facts> => {
    const advisories = await this.advisories();
    // A server reads them when it starts, and again and again (open/advisories.ts).
    if (!this.#options.isServing) await advisories?.load(new AbortController().signal);
    const copies = await this.copies();
    return {
      ...openFacts({
        service: await this.service(),
        databases: await this.databases(),
        index: await this.index(),
        advisories,
        licences: await this.licences(),
        clockOf: await this.#clockOf(),
        isPrivate: this.isPrivate,
        publishedOf: (path, signal) => copies.list(path, { signal }),
      }),
      ...this.#replaced.facts,
    };
  });

  /** The answers of the module protocol: the service, under the policy if there is one. */
  readonly modules = once(async (): Promise<ModuleAnswers> => {
    const [modules, policy] = [await this.service(), await this.policy()];
    if (policy === null) return modules;
    const { metrics } = this.surroundings;
    return new GovernedModules({ modules, judge: policy.judge, explains: true, metrics });
  });

  /**
   * Writes usage until it is disposed of; null where the configuration wants none.
   *
   * @param collect takes what other threads have counted
   */
  async openUsage(collect: () => Promise<readonly UsageRow[]>): Promise<UsageLog | null> {
    const { config, log } = this.surroundings;
    if (config.usage === "off") return null;
    return new UsageLog({
      store: await this.store(),
      mode: config.usage,
      replica: crypto.randomUUID().slice(0, 12).replace("-", ""),
      collect,
      now: this.#now,
      pause,
      log,
    });
  }

  readonly #clockOf = once(async (): Promise<(database: string) => ClockLog> => {
    const clocks = new Map<string, ClockLog>();
    const store = await this.store();
    return (database) => {
      const { log } = this.surroundings;
      const known = clocks.get(database);
      if (known !== undefined) return known;
      const clock = this.#opened.use(new ClockLog({ store, database, now: this.#now, log }));
      clocks.set(database, clock);
      return clock;
    };
  });

  readonly #onTree = once(async (): Promise<OnTree> => {
    const clockOf = await this.#clockOf();
    return (database, tree) => clockOf(database).see(tree);
  });

  readonly explainer = once(async (): Promise<Explainer> =>
    openExplainer(this.surroundings, {
      copies: await this.copies(),
      sources: await this.sources(),
      databases: await this.databases(),
      policy: (await this.policy())?.policy ?? null,
    })
  );

  /** The server's own checksum database, of private modules; null if none is configured. */
  readonly ownDatabase = once(async (): Promise<PrivateSumDatabase | null> =>
    await this.#ownLog().then(async (opened) => opened?.over(await this.service()) ?? null)
  );

  /** Its log, which private modules are verified with. */
  readonly #ownLog = once(async (): Promise<OpenedPrivateSumDatabase | null> =>
    await openPrivateSumDatabase(this.surroundings, {
      store: await this.store(),
      databases: await this.databases(),
      isPrivate: this.isPrivate,
    })
  );

  /**
   * Null without client authentication.
   *
   * @throws {ConfigError} when a secret cannot be used
   */
  readonly auth = once(async (): Promise<ClientAuth | null> => {
    if (this.#replaced.auth !== undefined) return this.#replaced.auth;
    const { config: { clientAuth }, secretPlaces: places, fetch, log } = this.surroundings;
    if (!clientAuth.enabled) return null;
    return await openClientAuth(clientAuth, {
      places,
      fetch,
      now: Date.now,
      log,
      opened: this.#opened,
    });
  });

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}
