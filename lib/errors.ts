/**
 * Errors by meaning. Code in lib/ throws the class that says what a failure *means*; routes/ maps
 * the meaning to a status (routes/status.ts) and makes the response.
 *
 * Programming errors are plain `Error`s and become "internal".
 */

/** What a failure means to the client. */
export type Meaning =
  | "invalid"
  | "malformed"
  | "not-found"
  | "unusable"
  | "unauthenticated"
  | "forbidden"
  | "too-many-requests"
  | "bad-upstream"
  | "timeout"
  | "overloaded"
  | "undetermined"
  | "store"
  | "hung-up"
  | "internal";

/**
 * The base class of every failure that has a meaning for the client. Its message is shown to the
 * user of `go`.
 */
export abstract class ProxyError extends Error {
  abstract readonly meaning: Meaning;
  /**
   * The names of what the failure tells of, where they are known only since it was looked up
   * (`namesByPlace` of module/repository_identity.ts). Whoever may not know of them may not have
   * the message.
   */
  names: readonly string[] = [];
  override get name(): string {
    return this.constructor.name;
  }
}

/** The request is invalid regardless of any state: a bad path, version or escape. */
export class InvalidRequestError extends ProxyError {
  readonly meaning = "invalid";
}

/** A request body cannot be read. It is never about a module, and is not a 404. */
export class MalformedBodyError extends ProxyError {
  readonly meaning = "malformed";
}

/**
 * The thing is known not to exist at its source. Never thrown because that could not be determined.
 */
export class NotFoundError extends ProxyError {
  readonly meaning = "not-found";
}

/**
 * The thing exists at its source, and no module version can be made of it: a go.mod that is too
 * large, a file name that no module zip may have. Asking again does not help until its author
 * changes it.
 */
export class UnusableError extends ProxyError {
  readonly meaning = "unusable";
}

/** No credentials, or wrong ones. */
export class UnauthenticatedError extends ProxyError {
  readonly meaning = "unauthenticated";
}

/** The client is authenticated but may not have this, or a policy forbids it for everyone. */
export class ForbiddenError extends ProxyError {
  readonly meaning = "forbidden";
}

/** The client has made too many forbidden attempts; this request is not processed. */
export class TooManyRequestsError extends ProxyError {
  readonly meaning = "too-many-requests";
  /** When the client may try again. */
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds: number) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** An upstream or a git server failed, or gave an invalid answer. */
export class UpstreamError extends ProxyError {
  readonly meaning = "bad-upstream";
  /** How long the other side wants to be left alone; null where it did not say. */
  retryAfterMs: number | null = null;
}

/**
 * What others sent, or what is in a repository, exceeds one of our limits. It is not asked for
 * again.
 */
export class LimitExceededError extends UpstreamError {}

/** An upstream, a git server or the store took longer than its deadline. */
export class DeadlineError extends ProxyError {
  readonly meaning = "timeout";
}

/** A queue of this server is full. */
export class OverloadedError extends ProxyError {
  readonly meaning = "overloaded";
}

/** What the answer depends on is not known at present, and will be. */
export class UnavailableError extends ProxyError {
  readonly meaning = "undetermined";
}

/** The store failed; whether the object exists is unknown. */
export class StorageError extends ProxyError {
  readonly meaning = "store";
}

/** The client closed its connection before it had an answer, or in the middle of its request. */
export class HungUpError extends ProxyError {
  readonly meaning = "hung-up";
}

/**
 * The configuration or the environment cannot be used, and the program does not start. One line for
 * each fault.
 */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
}

/**
 * What a thrown value means: its own meaning for a {@linkcode ProxyError}, "overloaded" if the
 * system has no file descriptor left, whatever needed one, and "internal" for everything else.
 */
export function meaningOf(error: unknown): Meaning {
  if (error instanceof ProxyError) return error.meaning;
  return isOutOfFiles(error) ? "overloaded" : "internal";
}

/** Whether the process (EMFILE) or the system (ENFILE) has no file descriptor left. */
export function isOutOfFiles(error: unknown): boolean {
  return error instanceof Error && "code" in error &&
    (error.code === "EMFILE" || error.code === "ENFILE");
}

/**
 * The message of a thrown value, followed by those of its causes, for a log line. At most 8 levels
 * deep. A cause that its parent's message already ends with is not repeated.
 */
export function describeError(error: unknown): string {
  const messages: string[] = [];
  let current: unknown = error;
  // The causes may form a cycle.
  for (let depth = 0; current !== undefined && depth < 8; depth++) {
    const message = current instanceof Error ? current.message : String(current);
    if (!messages.at(-1)?.endsWith(message)) messages.push(message);
    current = current instanceof Error ? current.cause : undefined;
  }
  return messages.join(": ");
}
