/**
 * A text that is answered many times: its ETag and its compressed form are computed once, when
 * first needed.
 *
 * The ETag depends on the bytes only, so any replica answers `If-None-Match` for any other. The
 * compressed form has another ETag, because it has other bytes (RFC 9110, 8.8.1).
 */
import { hash } from "node:crypto";
import { gzipSync } from "node:zlib";

/** Smaller texts gain nothing from compression. */
const MIN_GZIP_BYTES = 1024;
/** Larger ones would hold the thread: 20 ms for each megabyte. No usual go.mod or list is. */
const MAX_GZIP_BYTES = 1024 * 1024;
/** Digits of a SHA-256: enough that no two texts of one address collide. */
const ETAG_HEX_DIGITS = 32;

/** The form that is sent. */
export interface Form {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  /** The value of `Content-Encoding`; null for none. */
  readonly encoding: "gzip" | null;
}

export class ReadyText {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #plain: Form | null = null;
  #gzip: Form | null = null;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** @param acceptsGzip whether the client accepts it; called only if it matters */
  form(acceptsGzip: () => boolean): Form {
    const { length } = this.#bytes;
    return length >= MIN_GZIP_BYTES && length <= MAX_GZIP_BYTES && acceptsGzip()
      ? this.#compressed()
      : this.#whole();
  }

  #whole(): Form {
    return this.#plain ??= { body: this.#bytes, etag: `"${this.#digest()}"`, encoding: null };
  }

  #compressed(): Form {
    return this.#gzip ??= {
      body: new Uint8Array(gzipSync(this.#bytes)),
      etag: `"${this.#digest()}-gzip"`,
      encoding: "gzip",
    };
  }

  /**
   * Not Web Crypto: passing these few bytes to another thread and back costs more than hashing
   * them.
   */
  #digest(): string {
    return hash("sha256", this.#bytes).slice(0, ETAG_HEX_DIGITS);
  }
}
