/**
 * A checksum database in the store:
 *
 * ```text
 * s1/<database>/lookup/<escaped path>/@v/<escaped version>   a record: number, text, empty line
 * s1/<database>/tile/8/<level>/<number>                      a full tile, as in the protocol
 * s1/<database>/latest/<2^53 − 1 − number of records>        a signed tree with its edge
 * s1/<database>/fork                                         why the database is no longer trusted
 * ```
 *
 * `<database>` is `<name>+<key hash>`, the name as log_folder.ts escapes it: verification with one
 * key says nothing about another. Everything is verified before it is written, and nothing is ever
 * overwritten: the largest signed tree is the newest, and its name is the first in the folder's
 * list.
 *
 * A signed tree is a JSON line and the hashes of the tree's edge (tile.ts), in one self-contained
 * object: `{"format":1,"note":"go.sum database tree\n…"}⏎<hashes>`. `head -1 | jq -r .note` prints
 * it. Partial tiles are stored here until a later tree has them wider or full.
 *
 * Limits: those of log_folder.ts. Nothing is removed: each tree that was seen costs up to 8 KiB per
 * level, of which the largest log in use has four.
 */
import { Buffer } from "node:buffer";
import { z } from "zod";
import { StorageError } from "../errors.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { UnverifiedError } from "./errors.ts";
import { parseJson } from "../module/json.ts";
import { descendingName, escapeDatabaseName, LogFolder } from "./log_folder.ts";
import { HASH_BYTES } from "./merkle.ts";
import { MAX_NOTE_BYTES, type VerifierKey } from "./note.ts";
import { openTree, type SignedTree } from "./signed_tree.ts";
import { edgeOf, formatTilePath } from "./tile.ts";

/** JSON may double the note's size; a number below 2^53 has at most 7 levels. */
const MAX_TREE_BYTES = 2 * MAX_NOTE_BYTES + 7 * 256 * HASH_BYTES;
const MAX_FORK_BYTES = 64 * 1024;

/** A signed tree with its edge, which is still to be authenticated by the tree's hash. */
export interface KeptTree {
  readonly tree: SignedTree;
  /** The partial tiles by {@linkcode formatTilePath}, lowest level first. */
  readonly edge: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

export class KeptDatabase extends LogFolder {
  readonly #key: VerifierKey;

  constructor(
    store: ObjectStore,
    { key, timeoutMs }: { readonly key: VerifierKey; readonly timeoutMs: number },
  ) {
    super(store, { folder: `s1/${databaseName(key)}`, timeoutMs });
    this.#key = key;
  }

  /** The key to remove from the store before a forked database is trusted again. */
  get forkKey(): string {
    return this.keyOf(FORK);
  }

  /** The numbers of records of the largest trees, largest first. */
  async largestTrees(limit: number): Promise<number[]> {
    return await this.largest("latest", limit);
  }

  /** @throws {StorageError} also when the tree is damaged or not signed by the key */
  async tree(size: number): Promise<KeptTree | null> {
    const name = treeName(size);
    const bytes = await this.read(name, MAX_TREE_BYTES);
    if (bytes === null) return null;
    try {
      return decodeTree(bytes, { size, key: this.#key });
    } catch (cause) {
      if (!(cause instanceof UnverifiedError)) throw cause;
      throw new StorageError(`Cannot use "${this.keyOf(name)}" of the store: it is damaged`, {
        cause,
      });
    }
  }

  async createTree(tree: KeptTree): Promise<"created" | "exists"> {
    return await this.create(treeName(tree.tree.size), encodeTree(tree));
  }

  /** The report about a fork, for people; its first line is a summary. */
  async fork(): Promise<string | null> {
    const bytes = await this.read(FORK, MAX_FORK_BYTES);
    return bytes === null ? null : new TextDecoder().decode(bytes);
  }

  async createFork(report: string): Promise<void> {
    await this.create(FORK, new TextEncoder().encode(report));
  }
}

const FORK = "fork";

function treeName(size: number): string {
  return `latest/${descendingName(size)}`;
}

/**
 * A name has no `+` of its own, and the key hash is the last 8 digits, so no two keys share a
 * folder.
 */
function databaseName({ name, keyHash }: VerifierKey): string {
  return `${escapeDatabaseName(name)}+${keyHash}`;
}

const LINE = z.object({ format: z.literal(1), note: z.string() });
const NEWLINE = 0x0a;

function encodeTree({ tree, edge }: KeptTree): Uint8Array<ArrayBuffer> {
  const line = JSON.stringify({ format: 1, note: new TextDecoder().decode(tree.note) });
  return Buffer.concat([new TextEncoder().encode(`${line}\n`), ...edge.values()]);
}

/**
 * @throws {UnverifiedError} when the bytes are not the signed tree of this many records, with its
 * edge
 */
function decodeTree(
  bytes: Uint8Array<ArrayBuffer>,
  { size, key }: { readonly size: number; readonly key: VerifierKey },
): KeptTree {
  const end = bytes.indexOf(NEWLINE);
  const line = LINE.safeParse(parseJson(bytes.subarray(0, Math.max(0, end))));
  if (!line.success) throw new UnverifiedError("Cannot read the tree: it has no line with a note");
  const tree = openTree(new TextEncoder().encode(line.data.note), key);
  const edge = new Map<string, Uint8Array<ArrayBuffer>>();
  let at = end + 1;
  for (const tile of edgeOf(size)) {
    edge.set(formatTilePath(tile), bytes.slice(at, at += tile.width * HASH_BYTES));
  }
  if (tree.size === size && at === bytes.length) return { tree, edge };
  throw new UnverifiedError(`Cannot read the tree: it does not have ${size} records`);
}
