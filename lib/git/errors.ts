/**
 * How work with git fails. All are kinds of {@linkcode UpstreamError}: the remote, or what lies in it, cannot be served
 * now. What is *known* not to exist is a {@linkcode NotFoundError}, a passed deadline a {@linkcode DeadlineError}.
 */
import { UpstreamError } from "../errors.ts";

/** git ended with an exit code that its caller did not expect. Its words are scrubbed of secrets and shortened. */
export class GitError extends UpstreamError {
  /** 128 + n where signal n ended it. */
  readonly exitCode: number;
  /** What git wrote to standard error, without secrets. */
  readonly stderr: string;

  constructor(what: string, { exitCode, stderr }: { exitCode: number; stderr: string }) {
    super(`Cannot ${what}: git ended with ${exitCode}${stderr === "" ? "" : `: ${stderr}`}`);
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

/** Something in or about a repository is larger than a limit of ours. */
export class LimitExceededError extends UpstreamError {}

/** A repository takes more room on disk than we give it. */
export class RepositoryTooLargeError extends LimitExceededError {}

/** The remote's refs changed between two looks at it. Whoever decided by the first one starts over, once. */
export class RefsMovedError extends UpstreamError {}
