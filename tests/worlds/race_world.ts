/**
 * The world of race_test.ts: replicas that come and go, sources that change, clients with random
 * requests, and a log of the answers.
 *
 * All modules exist in two copies, `one` and `other`, and say so: in `m.go`, so each zip names its
 * copy; in go.mod too where the version's number is odd, and for the module from git; and in the
 * commit that `.info` of the latter names.
 *
 * A third module is recorded in a checksum database, so that its zips are published lazily. They
 * are large, so that they are sent while they are spooled, and the upstream has each in two forms
 * with the same h1: compressed and not.
 *
 * A policy withholds every third version of all modules, unless there is an exception.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Answer,
  type CheckedPolicy,
  type FileAnswer,
  type Flip,
  FLIP_BOUND_MS,
  type ListAnswer,
} from "../support/consistency_checker.ts";
import { within } from "../support/eventually.ts";
import type { TestRepo } from "./git_repo.ts";
import { instead, truncated } from "../fakes/behaviours.ts";
import { GitServer } from "../fakes/git_server.ts";
import { Sumdb } from "../fakes/sumdb.ts";
import { readZip } from "../support/read_zip.ts";
import { type Server, startServer } from "./server.ts";
import { startUpstream, type Upstream } from "../fakes/upstream.ts";

const REPLICAS = 4;
/** Requests under way at once. */
const CLIENTS = 16;
/** A new version turns up once in so many requests. */
const REQUESTS_PER_VERSION = 40;
const KILL_EVERY_MS = 1000;
const REQUEST_TIMEOUT_MS = 60_000;
/** One request in so many moves a tag, and one in twice as many makes one vanish. */
const MOVE_TAG_EVERY = 20;
/** How often the upstream says that it does not know a version which it has. */
const LIE_CHANCE = 0.05;

const FROM_UPSTREAM = "example.com/m";
const FROM_GIT = "go.example.com/lib";
const RECORDED = "example.com/recorded";
/** More would take too much memory: each has its zips of more than a MiB. */
const MAX_RECORDED_VERSIONS = 25;
const RECORDED_ZIP_BYTES = 1_500_000;

/** The rule of the policy. */
const RULE = "every-third";
/** One in so many versions is withheld: at most 100, because a range has no more. */
const WITHHELD_EVERY = 3;
/** From one flip to the next, again and again; in the last, the checker knows the state. */
const FLIP_PAUSES_MS = [1000, 300, 2000, FLIP_BOUND_MS + 2000];
/** How long a flip may take, while replicas are killed. */
const FLIP_TIMEOUT_MS = 60_000;
const AS_CLIENT = { headers: { Authorization: `Basic ${btoa("race:race-password")}` } };

/** The store of a race. */
export interface Place extends AsyncDisposable {
  /** The `storage` part of the configuration. */
  readonly storage: unknown;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RaceOptions {
  readonly open: () => Promise<Place>;
  readonly requests: number;
  /** The program that the replicas run, if not the product. */
  readonly entry?: string;
}

export async function startRaceWorld({ open, requests, entry }: RaceOptions): Promise<RaceWorld> {
  await using stack = new AsyncDisposableStack();
  const seed = Number(Deno.env.get("RACE_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const versions = Array.from(
    { length: Math.ceil(requests / REQUESTS_PER_VERSION) },
    (_, i) => `v1.${i}.0`,
  );
  const upstream = stack.use(await startUpstream());
  await addTwoCopies(upstream, versions);
  const recorded = versions.filter((_, i) =>
    i % Math.ceil(versions.length / MAX_RECORDED_VERSIONS) === 0
  );
  await addTwoForms(upstream, recorded);
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(sumdb);
  const git = stack.use(await GitServer.start());
  const tags = await Tags.create(await git.createRepo("lib.git"), versions);
  const place = stack.use(await open());
  const directory = await Deno.makeTempDir({ prefix: "race-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const config = `${directory}/config.yaml`;
  const repository = git.urlOf("lib.git");
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      storage: place.storage,
      publicModules: {
        sumDatabase: {
          name: sumdb.name,
          publicKey: sumdb.verifierKey,
          url: `${upstream.url}/sumdb/${sumdb.name}`,
        },
        noSumDatabase: FROM_UPSTREAM,
      },
      privateModules: [{ pathPrefix: FROM_GIT, auth: { none: true }, repository }],
      clientAuth: {
        enabled: true,
        identities: [{ name: "race", password: "race-password" }],
        acl: [{ access: "allow" }],
      },
      policy: {
        approvers: ["race"],
        rules: [{
          name: RULE,
          action: "deny",
          versions: versions.filter(isWithheld).map((version) => version.slice(1)).join(" || "),
        }],
      },
    }),
  );
  let started = 0;
  const replicas = stack.use(
    new Replicas(() =>
      startServer({
        // Not in the process's own folder, which is removed right after a kill: its git processes
        // may not have ended yet.
        args: ["--config-file", config, "--scratch-dir", `${directory}/scratch-${started++}`],
        env: { GOPROXY: upstream.url, ...place.env },
        ...(entry === undefined ? {} : { entry }),
      })
    ),
  );
  await replicas.start();
  const parts = { seed, requests, versions, recorded, upstream, tags, replicas };
  return new RaceWorld(parts, stack.move());
}

/** Whether the policy withholds a version: `v1.1.0`, `v1.4.0`, … */
function isWithheld(version: string): boolean {
  return Number(/^v1\.(\d+)\.0$/.exec(version)?.[1] ?? 0) % WITHHELD_EVERY === 1;
}

/** What is asked, as drawn from the seed. */
interface Plan {
  readonly module: string;
  readonly what: "info" | "mod" | "zip" | "list" | "cached list" | "latest" | "main";
  readonly version: string;
  /** From 0 to 1: which of the replicas that are there. */
  readonly replica: number;
}

/** What of an answer only its content says. */
type Meaning =
  | Pick<FileAnswer, "file" | "version" | "digest" | "copy" | "isLatest">
  | Pick<ListAnswer, "file" | "isFromStore" | "versions">;

function pathOf({ module, what, version }: Plan): string {
  if (what === "list") return `${module}/@v/list`;
  if (what === "cached list") return `cached-only/${module}/@v/list`;
  if (what === "latest") return `${module}/@latest`;
  return `${module}/@v/${what === "main" ? "main.info" : `${version}.${what}`}`;
}

export class RaceWorld implements AsyncDisposable {
  readonly log: Answer[] = [];
  /** Answers that no client should get, one message each. */
  readonly unexpected: string[] = [];
  readonly seed: number;
  /** One from the upstream, one from git, and one that is recorded. */
  readonly modules = [FROM_UPSTREAM, FROM_GIT, RECORDED];
  kills = 0;
  readonly #flips: Flip[] = [];
  readonly #parts: WorldParts;
  readonly #stack: AsyncDisposableStack;
  readonly #random: Random;
  readonly #statuses = new Map<string, number>();
  readonly #ended = new AbortController();
  /** Of a zip that was seen before, by its digest. */
  readonly #copyOfZip = new Map<string, string | null>();
  readonly #startMs = performance.now();
  #lieChance = LIE_CHANCE;

  constructor(parts: WorldParts, stack: AsyncDisposableStack) {
    this.seed = parts.seed;
    this.#parts = parts;
    this.#stack = stack;
    this.#random = randomFrom(parts.seed);
    const lies = randomFrom(parts.seed + 1);
    parts.upstream.misbehave(
      /\.(info|mod|zip)$/,
      (_, honest) =>
        lies() < this.#lieChance
          ? new Response("not found: so it says\n", { status: 404 })
          : honest(),
    );
    const half = truncated("declared");
    const wrong = instead(new Uint8Array(RECORDED_ZIP_BYTES));
    parts.upstream.misbehave(/recorded.*\.zip$/, (request, honest) => {
      if (lies() >= 2 * this.#lieChance) return honest();
      return lies() < 0.5 ? half(request, honest) : wrong(request, honest);
    });
  }

  /** Sends all requests, {@linkcode CLIENTS} at once, while tags move. */
  async run(): Promise<void> {
    const { requests, tags, versions } = this.#parts;
    const random = this.#random;
    let next = 0;
    const client = async () => {
      for (let i = next++; i < requests; i = next++) {
        const plan = this.#draw(i);
        if (i % MOVE_TAG_EVERY === 0) await tags.move(pick(versions, random), random);
        else if (i % MOVE_TAG_EVERY === 1 && random() < 0.5) await tags.delete(plan.version);
        await this.#ask(plan, pick(this.#parts.replicas.there, () => plan.replica));
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    this.#ended.abort();
  }

  /** At once and then every second, until all requests have been sent. */
  async killEverySecond(): Promise<void> {
    const { replicas, seed } = this.#parts;
    const random = randomFrom(seed + 2);
    const { signal } = this.#ended;
    while (!signal.aborted) {
      // At least one replica must be left to answer.
      if (replicas.there.length > 1) {
        replicas.replace(pick(replicas.there, random));
        this.kills++;
      }
      await delay(KILL_EVERY_MS, undefined, { signal }).catch(ignoreAbort);
    }
    await replicas.settled();
  }

  /** What the policy withholds, as clients know it. */
  get policy(): CheckedPolicy {
    return {
      rule: RULE,
      governs: (_, version) => isWithheld(version),
      isWithheld: true,
      flips: this.#flips,
    };
  }

  /** Records an exception from the policy and revokes it, until all requests have been sent. */
  async flipPolicy(): Promise<void> {
    const random = randomFrom(this.#parts.seed + 3);
    const { signal } = this.#ended;
    for (let i = 0; !signal.aborted; i++) {
      const pauseMs = FLIP_PAUSES_MS[i % FLIP_PAUSES_MS.length];
      await delay(pauseMs, undefined, { signal }).catch(ignoreAbort);
      await this.#flip(random);
    }
  }

  async #flip(random: Random): Promise<void> {
    const isWithheld = this.#flips.at(-1)?.isWithheld === false;
    const startMs = performance.now();
    const attempt = isWithheld ? revokeAll : record;
    // Replicas are killed over it, and then nobody knows whether they have done it.
    const done = async () => {
      for (;;) {
        const { there } = this.#parts.replicas;
        if (there.length > 0 && await attempt(pick(there, random).url)) return;
        await delay(50);
      }
    };
    await within("a change of the policy", done(), { timeoutMs: FLIP_TIMEOUT_MS });
    this.#flips.push({ startMs, endMs: performance.now(), isWithheld });
  }

  /**
   * What was answered once must be answered by everybody, now that nobody is killed and the
   * upstream tells the truth; and what the policy withholds must be denied by everybody, once its
   * last change counts.
   */
  async askAgain(): Promise<void> {
    this.#lieChance = 0;
    const last = this.#flips.at(-1);
    if (last !== undefined) {
      await delay(Math.max(0, last.endMs + FLIP_BOUND_MS + 1 - performance.now()));
    }
    const read = new Set(
      this.log.filter(({ status }) => status === 200).flatMap((answer) =>
        answer.file === "list" ? [] : [`${answer.module}@${answer.version}`]
      ),
    );
    await Promise.all(this.#parts.replicas.there.map(async (replica) => {
      for (const name of read) {
        const [module = "", version = ""] = name.split("@");
        for (const what of ["info", "mod", "zip"] as const) {
          const plan = { module, version, what, replica: 0 } as const;
          const isDenied = what === "zip" && isWithheld(version) && last?.isWithheld !== false;
          // A transfer breaks off when another replica has just stored the zip in its other form.
          const status = await this.#ask(plan, replica) ?? await this.#ask(plan, replica);
          assert.equal(status, isDenied ? 403 : 200, name);
        }
      }
      for (const module of this.modules) {
        const plan = { module, version: "", what: "cached list", replica: 0 } as const;
        assert.equal(await this.#ask(plan, replica), 200);
      }
    }));
  }

  report(): string {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    const statuses = [...this.#statuses].sort().map(([status, count]) => `${count} × ${status}`);
    return `seed ${this.seed}, ${seconds} s, ${this.kills} kills, answers: ${statuses.join(", ")}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Mostly versions that nobody has asked for yet: there the races are. */
  #draw(i: number): Plan {
    const random = this.#random;
    const { requests } = this.#parts;
    const kind = random();
    const module = kind < 0.6 ? FROM_UPSTREAM : kind < 0.8 ? FROM_GIT : RECORDED;
    const versions = module === RECORDED ? this.#parts.recorded : this.#parts.versions;
    const newest = Math.floor(i / requests * versions.length);
    const index = random() < 0.6
      ? Math.max(0, newest - Math.floor(random() * 3))
      : Math.floor(random() * (newest + 1));
    const chance = random();
    return {
      module,
      what: chance < 0.04
        ? "list"
        : chance < 0.08
        ? "cached list"
        : chance < 0.09
        ? "latest"
        : chance < 0.1
        ? "main"
        : pick(["info", "mod", "zip"], random),
      version: versions[index] ?? "",
      replica: random(),
    };
  }

  /** Asks, and logs the answer. The status, or null when it broke off or the replica was killed. */
  async #ask(plan: Plan, replica: Server): Promise<number | null> {
    const path = pathOf(plan);
    const startMs = performance.now();
    const answer = await get(`${replica.url}/${path}`);
    const endMs = performance.now();
    this.#count(answer === null ? "broken off" : String(answer.status));
    if (answer === null) return null;
    const { status, bytes, deniedBy } = answer;
    const mayBeDenied = plan.what === "zip" || plan.what === "latest";
    if (![200, 404, 502, 503].includes(status) && !(status === 403 && mayBeDenied)) {
      this.unexpected.push(`${path}: ${status} ${new TextDecoder().decode(bytes)}`);
    }
    const { module } = plan;
    const facts = { startMs, endMs, replica: replica.url, status, deniedBy, module };
    const meaning = await this.#meaningOf(plan, status, bytes);
    if (meaning !== null) this.log.push({ ...facts, ...meaning });
    return status;
  }

  /**
   * What the checker is told of an answer; nothing of one that is about no version known beforehand
   * and failed.
   */
  async #meaningOf(
    { what, version }: Plan,
    status: number,
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<Meaning | null> {
    const isOk = status === 200;
    if (what === "list" || what === "cached list") {
      const versions = isOk ? new TextDecoder().decode(bytes).split("\n").slice(0, -1) : [];
      return { file: "list", isFromStore: what === "cached list", versions };
    }
    if (what === "latest" || what === "main") {
      if (!isOk) return null;
      return {
        file: "info",
        version: infoOf(bytes).Version,
        isLatest: what === "latest",
        ...await this.#read("info", bytes),
      };
    }
    return {
      file: what,
      version,
      ...(isOk ? await this.#read(what, bytes) : { digest: "", copy: null }),
    };
  }

  async #read(
    file: FileAnswer["file"],
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<Pick<FileAnswer, "digest" | "copy">> {
    const digest = createHash("sha256").update(bytes).digest("hex");
    if (file === "info") {
      const copy = this.#parts.tags.copyOf(infoOf(bytes).Origin?.Hash);
      return { digest, copy };
    }
    if (file === "mod") return { digest, copy: namedCopy(bytes) };
    const known = this.#copyOfZip.get(digest);
    if (known !== undefined) return { digest, copy: known };
    const source = (await readZip(bytes)).find(([name]) => name.endsWith("/m.go"))?.[1];
    assert.ok(source !== undefined);
    const copy = namedCopy(source);
    assert.ok(copy !== null);
    this.#copyOfZip.set(digest, copy);
    return { digest, copy };
  }

  #count(status: string): void {
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
  }
}

interface WorldParts {
  readonly seed: number;
  readonly requests: number;
  readonly versions: readonly string[];
  readonly recorded: readonly string[];
  readonly upstream: Upstream;
  readonly tags: Tags;
  readonly replicas: Replicas;
}

/** Replicas that are there, and those that are on their way. */
class Replicas implements AsyncDisposable {
  /** Those that may be asked, and killed. */
  readonly there: Server[] = [];
  readonly #open: () => Promise<Server>;
  readonly #work = new Set<Promise<void>>();

  constructor(open: () => Promise<Server>) {
    this.#open = open;
  }

  async start(): Promise<void> {
    await Promise.all(Array.from({ length: REPLICAS }, () => this.#add()));
  }

  /** Kills a replica at once and starts another one, which will be there some time. */
  replace(server: Server): void {
    this.there.splice(this.there.indexOf(server), 1);
    server.signal("SIGKILL");
    const work = server[Symbol.asyncDispose]().then(() => this.#add())
      .finally(() => this.#work.delete(work));
    this.#work.add(work);
  }

  /** Until all that are on their way are there. */
  async settled(): Promise<void> {
    await Promise.all(this.#work);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#work);
    await Promise.all(this.there.map((server) => server[Symbol.asyncDispose]()));
  }

  async #add(): Promise<void> {
    this.there.push(await this.#open());
  }
}

/** The git origin: two commits, and a tag for each version that is on one of them or nowhere. */
class Tags {
  readonly #repo: TestRepo;
  readonly #commits: ReadonlyMap<string, string>;

  private constructor(repo: TestRepo, commits: ReadonlyMap<string, string>) {
    this.#repo = repo;
    this.#commits = commits;
  }

  static async create(repo: TestRepo, versions: readonly string[]): Promise<Tags> {
    const commits = new Map<string, string>();
    for (const copy of COPIES) {
      const files = { "go.mod": goModOf(FROM_GIT, copy), "m.go": sourceOf(copy) };
      commits.set(await repo.commit(files), copy);
    }
    const tags = new Tags(repo, commits);
    for (const version of versions) await tags.move(version, () => 0);
    return tags;
  }

  /** Sets a tag, and the branch, to one of the two commits. */
  async move(version: string, random: Random): Promise<void> {
    const commit = pick([...this.#commits.keys()], random);
    await this.#repo.setRef(`refs/tags/${version}`, commit);
    await this.#repo.setRef("refs/heads/main", commit);
  }

  async delete(version: string): Promise<void> {
    await this.#repo.deleteRef(`refs/tags/${version}`);
  }

  /** The copy that a commit is, or null for none of ours. */
  copyOf(commit: string | undefined): string | null {
    return this.#commits.get(commit ?? "") ?? null;
  }
}

const COPIES = ["one", "other"] as const;

async function addTwoCopies(upstream: Upstream, versions: readonly string[]): Promise<void> {
  for (const [i, version] of versions.entries()) {
    for (const copy of COPIES) {
      const goMod = i % 2 === 0 ? `module ${FROM_UPSTREAM}\n` : goModOf(FROM_UPSTREAM, copy);
      const files = { "go.mod": goMod, "m.go": sourceOf(copy) };
      const time = copy === "one" ? "2024-01-01T00:00:00Z" : "2024-02-02T00:00:00Z";
      await upstream.addModule({ path: FROM_UPSTREAM, version, files, time });
    }
  }
}

async function addTwoForms(upstream: Upstream, versions: readonly string[]): Promise<void> {
  const noise = new Uint8Array(randomBytes(RECORDED_ZIP_BYTES));
  for (const version of versions) {
    const files = { "go.mod": `module ${RECORDED}\n`, "m.go": sourceOf("one"), "noise": noise };
    for (const isCompressed of [true, false]) {
      await upstream.addModule({ path: RECORDED, version, files, isCompressed });
    }
  }
}

function goModOf(path: string, copy: string): string {
  return `module ${path}\n\n// copy ${copy}\n`;
}

function sourceOf(copy: string): string {
  return `package m // copy ${copy}\n`;
}

/** The copy that a file of ours says it is of, or null where it does not say. */
function namedCopy(file: Uint8Array): string | null {
  return /copy (\w+)/.exec(new TextDecoder().decode(file))?.[1] ?? null;
}

function infoOf(bytes: Uint8Array): { Version: string; Origin?: { Hash?: string } } {
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** Records an exception from the policy. False: it is not known whether it is recorded. */
async function record(url: string): Promise<boolean> {
  const exception = {
    modules: ["*"],
    rules: [RULE],
    reason: "a race",
    until: "2999-12-31",
    by: "race",
  };
  const init = { method: "POST", body: JSON.stringify(exception) };
  return (await get(`${url}/-/policy/exceptions`, init))?.status === 201;
}

/** Revokes all exceptions. False: it is not known whether there are others. */
async function revokeAll(url: string): Promise<boolean> {
  const exceptions = `${url}/-/policy/exceptions`;
  const numbers = await numbersAt(exceptions);
  if (numbers === null) return false;
  // A replica that revokes has read all that there are. One that is revoked is 404.
  for (const number of [0, ...numbers]) {
    const answer = await get(`${exceptions}/${number}/revoke`, { method: "POST" });
    if (answer?.status !== 200 && answer?.status !== 404) return false;
  }
  return (await numbersAt(exceptions))?.length === 0;
}

async function numbersAt(url: string): Promise<number[] | null> {
  const answer = await get(url);
  if (answer?.status !== 200) return null;
  const found: { number: number }[] = JSON.parse(new TextDecoder().decode(answer.bytes));
  return found.map(({ number }) => number);
}

interface RawAnswer {
  readonly status: number;
  /** The rule of the policy that has denied it. */
  readonly deniedBy: string | null;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The whole answer, or null when it broke off or the replica was killed over it. */
async function get(url: string, init: RequestInit = {}): Promise<RawAnswer | null> {
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const response = await fetch(url, { ...AS_CLIENT, ...init, signal });
    const deniedBy = response.headers.get("X-Go-Mod-Proxy-Policy");
    return { status: response.status, deniedBy, bytes: await response.bytes() };
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === "AbortError")) throw error;
}

/** From 0 to 1, without 1. */
type Random = () => number;

/** splitmix32: numbers that look random, the same for the same seed. */
function randomFrom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

function pick<T>(values: readonly T[], random: Random): T {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error("Cannot pick one of nothing");
  return value;
}
