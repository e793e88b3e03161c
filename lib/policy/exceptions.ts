/**
 * Exceptions: for some versions, some rules do not apply until a moment. They are in the
 * configuration, and recorded over HTTP in an append log that all replicas read
 * (exception_log.ts).
 */
import { LRUCache } from "lru-cache";
import { globsMatcher } from "../module/module_matcher.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { ExceptionConfig } from "./config.ts";
import { earlier } from "./verdict.ts";
import { parseEndMs } from "./time_text.ts";
import { goVersionOf } from "./toolchain.ts";
import { VersionRange } from "./version_range.ts";

const MAX_REMEMBERED_PATHS = 20_000;

export interface Exception {
  readonly config: ExceptionConfig;
  readonly untilMs: number;
  /** For whoever asks why: who, until when, and the reason. */
  readonly text: string;
}

interface Compiled extends Exception {
  readonly isAbout: (path: ModulePath) => boolean;
  readonly range: VersionRange | null;
}

export class Exceptions {
  readonly #all: readonly Compiled[];
  readonly #byPath = new LRUCache<ModulePath, readonly Compiled[]>({ max: MAX_REMEMBERED_PATHS });

  constructor(configs: readonly ExceptionConfig[]) {
    this.#all = configs.map(compile);
  }

  /** The one that ends last of those that keep a rule from applying; null if there is none. */
  find(module: ModuleVersion, { rule, nowMs }: { rule: string; nowMs: number }): Exception | null {
    return this.#about(module.path)
      .filter((exception) => exception.untilMs > nowMs && isFor(exception, { module, rule }))
      .reduce<Compiled | null>(
        (last, one) => last === null || one.untilMs > last.untilMs ? one : last,
        null,
      );
  }

  /** When the next one ends; null if there is none. */
  nextEndMs(nowMs: number): number | null {
    return this.#all.filter(({ untilMs }) => untilMs > nowMs)
      .reduce<number | null>((next, { untilMs }) => earlier(next, untilMs), null);
  }

  #about(path: ModulePath): readonly Compiled[] {
    if (this.#all.length === 0) return this.#all;
    const known = this.#byPath.get(path);
    if (known !== undefined) return known;
    const about = this.#all.filter(({ isAbout }) => isAbout(path));
    this.#byPath.set(path, about);
    return about;
  }
}

function isFor(
  { config: { rules }, range }: Compiled,
  { module, rule }: { module: ModuleVersion; rule: string },
): boolean {
  return (rules === undefined || rules.includes(rule)) &&
    (range === null || range.has(goVersionOf(module) ?? module.version));
}

function compile(config: ExceptionConfig): Compiled {
  const { modules, versions, until, by, reason, ticket } = config;
  return {
    config,
    untilMs: parseEndMs(until),
    text: `${reason} (${by}${ticket === undefined ? "" : `, ${ticket}`}, until ${until})`,
    isAbout: globsMatcher(modules, { isDenial: false }).matchesPath,
    range: versions === undefined ? null : new VersionRange(versions),
  };
}
