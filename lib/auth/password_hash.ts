/**
 * Hashed passwords: scrypt (RFC 7914) in the PHC string format
 * (https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md):
 *
 * ```text
 * $scrypt$ln=17,r=8,p=1$<salt>$<hash>      base64 without padding
 * ```
 *
 * Limits: 2^10 ≤ N ≤ 2^18, and at most {@linkcode MAX_MEMORY_BYTES} for one verification, so that a
 * configuration cannot make logins exhaust the machine's memory.
 */
import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { SecretError } from "../credentials/secret.ts";

/**
 * A text is not a usable password hash. The message gives the reason and does not quote the text.
 */
export class PasswordHashError extends SecretError {
  override readonly name = "PasswordHashError";
}

const FORM =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;

/**
 * The cost of a login: 128 MiB and about half a second, as in OWASP's Password Storage Cheat Sheet.
 */
const DEFAULT_COST: Cost = { logN: 17, blockSize: 8, parallelism: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;

interface Cost {
  readonly logN: number;
  readonly blockSize: number;
  readonly parallelism: number;
}

/** A parsed hash. */
export class PasswordHash {
  readonly #cost: Cost;
  readonly #salt: Uint8Array;
  readonly #hash: Uint8Array;

  private constructor({ cost, salt, hash }: { cost: Cost; salt: Uint8Array; hash: Uint8Array }) {
    this.#cost = cost;
    this.#salt = salt;
    this.#hash = hash;
  }

  /** @throws {PasswordHashError} */
  static parse(text: string): PasswordHash {
    const [, logN, blockSize, parallelism, salt = "", hash = ""] = FORM.exec(text) ?? [];
    if (logN === undefined) {
      throw new PasswordHashError("not of the form $scrypt$ln=17,r=8,p=1$<salt>$<hash>");
    }
    const cost = {
      logN: Number(logN),
      blockSize: Number(blockSize),
      parallelism: Number(parallelism),
    };
    const { logN: n, blockSize: r, parallelism: p } = cost;
    if (n < 10 || n > 18 || r < 1 || p < 1 || memoryBytes(cost) > MAX_MEMORY_BYTES) {
      throw new PasswordHashError(
        `ln must be from 10 to 18, r and p at least 1, and its memory use at most ${
          MAX_MEMORY_BYTES >> 20
        } MiB`,
      );
    }
    return new PasswordHash({
      cost,
      salt: Buffer.from(salt, "base64"),
      hash: Buffer.from(hash, "base64"),
    });
  }

  /** The hash of a password, with a new salt. */
  static async of(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const hash = await derive(password, { cost: DEFAULT_COST, salt, sizeBytes: HASH_BYTES });
    const { logN, blockSize, parallelism } = DEFAULT_COST;
    const texts = [salt, hash].map((bytes) => bytes.toString("base64").replace(/=+$/, ""));
    return `$scrypt$ln=${logN},r=${blockSize},p=${parallelism}$${texts.join("$")}`;
  }

  /** Takes the same time for every password. */
  async matches(password: string): Promise<boolean> {
    const found = await derive(password, {
      cost: this.#cost,
      salt: this.#salt,
      sizeBytes: this.#hash.length,
    });
    return timingSafeEqual(found, this.#hash);
  }
}

interface DeriveOptions {
  readonly cost: Cost;
  readonly salt: Uint8Array;
  readonly sizeBytes: number;
}

function derive(password: string, { cost, salt, sizeBytes }: DeriveOptions): Promise<Buffer> {
  const options = {
    N: 2 ** cost.logN,
    r: cost.blockSize,
    p: cost.parallelism,
    maxmem: memoryBytes(cost) + 1024 * 1024,
  };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, sizeBytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** RFC 7914, 2 and 5. */
function memoryBytes({ logN, blockSize, parallelism }: Cost): number {
  return 128 * blockSize * (2 ** logN + parallelism);
}
