/**
 * Access tokens between runs of `goauth`: a file for each server and identity, readable only by the
 * user (0600 in a folder with 0700). A file that cannot be read or is malformed counts as missing,
 * and a token that cannot be written is not cached: the only cost is another log-in.
 *
 * ```
 * <directory>/<SHA-256 of server and identity>.json
 * {"format":1,"token":"…","obtainedAtMs":1765000000000,"expiresAtMs":1765003600000}
 * ```
 */
import { join } from "node:path";
import type { AccessToken } from "./log_in.ts";

const FORMAT = 1;
/** Longer than the lifetime of any token: older files are unused. */
const MAX_AGE_MS = 8 * 24 * 3_600_000;
/** How many files are checked for their age when one is written. */
const MAX_SWEPT = 1000;

export class TokenCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Null if there is none. It may have expired. */
  async get(key: string): Promise<AccessToken | null> {
    const path = await this.#pathOf(key);
    try {
      const { mode } = await Deno.stat(path);
      // Another user may have read or written it.
      if (mode !== null && (mode & 0o077) !== 0) return null;
      return parseEntry(await Deno.readTextFile(path));
    } catch {
      return null;
    }
  }

  /** @returns whether it has been stored */
  async put(key: string, token: AccessToken): Promise<boolean> {
    const path = await this.#pathOf(key);
    const temporary = `${path}.${crypto.randomUUID()}.new`;
    try {
      await Deno.mkdir(this.#directory, { recursive: true, mode: 0o700 });
      const { mode } = await Deno.stat(this.#directory);
      if (mode !== null && (mode & 0o077) !== 0) await Deno.chmod(this.#directory, 0o700);
      await Deno.writeTextFile(temporary, JSON.stringify({ format: FORMAT, ...token }), {
        createNew: true,
        mode: 0o600,
      });
      await Deno.rename(temporary, path);
      await this.#sweep(token.obtainedAtMs);
      return true;
    } catch {
      await Deno.remove(temporary).catch(() => {});
      return false;
    }
  }

  async #sweep(nowMs: number): Promise<void> {
    let looked = 0;
    for await (const { name } of Deno.readDir(this.#directory)) {
      if (looked++ === MAX_SWEPT) return;
      const path = join(this.#directory, name);
      const { mtime } = await Deno.stat(path);
      if (mtime !== null && mtime.getTime() < nowMs - MAX_AGE_MS) await Deno.remove(path);
    }
  }

  async #pathOf(key: string): Promise<string> {
    const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
    return join(this.#directory, `${new Uint8Array(sum).toHex()}.json`);
  }
}

function parseEntry(json: string): AccessToken | null {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null) return null;
  const { format, token, obtainedAtMs, expiresAtMs } = value as Record<string, unknown>;
  if (format !== FORMAT || typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) return null;
  if (typeof obtainedAtMs !== "number" || typeof expiresAtMs !== "number") return null;
  return { token, obtainedAtMs, expiresAtMs };
}
