/**
 * A checksum database: a log of signed go.sum lines that clients can check to be append-only.
 *
 * - Record: the two go.sum lines of a module version. Records are numbered from 0 and never change.
 * - Tree (RFC 6962, section 2.1): leaf = SHA-256(0x00 ‖ record), node = SHA-256(0x01 ‖ left ‖
 *   right).
 * - Tile `tile/8/<L>/<N>[.p/<W>]`: the W (else 256) hashes from number 256·N on of the tree's level
 *   8·L. N is written in groups of three digits, all but the last after an `x`: 1234067 is
 *   `x001/x234/067`. `tile/8/data/<N>` has the records themselves, each followed by an empty line.
 * - Note: text, empty line, `— <name> <base64 of key hash ‖ Ed25519 signature of the text>`. Key
 *   hash: the first 4 bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key).
 *
 * (Proposal "Secure the Public Go Module Ecosystem", golang.org/x/mod/sumdb/{note,tlog}.) Hashes of
 * complete subtrees are kept, all else is computed at each request: for logs of some thousand
 * records.
 *
 * It is strict like the fake upstream: what no correct client asks is answered 400 and noted in
 * `faults`. It lies as the test tells it to, by {@linkcode Sumdb.alter} and {@linkcode Sumdb.fork}.
 */

import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { Loopback } from "./loopback.ts";
import type { ModuleHashes } from "../support/module_zip.ts";
import { decodedPath, escapeCase, parseLookupRequest } from "./protocol.ts";

export interface SumdbOptions {
  /** The database's name, which is a host and perhaps a path. */
  readonly name?: string;
  /**
   * Finds the hashes of a version that is not in the log, which is then appended. Default: there
   * are none.
   */
  readonly resolve?: (path: string, version: string) => ModuleHashes | null;
}

/** A running server of a database's own. */
export interface SumdbServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * What is sent in place of the right bytes; null sends 404. `path` is `/latest`, `/lookup/…` or
 * `/tile/…`.
 */
export type Alteration = (
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
) => Uint8Array<ArrayBuffer> | null;

const TILE_HEIGHT = 8;
const TILE_WIDTH = 1 << TILE_HEIGHT;

export class Sumdb {
  readonly name: string;
  /** `<name>+<key hash>+<base64 key>`: what to put into GOSUMDB, alone or followed by a URL. */
  readonly verifierKey: string;
  /** What clients did wrong, one message each. */
  readonly faults: string[] = [];
  /** The paths that were asked, in order. */
  readonly requests: string[] = [];
  alter: Alteration = (_path, bytes) => bytes;
  readonly #options: SumdbOptions;
  readonly #key: Key;
  readonly #records: string[] = [];
  readonly #ids = new Map<string, number>();
  /** Complete subtrees, by `<level>/<number>`. */
  readonly #hashes = new Map<string, Buffer>();

  constructor(options: SumdbOptions = {}, key = newKey(options.name ?? "sum.example.test")) {
    this.name = options.name ?? "sum.example.test";
    this.verifierKey = `${this.name}+${key.hash.toString("hex")}+${key.encoded.toString("base64")}`;
    this.#options = options;
    this.#key = key;
  }

  /** The number of records. */
  get size(): number {
    return this.#records.length;
  }

  /** Appends a version's record, whose number it returns. */
  append({ path, version, h1, goModH1 }: ModuleHashes): number {
    const id = this.#records.length;
    this.#records.push(`${path} ${version} ${h1}\n${path} ${version}/go.mod ${goModH1}\n`);
    this.#ids.set(`${escapeCase(path)}@${escapeCase(version)}`, id);
    return id;
  }

  /**
   * A database of the same name and key that has the same records so far; from here on each goes
   * its own way.
   */
  fork(options: SumdbOptions = this.#options): Sumdb {
    const other = new Sumdb({ ...options, name: this.name }, this.#key);
    other.#records.push(...this.#records);
    for (const [module, id] of this.#ids) other.#ids.set(module, id);
    return other;
  }

  /** The signed note about the tree as it is now. */
  latest(): string {
    return this.sign(this.size, this.#treeHash(0, this.size));
  }

  /** A signed note about a tree, whether or not there is such a one. */
  sign(size: number, hash: Uint8Array): string {
    const text = `go.sum database tree\n${size}\n${Buffer.from(hash).toString("base64")}\n`;
    const signature = Buffer.concat([
      this.#key.hash,
      sign(null, Buffer.from(text), this.#key.secret),
    ]);
    return `${text}\n— ${this.name} ${signature.toString("base64")}\n`;
  }

  /** The answer to `/latest`, `/lookup/…` or `/tile/…`. */
  answer(path: string): Response {
    this.requests.push(path);
    const bytes = this.#read(path);
    if (bytes === "fault") {
      this.faults.push(path);
      return new Response("bad request\n", { status: 400 });
    }
    const sent = bytes === null ? null : this.alter(path, bytes);
    if (sent === null) return new Response(`not found: ${path}\n`, { status: 404 });
    return new Response(sent, { headers: { "content-length": String(sent.length) } });
  }

  /** Serves the database at a URL of its own, which can follow the key in GOSUMDB. */
  serve(): SumdbServer {
    return new Loopback((request) => {
      const path = decodedPath(request);
      if (path !== null && request.method === "GET") return this.answer(path);
      this.faults.push(`${request.method} ${request.url}`);
      return new Response("bad request\n", { status: 400 });
    });
  }

  #read(path: string): Uint8Array<ArrayBuffer> | null | "fault" {
    if (path === "/latest") return new TextEncoder().encode(this.latest());
    if (path.startsWith("/lookup/")) return this.#lookup(path);
    const tile = parseTilePath(path);
    if (tile === null) return "fault";
    const end = tile.start + tile.width;
    if (tile.level === "data") {
      if (end > this.size) return null;
      const records = this.#records.slice(tile.start, end).map((record) => `${record}\n`);
      return new TextEncoder().encode(records.join(""));
    }
    const level = TILE_HEIGHT * tile.level;
    if (end * 2 ** level > this.size) return null;
    const hashes = Array.from({ length: tile.width }, (_, i) => this.#hash(level, tile.start + i));
    return new Uint8Array(Buffer.concat(hashes));
  }

  #lookup(path: string): Uint8Array<ArrayBuffer> | null | "fault" {
    const asked = parseLookupRequest(path);
    if (asked === null) return "fault";
    const id = this.#ids.get(`${asked.path}@${asked.version}`) ?? this.#resolve(asked);
    if (id === null) return null;
    return new TextEncoder().encode(`${id}\n${this.#records[id]}\n${this.latest()}`);
  }

  #resolve({ path, version }: { path: string; version: string }): number | null {
    const found = this.#options.resolve?.(unescapeCase(path), unescapeCase(version)) ?? null;
    return found === null ? null : this.append(found);
  }

  /** The hash of the complete subtree of 2^level records from `number * 2^level` on. */
  #hash(level: number, number: number): Buffer {
    const key = `${level}/${number}`;
    const known = this.#hashes.get(key);
    if (known !== undefined) return known;
    const hash = level === 0
      ? sha256("\x00", this.#records[number] ?? "")
      : sha256("\x01", this.#hash(level - 1, 2 * number), this.#hash(level - 1, 2 * number + 1));
    this.#hashes.set(key, hash);
    return hash;
  }

  /**
   * The hash of the tree over the records from `start` to `end`; the left part is the greatest
   * complete subtree.
   */
  #treeHash(start: number, end: number): Buffer {
    if (start === end) return sha256();
    const level = Math.floor(Math.log2(end - start));
    const left = this.#hash(level, start / 2 ** level);
    const middle = start + 2 ** level;
    return middle === end ? left : sha256("\x01", left, this.#treeHash(middle, end));
  }
}

interface Key {
  readonly secret: KeyObject;
  /** Algorithm 1 (Ed25519) and the 32 bytes of the public key. */
  readonly encoded: Buffer;
  readonly hash: Buffer;
}

function newKey(name: string): Key {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const encoded = Buffer.concat([Buffer.of(1), Buffer.from(x, "base64url")]);
  return { secret: privateKey, encoded, hash: sha256(name, "\n", encoded).subarray(0, 4) };
}

interface Tile {
  readonly level: number | "data";
  readonly start: number;
  readonly width: number;
}

const TILE_PATH =
  /^\/tile\/8\/(?<level>data|0|[1-7])\/(?<number>(?:x\d{3}\/)*\d{3})(?:\.p\/(?<width>[1-9]\d{0,2}))?$/;

/** Null where the path is not the one way to write a tile's coordinates. */
function parseTilePath(path: string): Tile | null {
  const groups = TILE_PATH.exec(path)?.groups;
  const number = groups?.["number"];
  if (groups === undefined || number === undefined || number.startsWith("x000/")) return null;
  // Only partial tiles say their width.
  const width = groups["width"] === undefined ? TILE_WIDTH : Number(groups["width"]);
  if (width > TILE_WIDTH || (groups["width"] !== undefined && width === TILE_WIDTH)) return null;
  return {
    level: groups["level"] === "data" ? "data" : Number(groups["level"]),
    start: Number(number.replaceAll(/[x/]/g, "")) * TILE_WIDTH,
    width,
  };
}

function unescapeCase(text: string): string {
  return text.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function sha256(...parts: readonly (string | Buffer)[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
