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
import type { EntrySet, StoredEntry } from "./entry_set.ts";
import { digestOf } from "./entry_set.ts";
import { lastFix } from "./ranges.ts";

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

/** Views that are kept, for readers who may not know of the same modules. */
const MAX_VIEWS = 8;

export class AdvisoryDatabase {
  readonly #entries: EntrySet;
  /** Entries about private modules, with the paths of these. */
  readonly #restricted: ReadonlyMap<string, readonly string[]>;
  /** By the ids that are not in them. */
  readonly #views = new Map<string, View>();

  /** @param isPrivate which modules only some readers may know of */
  constructor(entries: EntrySet, isPrivate: (path: string) => boolean) {
    this.#entries = entries;
    const restricted = new Map<string, readonly string[]>();
    for (const [id, { advisory: { affected } }] of entries) {
      const paths = affected.map(({ path }) => path).filter(isPrivate);
      if (paths.length > 0) restricted.set(id, paths);
    }
    this.#restricted = restricted;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** An index of the entries that are not hidden from the reader. */
  index(name: IndexName, mayKnow: MayKnow): DatabaseFile {
    const hidden = [...this.#restricted].filter(([, paths]) => !paths.every(mayKnow))
      .map(([id]) => id);
    return this.#view(hidden).file(name);
  }

  /** Null where there is none for the reader. */
  entry(id: string, mayKnow: MayKnow): DatabaseFile | null {
    const entry = this.#entries.get(id);
    if (entry === undefined || this.#restricted.get(id)?.every(mayKnow) === false) return null;
    return fileOf(entry.json, entry.advisory.modified);
  }

  #view(hidden: readonly string[]): View {
    const key = hidden.join(" ");
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const ids = new Set(hidden);
    const view = new View([...this.#entries].filter(([id]) => !ids.has(id)).map(([, one]) => one));
    const [oldest] = this.#views.size < MAX_VIEWS ? [] : this.#views.keys();
    if (oldest !== undefined) this.#views.delete(oldest);
    this.#views.set(key, view);
    return view;
  }
}

/** The first source's entry under each id, in the order of the ids. */
export function mergedEntries(sets: readonly EntrySet[]): EntrySet {
  const [only] = sets;
  if (sets.length === 1 && only !== undefined) return only;
  const merged = new Map<string, StoredEntry>();
  for (const set of sets) {
    for (const [id, entry] of set) if (!merged.has(id)) merged.set(id, entry);
  }
  return new Map([...merged].sort(([a], [b]) => a < b ? -1 : 1));
}

/** The indexes of some entries, made when they are asked for. */
class View {
  readonly #entries: readonly StoredEntry[];
  readonly #files = new Map<IndexName, DatabaseFile>();

  constructor(entries: readonly StoredEntry[]) {
    this.#entries = entries;
  }

  file(name: IndexName): DatabaseFile {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const json = new TextEncoder().encode(JSON.stringify(this.#value(name)));
    const file = fileOf(json, this.#modified());
    this.#files.set(name, file);
    return file;
  }

  #value(name: IndexName): unknown {
    switch (name) {
      case "db":
        return { modified: this.#modified() };
      case "modules":
        return modulesOf(this.#entries);
      case "vulns":
        return this.#entries.map(({ advisory: { id, modified, aliases } }) => ({
          id,
          modified,
          ...aliases.length === 0 ? {} : { aliases },
        }));
    }
  }

  #modified(): string {
    let latest = NEVER;
    for (const { advisory: { modified } } of this.#entries) {
      if (Date.parse(modified) > Date.parse(latest)) latest = modified;
    }
    return latest;
  }
}

/** As Go writes the zero time. */
const NEVER = "0001-01-01T00:00:00Z";

function modulesOf(entries: readonly StoredEntry[]): unknown {
  const modules = new Map<string, { id: string; modified: string; fixed?: string }[]>();
  for (const { advisory: { id, modified, affected } } of entries) {
    for (const one of affected) {
      const fixed = lastFix(one);
      const vulns = modules.get(one.path) ?? [];
      vulns.push({ id, modified, ...fixed === "" ? {} : { fixed } });
      modules.set(one.path, vulns);
    }
  }
  return [...modules].sort(([a], [b]) => a < b ? -1 : 1).map(([path, vulns]) => ({ path, vulns }));
}

function fileOf(json: Uint8Array<ArrayBuffer>, modified: string): DatabaseFile {
  let gzip: Uint8Array<ArrayBuffer> | null = null;
  return {
    json,
    gzip: () => gzip ??= new Uint8Array(gzipSync(json, { level: 9 })),
    digest: digestOf(json),
    modified,
  };
}
