/**
 * A store in a bucket of object storage: what Google Cloud Storage and S3 have in common. What the
 * requests look like and what their answers mean is the protocol's: gcs.ts, s3.ts.
 *
 * - An object is created on the condition that it does not exist: in one request up to
 *   `singleRequestLimitBytes`, else by an upload in parts.
 * - Each create brings the content's checksum (CRC-32C) and a nonce. A request whose answer was
 *   lost is sent again, and the server may then refuse it because of its own success. The nonce of
 *   the object that is there tells our own earlier write from another writer's.
 */
import { Budget, type ReadLimits } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import { LimitExceededError, StorageError } from "../errors.ts";
import { abortableFetch } from "../http/abortable_fetch.ts";
import type { Metrics } from "../log/metrics.ts";
import { crc32c, crc32cText } from "./crc32c.ts";
import { keysBelow, namesIn } from "./listing.ts";
import { crc32cOf, partsOf } from "./multipart.ts";
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
  type SignedUrlOptions,
  type StoredObject,
  type WalkOptions,
} from "./object_store.ts";
import {
  type SendOptions,
  type StoreAnswer,
  StoreClient,
  type StoreClientOptions,
  type StoreFetch,
  type StoreRequest,
  type StoreTimes,
} from "./store_client.ts";

/** What both kinds of bucket are opened with. */
export interface BucketOptions {
  readonly bucket: string;
  /** The folder of the bucket that this store uses. Default: the whole bucket. */
  readonly prefix?: string;
  readonly fetch?: StoreFetch;
  readonly times?: Partial<StoreTimes>;
  readonly metrics?: Metrics | undefined;
  /** Milliseconds since any moment. */
  readonly now?: () => number;
  /** Milliseconds since 1970, as the server knows them. */
  readonly date?: () => number;
  /** Default {@linkcode SINGLE_REQUEST_LIMIT_BYTES}. */
  readonly singleRequestLimitBytes?: number;
  /** Default {@linkcode PART_SIZE_BYTES}. */
  readonly partSizeBytes?: number;
}

/** The largest content that one request creates; it is held in memory. */
export const SINGLE_REQUEST_LIMIT_BYTES = 8 * 1024 * 1024;
/**
 * The part of a large content that is held in memory and sent at once. GCS wants a multiple of 256
 * KiB; S3 wants 5 MiB or more, and at most 10,000 parts.
 */
export const PART_SIZE_BYTES = 8 * 1024 * 1024;

/** Of one folder. A page counts as one name, so that there are not any number of empty ones. */
export const LISTING_LIMITS = {
  name: "bucket listing",
  maxBytes: 2 ** 30,
  maxItems: 1_000_000,
  items: "names",
  timeoutMs: 20_000,
} satisfies ReadLimits;
/** How many names a page of a listing has at most, with both protocols. */
export const MAX_PAGE_SIZE = 1000;
/** How long a bucket that was there is not asked about again when an object is absent. */
const BUCKET_SEEN_MS = 30_000;
/** How often a large content is uploaded when uploads are lost. */
const MAX_UPLOADS = 3;

/**
 * The requests of a server and what their answers mean. `name` is an object's name in the bucket,
 * prefix included.
 */
export interface BucketProtocol {
  readonly client: StoreClient;
  /** What the URLs of all objects begin with, with a slash at its end. */
  readonly url: string;
  /** A GET of the whole object. */
  readRequest(name: string): StoreRequest;
  /** The object's checksum, from the headers of an answer; null where the server keeps none. */
  crc32cIn(headers: Headers): string | null;
  /**
   * Whether a 404 to {@linkcode readRequest} is about the object and not about the bucket; null
   * where the answer does not say.
   */
  isObjectAbsent(answer: StoreAnswer): boolean | null;
  /** Asks about an object without its bytes. */
  lookRequest(name: string): StoreRequest;
  /** What a 200 to {@linkcode lookRequest} says. */
  factsIn(answer: StoreAnswer, options: SendOptions): ObjectFacts;
  /** A request for one page of a listing. */
  pageRequest(query: PageQuery): StoreRequest;
  /** What a 200 to {@linkcode pageRequest} says. */
  pageIn(answer: StoreAnswer, options: SendOptions): Page | Promise<Page>;
  /** Answered with 200 when the bucket exists, whatever is in it. */
  bucketRequest(): StoreRequest;
  /**
   * Creates an object by one request.
   *
   * @returns whether the server says that this created it; false where it says that the name is
   * taken, which may be by an earlier attempt of ours
   * @throws {StorageError} when the server refuses
   */
  create(
    object: NewObject,
    bytes: Uint8Array<ArrayBuffer>,
    options: SendOptions,
  ): Promise<boolean>;
  /** Like {@linkcode create}, in parts; false also where the upload was lost. */
  upload(object: NewObject, content: ContentParts, options: SendOptions): Promise<boolean>;
  /** A URL that carries its own signature: a GET of the object, for anyone who has the URL. */
  readonly signUrl: SignUrl;
}

export type SignUrl = (name: string, options: SignUrlOptions) => Promise<URL>;

export interface SignUrlOptions {
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly lifetimeSeconds: number;
}

/** What an object is created with. */
export interface NewObject {
  readonly name: string;
  readonly crc32c: string;
  readonly nonce: string;
}

/** Content as it is uploaded. */
export interface ContentParts {
  readonly totalBytes: number;
  /** At least one part, of no bytes for empty content. It can be iterated once. */
  readonly parts: AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** What the server says about an object. */
export interface ObjectFacts {
  readonly sizeBytes: number | null;
  readonly nonce: string | null;
}

export interface PageQuery {
  /** What the names begin with. */
  readonly prefix: string;
  /** Names that have a slash after the prefix are left out. */
  readonly isFlat: boolean;
  /** Names up to and including this one may be left out. */
  readonly after: string;
  /** How many names are wanted. */
  readonly limit: number;
  /** Where the last page ended, or null for the first page. */
  readonly token: string | null;
}

export interface Page {
  readonly names: readonly string[];
  /** Where the next page begins, or null after the last page. */
  readonly nextToken: string | null;
}

/** The client of a bucket's protocol. */
export function bucketClient(
  description: string,
  { fetch = abortableFetch, times, metrics }: BucketOptions,
  options: Pick<StoreClientOptions, "authorize" | "passingStatuses">,
): StoreClient {
  return new StoreClient({ ...options, description, fetch, times, metrics });
}

export class BucketStore implements ObjectStore {
  readonly description: string;
  /** What the URLs of this store's objects, and of no other's, begin with. */
  readonly url: string;
  readonly #protocol: BucketProtocol;
  readonly #client: StoreClient;
  /** What all names begin with: empty, or with a slash at its end. */
  readonly #prefix: string;
  readonly #singleRequestLimitBytes: number;
  readonly #partSizeBytes: number;
  readonly #now: () => number;
  readonly #date: () => number;
  #bucketSeenMs = -Infinity;

  constructor(protocol: BucketProtocol, options: BucketOptions) {
    const { prefix = "" } = options;
    this.#protocol = protocol;
    this.#client = protocol.client;
    this.description = protocol.client.description;
    this.#prefix = prefix === "" ? "" : `${prefix}/`;
    this.url = protocol.url + this.#prefix;
    this.#singleRequestLimitBytes = options.singleRequestLimitBytes ?? SINGLE_REQUEST_LIMIT_BYTES;
    this.#partSizeBytes = options.partSizeBytes ?? PART_SIZE_BYTES;
    this.#now = options.now ?? (() => performance.now());
    this.#date = options.date ?? Date.now;
  }

  async get(key: string, { range, signal }: GetOptions = {}): Promise<StoredObject | null> {
    assertKey(key);
    signal?.throwIfAborted();
    const name = this.#prefix + key;
    const options = { what: `read "${key}" from`, signal };
    return await getObject(this.#client, {
      request: this.#protocol.readRequest(name),
      what: options.what,
      crc32cIn: (headers) => this.#protocol.crc32cIn(headers),
      isAbsent: (answer) => this.#protocol.isObjectAbsent(answer) ?? this.#isBucketThere(options),
      sizeOf: async () => (await this.#look(name, options))?.sizeBytes ?? null,
    }, { range, signal });
  }

  async create(
    key: string,
    content: Content,
    { signal, inParts = false }: CreateOptions = {},
  ): Promise<"created" | "exists"> {
    assertKey(key);
    signal?.throwIfAborted();
    const name = this.#prefix + key;
    const options = { what: `create "${key}" on`, signal };
    const isSmall = content.sizeBytes <= this.#singleRequestLimitBytes;
    if (isSmall && !inParts) return await this.#createAtOnce(name, content, options);
    // Looking first saves sending a large zip. The condition decides all the same.
    if (!isSmall && await this.#look(name, options) !== null) return "exists";
    return await this.#createInParts(name, content, options);
  }

  async list(
    folder: string,
    { after = "", limit = Infinity, signal }: ListOptions = {},
  ): Promise<string[]> {
    assertKey(folder);
    signal?.throwIfAborted();
    const options = { what: `list "${folder}" of`, signal };
    const prefix = `${this.#prefix}${folder}/`;
    const query = { prefix, isFlat: true, after: prefix + after, limit };
    return await namesIn(this.#pages(query, options), { prefix, after, limit });
  }

  async *walk({ signal }: WalkOptions = {}): AsyncGenerator<string> {
    signal?.throwIfAborted();
    const prefix = this.#prefix;
    const query = { prefix, isFlat: false, after: "", limit: Infinity };
    yield* keysBelow(this.#pages(query, { what: "walk through", signal }), prefix);
  }

  /** What is signed is not asked about, so it is looked up first. */
  async signedUrl(
    key: string,
    { lifetimeSeconds, signal }: SignedUrlOptions,
  ): Promise<URL | null> {
    assertKey(key);
    signal?.throwIfAborted();
    const name = this.#prefix + key;
    const what = `sign a URL of "${key}" on`;
    if (await this.#look(name, { what, signal }) === null) return null;
    try {
      // Credentials may have to be asked for, and libraries that do so have no deadline.
      return await withDeadline(
        () => this.#protocol.signUrl(name, { startMs: this.#date(), lifetimeSeconds }),
        {
          timeoutMs: this.#client.times.requestTimeoutMs,
          what: `${what} ${this.description}`,
          signal,
        },
      );
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw new StorageError(`Cannot ${what} ${this.description}`, { cause });
    }
  }

  async #createAtOnce(
    name: string,
    content: Content,
    options: SendOptions,
  ): Promise<"created" | "exists"> {
    const { sizeBytes } = content;
    const bytes = await readAll({ sizeBytes, body: openExactly(content) }, options.signal);
    const object = { name, crc32c: crc32cText(crc32c(bytes)), nonce: crypto.randomUUID() };
    const isCreated = await this.#protocol.create(object, bytes, { ...options, isUpload: true });
    if (isCreated) return "created";
    const outcome = await this.#outcomeOf(object, options);
    if (outcome !== null) return outcome;
    throw this.#client.failure(
      options.what,
      "the server says that the object exists, and that it does not",
    );
  }

  async #createInParts(
    name: string,
    content: Content,
    options: SendOptions,
  ): Promise<"created" | "exists"> {
    const crc32c = await crc32cOf(content, options.signal);
    const object = { name, crc32c, nonce: crypto.randomUUID() };
    for (let i = 0; i < MAX_UPLOADS; i++) {
      const parts = this.#partsOf(content, options.signal);
      const totalBytes = content.sizeBytes;
      if (await this.#protocol.upload(object, { totalBytes, parts }, options)) return "created";
      const outcome = await this.#outcomeOf(object, options);
      if (outcome !== null) return outcome;
    }
    throw this.#client.failure(options.what, `${MAX_UPLOADS} uploads were lost`);
  }

  /** The parts of an upload, which has at least one, be it empty. */
  async *#partsOf(
    content: Content,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    if (content.sizeBytes === 0) yield new Uint8Array();
    yield* partsOf(content, { partSizeBytes: this.#partSizeBytes, signal });
  }

  /**
   * What became of a create that the server refused or did not answer: "created" where the object
   * has our nonce, "exists" where it has another, null where no object exists.
   */
  async #outcomeOf(
    { name, nonce }: NewObject,
    options: SendOptions,
  ): Promise<"created" | "exists" | null> {
    const facts = await this.#look(name, options);
    if (facts === null) return null;
    return facts.nonce === nonce ? "created" : "exists";
  }

  /** What the server says about an object, or null where none exists. */
  async #look(name: string, options: SendOptions): Promise<ObjectFacts | null> {
    const answer = await this.#client.ask(this.#protocol.lookRequest(name), options);
    if (answer.status === 200) return this.#protocol.factsIn(answer, options);
    // A missing bucket is answered in the same way.
    if (answer.status === 404 && await this.#isBucketThere(options)) return null;
    throw this.#client.refusal(answer, options.what);
  }

  /**
   * Whether the bucket exists. One that did a moment ago is not asked about again: it can only be
   * deleted when it is empty, so that the object is absent is true all the same.
   */
  async #isBucketThere(options: SendOptions): Promise<boolean> {
    if (this.#now() - this.#bucketSeenMs < BUCKET_SEEN_MS) return true;
    const startMs = this.#now();
    const { status } = await this.#client.ask(this.#protocol.bucketRequest(), options);
    if (status === 200) this.#bucketSeenMs = startMs;
    return status === 200;
  }

  /** The names of a listing, page by page. */
  async *#pages(
    query: Omit<PageQuery, "token">,
    options: SendOptions,
  ): AsyncGenerator<readonly string[]> {
    let token: string | null = null;
    const budget = new Budget(LISTING_LIMITS, { what: `"${query.prefix}"` });
    for (;;) {
      const request = this.#protocol.pageRequest({ ...query, token });
      const answer: StoreAnswer = await this.#client.ask(request, options);
      if (answer.status !== 200) throw this.#client.refusal(answer, options.what);
      const { names, nextToken }: Page = await this.#protocol.pageIn(answer, options);
      // Who walks through everything keeps nothing of it.
      if (query.isFlat) this.#spend(budget, 1 + names.length, options);
      yield names;
      if (nextToken === null) return;
      if (nextToken === token) {
        throw this.#client.failure(options.what, "the server sends the same page again and again");
      }
      token = nextToken;
    }
  }

  #spend(budget: Budget, items: number, { what }: SendOptions): void {
    try {
      budget.spendItems(items);
    } catch (cause) {
      if (!(cause instanceof LimitExceededError)) throw cause;
      throw this.#client.failure(what, cause.message);
    }
  }
}
