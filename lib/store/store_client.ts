/**
 * HTTP between a store and its server: deadlines, retries, and what counts as a failure. What the
 * answers mean is the protocol's: gcs.ts, s3.ts.
 *
 * - Every attempt has a deadline for its answer, the sending of its body included. A body that is
 *   handed on to a reader is watched by object_body.ts.
 * - A broken connection, no answer in time, 408, 429 and 5xx may pass: the request is sent again,
 *   with growing, random pauses, {@linkcode StoreTimes.maxAttempts} times in all. Any request here
 *   may be sent twice: what creates does so on a condition, and carries a nonce by which its sender
 *   knows its own success.
 * - Redirects are not followed: a server that answers one is not the one that the configuration
 *   means.
 */
import pRetry from "p-retry";
import type { ReadLimits } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import { DeadlineError, LimitExceededError, StorageError, UpstreamError } from "../errors.ts";
import { readBody, withoutUrl } from "../http/client.ts";
import type { Metrics } from "../log/metrics.ts";
import { parseXml, textOf } from "./xml.ts";

export interface StoreTimes {
  /** Until a small request is answered. Two of them fit into the deadline of a read: copies.ts. */
  readonly requestTimeoutMs: number;
  /** Until a request with a part of an object is answered. */
  readonly uploadTimeoutMs: number;
  /** Longest pause between two chunks of a body that is read. */
  readonly idleTimeoutMs: number;
  /** How often a request is sent at most. */
  readonly maxAttempts: number;
  /** Least pause before the second attempt; it doubles for each further one. */
  readonly retryPauseMs: number;
}

export const STORE_TIMES: StoreTimes = {
  requestTimeoutMs: 6_000,
  uploadTimeoutMs: 60_000,
  idleTimeoutMs: 15_000,
  maxAttempts: 5,
  retryPauseMs: 150,
};

/** Like the global `fetch`. */
export type StoreFetch = (url: URL, init: RequestInit) => Promise<Response>;

export interface StoreRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | Blob | string;
}

/** An answer whose body was read. */
export interface StoreAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface SendOptions {
  /** What is being done, to complete the sentence "Cannot … <store>". */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  /** The request carries a part of an object, and may take accordingly long. */
  readonly isUpload?: boolean;
  /**
   * The request is not sent again after these failures, which then are thrown. Default: it is sent
   * again after all.
   */
  readonly notAfter?: typeof PassingStorageError;
}

export interface StoreClientOptions {
  /** The store's name in messages. */
  readonly description: string;
  readonly fetch: StoreFetch;
  /** The headers that authenticate a request. */
  readonly authorize: (request: StoreRequest) => Promise<Readonly<Record<string, string>>>;
  readonly times?: Partial<StoreTimes> | undefined;
  readonly metrics?: Metrics | undefined;
  /** Statuses besides 408, 429 and 5xx that may pass. */
  readonly passingStatuses?: readonly number[];
}

/** A failure of the connection or of the server that may be transient. */
export class PassingStorageError extends StorageError {}

/** A request got no answer, or only the beginning of one: it may have had its effect. */
export class LostAnswerError extends PassingStorageError {}

/** A page of 1000 names of 1024 bytes each, and what the server says besides. */
export const ANSWER_LIMITS = {
  name: "bucket answer",
  maxBytes: 4 * 1024 * 1024,
  timeoutMs: STORE_TIMES.requestTimeoutMs,
} satisfies ReadLimits;
/** Characters of a refusal's reason that are passed on. */
const MAX_REASON_LENGTH = 300;

export class StoreClient {
  readonly description: string;
  readonly times: StoreTimes;
  readonly #options: StoreClientOptions;
  readonly #passing: ReadonlySet<number>;

  constructor(options: StoreClientOptions) {
    this.description = options.description;
    this.#options = options;
    this.#passing = new Set([408, 429, ...options.passingStatuses ?? []]);
    this.times = { ...STORE_TIMES, ...options.times };
  }

  /**
   * The first answer to `request` that is not a transient failure, with its whole body.
   *
   * @throws {StorageError} when there is none
   * @throws the reason of `signal`
   */
  async ask(request: StoreRequest, options: SendOptions): Promise<StoreAnswer> {
    return await this.#attempts(options, async (signal) => {
      return await this.read(await this.#send(request, options, signal), options);
    });
  }

  /** Like {@linkcode ask}, with the body still to be read. The signal has no effect on it. */
  async open(request: StoreRequest, options: SendOptions): Promise<Response> {
    return await this.#attempts(options, (signal) => this.#send(request, options, signal));
  }

  /**
   * The rest of an answer.
   *
   * @throws {StorageError} when it breaks off or is too large
   */
  async read(response: Response, { what }: SendOptions): Promise<StoreAnswer> {
    const { status, headers } = response;
    // The answer to a HEAD has the object's length, which is not its own.
    if (response.body === null) return { status, headers, text: "" };
    try {
      const bytes = await readBody(response, { limits: ANSWER_LIMITS, what: "the answer" });
      return { status, headers, text: new TextDecoder().decode(bytes) };
    } catch (cause) {
      if (!(cause instanceof UpstreamError)) throw cause;
      if (cause instanceof LimitExceededError) throw this.failure(what, cause.message);
      const sentence = `Cannot ${what} ${this.description}: ${cause.message}`;
      throw new LostAnswerError(sentence, { cause });
    }
  }

  /** An error of the store's that quotes an answer which ends the matter. */
  refusal({ status, text }: Pick<StoreAnswer, "status" | "text">, what: string): StorageError {
    return this.failure(what, describeAnswer(status, text));
  }

  /** An error of the store's: "Cannot <what> <store>: <reason>". */
  failure(what: string, reason: string): StorageError {
    return new StorageError(`Cannot ${what} ${this.description}: ${reason}`);
  }

  async #attempts<T>(
    { what, signal, isUpload = false, notAfter }: SendOptions,
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const timeoutMs = isUpload ? this.times.uploadTimeoutMs : this.times.requestTimeoutMs;
    const once = async (count: number) => {
      if (count > 1) this.#options.metrics?.add("gomodproxy_store_retries_total", {});
      try {
        const description = `${what} ${this.description}`;
        return await withDeadline(attempt, { timeoutMs, what: description, signal });
      } catch (cause) {
        if (signal?.aborted) throw signal.reason;
        if (!(cause instanceof DeadlineError)) throw cause;
        throw new LostAnswerError(cause.message, { cause });
      }
    };
    return await pRetry(once, {
      retries: this.times.maxAttempts - 1,
      minTimeout: this.times.retryPauseMs,
      factor: 2,
      randomize: true,
      ...(signal === undefined ? {} : { signal }),
      shouldRetry: ({ error }) =>
        error instanceof PassingStorageError &&
        (notAfter === undefined || !(error instanceof notAfter)),
    });
  }

  async #send(
    request: StoreRequest,
    { what }: SendOptions,
    signal: AbortSignal,
  ): Promise<Response> {
    const { method, url, body = null } = request;
    const headers = new Headers(request.headers);
    for (const [name, value] of Object.entries(await this.#authorize(request))) {
      headers.set(name, value);
    }
    // Compression on the way would make the sizes wrong.
    headers.set("Accept-Encoding", "identity");
    let response: Response;
    try {
      response = await this.#options.fetch(url, {
        method,
        headers,
        body,
        redirect: "manual",
        signal,
      });
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      const sentence = `Cannot ${what} ${this.description}: no answer from ${url.origin}`;
      throw new LostAnswerError(sentence, { cause: withoutUrl(cause) });
    }
    const { status } = response;
    if (status < 500 && !this.#passing.has(status)) return response;
    const { text } = await this.read(response, { what });
    const sentence = `Cannot ${what} ${this.description}: ${describeAnswer(status, text)}`;
    throw new PassingStorageError(sentence);
  }

  async #authorize(request: StoreRequest): Promise<Readonly<Record<string, string>>> {
    try {
      return await this.#options.authorize(request);
    } catch (cause) {
      throw new StorageError(`Cannot use ${this.description}: no credentials`, { cause });
    }
  }
}

function describeAnswer(status: number, text: string): string {
  const reason = reasonIn(text);
  return `the server answers ${status}` + (reason === "" ? "" : `, ${reason}`);
}

/**
 * The reason that an answer's text gives: S3's XML (`Code` and `Message`), Google's JSON
 * (`error.message`), else its first line. Nothing else of markup is quoted, because it may have a
 * refused signature's ingredients.
 */
function reasonIn(text: string): string {
  const json = /"message"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  const reason = text.trimStart().startsWith("<") ? xmlReasonIn(text) : json ?? text;
  const [line = ""] = reason.trim().split("\n");
  return line.slice(0, MAX_REASON_LENGTH);
}

function xmlReasonIn(text: string): string {
  const error = parseXml(text);
  const parts = ["Code", "Message"].map((name) => textOf(error, name) ?? "");
  return parts.filter((part) => part !== "").join(": ");
}
