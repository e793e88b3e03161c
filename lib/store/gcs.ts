/**
 * A store in a bucket of Google Cloud Storage, by its JSON API
 * (cloud.google.com/storage/docs/json_api, "Resumable uploads", "Request preconditions").
 *
 * ```text
 * gs://<bucket>/<prefix>/<key>
 * ```
 *
 * - An object is created on the condition `ifGenerationMatch=0`, "none exists": in one
 *   multipart/related request, or by a resumable upload, which becomes an object with its last
 *   part.
 * - The metadata bring the checksum (CRC-32C), against which the server checks the bytes, and the
 *   nonce (bucket.ts). What is read is compared with the checksum that the server keeps.
 * - Credentials are Google's usual ones (`GOOGLE_APPLICATION_CREDENTIALS`, gcloud's file, the
 *   metadata server), found by google-auth-library, which is loaded for the first request. An
 *   endpoint with plain http is an emulator on this machine and gets no credentials.
 *
 * The SDK, @google-cloud/storage, signs URLs (gcs_signed_url.ts) and does nothing else:
 * docs/design/object_storage.md has the measurements.
 *
 * Limits: uploads that are given up are left to the server, which drops them after a week.
 */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { isLoopback } from "../http/client.ts";
import { parseForeignJson } from "../module/foreign_json.ts";
import {
  bucketClient,
  type BucketOptions,
  type BucketProtocol,
  BucketStore,
  type ContentParts,
  MAX_PAGE_SIZE,
  type NewObject,
  type ObjectFacts,
  type Page,
  type PageQuery,
  type SignUrl,
} from "./bucket.ts";
import { googleUrlSigner } from "./gcs_signed_url.ts";
import {
  LostAnswerError,
  type SendOptions,
  type StoreAnswer,
  type StoreClient,
  type StoreRequest,
} from "./store_client.ts";

export interface GcsStoreOptions extends BucketOptions {
  /** The base URL of the API. Default: {@linkcode emulatorHost}, else Google's. */
  readonly apiEndpoint?: string;
  /** `host:port` or a URL: the environment's STORAGE_EMULATOR_HOST. */
  readonly emulatorHost?: string | undefined;
  /** An access token. Default: Google's usual credentials. */
  readonly token?: () => Promise<string>;
  /** Default: {@linkcode googleUrlSigner} with Google's usual credentials. */
  readonly signUrl?: SignUrl;
}

const GOOGLE_ENDPOINT = "https://storage.googleapis.com";
const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";

const JSON_TYPE = "application/json; charset=utf-8";
const OBJECT_TYPE = "application/octet-stream";

const createdSchema = z.object({ crc32c: z.string() });

const objectSchema = z.object({
  size: z.coerce.number(),
  metadata: z.object({ nonce: z.string().optional() }).optional(),
});

/** A page of 1000 objects, from a server that says everything about each. */
const MAX_ANSWER_VALUES = 100_000;

const pageSchema = z.object({
  // Counted before each is checked.
  items: z.array(z.unknown()).max(MAX_PAGE_SIZE)
    .pipe(z.array(z.object({ name: z.string() }))).default([]),
  nextPageToken: z.string().optional(),
});

export class GcsStore extends BucketStore {
  /** @throws {ConfigError} when the endpoint is plain http and must not be */
  constructor(options: GcsStoreOptions) {
    super(new GcsProtocol(options), options);
  }
}

interface Part {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where it begins in the content. */
  readonly start: number;
  readonly totalBytes: number;
}

class GcsProtocol implements BucketProtocol {
  readonly client: StoreClient;
  readonly url: string;
  readonly #endpoint: string;
  readonly #bucket: string;
  readonly signUrl: SignUrl;

  constructor(options: GcsStoreOptions) {
    const { bucket, prefix = "" } = options;
    this.#endpoint = endpointOf(options);
    this.#bucket = encodeURIComponent(bucket);
    this.url = `${this.#endpoint}/${this.#bucket}/`;
    this.signUrl = options.signUrl ?? googleUrlSigner({ bucket, endpoint: this.#endpoint });
    const token = options.token ?? googleToken();
    this.client = bucketClient(`gcs ${bucket}${prefix === "" ? "" : `/${prefix}`}`, options, {
      authorize: this.#endpoint.startsWith("http:")
        ? () => Promise.resolve({})
        : async () => ({ Authorization: `Bearer ${await token()}` }),
    });
  }

  readRequest(name: string): StoreRequest {
    return { method: "GET", url: this.#objectUrl(name, { alt: "media" }) };
  }

  crc32cIn(headers: Headers): string | null {
    return /crc32c=([^,\s]+)/.exec(headers.get("x-goog-hash") ?? "")?.[1] ?? null;
  }

  /** A missing object and a missing bucket are both 404, and only the wording differs. */
  isObjectAbsent(): null {
    return null;
  }

  lookRequest(name: string): StoreRequest {
    return { method: "GET", url: this.#objectUrl(name, { fields: "size,metadata" }) };
  }

  factsIn(answer: StoreAnswer, options: SendOptions): ObjectFacts {
    const { size, metadata } = this.#parse(objectSchema, answer, options);
    return { sizeBytes: size, nonce: metadata?.nonce ?? null };
  }

  pageRequest({ prefix, isFlat, after, limit, token }: PageQuery): StoreRequest {
    const url = this.#url("storage/v1", {
      prefix,
      ...(isFlat ? { delimiter: "/" } : {}),
      ...(after === "" ? {} : { startOffset: after }),
      // One more than wanted, because the offset itself is listed too.
      maxResults: `${Math.min(MAX_PAGE_SIZE, limit + 1)}`,
      fields: "items/name,nextPageToken",
      ...(token === null ? {} : { pageToken: token }),
    });
    return { method: "GET", url };
  }

  pageIn(answer: StoreAnswer, options: SendOptions): Page {
    const { items, nextPageToken = null } = this.#parse(pageSchema, answer, options);
    return { names: items.map(({ name }) => name), nextToken: nextPageToken };
  }

  bucketRequest(): StoreRequest {
    return { method: "GET", url: this.#url("storage/v1", { maxResults: "1", fields: "kind" }) };
  }

  async create(
    object: NewObject,
    bytes: Uint8Array<ArrayBuffer>,
    options: SendOptions,
  ): Promise<boolean> {
    const boundary = crypto.randomUUID();
    const head = `--${boundary}\r\nContent-Type: ${JSON_TYPE}\r\n\r\n${metadataOf(object)}\r\n` +
      `--${boundary}\r\nContent-Type: ${OBJECT_TYPE}\r\n\r\n`;
    const answer = await this.client.ask({
      method: "POST",
      url: this.#uploadUrl("multipart"),
      headers: { "Content-Type": `multipart/related; boundary=${boundary}` },
      body: await new Blob([head, bytes, `\r\n--${boundary}--\r\n`]).bytes(),
    }, options);
    return this.#isCreated(answer, object, options);
  }

  /** One resumable upload. */
  async upload(
    object: NewObject,
    { parts, totalBytes }: ContentParts,
    options: SendOptions,
  ): Promise<boolean> {
    const started = await this.client.ask({
      method: "POST",
      url: this.#uploadUrl("resumable"),
      headers: {
        "Content-Type": JSON_TYPE,
        "X-Upload-Content-Type": OBJECT_TYPE,
        "X-Upload-Content-Length": `${totalBytes}`,
      },
      body: metadataOf(object),
    }, options);
    const session = this.#sessionIn(started);
    if (session === null) return this.#isCreated(started, object, options);

    let start = 0;
    for await (const bytes of parts) {
      const answer = await this.#sendPart(session, { bytes, start, totalBytes }, options);
      if (answer === null) return false;
      if (answer.status !== 308) return this.#isCreated(answer, object, options);
      start += bytes.length;
    }
    throw this.client.failure(options.what, "the server waits for more bytes than there are");
  }

  /**
   * Sends a part until the server has all of it: it may take less, and says how much.
   *
   * A part that got no answer ends the upload. The server could be asked how much has arrived; but
   * fake-gcs-server, the emulator that everybody tests with, takes the question for the end of the
   * upload and makes an object of what it has.
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
    for (let i = 0; i < this.client.times.maxAttempts; i++) {
      const answer = await this.client.ask({
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

  /** What the answer to a create says; false where the object exists. */
  #isCreated(answer: StoreAnswer, object: NewObject, options: SendOptions): boolean {
    if (answer.status === 412) return false;
    if (answer.status !== 200 && answer.status !== 201) {
      throw this.client.refusal(answer, options.what);
    }
    const { crc32c } = this.#parse(createdSchema, answer, options);
    if (crc32c === object.crc32c) return true;
    throw this.client.failure(options.what, `the server has it with check sum ${crc32c}`);
  }

  #parse<T>(schema: z.ZodType<T>, { text }: StoreAnswer, { what }: SendOptions): T {
    try {
      return schema.parse(parseForeignJson(text, MAX_ANSWER_VALUES));
    } catch (cause) {
      if (!(cause instanceof SyntaxError || cause instanceof z.ZodError)) throw cause;
      throw this.client.failure(what, "the server's answer is not what its API says");
    }
  }

  /** An upload's address at our endpoint: the server may know itself by a name we cannot reach. */
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

/** The metadata that an object is created with, as JSON. */
function metadataOf({ name, crc32c, nonce }: NewObject): string {
  return JSON.stringify({ name, contentType: OBJECT_TYPE, crc32c, metadata: { nonce } });
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
      `storage.gcs.apiEndpoint: plain http to ${url.host} is refused; ` +
        "it is for emulators on this machine",
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
