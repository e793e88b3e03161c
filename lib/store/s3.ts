/**
 * A store in a bucket of Amazon S3, or of a server that speaks its protocol and honours conditional writes
 * (docs.aws.amazon.com/AmazonS3, "Conditional requests", "Multipart upload", "Signature Version 4").
 *
 * ```text
 * s3://<bucket>/<prefix>/<key>
 * ```
 *
 * - An object is created on the condition `If-None-Match: *`: in one request up to {@linkcode SINGLE_REQUEST_LIMIT_BYTES},
 *   else by a multipart upload whose completion has the condition. 412 says that it is there. 409 says that another writer is
 *   at it, and is asked again. An upload that comes to nothing is aborted, because its parts cost money.
 * - User metadata have the check sum (CRC-32C) and a nonce. A request whose answer was lost is sent again and may then be told
 *   that the object is there, or that its upload is not, by its own success; the nonce of what is there tells whose it is.
 * - The signature covers the SHA-256 of every body that is sent, so the server takes it whole or not at all. What is read is
 *   compared with the check sum of the metadata. S3's own check sum headers do the same with newer servers only.
 * - Requests are signed by aws4fetch. Credentials come from the usual chain (environment, shared files, web identity,
 *   container, instance), found by the AWS SDK's library, which is loaded for the first request.
 *
 * Limits: buckets of S3 Express ("directory buckets") list in no order and cannot be used. A process that is killed leaves
 * the parts of its uploads; a lifecycle rule of the bucket (AbortIncompleteMultipartUpload) removes them.
 */
import { AwsV4Signer } from "aws4fetch";
import { createHash } from "node:crypto";
import { ConfigError, StorageError } from "../errors.ts";
import { isLoopback } from "../http/client.ts";
import type { Metrics } from "../log/metrics.ts";
import { crc32c, crc32cText } from "./crc32c.ts";
import { getObject, sizeIn } from "./object_body.ts";
import {
  assertKey,
  type Content,
  type CreateOptions,
  type GetOptions,
  type ListOptions,
  type ObjectStore,
  openExactly,
  readAll,
  type StoredObject,
  type WalkOptions,
} from "./object_store.ts";
import { keysBelow, namesIn } from "./listing.ts";
import { crc32cOf, partsOf } from "./multipart.ts";
import {
  type SendOptions,
  type StoreAnswer,
  StoreClient,
  type StoreFetch,
  type StoreRequest,
  type StoreTimes,
} from "./store_client.ts";

export interface S3StoreOptions {
  readonly bucket: string;
  readonly region: string;
  /** A folder that this store has of the bucket. Default: the whole bucket. */
  readonly prefix?: string;
  /** The base URL of the server. Default: Amazon's of the region. */
  readonly endpoint?: string;
  /** Whether the bucket stands in the path and not in the host name. Where a host name cannot have it, it always does. */
  readonly forcePathStyle?: boolean;
  /** Hosts (`host` or `host:port`) besides loopback that may be reached by plain http. */
  readonly insecureHosts?: readonly string[];
  readonly fetch?: StoreFetch;
  /** Default: the usual chain. */
  readonly credentials?: () => Promise<S3Credentials>;
  readonly times?: Partial<StoreTimes>;
  readonly metrics?: Metrics | undefined;
  /** Default {@linkcode SINGLE_REQUEST_LIMIT_BYTES}. */
  readonly singleRequestLimitBytes?: number;
  /** Default {@linkcode PART_SIZE_BYTES}. */
  readonly partSizeBytes?: number;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

/** The largest content that is created by one request, for which it is held in memory. */
export const SINGLE_REQUEST_LIMIT_BYTES = 8 * 1024 * 1024;
/** The part of a large content that is held in memory and sent at once; S3 wants 5 MiB or more, and 10,000 parts or fewer. */
export const PART_SIZE_BYTES = 8 * 1024 * 1024;

const MAX_PAGE_SIZE = 1000;
/** How often a large content is uploaded, when an upload is lost. */
const MAX_UPLOADS = 3;

type Outcome = "created" | "exists";

/** The user metadata of an object. */
interface Metadata {
  readonly crc32c: string;
  readonly nonce: string;
}

const CRC32C_HEADER = "x-amz-meta-crc32c";
const NONCE_HEADER = "x-amz-meta-nonce";

export class S3Store implements ObjectStore {
  readonly description: string;
  /** What the URLs of this store's objects, and of no other's, begin with. */
  readonly url: string;
  readonly #client: StoreClient;
  /** The bucket's URL without a slash at its end. */
  readonly #bucketUrl: string;
  /** What all names begin with: empty, or with a slash at its end. */
  readonly #prefix: string;
  readonly #singleRequestLimitBytes: number;
  readonly #partSizeBytes: number;

  /** @throws {ConfigError} when the endpoint is plain http and must not be */
  constructor(options: S3StoreOptions) {
    const { bucket, region, prefix = "" } = options;
    this.description = `s3 ${bucket}${prefix === "" ? "" : `/${prefix}`}`;
    this.#bucketUrl = bucketUrlOf(options);
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.url = `${this.#bucketUrl}/${this.#prefix}`;
    this.#singleRequestLimitBytes = options.singleRequestLimitBytes ?? SINGLE_REQUEST_LIMIT_BYTES;
    this.#partSizeBytes = options.partSizeBytes ?? PART_SIZE_BYTES;
    const credentials = options.credentials ?? usualCredentials();
    this.#client = new StoreClient({
      description: this.description,
      fetch: options.fetch ?? fetch,
      authorize: async (request) => await sign(request, { region, ...await credentials() }),
      times: options.times,
      metrics: options.metrics,
      // Another writer is at the same key.
      passingStatuses: [409],
    });
  }

  async get(key: string, { range, signal }: GetOptions = {}): Promise<StoredObject | null> {
    assertKey(key);
    signal?.throwIfAborted();
    const what = `read "${key}" from`;
    return await getObject(this.#client, {
      request: { method: "GET", url: this.#url(key) },
      what,
      crc32cIn: (headers) => headers.get(CRC32C_HEADER),
      isAbsent: ({ text }) => textOf(text, "Code") === "NoSuchKey",
      sizeOf: async () => {
        const headers = await this.#look(key, { what, signal });
        return headers === null ? null : sizeIn(headers);
      },
    }, { range, signal });
  }

  async create(
    key: string,
    content: Content,
    { signal, inParts = false }: CreateOptions = {},
  ): Promise<Outcome> {
    assertKey(key);
    signal?.throwIfAborted();
    const isSmall = content.sizeBytes <= this.#singleRequestLimitBytes;
    return isSmall && !inParts
      ? await this.#createAtOnce(key, content, signal)
      : await this.#createInParts(key, content, signal);
  }

  async list(
    folder: string,
    { after = "", limit = Infinity, signal }: ListOptions = {},
  ): Promise<string[]> {
    assertKey(folder);
    signal?.throwIfAborted();
    const options = { what: `list "${folder}" of`, signal };
    const prefix = `${this.#prefix}${folder}/`;
    const query = {
      prefix,
      delimiter: "/",
      "max-keys": `${Math.max(1, Math.min(MAX_PAGE_SIZE, limit))}`,
      "start-after": prefix + after,
    };
    return await namesIn(this.#pages(query, options), { prefix, after, limit });
  }

  async *walk({ signal }: WalkOptions = {}): AsyncGenerator<string> {
    signal?.throwIfAborted();
    const prefix = this.#prefix;
    yield* keysBelow(this.#pages({ prefix }, { what: "walk through", signal }), prefix);
  }

  /** The names of a listing, page by page. */
  async *#pages(query: Record<string, string>, options: SendOptions): AsyncGenerator<string[]> {
    let token: string | null = null;
    for (;;) {
      const page: StoreAnswer = await this.#client.ask({
        method: "GET",
        url: this.#bucketQuery({
          "list-type": "2",
          ...query,
          ...(token === null ? {} : { "continuation-token": token }),
        }),
      }, options);
      if (page.status !== 200) throw this.#client.refusal(page, options.what);
      yield keysIn(page.text);
      const next = textOf(page.text, "NextContinuationToken");
      if (next === null) return;
      if (next === token) {
        throw this.#client.failure(options.what, "the server sends one page again and again");
      }
      token = next;
    }
  }

  async #createAtOnce(
    key: string,
    content: Content,
    signal: AbortSignal | undefined,
  ): Promise<Outcome> {
    const { sizeBytes } = content;
    const body = await readAll({ sizeBytes, body: openExactly(content) }, signal);
    const metadata = metadataFor(crc32cText(crc32c(body)));
    const options = { what: `create "${key}" on`, signal, isUpload: true };
    const answer = await this.#client.ask({
      method: "PUT",
      url: this.#url(key),
      headers: { ...headersOf(metadata), "If-None-Match": "*" },
      body,
    }, options);
    if (answer.status === 200) return "created";
    if (answer.status !== 412) throw this.#client.refusal(answer, options.what);
    const outcome = await this.#whose(key, metadata, options);
    if (outcome !== null) return outcome;
    throw this.#client.failure(options.what, "the server says that it is there, and it is not");
  }

  async #createInParts(
    key: string,
    content: Content,
    signal: AbortSignal | undefined,
  ): Promise<Outcome> {
    const options = { what: `create "${key}" on`, signal };
    // Looking first saves sending a large zip; it is the condition that decides.
    const isLarge = content.sizeBytes > this.#singleRequestLimitBytes;
    if (isLarge && await this.#look(key, options) !== null) return "exists";
    const metadata = metadataFor(await crc32cOf(content, signal));
    for (let i = 0; i < MAX_UPLOADS; i++) {
      const outcome = await this.#upload(key, { content, metadata }, options);
      if (outcome !== null) return outcome;
    }
    throw this.#client.failure(options.what, `${MAX_UPLOADS} uploads were lost`);
  }

  /** One multipart upload. Null when it is lost and has made no object. */
  async #upload(
    key: string,
    { content, metadata }: { content: Content; metadata: Metadata },
    options: SendOptions,
  ): Promise<Outcome | null> {
    const id = await this.#start(key, metadata, options);
    let isCompleted = false;
    try {
      const etags: string[] = [];
      const { signal } = options;
      for await (const part of partsOf(content, { partSizeBytes: this.#partSizeBytes, signal })) {
        etags.push(await this.#sendPart(key, { id, number: etags.length + 1, part }, options));
      }
      // An upload has at least one part, be it empty.
      if (etags.length === 0) {
        etags.push(await this.#sendPart(key, { id, number: 1, part: new Uint8Array() }, options));
      }
      const answer = await this.#complete(key, { id, etags }, options);
      isCompleted = answer.status === 200 &&
        /<CompleteMultipartUploadResult[\s>]/.test(answer.text);
      if (isCompleted) return "created";
      // A completion takes long and may fail after its 200. 404: our own success, unheard of, has ended the upload.
      if (![200, 404, 412].includes(answer.status)) {
        throw this.#client.refusal(answer, options.what);
      }
      return await this.#whose(key, metadata, options);
    } finally {
      if (!isCompleted) await this.#abort(key, id);
    }
  }

  async #start(key: string, metadata: Metadata, options: SendOptions): Promise<string> {
    const answer = await this.#client.ask({
      method: "POST",
      url: this.#url(key, { uploads: "" }),
      headers: headersOf(metadata),
    }, options);
    const id = answer.status === 200 ? textOf(answer.text, "UploadId") : null;
    if (id === null) throw this.#client.refusal(answer, options.what);
    return id;
  }

  /** @returns the part's ETag, by which the completion names it */
  async #sendPart(
    key: string,
    { id, number, part }: { id: string; number: number; part: Uint8Array<ArrayBuffer> },
    options: SendOptions,
  ): Promise<string> {
    const answer = await this.#client.ask({
      method: "PUT",
      url: this.#url(key, { partNumber: `${number}`, uploadId: id }),
      body: part,
    }, { ...options, isUpload: true });
    const etag = answer.headers.get("ETag");
    if (answer.status !== 200 || etag === null) throw this.#client.refusal(answer, options.what);
    return etag;
  }

  async #complete(
    key: string,
    { id, etags }: { id: string; etags: readonly string[] },
    options: SendOptions,
  ): Promise<StoreAnswer> {
    const parts = etags.map((etag, i) =>
      `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`
    );
    return await this.#client.ask({
      method: "POST",
      url: this.#url(key, { uploadId: id }),
      headers: { "Content-Type": "application/xml", "If-None-Match": "*" },
      body: `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`,
    }, { ...options, isUpload: true });
  }

  /** Also after the caller has gone. Where it fails, the parts are left to the bucket's lifecycle rule. */
  async #abort(key: string, id: string): Promise<void> {
    const url = this.#url(key, { uploadId: id });
    const options = { what: `abort the upload of "${key}" to`, notAfter: StorageError };
    try {
      await this.#client.ask({ method: "DELETE", url }, options);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
    }
  }

  /** Whether the object that is there is ours; null when none is there. */
  async #whose(key: string, { nonce }: Metadata, options: SendOptions): Promise<Outcome | null> {
    const headers = await this.#look(key, options);
    if (headers === null) return null;
    return headers.get(NONCE_HEADER) === nonce ? "created" : "exists";
  }

  /** What the server says of an object, or null where there is none. A missing bucket answers the same, without a word. */
  async #look(key: string, options: SendOptions): Promise<Headers | null> {
    const answer = await this.#client.ask({ method: "HEAD", url: this.#url(key) }, options);
    if (answer.status === 200) return answer.headers;
    if (answer.status === 404 && await this.#isBucketThere(options)) return null;
    throw this.#client.refusal(answer, options.what);
  }

  async #isBucketThere(options: SendOptions): Promise<boolean> {
    const url = this.#bucketQuery({ "list-type": "2", "max-keys": "1" });
    const { status } = await this.#client.ask({ method: "GET", url }, options);
    return status === 200;
  }

  #url(key: string, query: Record<string, string> = {}): URL {
    const path = `${this.#prefix}${key}`.split("/").map(encodeSegment).join("/");
    return withQuery(`${this.#bucketUrl}/${path}`, query);
  }

  #bucketQuery(query: Record<string, string>): URL {
    return withQuery(`${this.#bucketUrl}/`, query);
  }
}

function metadataFor(crc32c: string): Metadata {
  return { crc32c, nonce: crypto.randomUUID() };
}

function headersOf({ crc32c, nonce }: Metadata): Record<string, string> {
  return {
    "Content-Type": "application/octet-stream",
    [CRC32C_HEADER]: crc32c,
    [NONCE_HEADER]: nonce,
  };
}

function bucketUrlOf(
  { bucket, region, endpoint = "", forcePathStyle = false, insecureHosts = [] }: S3StoreOptions,
): string {
  const url = new URL(endpoint === "" ? `https://s3.${region}.amazonaws.com` : endpoint);
  const { protocol, hostname, host } = url;
  if (protocol !== "https:" && !isLoopback(hostname) && !insecureHosts.includes(host)) {
    throw new ConfigError(
      `storage.s3.endpoint: plain http to ${host} is refused, unless insecureHosts names it`,
    );
  }
  const base = url.pathname.replace(/\/+$/, "");
  const isAddress = /^[\d.]+$|^\[/.test(hostname);
  // A certificate for *.s3.… does not cover a name with dots.
  const isInPath = forcePathStyle || isAddress || bucket.includes(".");
  return isInPath ? `${url.origin}${base}/${bucket}` : `${protocol}//${bucket}.${host}${base}`;
}

/** By RFC 3986: what a signature is computed of has `!` and `'()*` escaped, too. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function withQuery(address: string, query: Record<string, string>): URL {
  const url = new URL(address);
  const pairs = Object.entries(query).map((pair) => pair.map(encodeSegment).join("="));
  url.search = pairs.join("&");
  return url;
}

/** The headers that Signature Version 4 adds to a request. */
async function sign(
  { method, url, headers = {}, body }: StoreRequest,
  account: S3Credentials & { region: string },
): Promise<Record<string, string>> {
  // What this store sends is text or bytes; a Blob could be hashed only by reading it.
  if (body instanceof Blob) throw new Error("Cannot sign a Blob");
  const hash = createHash("sha256").update(body ?? "").digest("hex");
  const signer = new AwsV4Signer({
    method,
    url: url.href,
    headers: { ...headers, "x-amz-content-sha256": hash },
    service: "s3",
    region: account.region,
    accessKeyId: account.accessKeyId,
    secretAccessKey: account.secretAccessKey,
    ...(account.sessionToken === undefined ? {} : { sessionToken: account.sessionToken }),
  });
  return Object.fromEntries((await signer.sign()).headers);
}

/** Credentials of the usual chain; the library keeps them until they expire. */
function usualCredentials(): () => Promise<S3Credentials> {
  let provider: Promise<() => Promise<S3Credentials>> | undefined;
  return async () => {
    provider ??= import("@aws-sdk/credential-providers").then((chain) =>
      chain.fromNodeProviderChain()
    );
    return await (await provider)();
  };
}

/** The text of the first element with this name, or null. S3's answers have no attributes and no comments. */
function textOf(xml: string, name: string): string | null {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text === undefined ? null : unescapeXml(text);
}

function keysIn(listing: string): string[] {
  const contents = listing.matchAll(/<Contents>.*?<Key>([^<]*)<\/Key>.*?<\/Contents>/gs);
  return [...contents].map(([, key = ""]) => unescapeXml(key));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}

function unescapeXml(text: string): string {
  return text.replace(
    /&(?:(amp|lt|gt|quot|apos)|#(\d+)|#x([0-9a-f]+));/gi,
    (whole, name, dec, hex) => {
      if (dec !== undefined) return String.fromCodePoint(Number(dec));
      if (hex !== undefined) return String.fromCodePoint(parseInt(hex, 16));
      const entity = Object.entries(ENTITIES).find(([, text]) => text === `&${name};`);
      return entity?.[0] ?? whole;
    },
  );
}
