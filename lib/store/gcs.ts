/**
 * A store in a bucket of Google Cloud Storage, by its JSON API
 * (cloud.google.com/storage/docs/json_api, "Resumable uploads", "Request preconditions").
 *
 * ```text
 * gs://<bucket>/<prefix>/<key>
 * ```
 *
 * - An object is created on the condition `ifGenerationMatch=0`, "there is none": in one request up to
 *   {@linkcode SINGLE_REQUEST_LIMIT_BYTES}, else by a resumable upload, which becomes an object with its last part.
 * - The metadata bring the check sum (CRC-32C), against which the server checks the bytes, and a nonce. A request whose
 *   answer was lost is sent again and may then be told that the object is there (412), or that its upload is not (404), by
 *   its own success. The nonce of what is there tells whose it is.
 * - What is read is compared with the check sum that the server keeps.
 * - Credentials are Google's usual ones (`GOOGLE_APPLICATION_CREDENTIALS`, gcloud's file, the metadata server), found by
 *   google-auth-library, which is loaded for the first request. An endpoint with plain http is an emulator on this machine
 *   and is told no credentials.
 *
 * The SDK, @google-cloud/storage, is not used: docs/design/object_storage.md has the measurements.
 *
 * Limits: uploads that are given up are left to the server, which drops them after a week.
 */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { isLoopback } from "../http/client.ts";
import type { Metrics } from "../log/metrics.ts";
import { getObject } from "./object_body.ts";
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
import { crc32c, crc32cText } from "./crc32c.ts";
import { crc32cOf, partsOf } from "./multipart.ts";
import {
  LostAnswerError,
  type SendOptions,
  type StoreAnswer,
  StoreClient,
  type StoreFetch,
  type StoreTimes,
} from "./store_client.ts";

export interface GcsStoreOptions {
  readonly bucket: string;
  /** A folder that this store has of the bucket. Default: the whole bucket. */
  readonly prefix?: string;
  /** The base URL of the API. Default: {@linkcode emulatorHost}, else Google's. */
  readonly apiEndpoint?: string;
  /** `host:port` or a URL: the environment's STORAGE_EMULATOR_HOST. */
  readonly emulatorHost?: string | undefined;
  readonly fetch?: StoreFetch;
  /** An access token. Default: Google's usual credentials. */
  readonly token?: () => Promise<string>;
  readonly times?: Partial<StoreTimes>;
  readonly metrics?: Metrics | undefined;
  /** Milliseconds since any moment. */
  readonly now?: () => number;
  /** Default {@linkcode SINGLE_REQUEST_LIMIT_BYTES}. */
  readonly singleRequestLimitBytes?: number;
  /** Default {@linkcode PART_SIZE_BYTES}. */
  readonly partSizeBytes?: number;
}

/** The largest content that is created by one request, for which it is held in memory. */
export const SINGLE_REQUEST_LIMIT_BYTES = 8 * 1024 * 1024;
/** The part of a large content that is held in memory and sent at once; the API wants a multiple of 256 KiB. */
export const PART_SIZE_BYTES = 8 * 1024 * 1024;

const GOOGLE_ENDPOINT = "https://storage.googleapis.com";
const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";
const MAX_PAGE_SIZE = 1000;
/** How long a bucket that was there is not asked about, when an object is not. */
const BUCKET_SEEN_MS = 30_000;
/** How often a large content is uploaded, when an upload is lost. */
const MAX_UPLOADS = 3;

type Outcome = "created" | "exists";

/** What an object is created with. */
interface Metadata {
  readonly name: string;
  readonly contentType: string;
  readonly crc32c: string;
  readonly metadata: { readonly nonce: string };
}

interface Part {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its place in the content. */
  readonly start: number;
  readonly totalBytes: number;
}

const JSON_TYPE = "application/json; charset=utf-8";

const createdSchema = z.object({ crc32c: z.string() });

const objectSchema = z.object({
  size: z.coerce.number(),
  metadata: z.object({ nonce: z.string().optional() }).optional(),
});

const pageSchema = z.object({
  items: z.array(z.object({ name: z.string() })).default([]),
  nextPageToken: z.string().optional(),
});

export class GcsStore implements ObjectStore {
  readonly description: string;
  /** What the URLs of this store's objects, and of no other's, begin with. */
  readonly url: string;
  readonly #client: StoreClient;
  readonly #endpoint: string;
  readonly #bucket: string;
  /** What all names begin with: empty, or with a slash at its end. */
  readonly #prefix: string;
  readonly #singleRequestLimitBytes: number;
  readonly #partSizeBytes: number;
  readonly #now: () => number;
  #bucketSeenMs = -Infinity;

  /** @throws {ConfigError} when the endpoint is plain http and must not be */
  constructor(options: GcsStoreOptions) {
    const { bucket, prefix = "" } = options;
    this.description = `gcs ${bucket}${prefix === "" ? "" : `/${prefix}`}`;
    this.#endpoint = endpointOf(options);
    this.#bucket = encodeURIComponent(bucket);
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.url = `${this.#endpoint}/${this.#bucket}/${this.#prefix}`;
    this.#singleRequestLimitBytes = options.singleRequestLimitBytes ?? SINGLE_REQUEST_LIMIT_BYTES;
    this.#partSizeBytes = options.partSizeBytes ?? PART_SIZE_BYTES;
    this.#now = options.now ?? (() => performance.now());
    const token = options.token ?? googleToken();
    this.#client = new StoreClient({
      description: this.description,
      fetch: options.fetch ?? fetch,
      authorize: this.#endpoint.startsWith("http:")
        ? () => Promise.resolve({})
        : async () => ({ Authorization: `Bearer ${await token()}` }),
      times: options.times,
      metrics: options.metrics,
    });
  }

  async get(key: string, { range, signal }: GetOptions = {}): Promise<StoredObject | null> {
    assertKey(key);
    signal?.throwIfAborted();
    const what = `read "${key}" from`;
    return await getObject(this.#client, {
      request: { method: "GET", url: this.#objectUrl(this.#prefix + key, { alt: "media" }) },
      what,
      crc32cIn: (headers) => /crc32c=([^,\s]+)/.exec(headers.get("x-goog-hash") ?? "")?.[1] ?? null,
      isAbsent: () => this.#isBucketThere({ what, signal }),
      sizeOf: async () => (await this.#look(this.#prefix + key, { what, signal }))?.size ?? null,
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
      startOffset: prefix + after,
      // One more than wanted, because the offset itself is listed too.
      maxResults: `${Math.min(MAX_PAGE_SIZE, limit + 1)}`,
    };
    return await namesIn(this.#pages(query, options), { prefix, after, limit });
  }

  async *walk({ signal }: WalkOptions = {}): AsyncGenerator<string> {
    signal?.throwIfAborted();
    const prefix = this.#prefix;
    const query = { prefix, maxResults: `${MAX_PAGE_SIZE}` };
    yield* keysBelow(this.#pages(query, { what: "walk through", signal }), prefix);
  }

  /** The names of a listing, page by page. */
  async *#pages(query: Record<string, string>, options: SendOptions): AsyncGenerator<string[]> {
    let pageToken: string | undefined;
    for (;;) {
      const page = await this.#page({
        ...query,
        fields: "items/name,nextPageToken",
        ...(pageToken === undefined ? {} : { pageToken }),
      }, options);
      yield page.items.map(({ name }) => name);
      if (page.nextPageToken === undefined) return;
      if (page.nextPageToken === pageToken) {
        throw this.#client.failure(options.what, "the server sends one page again and again");
      }
      pageToken = page.nextPageToken;
    }
  }

  async #createAtOnce(
    key: string,
    content: Content,
    signal: AbortSignal | undefined,
  ): Promise<Outcome> {
    const { sizeBytes } = content;
    const bytes = await readAll({ sizeBytes, body: openExactly(content) }, signal);
    const metadata = this.#metadataFor(key, crc32cText(crc32c(bytes)));
    const options = { what: `create "${key}" on`, signal, isUpload: true };
    const boundary = crypto.randomUUID();
    const head =
      `--${boundary}\r\nContent-Type: ${JSON_TYPE}\r\n\r\n${JSON.stringify(metadata)}\r\n` +
      `--${boundary}\r\nContent-Type: ${metadata.contentType}\r\n\r\n`;
    const answer = await this.#client.ask({
      method: "POST",
      url: this.#uploadUrl("multipart"),
      headers: { "Content-Type": `multipart/related; boundary=${boundary}` },
      body: await new Blob([head, bytes, `\r\n--${boundary}--\r\n`]).bytes(),
    }, options);
    const outcome = await this.#outcome(answer, metadata, options);
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
    if (isLarge && await this.#look(this.#prefix + key, options) !== null) return "exists";
    const metadata = this.#metadataFor(key, await crc32cOf(content, signal));
    for (let i = 0; i < MAX_UPLOADS; i++) {
      const outcome = await this.#upload(content, metadata, options);
      if (outcome !== null) return outcome;
    }
    throw this.#client.failure(options.what, `${MAX_UPLOADS} uploads were lost`);
  }

  /** One resumable upload. Null when it is lost and has made no object. */
  async #upload(
    content: Content,
    metadata: Metadata,
    options: SendOptions,
  ): Promise<Outcome | null> {
    const { sizeBytes: totalBytes } = content;
    const started = await this.#client.ask({
      method: "POST",
      url: this.#uploadUrl("resumable"),
      headers: {
        "Content-Type": JSON_TYPE,
        "X-Upload-Content-Type": metadata.contentType,
        "X-Upload-Content-Length": `${totalBytes}`,
      },
      body: JSON.stringify(metadata),
    }, options);
    const session = this.#sessionIn(started);
    if (session === null) return await this.#outcome(started, metadata, options);

    const parts = totalBytes === 0
      ? [new Uint8Array()]
      : partsOf(content, { partSizeBytes: this.#partSizeBytes, signal: options.signal });
    let start = 0;
    for await (const bytes of parts) {
      const answer = await this.#sendPart(session, { bytes, start, totalBytes }, options);
      if (answer === null) return await this.#whose(metadata, options);
      if (answer.status !== 308) return await this.#outcome(answer, metadata, options);
      start += bytes.length;
    }
    throw this.#client.failure(options.what, "the server waits for more than there is");
  }

  /**
   * Sends a part until the server has all of it: it may take less, and says how much.
   *
   * A part that got no answer ends the upload. The server could be asked how much has arrived; but fake-gcs-server, the
   * emulator that everybody tests with, takes the question for the end of the upload and makes an object of what it has.
   *
   * @returns the last answer, 308 where another part is to come; null when the upload is lost
   */
  async #sendPart(
    session: URL,
    { bytes, start, totalBytes }: Part,
    options: SendOptions,
  ): Promise<StoreAnswer | null> {
    const end = start + bytes.length;
    let at = start;
    for (let i = 0; i < this.#client.times.maxAttempts; i++) {
      const answer = await this.#client.ask({
        method: "PUT",
        url: session,
        headers: {
          "Content-Range": `bytes ${at === end ? "*" : `${at}-${end - 1}`}/${totalBytes}`,
        },
        body: bytes.subarray(at - start),
      }, { ...options, isUpload: true, notAfter: LostAnswerError }).catch((error) => {
        if (error instanceof LostAnswerError) return null;
        throw error;
      });
      if (answer === null || answer.status === 404 || answer.status === 410) return null;
      if (answer.status !== 308) return answer;
      at = Number(/^bytes=0-(\d+)$/.exec(answer.headers.get("Range") ?? "")?.[1] ?? -1) + 1;
      if (at === end) return answer;
      if (at < start || at > end) return null;
    }
    return null;
  }

  /** What the answer to a create says. Null when it says that an object is there, and none is. */
  async #outcome(
    answer: StoreAnswer,
    metadata: Metadata,
    options: SendOptions,
  ): Promise<Outcome | null> {
    if (answer.status === 412) return await this.#whose(metadata, options);
    if (answer.status !== 200 && answer.status !== 201) {
      throw this.#client.refusal(answer, options.what);
    }
    const { crc32c } = this.#parse(createdSchema, answer, options);
    if (crc32c === metadata.crc32c) return "created";
    throw this.#client.failure(options.what, `the server has it with check sum ${crc32c}`);
  }

  /** Whether the object that is there is ours. */
  async #whose({ name, metadata }: Metadata, options: SendOptions): Promise<Outcome | null> {
    const object = await this.#look(name, options);
    if (object === null) return null;
    return object.metadata?.nonce === metadata.nonce ? "created" : "exists";
  }

  async #look(
    name: string,
    options: SendOptions,
  ): Promise<z.output<typeof objectSchema> | null> {
    const url = this.#objectUrl(name, { fields: "size,metadata" });
    const answer = await this.#client.ask({ method: "GET", url }, options);
    if (answer.status === 200) return this.#parse(objectSchema, answer, options);
    if (answer.status === 404 && await this.#isBucketThere(options)) return null;
    throw this.#client.refusal(answer, options.what);
  }

  /**
   * A missing object and a missing bucket are both 404, and nothing but the wording tells them apart. One that was there a
   * moment ago is not asked about again: it can only be deleted when nothing is in it, so absent is right all the same.
   */
  async #isBucketThere(options: SendOptions): Promise<boolean> {
    if (this.#now() - this.#bucketSeenMs < BUCKET_SEEN_MS) return true;
    const url = this.#url("storage/v1", { maxResults: "1", fields: "kind" });
    const startMs = this.#now();
    const { status } = await this.#client.ask({ method: "GET", url }, options);
    if (status === 200) this.#bucketSeenMs = startMs;
    return status === 200;
  }

  async #page(
    query: Record<string, string>,
    options: SendOptions,
  ): Promise<z.output<typeof pageSchema>> {
    const url = this.#url("storage/v1", query);
    const answer = await this.#client.ask({ method: "GET", url }, options);
    if (answer.status !== 200) throw this.#client.refusal(answer, options.what);
    return this.#parse(pageSchema, answer, options);
  }

  #metadataFor(key: string, crc32c: string): Metadata {
    return {
      name: this.#prefix + key,
      contentType: "application/octet-stream",
      crc32c,
      metadata: { nonce: crypto.randomUUID() },
    };
  }

  #parse<T>(schema: z.ZodType<T>, { text }: StoreAnswer, { what }: SendOptions): T {
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      if (!(cause instanceof SyntaxError || cause instanceof z.ZodError)) throw cause;
      throw this.#client.failure(what, "the server's answer is not what its API says");
    }
  }

  /** The address of an upload, at our endpoint: the server may know itself by a name that we cannot reach. */
  #sessionIn({ status, headers }: StoreAnswer): URL | null {
    const location = URL.parse(headers.get("Location") ?? "", this.#endpoint);
    if (status !== 200 || location === null) return null;
    return new URL(location.pathname + location.search, this.#endpoint);
  }

  #uploadUrl(uploadType: string): URL {
    return this.#url("upload/storage/v1", { uploadType, ifGenerationMatch: "0", fields: "crc32c" });
  }

  #objectUrl(name: string, query: Record<string, string>): URL {
    return this.#url("storage/v1", query, `/${encodeURIComponent(name)}`);
  }

  #url(api: string, query: Record<string, string>, object = ""): URL {
    const url = new URL(`${this.#endpoint}/${api}/b/${this.#bucket}/o${object}`);
    url.search = new URLSearchParams(query).toString();
    return url;
  }
}

/** The base URL without a slash at its end. */
function endpointOf({ apiEndpoint = "", emulatorHost = "" }: GcsStoreOptions): string {
  if (apiEndpoint === "" && emulatorHost !== "") {
    return (emulatorHost.includes("://") ? emulatorHost : `http://${emulatorHost}`)
      .replace(/\/+$/, "");
  }
  const url = new URL(apiEndpoint === "" ? GOOGLE_ENDPOINT : apiEndpoint);
  if (url.protocol !== "https:" && !isLoopback(url.hostname)) {
    throw new ConfigError(
      `storage.gcs.apiEndpoint: plain http to ${url.host} is refused; it is for emulators on this machine`,
    );
  }
  return url.href.replace(/\/+$/, "");
}

/** Access tokens by Google's usual credentials; the library keeps one until it expires. */
function googleToken(): () => Promise<string> {
  let auth: Promise<{ getAccessToken(): Promise<string | null | undefined> }> | undefined;
  return async () => {
    auth ??= import("google-auth-library").then(({ GoogleAuth }) =>
      new GoogleAuth({ scopes: [SCOPE] })
    );
    const token = await (await auth).getAccessToken();
    if (!token) throw new Error("Cannot get an access token: there is none");
    return token;
  };
}
