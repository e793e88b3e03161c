/**
 * A YAML file whose values know their places. As in YAML 1.1, which configurations of the original
 * use, `<<` merges a mapping into another.
 *
 * Limits: {@linkcode MAX_BYTES}, {@linkcode MAX_DEPTH} levels, {@linkcode MAX_ALIASES} uses of
 * aliases, so that a few lines cannot stand for a billion values.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from "yaml";
import type { Path } from "../schema/fault.ts";

export const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 32;
const MAX_ALIASES = 100;

/** Both count from 1, as editors do. */
export interface Spot {
  readonly line: number;
  readonly column: number;
}

export interface YamlFault {
  readonly spot: Spot;
  readonly message: string;
}

const START: Spot = { line: 1, column: 1 };
const MERGE_KEY = "<<";

export class YamlFile {
  /** What the text says; null where it says nothing, or where faults keep it from being read. */
  readonly value: unknown;
  /** What is wrong with the syntax. Repeated keys leave the rest readable. */
  readonly faults: readonly YamlFault[];
  /** Whether {@linkcode value} is what the text says. */
  readonly isReadable: boolean;
  readonly #document: Document | null;
  readonly #lines = new LineCounter();
  readonly #pairs = new WeakMap<YAMLMap, Map<string, Pair>>();

  constructor(text: string) {
    this.#document = null;
    this.value = null;
    this.isReadable = false;
    if (text.length > MAX_BYTES) {
      this.faults = [{ spot: START, message: "the file is larger than 1 MiB" }];
      return;
    }
    try {
      // Keys are compared below: the library compares each with each.
      const document = parseDocument(text, {
        merge: true,
        lineCounter: this.#lines,
        prettyErrors: false,
        uniqueKeys: false,
      });
      this.#document = document;
      if (document.errors.some(({ code }) => code === "RESOURCE_EXHAUSTION")) {
        throw new RangeError();
      }
      const wrong = [...syntaxFaults(document), ...unresolvedAliases(document)];
      this.faults = [...wrong, ...repeatedKeys(document)].map(({ offset, message }) => {
        return { spot: this.#spotAt(offset), message };
      });
      if (wrong.length > 0) return;
      const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
      if (isDeeperThan(value, MAX_DEPTH)) throw new RangeError();
      this.value = value;
      this.isReadable = true;
    } catch (error) {
      this.faults = [{ spot: START, message: limitFault(error) }];
    }
  }

  /**
   * The place of a value, or of the last part of its path that exists. A list or mapping is where
   * its key is.
   */
  spotOf(path: Path): Spot {
    return this.#find(path, "value");
  }

  /** Where the last key of the path is. */
  spotOfKey(path: Path): Spot {
    return this.#find(path, "key");
  }

  #find(path: Path, wanted: "key" | "value"): Spot {
    let node: unknown = this.#document?.contents;
    let offset = 0;
    for (const [i, step] of path.entries()) {
      const collection = this.#resolve(node);
      if (isSeq(collection)) {
        node = collection.items[Number(step)];
        offset = startOf(node) ?? offset;
      } else if (isMap(collection)) {
        const pair = this.#pairOf(collection, String(step));
        if (pair === null) break;
        node = pair.value;
        const isLast = i === path.length - 1;
        const isEmpty = isScalar(node) && node.value === null;
        const isKeyMeant = isCollection(node) || isEmpty || isLast && wanted === "key";
        offset = (isKeyMeant ? null : startOf(node)) ?? startOf(pair.key) ?? offset;
      } else break;
    }
    return this.#spotAt(offset);
  }

  #pairOf(map: YAMLMap, key: string): Pair | null {
    const pairs = this.#pairs.get(map) ?? pairsByKey(map);
    this.#pairs.set(map, pairs);
    const own = pairs.get(key);
    if (own !== undefined) return own;
    const merged = this.#resolve(pairs.get(MERGE_KEY)?.value);
    for (const source of isSeq(merged) ? merged.items : [merged]) {
      const map = this.#resolve(source);
      const pair = isMap(map) ? this.#pairOf(map, key) : null;
      if (pair !== null) return pair;
    }
    return null;
  }

  #resolve(node: unknown): unknown {
    return isAlias(node) && this.#document !== null ? node.resolve(this.#document) : node;
  }

  #spotAt(offset: number): Spot {
    const { line, col } = this.#lines.linePos(offset);
    return line === 0 ? START : { line, column: col };
  }
}

interface OffsetFault {
  readonly offset: number;
  readonly message: string;
}

/** Those of one place have one cause. */
function syntaxFaults({ errors }: Document): OffsetFault[] {
  const byOffset = new Map<number, OffsetFault>();
  for (const { code, message, pos: [offset] } of errors) {
    if (byOffset.has(offset)) continue;
    const own = code === "MULTIPLE_DOCS"
      ? "a second document begins here; only one is allowed"
      : `syntax error: ${message}`;
    byOffset.set(offset, { offset, message: own });
  }
  return [...byOffset.values()];
}

function unresolvedAliases(document: Document): OffsetFault[] {
  const aliases: Alias[] = [];
  visit(document, { Alias: (_, alias: Alias) => void aliases.push(alias) });
  // To resolve one takes as long as the document is.
  if (aliases.length > MAX_ALIASES) throw new ReferenceError();
  return aliases.filter((alias) => alias.resolve(document) === undefined).map((alias) => ({
    offset: startOf(alias) ?? 0,
    message: `there is no anchor &${alias.source} before it`,
  }));
}

function repeatedKeys(document: Document): OffsetFault[] {
  const faults: OffsetFault[] = [];
  visit(document, {
    Map: (_, map) => {
      const keys = new Set<string>();
      for (const pair of map.items) {
        const key = keyText(pair);
        if (key === null || key === MERGE_KEY) continue;
        if (keys.has(key)) {
          faults.push({ offset: startOf(pair.key) ?? 0, message: `the key "${key}" is repeated` });
        }
        keys.add(key);
      }
    },
  });
  return faults;
}

/** Of keys that are repeated, the last counts. */
function pairsByKey(map: YAMLMap): Map<string, Pair> {
  return new Map(map.items.flatMap((pair) => {
    const key = keyText(pair);
    return key === null ? [] : [[key, pair]];
  }));
}

/** Null for a key that is a list or a mapping. */
function keyText(pair: Pair<unknown, unknown>): string | null {
  const { key } = pair;
  if (!isScalar(key)) return null;
  return typeof key.value === "symbol" ? MERGE_KEY : String(key.value);
}

function startOf(node: unknown): number | null {
  if (isPair(node)) return startOf(node.key);
  return isNode(node) ? node.range?.[0] ?? null : null;
}

/** An alias inside its own anchor makes a value that has no end. */
function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => isDeeperThan(inner, levels - 1));
}

function limitFault(error: unknown): string {
  // The parser or what it made has gone too deep.
  if (error instanceof RangeError) return `the file has more than ${MAX_DEPTH} levels`;
  // Aliases without an anchor have been found before.
  if (error instanceof ReferenceError) return "aliases are used too often";
  throw error;
}
