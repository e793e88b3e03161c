/**
 * The body of an object that comes over a network: it is continued where its connection broke, and
 * its checksum is compared.
 *
 * An object never changes, so the rest of a body can be had by another request for a range. It
 * counts as the same object only where its ETag is the same. A body that pauses for too long is
 * treated as broken.
 *
 * Limits: the sum is known for the whole object only, so a range is checked by its length alone. A
 * reader has most of the bytes before a wrong sum shows; the stream's error is then the last thing
 * it sees, and no answer made of it ends well.
 */
import { withDeadline } from "../async/deadline.ts";
import { DeadlineError, StorageError } from "../errors.ts";
import { crc32c, crc32cText } from "./crc32c.ts";
import { assertRange, type ByteRange, type GetOptions, type StoredObject } from "./object_store.ts";
import type { SendOptions, StoreAnswer, StoreClient, StoreRequest } from "./store_client.ts";

export interface ObjectRequest {
  /** A GET of the whole object. */
  readonly request: StoreRequest;
  /** What is being done, as in {@linkcode SendOptions}. */
  readonly what: string;
  /** The object's checksum, of the headers of an answer; null where the server keeps none. */
  readonly crc32cIn: (headers: Headers) => string | null;
  /** Whether a 404 says that the object is not there, and not that the bucket is not. */
  readonly isAbsent: (answer: StoreAnswer) => boolean | Promise<boolean>;
  /** The object's size without its bytes, or null where it is not there. */
  readonly sizeOf: () => Promise<number | null>;
}

/** How often one body is continued. */
const MAX_CONTINUATIONS = 4;

/**
 * `get` of a store: the object, its body open at the range, or null.
 *
 * @throws {StorageError} as the contract says
 */
export async function getObject(
  client: StoreClient,
  object: ObjectRequest,
  { range, signal }: GetOptions,
): Promise<StoredObject | null> {
  // HTTP knows no range of nothing.
  if (range !== undefined && range.start >= range.end) return await getNothing(object, range);
  const { what } = object;
  const response = await client.open(ranged(object.request, range), { what, signal });
  if (response.status === 404) {
    const answer = await client.read(response, { what });
    if (await object.isAbsent(answer)) return null;
    throw client.refusal(answer, what);
  }
  const found = contentRangeOf(response);
  if (found === null) throw client.refusal(await client.read(response, { what }), what);
  const want = range ?? { start: 0, end: found.sizeBytes };
  try {
    assertRange(want, found.sizeBytes);
    if (found.start !== want.start || found.end !== want.end) {
      throw client.failure(what, "the server answers with another range");
    }
  } catch (error) {
    await response.body?.cancel();
    throw error;
  }
  const crc = range === undefined ? object.crc32cIn(response.headers) : null;
  const body = new ObjectBody(client, object, { response, range: want, crc32c: crc });
  return { sizeBytes: found.sizeBytes, body: body.stream() };
}

async function getNothing(object: ObjectRequest, range: ByteRange): Promise<StoredObject | null> {
  const sizeBytes = await object.sizeOf();
  if (sizeBytes === null) return null;
  assertRange(range, sizeBytes);
  return { sizeBytes, body: new Blob([]).stream() };
}

function ranged(request: StoreRequest, range: ByteRange | undefined): StoreRequest {
  if (range === undefined) return request;
  const bytes = `bytes=${range.start}-${range.end - 1}`;
  return { ...request, headers: { ...request.headers, Range: bytes } };
}

/** Which bytes of how large an object an answer has, or null for an answer that has none. */
function contentRangeOf(response: Response): ByteRange & { sizeBytes: number } | null {
  const { status, headers } = response;
  if (status === 200) {
    const sizeBytes = sizeIn(headers);
    return sizeBytes === null ? null : { start: 0, end: sizeBytes, sizeBytes };
  }
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get("Content-Range") ?? "");
  if (status !== 206 || match === null) return null;
  const [start, last, sizeBytes] = match.slice(1).map(Number);
  if (start === undefined || last === undefined || sizeBytes === undefined) return null;
  return { start, end: last + 1, sizeBytes };
}

/** `Content-Length`, or null where there is none. */
export function sizeIn(headers: Headers): number | null {
  const text = headers.get("Content-Length");
  return text === null ? null : Number(text);
}

interface Opened {
  readonly response: Response;
  /** The bytes of the object that are to come. */
  readonly range: ByteRange;
  /** What they must sum up to; null where that is not known. */
  readonly crc32c: string | null;
}

class ObjectBody {
  readonly #client: StoreClient;
  readonly #object: ObjectRequest;
  readonly #opened: Opened;
  readonly #cancelled = new AbortController();
  #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | null;
  /** The position of the next byte. */
  #at: number;
  #crc = 0;
  #continuations = 0;

  constructor(client: StoreClient, object: ObjectRequest, opened: Opened) {
    this.#client = client;
    this.#object = object;
    this.#opened = opened;
    this.#at = opened.range.start;
    this.#reader = opened.response.body?.getReader() ?? null;
  }

  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      pull: async (controller) => {
        const chunk = await this.#next();
        if (chunk === null) controller.close();
        else controller.enqueue(chunk);
      },
      cancel: async (reason) => {
        this.#cancelled.abort(reason);
        await this.#reader?.cancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  /** The next bytes, or null after the last. */
  async #next(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (;;) {
      const chunk = await this.#read();
      if (chunk !== null) {
        this.#at += chunk.length;
        if (this.#at > this.#opened.range.end) {
          throw this.#client.failure(this.#object.what, "more bytes come than it has");
        }
        if (this.#opened.crc32c !== null) this.#crc = crc32c(chunk, this.#crc);
        return chunk;
      }
      if (this.#at === this.#opened.range.end) {
        this.#checkSum();
        return null;
      }
      await this.#continue();
    }
  }

  /** The next bytes of this connection, or null where it has no more, for whatever reason. */
  async #read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const reader = this.#reader;
    if (reader === null) return null;
    try {
      const { value, done } = await withDeadline(() => reader.read(), {
        timeoutMs: this.#client.times.idleTimeoutMs,
        what: this.#object.what,
      });
      return done ? null : value;
    } catch (error) {
      // A connection that breaks is a TypeError; which, the runtime does not say.
      if (!(error instanceof DeadlineError || error instanceof TypeError)) throw error;
      this.#reader = null;
      // It is broken or abandoned; there is no one to report a failure to.
      reader.cancel().catch(() => {});
      return null;
    }
  }

  async #continue(): Promise<void> {
    const { what, request } = this.#object;
    const signal = this.#cancelled.signal;
    signal.throwIfAborted();
    const { response: first, range: { end } } = this.#opened;
    if (this.#continuations++ === MAX_CONTINUATIONS) {
      throw this.#client.failure(what, `the connection broke ${MAX_CONTINUATIONS + 1} times`);
    }
    const options: SendOptions = { what, signal };
    const rest = { start: this.#at, end };
    const response = await this.#client.open(ranged(request, rest), options);
    const found = contentRangeOf(response);
    if (found === null) {
      throw this.#client.refusal(await this.#client.read(response, options), what);
    }
    const isSame = found.start === rest.start && found.end === end &&
      response.headers.get("ETag") === first.headers.get("ETag");
    if (!isSame) {
      await response.body?.cancel();
      throw this.#client.failure(what, "the rest is not of the same object");
    }
    this.#reader = response.body?.getReader() ?? null;
  }

  #checkSum(): void {
    const { crc32c: want } = this.#opened;
    if (want === null || crc32cText(this.#crc) === want) return;
    throw new StorageError(
      `Cannot ${this.#object.what}: its check sum is ${crc32cText(this.#crc)}, not ${want}`,
    );
  }
}
