/**
 * What can go wrong, by meaning. Code in lib/ throws the class that says what a failure *means*; routes/ looks the
 * meaning up in its table of statuses (routes/status.ts) and makes the response.
 *
 * A programmer's mistake is a plain `Error` and becomes "internal".
 */

/** What a failure means to the client. */
export type Meaning =
  | "invalid"
  | "malformed"
  | "not-found"
  | "unauthenticated"
  | "forbidden"
  | "too-many-requests"
  | "bad-upstream"
  | "timeout"
  | "overloaded"
  | "store"
  | "internal";

/** The parent of every failure that has a meaning for the client. Its message is shown to the user of `go`. */
export abstract class ProxyError extends Error {
  abstract readonly meaning: Meaning;
  override get name(): string {
    return this.constructor.name;
  }
}

/** The request cannot be right whatever the state of the world: a bad path, version or escape. */
export class InvalidRequestError extends ProxyError {
  readonly meaning = "invalid";
}

/** A body that was sent to us cannot be read. Never about a module: this is no 404. */
export class MalformedBodyError extends ProxyError {
  readonly meaning = "malformed";
}

/** The thing is known not to exist at its source. Never thrown for a failure to find out. */
export class NotFoundError extends ProxyError {
  readonly meaning = "not-found";
}

/** No credentials, or wrong ones. */
export class UnauthenticatedError extends ProxyError {
  readonly meaning = "unauthenticated";
}

/** The client is known and may not have this, or policy forbids it for everybody. */
export class ForbiddenError extends ProxyError {
  readonly meaning = "forbidden";
}

/** The client has tried too often what it should not; what it asks for now is not looked at. */
export class TooManyRequestsError extends ProxyError {
  readonly meaning = "too-many-requests";
  /** When to come back. */
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds: number) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** An upstream or a git server failed, or answered something that cannot be right. */
export class UpstreamError extends ProxyError {
  readonly meaning = "bad-upstream";
}

/** An upstream, a git server or the store took longer than its deadline. */
export class DeadlineError extends ProxyError {
  readonly meaning = "timeout";
}

/** A queue of ours is full. */
export class OverloadedError extends ProxyError {
  readonly meaning = "overloaded";
}

/** The store failed; whether the object is there is not known. */
export class StorageError extends ProxyError {
  readonly meaning = "store";
}

/** The configuration or the environment cannot be used: the program does not start. A line for each fault. */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
}

/** What a thrown value means: its own meaning, or "internal" for everything that is not a {@linkcode ProxyError}. */
export function meaningOf(error: unknown): Meaning {
  return error instanceof ProxyError ? error.meaning : "internal";
}

/**
 * The message of a thrown value, followed by those of its causes, for a log line. At most 8 levels deep. A cause that the
 * message before it ends with is not said again.
 */
export function describeError(error: unknown): string {
  const messages: string[] = [];
  let current: unknown = error;
  // A cause may be its own.
  for (let depth = 0; current !== undefined && depth < 8; depth++) {
    const message = current instanceof Error ? current.message : String(current);
    if (!messages.at(-1)?.endsWith(message)) messages.push(message);
    current = current instanceof Error ? current.cause : undefined;
  }
  return messages.join(": ");
}
