/**
 * The entries of all sources as one database in the protocol of the Go team's
 * (https://go.dev/security/vuln/database#api), which govulncheck (`-db`) and gopls (`GOVULNDB`)
 * read:
 *
 * ```text
 * index/db.json        {"modified":"2026-11-28T20:11:00Z"}     the latest of all entries
 * index/modules.json   [{"path":"golang.org/x/text","vulns":[
 *                        {"id":"GO-2021-0113","modified":"…","fixed":"0.3.7"}]}]
 * index/vulns.json     [{"id":"GO-2021-0113","modified":"…","aliases":["CVE-2021-38561"]}]
 * ID/<id>.json         the entry
 * ```
 *
 * Each is also there as `.json.gz`. Lists are in the order of paths and ids. `fixed` is the version
 * from which on an entry affects nothing any more; clients look at the entry for earlier versions
 * only.
 *
 * A reader that may not know of some private modules gets a database without the entries about
 * them. Of several entries with one id the first source's counts.
 */
import { gzipSync } from "node:zlib";
import { atOnce, atPace, type Pace, sortSteps, type Steps } from "../async/pace.ts";
import { digestOf, type EntrySet, type StoredEntry } from "./entry_set.ts";
import { gzip } from "../zip/gzip.ts";

/** One file of the database. */
export interface DatabaseFile {
  /** JSON. */
  readonly json: Uint8Array<ArrayBuffer>;
  /** Its gzip. */
  gzip(): Uint8Array<ArrayBuffer>;
  /** Of the JSON. */
  readonly digest: string;
  /** RFC 3339. */
  readonly modified: string;
}

export const INDEX_NAMES = ["db", "modules", "vulns"] as const;
export type IndexName = typeof INDEX_NAMES[number];

/** Whether a reader may know of a module. */
export type MayKnow = (path: string) => boolean;

export interface OpenDatabaseOptions {
  /** Of all sources, in their order. */
  readonly sets: readonly EntrySet[];
  /** Which modules only some readers may know of. */
  readonly isPrivate: (path: string) => boolean;
  readonly pace: Pace;
}

type Indexes = Readonly<Record<IndexName, IndexFile>>;

/** Indexes that are kept, for readers who may not know of the same modules. */
const MAX_VIEWS = 8;
/** What an entry costs, in the unit of async/pace.ts. */
const ENTRY_COST = 2048;

export class AdvisoryDatabase {
  readonly #entries: EntrySet;
  /** Of entries about private modules, the paths of these. */
  readonly #restricted: ReadonlyMap<string, readonly string[]>;
  /** By the ids that are not in them. */
  readonly #views = new Map<string, Indexes>();

  private constructor(
    entries: EntrySet,
    restricted: ReadonlyMap<string, readonly string[]>,
    whole: Indexes,
  ) {
    this.#entries = entries;
    this.#restricted = restricted;
    this.#views.set("", whole);
  }

  static async open({ sets, isPrivate, pace }: OpenDatabaseOptions): Promise<AdvisoryDatabase> {
    const entries = await atPace(mergeSteps(sets), pace);
    const restricted = await atPace(restrictedSteps(entries, isPrivate), pace);
    const whole = await atPace(indexSteps([...entries.values()]), pace);
    for (const file of Object.values(whole)) await file.compress(pace);
    return new AdvisoryDatabase(entries, restricted, whole);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** An index of the entries that are not hidden from the reader. */
  index(name: IndexName, mayKnow: MayKnow): DatabaseFile {
    const hidden = [...this.#restricted].filter(([, paths]) => !paths.every(mayKnow))
      .map(([id]) => id);
    return this.#view(hidden)[name];
  }

  /** Null where there is none for the reader. */
  entry(id: string, mayKnow: MayKnow): DatabaseFile | null {
    const entry = this.#entries.get(id);
    if (entry === undefined || this.#restricted.get(id)?.every(mayKnow) === false) return null;
    return new IndexFile(entry.json, entry.advisory.modified);
  }

  #view(hidden: readonly string[]): Indexes {
    const key = hidden.join(" ");
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const ids = new Set(hidden);
    const entries = [...this.#entries].filter(([id]) => !ids.has(id)).map(([, entry]) => entry);
    const view = atOnce(indexSteps(entries));
    // The whole stays.
    const [, oldest] = this.#views.size < MAX_VIEWS ? [] : this.#views.keys();
    if (oldest !== undefined) this.#views.delete(oldest);
    this.#views.set(key, view);
    return view;
  }
}

/** The first source's entry under each id, in the order of the ids. */
export function* mergeSteps(sets: readonly EntrySet[]): Steps<EntrySet> {
  const [only] = sets;
  if (sets.length === 1 && only !== undefined) return only;
  const merged = new Map<string, StoredEntry>();
  for (const set of sets) {
    for (const [id, entry] of set) {
      if (!merged.has(id)) merged.set(id, entry);
      yield ENTRY_COST;
    }
  }
  return new Map(yield* sortSteps([...merged], ([a], [b]) => a < b ? -1 : 1));
}

function* restrictedSteps(
  entries: EntrySet,
  isPrivate: (path: string) => boolean,
): Steps<ReadonlyMap<string, readonly string[]>> {
  const restricted = new Map<string, readonly string[]>();
  for (const [id, { advisory: { affected } }] of entries) {
    const paths = affected.map(({ path }) => path).filter(isPrivate);
    if (paths.length > 0) restricted.set(id, paths);
    yield ENTRY_COST;
  }
  return restricted;
}

/** As Go writes the zero time. */
const NEVER = "0001-01-01T00:00:00Z";

function* indexSteps(entries: readonly StoredEntry[]): Steps<Indexes> {
  let latest = NEVER;
  const vulns: string[] = [];
  const modules = new Map<string, string[]>();
  for (const { advisory: { id, modified, aliases, affected } } of entries) {
    if (Date.parse(modified) > Date.parse(latest)) latest = modified;
    vulns.push(JSON.stringify({ id, modified, ...aliases.length === 0 ? {} : { aliases } }));
    for (const { path, lastFix: fixed } of affected) {
      const text = JSON.stringify({ id, modified, ...fixed === "" ? {} : { fixed } });
      const known = modules.get(path);
      if (known === undefined) modules.set(path, [text]);
      else known.push(text);
    }
    yield ENTRY_COST;
  }
  const sorted = yield* sortSteps([...modules], ([a], [b]) => a < b ? -1 : 1);
  const texts = sorted.map(([path, vulns]) =>
    `{"path":${JSON.stringify(path)},"vulns":[${vulns.join(",")}]}`
  );
  const file = (text: string) => new IndexFile(new TextEncoder().encode(text), latest);
  return {
    db: file(JSON.stringify({ modified: latest })),
    modules: file(`[${texts.join(",")}]`),
    vulns: file(`[${vulns.join(",")}]`),
  };
}

class IndexFile implements DatabaseFile {
  readonly json: Uint8Array<ArrayBuffer>;
  readonly digest: string;
  readonly modified: string;
  #gzip: Uint8Array<ArrayBuffer> | null = null;

  constructor(json: Uint8Array<ArrayBuffer>, modified: string) {
    this.json = json;
    this.modified = modified;
    this.digest = digestOf(json);
  }

  gzip(): Uint8Array<ArrayBuffer> {
    return this.#gzip ??= new Uint8Array(gzipSync(this.json));
  }

  /** {@linkcode gzip} with turns for others. */
  async compress(pace: Pace): Promise<void> {
    this.#gzip = await gzip([this.json], pace);
  }
}
