/**
 * Which zips a client is going to ask for, if it downloads a whole graph: `go mod download` asks
 * for those of the build list in the order of their paths, as many at a time as it has processors
 * (cmd/go/internal/modcmd, runDownload). `go build` asks in the order of imports, for a part of
 * them; of that, nothing is guessed.
 *
 * A zip that is asked for shortly behind the one before is a step of a download; after
 * {@linkcode STEPS} of them in a row, the next zips are guessed, a few at a time.
 */
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { compareVersions } from "../module/version.ts";

/** How many steps in a row are a download. */
export const STEPS = 4;
/** How far a step goes: clients with many processors do not keep to the order exactly. */
const MAX_STEP = 8;
/** How many zips may be guessed and not asked for, at first and at most. */
const FIRST_WINDOW = 2;
const MAX_WINDOW = 6;
/** How many guesses may be wrong: so many, and one more for so many right ones. */
const MAX_WRONG = 2;
const RIGHT_PER_WRONG = 12;
const MAX_MODULES = 5_000;

export class ZipOrder {
  /** Of each path the highest version that the client has asked for. */
  readonly #modules = new Map<ModulePath, ModuleVersion>();
  #order: readonly ModuleVersion[] | null = null;
  /** The names of those whose zips were asked for or guessed. */
  readonly #done = new Set<string>();
  /** Guesses that the client has not asked for, by name. */
  readonly #open = new Map<string, ModuleVersion>();
  #last: ModulePath | null = null;
  #steps = 0;
  #window = FIRST_WINDOW;
  #right = 0;
  #wrong = 0;

  /** The client asks for a small file of a version: it may be in its build list. */
  add(module: ModuleVersion): void {
    const known = this.#modules.get(module.path);
    const isHigher = known === undefined || compareVersions(module.version, known.version) > 0;
    if (!isHigher || this.#modules.size >= MAX_MODULES) return;
    this.#modules.set(module.path, module);
    this.#order = null;
  }

  /** The client asks for a zip. */
  asked(module: ModuleVersion): void {
    this.add(module);
    const name = nameOf(module);
    if (this.#done.has(name) && !this.#open.has(name)) return;
    this.#done.add(name);
    if (this.#open.delete(name)) {
      this.#right++;
      this.#window = Math.min(MAX_WINDOW, this.#window + 1);
    }
    const place = this.#placeOf(module.path);
    const step = this.#last === null ? 0 : place - this.#placeOf(this.#last);
    const isStep = step !== 0 && Math.abs(step) <= MAX_STEP;
    this.#steps = isStep ? this.#steps + 1 : 0;
    if (this.#last === null || step > 0 || !isStep) this.#last = module.path;
    this.#closeBefore(place - MAX_STEP);
  }

  /** The next zip to fetch: it counts as a guess until the client asks for it. Null: none now. */
  next(): ModuleVersion | null {
    const hasFailed = this.#wrong > MAX_WRONG + this.#right / RIGHT_PER_WRONG;
    if (this.#last === null || this.#steps < STEPS || hasFailed) return null;
    if (this.#open.size >= this.#window) return null;
    const order = this.#sorted();
    const place = this.#placeOf(this.#last);
    for (const module of order.slice(place + 1, place + 1 + MAX_STEP + MAX_WINDOW)) {
      const name = nameOf(module);
      if (this.#done.has(name)) continue;
      this.#done.add(name);
      this.#open.set(name, module);
      return module;
    }
    return null;
  }

  /** A guess that was none: there was nothing to fetch, or it must not be. */
  withdraw(module: ModuleVersion): void {
    this.#open.delete(nameOf(module));
  }

  /** What the client has passed by was guessed wrongly. */
  #closeBefore(place: number): void {
    for (const [name, { path }] of this.#open) {
      if (this.#placeOf(path) >= place) continue;
      this.#open.delete(name);
      this.#wrong++;
      this.#window = Math.max(1, this.#window >> 1);
    }
  }

  #sorted(): readonly ModuleVersion[] {
    return this.#order ??= [...this.#modules.values()]
      .sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  }

  #placeOf(path: ModulePath): number {
    const order = this.#sorted();
    let from = 0;
    let to = order.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((order[middle]?.path ?? "") < path) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
