/**
 * Which module versions a client is going to ask for, judged by what it has asked for and by the
 * go.mod files that it was given. Nothing here waits: walk_ahead.ts fetches what
 * {@linkcode ClientGraph.next} names.
 *
 * What the `go` command asks for (cmd/go/internal/modload, readModGraph and listModules; Go Modules
 * Reference, "Module graph pruning"):
 *
 * 1. To load the graph, the `.mod` of each version that the main module requires, in the order of
 *    their paths. A go.mod file of Go 1.17 or later requires everything that its packages need, so
 *    nothing is looked for behind the requirements of those.
 * 2. After these, the `.mod` of every version that is required below an older go.mod file among
 *    them, breadth first.
 * 3. To list it, `.info` and `.mod` of the version that is selected of each path: the highest one
 *    that any file requires.
 *
 * The main module's own file is not known here, so there are three kinds of guesses:
 *
 * - `closure`: what is required below an older go.mod file that the client has loaded (2.). It asks
 *   for all of them, later.
 * - `highest`: of the paths that are required by a version which no other file requires, the
 *   highest version (1. and 3.).
 * - `other`: all others that a file has named. They only count once the client has asked for one,
 *   as it does if its main module has no pruned graph.
 *
 * A lane of guesses works like read-ahead of files: few at first, more with each guess that was
 * right, half as many after one that was wrong, none when too many were.
 */
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { compareVersions, type Version } from "../module/version.ts";

/** How many guesses of a lane may be open at first, and at most. */
export const FIRST_WINDOW = 4;
const MAX_WINDOW = 64;
/** How many wrong guesses end a lane: so many, and one more for so many right ones. */
const MAX_WRONG = 2;
const RIGHT_PER_WRONG = 12;
/** An open guess that was not asked for by then was wrong. */
const OPEN_MS = 30_000;
/** How many versions of one client's graph are known, each kind. */
export const MAX_VERSIONS = 5_000;

type Kind = "closure" | "highest" | "other";

/** A file of a version that the client has asked for. */
export interface Asked {
  readonly file: "info" | "mod";
  readonly nowMs: number;
}

/** What a go.mod file says. */
export interface ReadGoMod {
  readonly goVersion: string | null;
  readonly requirements: readonly ModuleVersion[];
}

/** A guess that is neither right nor wrong yet. */
interface OpenGuess {
  readonly module: ModuleVersion;
  readonly lane: Lane;
  readonly atMs: number;
}

export class ClientGraph {
  readonly #highest = new Map<ModulePath, Version>();
  /** The paths of {@linkcode #highest} in order, unless more have come. */
  readonly #order: ModulePath[] = [];
  #isSorted = true;
  /** The next guess is looked for behind this path. */
  #position = "";
  /** Paths of which a version was asked for or guessed. */
  readonly #settled = new Set<ModulePath>();
  /** How many paths of {@linkcode #highest} are not settled. */
  #left = 0;
  /** Of the closure and other versions, by name, in the order in which files have named them. */
  readonly #closure = new Map<string, ModuleVersion>();
  readonly #others = new Map<string, ModuleVersion>();
  /** The names of what the client has asked for, or was guessed. */
  readonly #done = new Set<string>();
  readonly #roots = new Set<string>();
  /** The names of those whose `.info` the client has asked for. */
  readonly #listed = new Set<string>();
  /** The names of those whose `.mod` it has asked for before: it has loaded them into its graph. */
  readonly #loaded = new Set<string>();
  /** The names of what is required below an older go.mod file. */
  readonly #below = new Set<string>();
  /** The names of versions whose go.mod files were added. */
  readonly #read = new Set<string>();
  readonly #open = new Map<string, OpenGuess>();
  readonly #openByPath = new Map<ModulePath, OpenGuess>();
  readonly #lanes: Readonly<Record<Kind, Lane>> = {
    closure: new Lane(FIRST_WINDOW),
    highest: new Lane(FIRST_WINDOW),
    other: new Lane(0),
  };

  /** Whether the go.mod file of a version was added. */
  hasRead(module: ModuleVersion): boolean {
    return this.#read.has(nameOf(module));
  }

  /** Whether the client will ask for what a version requires that was guessed. */
  looksBehind(module: ModuleVersion): boolean {
    return this.#below.has(nameOf(module)) || this.#lanes.other.hasProved;
  }

  /** Adds the go.mod file of a version. */
  read(module: ModuleVersion, { goVersion, requirements }: ReadGoMod): void {
    const name = nameOf(module);
    this.#read.add(name);
    const isBelow = this.#below.has(name) || this.#loaded.has(name) && !isPruned(goVersion);
    const isRoot = this.#roots.has(name);
    for (const required of requirements) {
      if (isBelow) this.#addTo(this.#closure, required);
      else if (isRoot) this.#addHighest(required);
      else if (this.#highest.get(required.path) !== required.version) this.#addOther(required);
    }
  }

  #addHighest(module: ModuleVersion): void {
    const { path, version } = module;
    const highest = this.#highest.get(path);
    if (highest === version) return;
    if (highest === undefined) {
      if (this.#highest.size >= MAX_VERSIONS) return;
      this.#order.push(path);
      this.#isSorted = false;
      this.#highest.set(path, version);
      if (this.#settled.has(path)) this.#addOther(module);
      else this.#left++;
    } else if (compareVersions(version, highest) > 0) {
      this.#highest.set(path, version);
      this.#addOther(this.#settled.has(path) ? module : { path, version: highest });
    } else {
      this.#addOther(module);
    }
  }

  #addOther(module: ModuleVersion): void {
    this.#addTo(this.#others, module);
  }

  #addTo(versions: Map<string, ModuleVersion>, module: ModuleVersion): void {
    const name = nameOf(module);
    const isClosure = versions === this.#closure;
    if (isClosure && this.#below.size < 2 * MAX_VERSIONS) this.#below.add(name);
    if (this.#done.has(name) || versions.size >= MAX_VERSIONS) return;
    versions.set(name, module);
  }

  /** The client asks for a file of a version. */
  asked(module: ModuleVersion, { file, nowMs }: Asked): void {
    this.#expire(nowMs);
    const name = nameOf(module);
    const { path, version } = module;
    if (file === "info") this.#listed.add(name);
    else if (!this.#listed.has(name) && !this.#loaded.has(name)) {
      this.#loaded.add(name);
      this.#lanes.closure.widen();
    }
    const isNamed = this.#done.has(name) || this.#closure.has(name) || this.#others.has(name) ||
      this.#highest.get(path) === version;
    if (!isNamed) this.#roots.add(name);
    const open = this.#open.get(name);
    if (open !== undefined) {
      this.#close(open);
      open.lane.right();
    } else if (!this.#done.has(name)) {
      const other = this.#openByPath.get(path);
      // Of each path one version is selected; of the closure, all are asked for.
      if (other !== undefined && other.lane === this.#lanes.highest) {
        this.#close(other);
        other.lane.wrong();
      }
      if (this.#others.has(name)) this.#lanes.other.open();
    }
    this.#done.add(name);
    this.#closure.delete(name);
    this.#others.delete(name);
    this.#settle(path);
    this.#moveTo(path);
  }

  /**
   * What to fetch next: it counts as a guess until the client asks for it. Null: nothing for now.
   */
  next(nowMs: number): ModuleVersion | null {
    this.#expire(nowMs);
    return this.#nextHighest(nowMs) ?? this.#nextOf("closure", nowMs) ??
      this.#nextOf("other", nowMs);
  }

  /** A guess that was none: there was nothing to fetch, or it must not be. */
  withdraw(module: ModuleVersion): void {
    const open = this.#open.get(nameOf(module));
    if (open !== undefined) this.#close(open);
  }

  #nextHighest(nowMs: number): ModuleVersion | null {
    const lane = this.#lanes.highest;
    if (this.#left === 0 || !lane.hasRoom) return null;
    this.#sort();
    const { length } = this.#order;
    const start = placeBehind(this.#position, this.#order);
    for (let looked = 0; looked < length; looked++) {
      const path = this.#order[(start + looked) % length];
      const version = path === undefined ? undefined : this.#highest.get(path);
      if (path === undefined || version === undefined || this.#settled.has(path)) continue;
      this.#position = path;
      return this.#guess({ path, version }, { lane, nowMs });
    }
    return null;
  }

  #nextOf(kind: "closure" | "other", nowMs: number): ModuleVersion | null {
    const lane = this.#lanes[kind];
    if (!lane.hasRoom) return null;
    const versions = kind === "closure" ? this.#closure : this.#others;
    for (const [name, module] of versions) {
      versions.delete(name);
      if (!this.#done.has(name)) return this.#guess(module, { lane, nowMs });
    }
    return null;
  }

  #guess(
    module: ModuleVersion,
    { lane, nowMs }: { lane: Lane; nowMs: number },
  ): ModuleVersion {
    const guess = { module, lane, atMs: nowMs };
    lane.opened();
    this.#open.set(nameOf(module), guess);
    this.#openByPath.set(module.path, guess);
    this.#done.add(nameOf(module));
    this.#settle(module.path);
    return module;
  }

  #settle(path: ModulePath): void {
    if (this.#settled.has(path)) return;
    this.#settled.add(path);
    if (this.#highest.has(path)) this.#left--;
  }

  #close(guess: OpenGuess): void {
    guess.lane.closed();
    this.#open.delete(nameOf(guess.module));
    const { path } = guess.module;
    if (this.#openByPath.get(path) === guess) this.#openByPath.delete(path);
  }

  #expire(nowMs: number): void {
    for (const guess of this.#open.values()) {
      if (nowMs - guess.atMs < OPEN_MS) return;
      this.#close(guess);
      guess.lane.wrong();
    }
  }

  /**
   * Guesses go on behind what the client asks for, unless they are there already. The first root
   * says nothing about where in its requirements the client begins.
   */
  #moveTo(path: ModulePath): void {
    if (this.#order.length > 0 && compareText(path, this.#position) > 0) this.#position = path;
  }

  #sort(): void {
    if (this.#isSorted) return;
    this.#order.sort(compareText);
    this.#isSorted = true;
  }
}

/** How many guesses may be open, by how many were right. */
class Lane {
  #window: number;
  #open = 0;
  #right = 0;
  #wrong = 0;

  constructor(window: number) {
    this.#window = window;
  }

  get hasRoom(): boolean {
    return this.#open < this.#window && !this.#hasFailed;
  }

  /** Whether guesses are right as a rule. */
  get hasProved(): boolean {
    return this.#right >= FIRST_WINDOW && !this.#hasFailed;
  }

  get #hasFailed(): boolean {
    return this.#wrong > MAX_WRONG + this.#right / RIGHT_PER_WRONG;
  }

  open(): void {
    if (this.#window === 0) this.#window = FIRST_WINDOW;
  }

  widen(): void {
    this.#window = Math.min(MAX_WINDOW, this.#window + 1);
  }

  opened(): void {
    this.#open++;
  }

  closed(): void {
    this.#open--;
  }

  right(): void {
    this.#right++;
    this.widen();
  }

  wrong(): void {
    this.#wrong++;
    this.#window = Math.max(2, this.#window >> 1);
  }
}

/** Whether the graph behind a go.mod file is pruned: `go 1.17` and later. */
function isPruned(goVersion: string | null): boolean {
  const [major = 1, minor = 0] = (goVersion ?? "1.0").split(/[.a-z]/).map(Number);
  return major > 1 || minor >= 17;
}

/** The place of the first of `sorted` that is behind `text`. */
function placeBehind(text: string, sorted: readonly ModulePath[]): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareText(sorted[middle] ?? "", text) <= 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** As Go compares strings: module paths are ASCII. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
