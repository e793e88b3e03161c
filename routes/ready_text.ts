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
  /** Besides those that every form has. */
  readonly headers: Readonly<Record<string, string>>;
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
    return this.#plain ??= formOf(this.#bytes, this.#digest(), {});
  }

  #compressed(): Form {
    return this.#gzip ??= formOf(new Uint8Array(gzipSync(this.#bytes)), `${this.#digest()}-gzip`, {
      "Content-Encoding": "gzip",
    });
  }

  /** Not by Web Crypto: its way to another thread and back costs more than these few bytes. */
  #digest(): string {
    return hash("sha256", this.#bytes).slice(0, ETAG_HEX_DIGITS);
  }
}

function formOf(
  body: Uint8Array<ArrayBuffer>,
  tag: string,
  headers: Readonly<Record<string, string>>,
): Form {
  const etag = `"${tag}"`;
  return { body, etag, headers: { ...headers, "ETag": etag, "Content-Length": `${body.length}` } };
}
