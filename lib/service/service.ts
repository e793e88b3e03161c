/**
 * The life of a request, in one place:
 *
 * 1. A published copy is answered at once, from memory or from the store (stored_modules.ts). Its
 *    source is never asked again.
 * 2. Otherwise the version is fetched from its source, checked and published (publisher.ts), once
 *    for all clients that wait. Whichever replica publishes first, all replicas answer with that
 *    copy.
 * 3. A query (`@latest`, a branch) goes to the source. The answer is a version, to which 1 and 2
 *    apply.
 * 4. If the source fails, lists and `@latest` are answered from published versions, and marked as
 *    stale.
 *
 * A list has every version that any client has read, because each list reads the store, and every
 * version that the source has now.
 */
import { withDeadline } from "../async/deadline.ts";
import { workFor } from "../async/owner.ts";
import { atPace, Pace } from "../async/pace.ts";
import { type Flight, GRACE_MS, SingleFlight } from "../async/single_flight.ts";
import { describeError, ForbiddenError, NotFoundError, ProxyError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import { scanGoMod } from "../module/go_mod.ts";
import { newestCommit, pickLatest } from "../module/latest.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { namesByPlace } from "../module/repository_identity.ts";
import { findStoredCommit } from "./stored_commit.ts";
import { guessing, runAsked, runGuess } from "./guess.ts";
import type { Publisher } from "./publisher.ts";
import type { KnownVersions, ModuleQuery, Source, VersionInfo } from "../source/source.ts";
import type { Copies } from "../store/copies.ts";
import type { Copy } from "../store/manifest.ts";
import type { ByteRange } from "../store/object_store.ts";
import {
  type AnsweredByThread,
  type LatestCopy,
  type ModuleList,
  type ModuleZip,
  type ServiceOptions,
  StoredModules,
} from "./stored_modules.ts";
import {
  type Answered,
  type GuessedCopy,
  type GuessedZip,
  WalkAhead,
  type WalkAheadOptions,
} from "./walk_ahead.ts";
import { ZipFetches } from "./zip_fetches.ts";

export interface ModuleServiceOptions {
  readonly copies: Copies;
  readonly source: Source;
  readonly publisher: Pick<
    Publisher,
    "publish" | "publishAhead" | "restoreZip" | "restoreZipAhead"
  >;
  readonly log: Logger;
  /** The number of threads that share a process's memory for lists. Default 1. */
  readonly threads?: number;
  readonly limits?: Partial<ServiceLimits>;
  readonly metrics?: Metrics;
  /** Walks ahead of clients. Default: does not. */
  readonly ahead?: Pick<WalkAheadOptions, "publishable" | "maxUnderWay" | "maxPrivate"> | null;
}

export interface ServiceLimits {
  /** How long a source may take for a list or a query. */
  readonly askTimeoutMs: number;
  /** How many fetches, and how many lists and queries, may be in progress at once. */
  readonly maxFlights: number;
  /** How long work continues after the last client that waited for it has left. */
  readonly graceMs: number;
}

export const SERVICE_LIMITS: ServiceLimits = {
  askTimeoutMs: 2 * 60_000,
  maxFlights: 1000,
  graceMs: GRACE_MS,
};

export class ModuleService extends StoredModules {
  readonly #copies: Copies;
  readonly #source: Source;
  readonly #publisher: ModuleServiceOptions["publisher"];
  readonly #log: Logger;
  readonly #limits: ServiceLimits;
  readonly #fetches: SingleFlight<Copy>;
  readonly #listings: SingleFlight<KnownVersions>;
  readonly #queries: SingleFlight<VersionInfo>;
  readonly #zips: ZipFetches;
  readonly #ahead: WalkAhead | null;

  constructor(
    { copies, source, publisher, log, threads = 1, limits, metrics = NO_METRICS, ahead = null }:
      ModuleServiceOptions,
  ) {
    super({ copies, threads });
    this.#copies = copies;
    this.#source = source;
    this.#publisher = publisher;
    this.#log = log;
    this.#limits = { ...SERVICE_LIMITS, ...limits };
    const { maxFlights, graceMs } = this.#limits;
    const flights = (work: string) => ({
      graceMs,
      onAbandoned: () => metrics.add("gomodproxy_abandoned_work_total", { work }),
    });
    this.#fetches = new SingleFlight(maxFlights, flights("fetch"));
    this.#listings = new SingleFlight(maxFlights, flights("list"));
    this.#queries = new SingleFlight(maxFlights, flights("query"));
    this.#zips = new ZipFetches({ publisher, flights: this.#fetches });
    metrics.gauge("gomodproxy_fetches_under_way", () => this.#fetches.size);
    this.#ahead = ahead && new WalkAhead({
      ...ahead,
      remembered: (module) => this.remembered(module),
      fetch: (module, signal) => this.#fetchAhead(module, signal),
      fetchZip: (module, signal) => this.#fetchZipAhead(module, signal),
      log,
      metrics,
    });
  }

  override answered(answered: Answered): void {
    this.#ahead?.answered(answered);
  }

  answeredByThread(answered: AnsweredByThread): void {
    this.#ahead?.answeredByThread(answered);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ahead?.stop();
  }

  /**
   * The copy of a version: the published one, or else it is fetched and published now.
   *
   * @throws {NotFoundError} when its source knows that there is none, or nothing may be fetched
   * @throws {ProxyError} of another kind when that could not be determined
   */
  override async copy(module: ModuleVersion, options: ServiceOptions): Promise<Copy> {
    const stored = await super.copy(module, options);
    if (stored !== null) return stored;
    options.facts["cache"] = "miss";
    if (!options.mayFetch) throw notCached(nameOf(module));
    const copy = await runAsked(
      () =>
        this.#fetches.run(
          nameOf(module),
          (flight) => this.#publisher.publish(module, flight),
          options.signal,
        ),
    );
    options.facts["source"] = copy.manifest.source;
    return copy;
  }

  async #fetchAhead(module: ModuleVersion, signal: AbortSignal): Promise<GuessedCopy> {
    const stored = await this.#copies.read(module, { signal });
    if (stored !== null) return { copy: stored, isFetched: false };
    let isFetched = false;
    const publish = (flight: Flight) => {
      isFetched = true;
      return guessing(this.#publisher.publishAhead(module, flight));
    };
    const copy = await workFor(
      AHEAD,
      () => runGuess(() => this.#fetches.run(nameOf(module), publish, signal)),
    );
    return { copy, isFetched };
  }

  async #fetchZipAhead(module: ModuleVersion, signal: AbortSignal): Promise<GuessedZip> {
    const copy = await this.#copies.read(module, { signal });
    const stored = copy === null ? null : await this.#copies.openZip(copy, { signal });
    await stored?.body.cancel();
    if (copy === null || stored !== null) return { isFetched: false };
    return await workFor(AHEAD, () => this.#zips.fetchAhead(copy, signal));
  }

  /**
   * The copy of the version that a branch, tag, commit or version prefix currently resolves to. The
   * hash of a published version's commit is answered from the store when its source fails or has
   * lost it. Throws as {@linkcode copy}.
   */
  override async query(asked: ModuleQuery, options: ServiceOptions): Promise<Copy> {
    const { path, query } = asked;
    try {
      if (!options.mayFetch) throw notCached(`${path}@${query}`);
      const info = await this.#queries.run(
        `${path}@${query}`,
        (flight) =>
          this.#ask(
            `look up ${path}@${query}`,
            { flight, ask: (signal) => this.#source.resolve(asked, signal) },
          ),
        options.signal,
      );
      admit(path, { info, options });
      return await this.copy({ path, version: info.version }, options);
    } catch (error) {
      const { signal } = options;
      const stored = await findStoredCommit(this.#copies, { path, query, signal });
      if (stored === null) throw error;
      this.#tolerate(error, `look up ${path}@${query}`, options);
      options.facts["source"] = stored.manifest.source;
      return stored;
    }
  }

  /**
   * The tagged versions of a module, lowest first: the published ones and those that its source
   * has. `stale` when the source was not asked or failed. The source is not asked while its last
   * answer is fresh.
   *
   * @throws {NotFoundError} when nothing of the module is published and its source knows of no such
   * module
   * @throws {ProxyError} of another kind when nothing is published and the source failed
   */
  override async list(path: ModulePath, options: ServiceOptions): Promise<ModuleList> {
    const published = await this.#copies.list(path, { signal: options.signal });
    try {
      if (!options.mayFetch) throw notCached(path);
      const remembered = this.lists.known(path);
      const known = remembered ?? await this.#listings.run(
        path,
        (flight) =>
          this.#ask(`list ${path}`, { flight, ask: (signal) => this.#source.list(path, signal) }),
        options.signal,
      );
      options.facts["cache"] = remembered === null ? "miss" : "hit";
      const versions = this.lists.add(path, { published, known });
      return { versions, stale: false, names: known.names };
    } catch (error) {
      const isKnown = published.length > 0 || await this.#hasPseudoVersion(path, options.signal);
      if (!isKnown) throw error;
      this.#tolerate(error, `list ${path}`, options);
      return { versions: published, stale: true };
    }
  }

  /**
   * The copy that `@latest` resolves to: by the source, or else the best published version. `stale`
   * as for {@linkcode list}. Throws as {@linkcode list}.
   */
  override async latest(path: ModulePath, options: ServiceOptions): Promise<LatestCopy> {
    try {
      if (!options.mayFetch) throw notCached(path);
      const info = await this.#queries.run(
        `${path}@latest`,
        (flight) =>
          this.#ask(
            `look up ${path}@latest`,
            { flight, ask: (signal) => this.#source.latest(path, signal) },
          ),
        options.signal,
      );
      admit(path, { info, options });
      return { copy: await this.copy({ path, version: info.version }, options), stale: false };
    } catch (error) {
      const best = await this.#latestPublished(path, options.signal);
      if (best === null) throw error;
      this.#tolerate(error, `look up ${path}@latest`, options);
      return { copy: best, stale: true };
    }
  }

  /**
   * The zip of a version: the stored one, or else it is fetched now. Throws as {@linkcode copy}.
   */
  override async zip(module: ModuleVersion, options: ServiceOptions): Promise<ModuleZip> {
    const copy = await this.copy(module, options);
    const stored = this.zipOf(copy, options);
    const { open } = stored;
    const miss = () => {
      if (!options.mayFetch) throw notCached(`the zip of ${nameOf(module)}`);
      options.facts["cache"] = "miss";
    };
    const openFetched = async (range?: ByteRange) => {
      const zip = await open(range);
      if (zip === null) throw new Error(`the zip of ${nameOf(module)} vanished`);
      return zip;
    };
    return {
      ...stored,
      open: async (range) => {
        const zip = await open(range);
        if (zip !== null) return zip;
        miss();
        await this.#zips.fetch(copy, options.signal);
        return await openFetched(range);
      },
      follow: async () => {
        const zip = await open();
        if (zip !== null) return zip;
        miss();
        const { signal, facts } = options;
        return await this.#zips.follow(copy, { signal, facts, open }) ?? await openFetched();
      },
    };
  }

  #ask<T>(
    what: string,
    { flight: { signal }, ask }: {
      flight: Flight;
      ask: (signal: AbortSignal) => Promise<T>;
    },
  ): Promise<T> {
    return withDeadline(ask, { timeoutMs: this.#limits.askTimeoutMs, what, signal });
  }

  async #hasPseudoVersion(path: ModulePath, signal: AbortSignal): Promise<boolean> {
    return (await this.#copies.listPseudo(path, { signal })).length > 0;
  }

  /**
   * Releases before pre-releases before pseudo-versions, without those that the best one's go.mod
   * retracts.
   */
  async #latestPublished(path: ModulePath, signal: AbortSignal): Promise<Copy | null> {
    const tagged = await this.#copies.list(path, { signal });
    const pace = new Pace(signal);
    const best = await atPace(pickLatest(tagged, []), pace);
    if (best === null) {
      const pseudo = await atPace(
        newestCommit(await this.#copies.listPseudo(path, { signal })),
        pace,
      );
      return pseudo === null
        ? null
        : await this.#copies.read({ path, version: pseudo }, { signal });
    }
    const copy = await this.#copies.read({ path, version: best }, { signal });
    if (copy === null) return null;
    const { retractions } = await atPace(scanGoMod(copy.goMod), pace);
    const allowed = await atPace(pickLatest(tagged, retractions), pace);
    return allowed === null || allowed === best
      ? copy
      : await this.#copies.read({ path, version: allowed }, { signal });
  }

  /**
   * A failure that the store makes up for: recorded in the access log, and logged as a warning
   * unless the client asked for the store only.
   */
  #tolerate(error: unknown, what: string, options: ServiceOptions): void {
    if (options.signal.aborted || !(error instanceof ProxyError)) throw error;
    // What may not be asked for now is not to be had from the store either.
    if (error instanceof ForbiddenError) throw error;
    options.facts["cache"] = "stale";
    if (options.mayFetch) {
      this.#log.warn({ error: describeError(error) }, `cannot ${what}, answering from the store`);
    }
  }
}

/** The owner of what is fetched ahead of clients: no client has this name. */
const AHEAD = "ahead";

/** @throws {ForbiddenError} when the client may not have what is where the source found it */
function admit(
  path: ModulePath,
  { info: { origin }, options: { admitTo } }: {
    info: VersionInfo;
    options: ServiceOptions;
  },
): void {
  if (!admitTo || origin?.url === undefined) return;
  admitTo(namesByPlace(path, { remote: origin.url, subdir: origin.subdir }));
}

function notCached(what: string): NotFoundError {
  return new NotFoundError(`Cannot find ${what} in the store, and nothing may be fetched`);
}
