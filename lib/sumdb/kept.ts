/**
 * What is kept of a checksum database in the store:
 *
 * ```text
 * s1/<database>/lookup/<escaped path>/@v/<escaped version>   a record: number, text, empty line
 * s1/<database>/tile/8/<level>/<number>                      a full tile, as tile/8/… of the protocol
 * s1/<database>/latest/<2^53 − 1 − number of records>        a signed tree with its edge
 * s1/<database>/fork                                         why nothing of the database is believed any more
 * ```
 *
 * `<database>` is `<name>+<key hash>`, with all but `a-z 0-9 . _ - ~` of the name written as `+` and two hex digits: what was
 * verified with one key says nothing about another. Nothing of this is written before it is verified, and nothing is ever
 * overwritten: of the signed trees the largest is the newest, and its name is the first of the folder's list.
 *
 * A signed tree is a JSON line and the hashes of the tree's edge (tile.ts), which make it one object that is complete by
 * itself: `{"format":1,"note":"go.sum database tree\n…"}⏎<hashes>`. `head -1 | jq -r .note` shows it to a person. This is
 * where partial tiles are kept, until the next tree has them wider or full.
 *
 * Limits: names that do not fit into a key are invalid requests. Nothing is removed: each tree that was seen costs up to
 * 8 KiB for each of its levels, of which the largest log in use has four.
 */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { withDeadline } from "../async/deadline.ts";
import { InvalidRequestError, StorageError } from "../errors.ts";
import { escapePath, escapeVersion } from "../module/escape.ts";
import { bytesContent, keyFault, type ObjectStore, readAll } from "../store/object_store.ts";
import { UnverifiedError } from "./errors.ts";
import { HASH_BYTES } from "./merkle.ts";
import { MAX_NOTE_BYTES, type VerifierKey } from "./note.ts";
import { MAX_RECORD_BYTES, type ModuleVersion } from "./record.ts";
import { openTree, type SignedTree } from "./signed_tree.ts";
import { type DataTile, edgeOf, formatTilePath, type Tile } from "./tile.ts";

/** 256 records, each with its two lines; those of the largest log in use take about 60 KiB. */
export const MAX_DATA_TILE_BYTES = 1024 * 1024;
/** JSON may double the note's size; 7 levels are all that numbers below 2^53 have. */
const MAX_TREE_BYTES = 2 * MAX_NOTE_BYTES + 7 * 256 * HASH_BYTES;
const MAX_FORK_BYTES = 64 * 1024;

/** A signed tree with its edge, which is still to be authenticated by the tree's hash. */
export interface KeptTree {
  readonly tree: SignedTree;
  /** The partial tiles by {@linkcode formatTilePath}, lowest level first. */
  readonly edge: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

export class KeptDatabase {
  readonly #store: ObjectStore;
  readonly #key: VerifierKey;
  readonly #folder: string;
  readonly #timeoutMs: number;

  constructor(
    store: ObjectStore,
    { key, timeoutMs }: { readonly key: VerifierKey; readonly timeoutMs: number },
  ) {
    this.#store = store;
    this.#key = key;
    this.#folder = `s1/${databaseName(key)}`;
    this.#timeoutMs = timeoutMs;
  }

  /** What has to be removed from the store before a forked database is believed again. */
  get forkKey(): string {
    return `${this.#folder}/fork`;
  }

  /** @throws {InvalidRequestError} when path and version are too long to be stored */
  async record(module: ModuleVersion): Promise<Uint8Array<ArrayBuffer> | null> {
    return await this.#read(this.#recordKey(module), MAX_RECORD_BYTES);
  }

  async createRecord(module: ModuleVersion, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#create(this.#recordKey(module), bytes);
  }

  /** @param tile a full one */
  async tile(tile: Tile | DataTile): Promise<Uint8Array<ArrayBuffer> | null> {
    return await this.#read(`${this.#folder}/${formatTilePath(tile)}`, MAX_DATA_TILE_BYTES);
  }

  /** @param tile a full one */
  async createTile(tile: Tile | DataTile, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#create(`${this.#folder}/${formatTilePath(tile)}`, bytes);
  }

  /** The numbers of records of the largest trees, largest first. */
  async largestTrees(limit: number): Promise<number[]> {
    const names = await this.#withDeadline("list", `${this.#folder}/latest`, (folder, signal) => {
      return this.#store.list(folder, { limit, signal });
    });
    return names.map(sizeOf).filter((size) => size !== null);
  }

  /** @throws {StorageError} also when the tree is damaged or not signed by the key */
  async tree(size: number): Promise<KeptTree | null> {
    const key = this.#treeKey(size);
    const bytes = await this.#read(key, MAX_TREE_BYTES);
    if (bytes === null) return null;
    try {
      return decodeTree(bytes, { size, key: this.#key });
    } catch (cause) {
      if (!(cause instanceof UnverifiedError)) throw cause;
      throw new StorageError(`Cannot use "${key}" of the store: it is damaged`, { cause });
    }
  }

  async createTree(tree: KeptTree): Promise<"created" | "exists"> {
    return await this.#create(this.#treeKey(tree.tree.size), encodeTree(tree));
  }

  /** What was found out about a fork, for people; its first line says it all. */
  async fork(): Promise<string | null> {
    const bytes = await this.#read(this.forkKey, MAX_FORK_BYTES);
    return bytes === null ? null : new TextDecoder().decode(bytes);
  }

  async createFork(report: string): Promise<void> {
    await this.#create(this.forkKey, new TextEncoder().encode(report));
  }

  #recordKey({ path, version }: ModuleVersion): string {
    const key = `${this.#folder}/lookup/${escapePath(path)}/@v/${escapeVersion(version)}`;
    const fault = keyFault(key);
    if (fault === null) return key;
    throw new InvalidRequestError(`Cannot store a record of ${path}@${version}: ${fault}`);
  }

  #treeKey(size: number): string {
    return `${this.#folder}/latest/${nameOf(size)}`;
  }

  async #read(key: string, limitBytes: number): Promise<Uint8Array<ArrayBuffer> | null> {
    return await this.#withDeadline("read", key, async (key, signal) => {
      const object = await this.#store.get(key, { signal });
      if (object === null) return null;
      if (object.sizeBytes <= limitBytes) return await readAll(object, signal);
      await object.body.cancel();
      throw new StorageError(`Cannot use "${key}" of the store: it has ${object.sizeBytes} bytes`);
    });
  }

  async #create(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<"created" | "exists"> {
    return await this.#withDeadline("create", key, (key, signal) => {
      return this.#store.create(key, bytesContent(bytes), { signal });
    });
  }

  /** Callers share what is read and written here, so that none of them can end it. */
  async #withDeadline<T>(
    verb: string,
    key: string,
    work: (key: string, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return await withDeadline((signal) => work(key, signal), {
      timeoutMs: this.#timeoutMs,
      what: `${verb} "${key}" of the store`,
    });
  }
}

/** A name has no `+` of its own, and the key hash is the last 8 digits: no two keys share a folder. */
function databaseName({ name, keyHash }: VerifierKey): string {
  const escaped = Array.from(new TextEncoder().encode(name), (byte) => {
    const character = String.fromCharCode(byte);
    return /[a-z0-9._~-]/.test(character) ? character : `+${byte.toString(16).padStart(2, "0")}`;
  });
  return `${escaped.join("")}+${keyHash}`;
}

const SIZE_DIGITS = String(Number.MAX_SAFE_INTEGER).length;

function nameOf(size: number): string {
  return String(Number.MAX_SAFE_INTEGER - size).padStart(SIZE_DIGITS, "0");
}

/** Null for what is none of ours. */
function sizeOf(name: string): number | null {
  const size = Number.MAX_SAFE_INTEGER - Number(name);
  return /^\d+$/.test(name) && size >= 0 && nameOf(size) === name ? size : null;
}

const LINE = z.object({ format: z.literal(1), note: z.string() });
const NEWLINE = 0x0a;

function encodeTree({ tree, edge }: KeptTree): Uint8Array<ArrayBuffer> {
  const line = JSON.stringify({ format: 1, note: new TextDecoder().decode(tree.note) });
  return Buffer.concat([new TextEncoder().encode(`${line}\n`), ...edge.values()]);
}

/** @throws {UnverifiedError} when the bytes are not the signed tree of so many records, with its edge */
function decodeTree(
  bytes: Uint8Array<ArrayBuffer>,
  { size, key }: { readonly size: number; readonly key: VerifierKey },
): KeptTree {
  const end = bytes.indexOf(NEWLINE);
  const line = LINE.safeParse(parseJson(bytes.subarray(0, Math.max(0, end))));
  if (!line.success) throw new UnverifiedError("Cannot read the tree: no line with a note");
  const tree = openTree(new TextEncoder().encode(line.data.note), key);
  const edge = new Map<string, Uint8Array<ArrayBuffer>>();
  let at = end + 1;
  for (const tile of edgeOf(size)) {
    edge.set(formatTilePath(tile), bytes.slice(at, at += tile.width * HASH_BYTES));
  }
  if (tree.size === size && at === bytes.length) return { tree, edge };
  throw new UnverifiedError(`Cannot read the tree: it is not one of ${size} records`);
}

/** The value of a JSON text, or undefined, which no schema accepts, where it is none. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
