/**
 * Walks ahead of clients: when a client is given a go.mod file that was not in the store, the
 * versions that it will ask for next (client_graph.ts) are fetched and published while it reads.
 *
 * - **A guess is a client's own fetch, begun early.** It is the same flight, so that a client that
 *   asks meanwhile waits for the rest of it, and each file is asked for once. It is published as
 *   any other version, lazily: `.info`, `.mod` and the record of the checksum database, no zip.
 *   Zips are fetched ahead of a client that downloads those of a whole graph (zip_order.ts).
 * - **Clients come first.** Guesses share a limited number of flights and a rate, wait for nobody's
 *   place, make one attempt, and pause when an upstream fails or says that it is busy. A client
 *   that waited for a guess which fails asks again itself.
 * - **What may be guessed.** Nothing that the client may not read. Nothing private because a public
 *   go.mod file names it: strangers write those. Nothing that could only be published with its zip,
 *   unless it is private and so built here.
 * - **It ends** when the client asks for nothing for {@linkcode IDLE_MS}, or too many guesses were
 *   wrong.
 *
 * A client whose requests are all answered from the store is not followed, and costs one look at a
 * map for each request.
 */
import { LRUCache } from "lru-cache";
import { atPace, Pace } from "../async/pace.ts";
import { pause } from "../async/pause.ts";
import { Semaphore } from "../async/semaphore.ts";
import {
  describeError,
  ForbiddenError,
  InvalidRequestError,
  NotFoundError,
  OverloadedError,
  ProxyError,
  UnusableError,
  UpstreamError,
} from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import { scanRequirements } from "../module/go_mod.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import { type ModulePath, parseModulePath } from "../module/path.ts";
import type { RepositoryName } from "../module/repository_identity.ts";
import type { Copy } from "../store/manifest.ts";
import { ClientGraph } from "./client_graph.ts";
import type { AnsweredByThread } from "./stored_modules.ts";
import { namesOfCopy } from "./copy_names.ts";
import { ZipOrder } from "./zip_order.ts";

/** How long a client may ask for nothing and still be followed. */
export const IDLE_MS = 5_000;
/** After which time the client's next request begins a new walk. */
const FORGET_MS = 60_000;
const MAX_CLIENTS = 1_000;
/** How many guesses may be under way, of all clients and of one. */
const MAX_UNDER_WAY = 64;
const MAX_UNDER_WAY_PER_CLIENT = 48;
/** How many begin in a second; each asks an upstream for three or four small files. */
const MAX_PER_SECOND = 200;
/** The pause after a failure; it doubles with each in a row. */
const MIN_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;
/** A guess that no client has asked for by then was useless. */
const USEFUL_MS = 5 * 60_000;
/** How many guesses are watched whether they turn out useful. */
const MAX_GUESSES = 20_000;
/** How many go.mod files are remembered that a client was given just before its first miss. */
const MAX_RECENT = 64;
const RECENT_MS = 10_000;
/** How many zips are fetched at once, and for how long when the client asks for nothing. */
const MAX_ZIPS_UNDER_WAY = 6;
const ZIP_IDLE_MS = 30_000;
/** How long a stop waits for guesses that are nearly done. */
const STOP_MS = 500;

/** How a version can be published: lazily, or, if it is private, as its source has it. */
export type Publishable = "public" | "private";

/** The client of a request. */
export interface FollowedClient {
  /** Null without client authentication. */
  readonly identity: string | null;
  /** The same for all requests of a client. */
  key(): string;
  /** Whether it may read a module, by its path and the names of its repository. */
  mayRead(path: ModulePath, names?: readonly RepositoryName[]): boolean;
  /** Whether a policy lets it have a file of a version. Default: there is no policy. */
  mayHave?(module: ModuleVersion, options: MayHaveOptions): Promise<boolean>;
}

export interface MayHaveOptions {
  readonly file: "mod" | "zip";
  readonly signal: AbortSignal;
}

export interface WalkAheadOptions {
  /** The copy of a version if it is in memory. */
  readonly remembered: (module: ModuleVersion) => Copy | null;
  /**
   * The copy of a version, fetched if it is not in the store; `isFetched`: for this call. A fetch
   * is shared with clients.
   */
  readonly fetch: (module: ModuleVersion, signal: AbortSignal) => Promise<GuessedCopy>;
  /** Null: versions of the path are not guessed. */
  readonly publishable: (path: ModulePath) => Publishable | null;
  /**
   * Fetches the zip of a version, unless the store has it; `isFetched`: for this call. It is shared
   * with clients.
   */
  readonly fetchZip: (module: ModuleVersion, signal: AbortSignal) => Promise<GuessedZip>;
  readonly log: Logger;
  readonly metrics?: Metrics | undefined;
  /** Milliseconds since any moment. */
  readonly now?: (() => number) | undefined;
  readonly maxUnderWay?: number | undefined;
  /** How many of them may be of private versions, which git makes. Default: 1. */
  readonly maxPrivate?: number | undefined;
}

export interface GuessedCopy {
  readonly copy: Copy;
  readonly isFetched: boolean;
}

export type GuessedZip = Pick<GuessedCopy, "isFetched">;

/** What was answered to a client. */
export interface Answered {
  readonly copy: Copy;
  readonly file: "info" | "mod" | "zip";
  /** Whether it was in the store. */
  readonly isHit: boolean;
  readonly client: FollowedClient;
}

/** A client that is followed. */
interface Walk {
  readonly client: FollowedClient;
  readonly graph: ClientGraph;
  readonly zips: ZipOrder;
  askedAtMs: number;
  underWay: number;
}

type Kind = "version" | "zip";

/** What is fetched, or was, and no client had asked for. */
interface Guess {
  readonly kind: Kind;
  readonly walk: Walk;
  readonly atMs: number;
  isFetched: boolean;
}

export class WalkAhead {
  readonly #options: WalkAheadOptions;
  readonly #metrics: Metrics;
  readonly #now: () => number;
  readonly #maxUnderWay: number;
  /** For private versions. */
  readonly #turns: Semaphore;
  readonly #walks: LRUCache<string, Walk>;
  /** Those that no client has asked for yet, by name, oldest first. */
  readonly #guesses = new Map<string, Guess>();
  /** The names of go.mod files that are among {@linkcode #recent}, or were a moment ago. */
  readonly #recentNames: LRUCache<string, true>;
  readonly #recent: { readonly key: string; readonly copy: Copy }[] = [];
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #tokens = MAX_PER_SECOND;
  #tokensAtMs = 0;
  #pausedUntilMs = -Infinity;
  #pauseMs = MIN_PAUSE_MS;
  #zipsUnderWay = 0;
  #forgetAtMs = -Infinity;

  constructor(options: WalkAheadOptions) {
    this.#options = options;
    this.#metrics = options.metrics ?? NO_METRICS;
    this.#now = options.now ?? (() => performance.now());
    this.#maxUnderWay = Math.min(options.maxUnderWay ?? MAX_UNDER_WAY, MAX_UNDER_WAY);
    this.#turns = new Semaphore({
      what: "fetch ahead",
      permits: options.maxPrivate ?? 1,
      maxWaiting: MAX_UNDER_WAY,
      maxWaitMs: IDLE_MS,
    });
    const clock = { perf: { now: this.#now }, ttlResolution: 0 };
    this.#walks = new LRUCache({
      max: MAX_CLIENTS,
      ttl: FORGET_MS,
      updateAgeOnGet: true,
      ...clock,
    });
    this.#recentNames = new LRUCache({ max: 10_000, ttl: RECENT_MS, ...clock });
    this.#metrics.gauge("gomodproxy_ahead_under_way", () => {
      this.#judgeOld();
      return this.#running.size;
    });
  }

  /** A client was given a file. */
  answered(answered: Answered): void {
    const { copy, file, isHit, client } = answered;
    if (this.#stopping.signal.aborted) return;
    const { manifest } = copy;
    const guess = this.#proved(manifest, file === "zip" ? "zip" : "version");
    if (isHit && !this.#isFollowing()) {
      if (file === "mod") this.#remember(copy, client);
      return;
    }
    const walk = guess?.walk ?? this.#walks.get(client.key()) ?? null;
    if (walk !== null) this.#goOn(walk, answered);
    else if (file === "mod" && !isHit) this.#begin(answered);
  }

  /** Another thread of this process has given a client what was in the store. */
  answeredByThread({ module, file, key }: AnsweredByThread): void {
    if (this.#stopping.signal.aborted) return;
    const guess = this.#proved(module, file === "zip" ? "zip" : "version");
    const walk = guess?.walk ?? this.#walks.get(key) ?? null;
    const copy = walk === null ? null : this.#options.remembered(module);
    if (walk !== null && copy !== null) this.#goOn(walk, { copy, file });
  }

  /** Ends all guesses. */
  async stop(): Promise<void> {
    const waiting = new AbortController();
    const late = pause(STOP_MS, waiting.signal);
    const running = Promise.allSettled(this.#running);
    await Promise.race([running, late]);
    waiting.abort();
    this.#stopping.abort(new Error("the server stops"));
    await running;
  }

  /** Whether any client is followed. Walks that nobody goes on with are forgotten together. */
  #isFollowing(): boolean {
    if (this.#walks.size === 0) return false;
    if (this.#now() < this.#forgetAtMs) return true;
    this.#walks.clear();
    return false;
  }

  #begin({ copy, client }: Answered): void {
    const key = client.key();
    const nowMs = this.#now();
    const walk: Walk = {
      client,
      graph: new ClientGraph(),
      zips: new ZipOrder(),
      askedAtMs: nowMs,
      underWay: 0,
    };
    this.#walks.set(key, walk);
    this.#forgetAtMs = nowMs + FORGET_MS;
    const recent = this.#recent.filter((recent) => recent.key === key);
    this.#recent.length = 0;
    this.#recentNames.clear();
    for (const root of [...recent.map(({ copy }) => copy), copy]) {
      walk.graph.asked(root.manifest, { file: "mod", nowMs });
      walk.zips.add(root.manifest);
      this.#track(this.#expand(walk, root));
    }
  }

  #goOn(walk: Walk, { copy, file }: Pick<Answered, "copy" | "file">): void {
    const nowMs = this.#now();
    walk.askedAtMs = nowMs;
    this.#forgetAtMs = nowMs + FORGET_MS;
    if (file === "zip") {
      walk.zips.asked(copy.manifest);
      this.#pumpZips(walk);
      return;
    }
    walk.graph.asked(copy.manifest, { file, nowMs });
    walk.zips.add(copy.manifest);
    if (file === "mod" && !walk.graph.hasRead(copy.manifest)) {
      this.#track(this.#expand(walk, copy));
    } else {
      this.#pump();
    }
  }

  #remember(copy: Copy, client: FollowedClient): void {
    const name = nameOf(copy.manifest);
    if (this.#recentNames.has(name)) return;
    this.#recentNames.set(name, true);
    this.#recent.push({ key: client.key(), copy });
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
  }

  /** Adds what a copy requires to a client's graph. */
  async #expand(walk: Walk, copy: Copy): Promise<void> {
    const { manifest, goMod } = copy;
    if (!walk.client.mayRead(manifest.path, namesOfCopy(manifest))) return;
    const isPrivate = this.#options.publishable(manifest.path) === "private";
    const { goVersion, requirements } = await atPace(
      scanRequirements(goMod),
      new Pace(this.#stopping.signal),
    );
    const modules: ModuleVersion[] = [];
    for (const { path: text, version } of requirements) {
      const path = pathOf(text);
      if (path === null) continue;
      const kind = this.#options.publishable(path);
      // Strangers write public files, and must not make this server look at what is private.
      if (kind === "public" || kind === "private" && isPrivate) modules.push({ path, version });
    }
    walk.graph.read(manifest, { goVersion, requirements: modules });
    this.#pump();
  }

  /** Begins as many guesses as there is room for, each client's in turn. */
  #pump(): void {
    const nowMs = this.#now();
    if (this.#stopping.signal.aborted || nowMs < this.#pausedUntilMs) return;
    const walks = [...this.#walks.values()]
      .filter(({ askedAtMs }) => nowMs - askedAtMs < IDLE_MS);
    for (let begun = true; begun;) {
      begun = false;
      for (const walk of walks) {
        if (this.#running.size >= this.#maxUnderWay) return;
        if (walk.underWay >= MAX_UNDER_WAY_PER_CLIENT || !this.#takeToken(nowMs)) continue;
        const module = this.#nextOf(walk, nowMs);
        if (module === null) this.#tokens++;
        else {
          begun = true;
          this.#track(this.#guess(walk, module));
        }
      }
    }
  }

  #nextOf({ client, graph }: Walk, nowMs: number): ModuleVersion | null {
    for (;;) {
      const module = graph.next(nowMs);
      if (module === null) return null;
      if (client.mayRead(module.path) && this.#options.remembered(module) === null) return module;
      graph.withdraw(module);
    }
  }

  #takeToken(nowMs: number): boolean {
    const gained = (nowMs - this.#tokensAtMs) * MAX_PER_SECOND / 1000;
    this.#tokens = Math.min(MAX_PER_SECOND, this.#tokens + gained);
    this.#tokensAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  async #guess(walk: Walk, module: ModuleVersion): Promise<void> {
    walk.underWay++;
    try {
      await this.#watched({ kind: "version", walk, module }, async () => {
        using _turn = await this.#turnFor(module);
        const { copy, isFetched } = await this.#options.fetch(module, this.#stopping.signal);
        if (walk.graph.looksBehind(module) && !walk.graph.hasRead(module)) {
          this.#track(this.#expand(walk, copy));
        }
        return isFetched;
      });
    } finally {
      walk.underWay--;
    }
  }

  /** Begins as many guesses of zips as there is room for. */
  #pumpZips(walk: Walk): void {
    if (this.#stopping.signal.aborted || this.#now() < this.#pausedUntilMs) return;
    while (this.#zipsUnderWay < MAX_ZIPS_UNDER_WAY) {
      const module = walk.zips.next();
      if (module === null) return;
      if (walk.client.mayRead(module.path)) this.#track(this.#guessZip(walk, module));
      else walk.zips.withdraw(module);
    }
  }

  async #guessZip(walk: Walk, module: ModuleVersion): Promise<void> {
    this.#zipsUnderWay++;
    // A zip may take minutes, and be for nobody by then.
    const left = new AbortController();
    const timer = setInterval(() => {
      if (this.#now() - walk.askedAtMs >= ZIP_IDLE_MS) left.abort(new Error("the client has left"));
    }, IDLE_MS);
    const signal = AbortSignal.any([this.#stopping.signal, left.signal]);
    try {
      await this.#watched({ kind: "zip", walk, module }, async () => {
        const { isFetched } = await this.#options.fetchZip(module, signal);
        return isFetched;
      });
    } finally {
      clearInterval(timer);
      this.#zipsUnderWay--;
    }
  }

  /** Makes a guess and watches what becomes of it. @param fetch whether it was fetched */
  async #watched(
    { kind, walk, module }: {
      readonly kind: Kind;
      readonly walk: Walk;
      readonly module: ModuleVersion;
    },
    fetch: () => Promise<boolean>,
  ): Promise<void> {
    const key = keyOf(module, kind);
    const guess: Guess = { kind, walk, atMs: this.#now(), isFetched: false };
    this.#guesses.set(key, guess);
    this.#judgeOld();
    try {
      const file = kind === "zip" ? "zip" : "mod";
      const { signal } = this.#stopping;
      if (await walk.client.mayHave?.(module, { file, signal }) === false) return;
      const isFetched = await fetch();
      this.#pauseMs = MIN_PAUSE_MS;
      if (isFetched) this.#fetched(key, guess);
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#failed(module, { kind, error });
    } finally {
      if (!guess.isFetched && this.#guesses.get(key) === guess) this.#guesses.delete(key);
    }
  }

  /** Git's processes are few, and clients' own requests need them. */
  async #turnFor({ path }: ModuleVersion): Promise<Disposable | null> {
    if (this.#options.publishable(path) !== "private") return null;
    return await this.#turns.acquire(this.#stopping.signal);
  }

  #fetched(key: string, guess: Guess): void {
    const { kind } = guess;
    this.#metrics.add("gomodproxy_ahead_fetches_total", { kind, outcome: "ok" });
    guess.isFetched = true;
    // A client may have asked meanwhile.
    if (this.#guesses.get(key) !== guess) this.#judge(guess, "useful");
  }

  /** The guess that a client's request has proved right, if there is one. */
  #proved(module: ModuleVersion, kind: Kind): Guess | null {
    if (this.#guesses.size === 0) return null;
    const key = keyOf(module, kind);
    const guess = this.#guesses.get(key);
    if (guess === undefined) return null;
    this.#guesses.delete(key);
    if (guess.isFetched) this.#judge(guess, "useful");
    return guess;
  }

  #judgeOld(): void {
    const nowMs = this.#now();
    for (const [key, guess] of this.#guesses) {
      if (nowMs - guess.atMs < USEFUL_MS && this.#guesses.size <= MAX_GUESSES) return;
      this.#guesses.delete(key);
      if (guess.isFetched) this.#judge(guess, "useless");
    }
  }

  #judge({ kind }: Guess, outcome: "useful" | "useless"): void {
    this.#metrics.add("gomodproxy_ahead_guesses_total", { kind, outcome });
  }

  /** What does not exist, or must not be had, is no reason to leave the upstream alone. */
  #failed(module: ModuleVersion, { kind, error }: { kind: Kind; error: unknown }): void {
    this.#metrics.add("gomodproxy_ahead_fetches_total", { kind, outcome: "failed" });
    const isFinal = error instanceof NotFoundError || error instanceof UnusableError ||
      error instanceof ForbiddenError || error instanceof OverloadedError;
    if (isFinal) return;
    const saidMs = error instanceof UpstreamError ? error.retryAfterMs ?? 0 : 0;
    const pauseMs = Math.max(saidMs, this.#pauseMs);
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#now() + pauseMs);
    this.#pauseMs = Math.min(MAX_PAUSE_MS, 2 * this.#pauseMs);
    const { log } = this.#options;
    const facts = { module: nameOf(module), error: describeError(error), pauseMs };
    if (error instanceof ProxyError) log.debug(facts, "walking ahead pauses");
    else log.error({ ...facts, err: error }, "walking ahead failed");
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((error) => {
      if (this.#stopping.signal.aborted) return;
      this.#options.log.error({ err: error }, "walking ahead failed");
    }).finally(() => {
      this.#running.delete(tracked);
      this.#pump();
    });
    this.#running.add(tracked);
  }
}

function keyOf(module: ModuleVersion, kind: Kind): string {
  return kind === "zip" ? `${nameOf(module)} zip` : nameOf(module);
}

/** Null for what is no module path. */
function pathOf(text: string): ModulePath | null {
  try {
    return parseModulePath(text);
  } catch (error) {
    if (error instanceof InvalidRequestError) return null;
    throw error;
  }
}
