/**
 * Version 2 of git's wire protocol, the part that lists refs and fetches commits at depth 1
 * (gitprotocol-v2(5), gitprotocol-common(5)). Pure: smart_http.ts does the I/O.
 *
 * Everything is packets: four hex digits of the length, themselves included, and the payload.
 * `0000` ends a message, `0001` parts its sections.
 *
 * ```text
 * 0014command=ls-refs\n0016object-format=sha10001 0009peel\n … 0000
 * 003d<40 hex digits> refs/heads/main\n … 0000
 * 0074<40 hex digits> refs/tags/v1.0.0 peeled:<40 hex digits>\n
 * ```
 *
 * Limits: SHA-1 repositories. Everything else is left to git itself.
 */
import type { Budget } from "../async/budget.ts";
import { Pace } from "../async/pace.ts";
import { UpstreamError } from "../errors.ts";
import { type Hash, isHash, type Refs, RefsBuilder } from "./refs.ts";

/** A payload, or a packet without one. `end` is the end of the stream. */
export type Packet = Uint8Array<ArrayBuffer> | "flush" | "delimiter" | "end";

const FLUSH = "0000";
const DELIMITER = "0001";
const LENGTH_DIGITS = 4;
const MAX_PACKET_BYTES = 65_520;

/** What a server advertises. */
const VERSION = "version 2";
const OBJECT_FORMAT = "object-format=sha1";

/** The channels of a packfile. */
const PACK_DATA = 1;
const PACK_PROGRESS = 2;

/**
 * A packet with a text, in ASCII.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(packet("peel\n"), "0009peel\n");
 * ```
 */
export function packet(text: string): string {
  return (LENGTH_DIGITS + text.length).toString(16).padStart(LENGTH_DIGITS, "0") + text;
}

/** Reads packets from the chunks of a stream, within a budget. */
export class PacketReader {
  readonly budget: Budget;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #buffer = new Uint8Array(0);

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>, budget: Budget) {
    this.#reader = stream.getReader();
    this.budget = budget;
  }

  /**
   * @throws {UpstreamError} when it is not a packet, or is cut short
   * @throws {LimitExceededError} when the budget is spent
   */
  async next(): Promise<Packet> {
    if (!await this.#fill(LENGTH_DIGITS)) {
      if (this.#buffer.length === 0) return "end";
      throw unexpected();
    }
    const digits = decoder.decode(this.#take(LENGTH_DIGITS));
    const length = /^[0-9a-f]{4}$/i.test(digits) ? parseInt(digits, 16) : NaN;
    if (length === 0) return "flush";
    if (length === 1) return "delimiter";
    const isPacket = length >= LENGTH_DIGITS && length <= MAX_PACKET_BYTES;
    if (!isPacket || !await this.#fill(length - LENGTH_DIGITS)) throw unexpected();
    return this.#take(length - LENGTH_DIGITS);
  }

  /**
   * The text of the next packet, without a newline at its end; null for a packet without a payload.
   */
  async text(): Promise<string | null> {
    const next = await this.next();
    return typeof next === "string" ? null : decoder.decode(next).replace(/\n$/, "");
  }

  async cancel(reason?: unknown): Promise<void> {
    await this.#reader.cancel(reason);
  }

  /** Whether that many bytes could be read. */
  async #fill(bytes: number): Promise<boolean> {
    const chunks = [this.#buffer];
    let length = this.#buffer.length;
    while (length < bytes) {
      const value = await this.budget.take(async () => (await this.#reader.read()).value ?? null);
      if (value === null) break;
      chunks.push(value);
      length += value.length;
    }
    if (chunks.length > 1) this.#buffer = await new Blob(chunks).bytes();
    return length >= bytes;
  }

  #take(bytes: number): Uint8Array<ArrayBuffer> {
    const taken = this.#buffer.subarray(0, bytes);
    this.#buffer = this.#buffer.subarray(bytes);
    return taken;
  }
}

/** Whether a server with this advertisement speaks the protocol of this file. */
export async function readAdvertisement(reader: PacketReader): Promise<boolean> {
  let line = await reader.text();
  if (line?.startsWith("# service=")) {
    if (await reader.next() !== "flush") return false;
    line = await reader.text();
  }
  if (line !== VERSION) return false;
  const capabilities = new Set<string>();
  for (line = await reader.text(); line !== null; line = await reader.text()) {
    reader.budget.spendItems(1);
    if (line.startsWith("object-format=") && line !== OBJECT_FORMAT) return false;
    capabilities.add(line.replace(/=.*$/, ""));
  }
  return capabilities.has("ls-refs") && capabilities.has("fetch");
}

/** Asks for the refs whose names begin with one of the prefixes. */
export function lsRefsRequest(prefixes: readonly string[]): string {
  return [
    packet("command=ls-refs\n"),
    packet(OBJECT_FORMAT),
    DELIMITER,
    packet("peel\n"),
    ...prefixes.map((prefix) => packet(`ref-prefix ${prefix}\n`)),
    FLUSH,
  ].join("");
}

/**
 * The refs that a server lists. Throws as {@linkcode RefsBuilder.add}.
 *
 * @throws {UpstreamError} when it is not a list of refs
 */
export async function readRefs(
  reader: PacketReader,
  { maxRefs }: { readonly maxRefs: number },
): Promise<Refs> {
  const builder = new RefsBuilder({ maxRefs });
  const pace = new Pace(undefined);
  for (;;) {
    const next = await reader.next();
    if (next === "flush") return builder.refs;
    if (typeof next === "string") throw unexpected();
    reader.budget.spendItems(1);
    await pace.spend(REF_COST_BYTES);
    const [hash = "", name = "", ...attributes] = decoder.decode(next).trimEnd().split(" ");
    // A remote's unborn HEAD is not asked for, but may be listed.
    if (hash === "unborn") continue;
    const peeled = attributes.find((attribute) => attribute.startsWith(PEELED));
    builder.add(peeled?.slice(PEELED.length) ?? hash, name);
  }
}

const PEELED = "peeled:";
/** What it costs to take in a ref, as if it were so much content (async/pace.ts). */
const REF_COST_BYTES = 512;

export interface FetchRequest {
  /** The commits that are wanted, without those before them. */
  readonly wants: readonly Hash[];
  /** Commits that we have at depth 1. */
  readonly haves: readonly Hash[];
}

export function fetchRequest({ wants, haves }: FetchRequest): string {
  return [
    packet("command=fetch\n"),
    packet(OBJECT_FORMAT),
    DELIMITER,
    packet("thin-pack\n"),
    packet("no-progress\n"),
    packet("ofs-delta\n"),
    ...haves.map((hash) => packet(`shallow ${hash}\n`)),
    packet("deepen 1\n"),
    ...wants.map((hash) => packet(`want ${hash}\n`)),
    ...haves.map((hash) => packet(`have ${hash}\n`)),
    packet("done\n"),
    FLUSH,
  ].join("");
}

export interface FetchResponse {
  /** The commits whose parents are not sent. */
  readonly shallow: readonly Hash[];
  /** Our commits that have parents now. */
  readonly unshallow: readonly Hash[];
  /** The packfile, which may build on objects of `haves`. It errors when it breaks off. */
  readonly pack: ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** What is taken of a response besides the packfile. */
export interface FetchBudgets {
  readonly shallow: Budget;
  readonly progress: Budget;
}

/**
 * @throws {UpstreamError} when the server refuses, or sends something else
 * @throws {LimitExceededError} when a budget is spent, also while the packfile is read
 */
export async function readFetchResponse(
  reader: PacketReader,
  budgets: FetchBudgets,
): Promise<FetchResponse> {
  const shallow: Hash[] = [];
  const unshallow: Hash[] = [];
  for (let section = await reader.text(); section !== "packfile"; section = await reader.text()) {
    if (section !== "shallow-info") throw unexpected();
    budgets.shallow.spendItems(1);
    for (let line = await reader.text(); line !== null; line = await reader.text()) {
      budgets.shallow.spendItems(1);
      budgets.shallow.spendBytes(line.length);
      const [what = "", hash = ""] = line.split(" ");
      if (!isHash(hash) || what !== "shallow" && what !== "unshallow") throw unexpected();
      (what === "shallow" ? shallow : unshallow).push(hash);
    }
  }
  return { shallow, unshallow, pack: packOf(reader, budgets.progress) };
}

function packOf(
  reader: PacketReader,
  progress: Budget,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      for (;;) {
        const next = await reader.next();
        if (next === "flush") return controller.close();
        if (typeof next === "string") throw unexpected();
        const [channel] = next;
        if (channel === PACK_DATA) return controller.enqueue(next.subarray(1));
        // Any other channel carries the server's fatal error.
        if (channel !== PACK_PROGRESS) throw unexpected();
        progress.spendItems(1);
        progress.spendBytes(next.length);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

const decoder = new TextDecoder();

function unexpected(): UpstreamError {
  return new UpstreamError("Cannot talk to a git server: unexpected response");
}
