/**
 * Errors of git and its repositories. All are kinds of {@linkcode UpstreamError}: the remote, or
 * its content, cannot be served now. What is *known* not to exist is a {@linkcode NotFoundError}, a
 * passed deadline a {@linkcode DeadlineError}.
 */
import { LimitExceededError, UpstreamError } from "../errors.ts";

/**
 * git ended with an exit code that its caller did not expect. What it wrote is shortened, and
 * secrets are removed.
 */
export class GitError extends UpstreamError {
  /** 128 + n where signal n ended it. */
  readonly exitCode: number;
  /** What git wrote to standard error, without secrets. */
  readonly stderr: string;

  readonly #what: string;

  constructor(
    what: string,
    { exitCode, stderr, cause }: { exitCode: number; stderr: string; cause?: unknown },
  ) {
    // With a cause, that one has the words.
    const words = stderr === "" || cause !== undefined ? "" : `: ${stderr}`;
    super(`Cannot ${what}: git ended with ${exitCode}${words}`, { cause });
    this.#what = what;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }

  /**
   * The same failure, with git's words in its cause alone: for a log, and not for whoever has named
   * the remote.
   */
  withoutWords(): GitError {
    return new GitError(this.#what, {
      exitCode: this.exitCode,
      stderr: this.stderr,
      cause: this,
    });
  }
}

/** A repository takes more disk space than it may. */
export class RepositoryTooLargeError extends LimitExceededError {}

/** The remote's refs changed between two requests. A decision based on the first is made again. */
export class RefsMovedError extends UpstreamError {}
