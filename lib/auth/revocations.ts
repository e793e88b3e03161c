/**
 * Tokens that are not accepted any more, from the file `clientAuth.revoked`:
 *
 * ```text
 * # found in the log of a laptop that was stolen
 * 3f6f0b5e-8f0a-4c0e-9a55-0d0a4c1f7a10
 * identity:ci before 2026-11-29T13:00:00Z
 * ```
 *
 * A line is the claim `jti` of one token, or an identity and a time: then all its tokens that were
 * issued before are refused, and those that do not say when. Empty lines and lines that begin with
 * `#` do not count. Passwords are not revoked but changed.
 *
 * The file is read again when it has changed. One that cannot be read or understood changes
 * nothing: what was revoked before stays revoked, and the log says what is wrong.
 *
 * Limits: {@linkcode MAX_BYTES} and {@linkcode MAX_LINE_LENGTH} characters a line.
 */
import { ConfigError, describeError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { timePartsOf } from "../module/rfc3339.ts";
import type { ProvenToken } from "./authenticator.ts";

const MAX_BYTES = 1024 * 1024;
const MAX_LINE_LENGTH = 512;
/** How often somebody looks whether the file has changed. */
export const CHECK_MS = 2_000;

/** What a file says. */
export interface Revoked {
  readonly ids: ReadonlySet<string>;
  /** Of identities, in milliseconds since 1970. */
  readonly beforeMs: ReadonlyMap<string, number>;
}

/**
 * @throws {ConfigError} naming the line that is neither of the two
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const text = "# note\nid-1\nidentity:ci before 2026-01-01T00:00:00Z\n";
 * const { ids, beforeMs } = parseRevoked(text);
 * assert.deepEqual([...ids], ["id-1"]);
 * assert.equal(beforeMs.get("ci"), Date.UTC(2026, 0, 1));
 * ```
 */
export function parseRevoked(text: string): Revoked {
  const ids = new Set<string>();
  const beforeMs = new Map<string, number>();
  for (const [i, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const fault = line.length > MAX_LINE_LENGTH ? "it is too long" : addLine(line, ids, beforeMs);
    if (fault !== null) throw new ConfigError(`line ${i + 1}: ${fault}`);
  }
  return { ids, beforeMs };
}

/** What is wrong with the line, or null. */
function addLine(line: string, ids: Set<string>, beforeMs: Map<string, number>): string | null {
  const [, identity, time] = /^identity:(.+?)\s+before\s+(\S+)$/.exec(line) ?? [];
  if (identity !== undefined && time !== undefined) {
    const ms = timePartsOf(time) === null ? NaN : Date.parse(time);
    if (Number.isNaN(ms)) return `"${time}" is not a time as in 2026-01-02T15:04:05Z`;
    beforeMs.set(identity, Math.max(ms, beforeMs.get(identity) ?? -Infinity));
    return null;
  }
  if (line.startsWith("identity:")) return "it is not of the form identity:NAME before TIME";
  if (/\s/.test(line)) return "there is a space in it, which no id of a token has";
  ids.add(line);
  return null;
}

export interface RevocationsOptions {
  /** Absolute. */
  readonly file: string;
  readonly log: Logger;
  /** Default: {@linkcode CHECK_MS}. */
  readonly checkMs?: number;
}

export class Revocations implements Disposable {
  readonly #options: RevocationsOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #revoked: Revoked;
  /** What the file was like when it was last looked at. */
  #state: string;
  #lastFault = "";
  #checking: Promise<void> | null = null;

  private constructor(options: RevocationsOptions, { revoked, state }: Reading) {
    this.#options = options;
    this.#revoked = revoked;
    this.#state = state;
    this.#timer = setInterval(() => void this.check(), options.checkMs ?? CHECK_MS);
    Deno.unrefTimer(Number(this.#timer));
  }

  /** @throws {ConfigError} when the file cannot be read or understood */
  static async open(options: RevocationsOptions): Promise<Revocations> {
    return new Revocations(options, await readRevoked(options.file));
  }

  isRevoked({ identity, token }: { identity: string; token?: ProvenToken | undefined }): boolean {
    if (token === undefined) return false;
    const { ids, beforeMs } = this.#revoked;
    if (token.id !== null && ids.has(token.id)) return true;
    const before = beforeMs.get(identity);
    return before !== undefined && (token.issuedMs ?? -Infinity) < before;
  }

  /** Reads the file if it has changed. Never rejects. */
  check(): Promise<void> {
    return this.#checking ??= this.#check().finally(() => this.#checking = null);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    const { file, log } = this.#options;
    try {
      const state = await stateOf(file);
      if (state === this.#state && this.#lastFault === "") return;
      const reading = await readRevoked(file);
      this.#revoked = reading.revoked;
      this.#state = reading.state;
      this.#lastFault = "";
      const { ids, beforeMs } = reading.revoked;
      log.info({ tokens: ids.size, identities: beforeMs.size }, "read clientAuth.revoked again");
    } catch (error) {
      const fault = describeError(error);
      if (fault === this.#lastFault) return;
      this.#lastFault = fault;
      log.error({ error: fault }, "clientAuth.revoked cannot be used; what it said before counts");
    }
  }
}

interface Reading {
  readonly revoked: Revoked;
  readonly state: string;
}

/** @throws {ConfigError} */
export async function readRevoked(file: string): Promise<Reading> {
  try {
    // Before it is read: a change in between is seen the next time.
    const state = await stateOf(file);
    const { size, isFile } = await Deno.stat(file);
    if (!isFile) throw new ConfigError("it is not a regular file");
    if (size > MAX_BYTES) throw new ConfigError(`it is larger than ${MAX_BYTES} bytes`);
    return { revoked: parseRevoked(await Deno.readTextFile(file)), state };
  } catch (cause) {
    throw new ConfigError(`cannot use ${file}: ${describeError(cause)}`, { cause });
  }
}

async function stateOf(file: string): Promise<string> {
  const { ino, size, mtime } = await Deno.stat(file);
  return `${ino} ${size} ${mtime?.getTime()}`;
}
