/**
 * A text that is answered many times: its ETag and its compressed form are made once, when they are first needed.
 *
 * The ETag is by the bytes, so that any replica answers `If-None-Match` for any other. A compressed form has another one,
 * because it has other bytes (RFC 9110, 8.8.1).
 */
import { hash } from "node:crypto";
import { gzipSync } from "node:zlib";

/** Smaller texts gain nothing from compression. */
const MIN_GZIP_BYTES = 1024;
/** Of a SHA-256: enough that no two texts of one address have the same. */
const ETAG_HEX_DIGITS = 32;

/** What is sent. */
export interface Form {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  /** What the header `Content-Encoding` says; null for none. */
  readonly encoding: "gzip" | null;
}

export class ReadyText {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #plain: Form | null = null;
  #gzip: Form | null = null;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** @param acceptsGzip whether the client takes it; asked only where it matters */
  form(acceptsGzip: () => boolean): Form {
    return this.#bytes.length >= MIN_GZIP_BYTES && acceptsGzip()
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

  /** Not by Web Crypto: its way to another thread and back costs more than these few bytes. */
  #digest(): string {
    return hash("sha256", this.#bytes).slice(0, ETAG_HEX_DIGITS);
  }
}
