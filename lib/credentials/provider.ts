/**
 * The contract of a credential provider: it answers what git asks a credential helper, "user and
 * password for this remote?" (gitcredentials(7), git-credential(1)).
 *
 * - P1 `null` means that there are no credentials for this remote, and git does without. A provider
 *   has credentials only for the remotes it is configured for: a web page may name the remote of a
 *   module, and must not be able to send a password to another host.
 * - P2 A failure to find out is thrown, never `null`. It is an `UpstreamError`, `DeadlineError` or
 *   `OverloadedError` that says what to do about it; `NotFoundError` only where the repository is
 *   known not to exist; `SecretError` where our own configuration is at fault.
 * - P3 A password that expires is valid for at least {@linkcode MIN_REMAINING_MS} when it is
 *   returned.
 * - P4 Messages (with their causes), steps and log lines hold no secret. Callers keep
 *   {@linkcode Credentials} out of argument lists, URLs and files, and remove `password` from git's
 *   output.
 * - P5 An aborted signal ends the wait with the signal's reason; work that others wait for goes on.
 *
 * A new kind of credentials is a file beside this one, its schema in `config.ts`, a case in
 * `open.ts` and a test.
 */

/**
 * What credentials are asked for: git's credential context (gitcredentials(7), CREDENTIAL
 * CONTEXTS).
 */
export interface CredentialContext {
  /** `https` or `http`. */
  readonly protocol: string;
  /**
   * In lower case, with the port unless it is the protocol's default: `git.example.com`,
   * `127.0.0.1:8443`.
   */
  readonly host: string;
  /** Without a leading slash: `my-org/lib.git`. */
  readonly path: string;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** Absent if unknown. */
  readonly expiresAt?: Date;
}

export interface CredentialsOptions {
  readonly signal: AbortSignal;
  /** Called with one sentence for each step, for troubleshooting. Contains no secrets. */
  readonly onStep?: (text: string) => void;
}

export interface CredentialProvider {
  /** Its name in messages: `GitHub App 12345`. */
  readonly description: string;

  credentials(context: CredentialContext, options: CredentialsOptions): Promise<Credentials | null>;

  /** The remote has accepted these credentials. */
  accept(context: CredentialContext, credentials: Credentials): void;

  /**
   * The remote has refused these credentials, or has found nothing with them, which proves nothing
   * if they were remembered: they may have been revoked or may no longer be for this repository.
   *
   * @returns whether their owner is asked at the next call, so that another attempt makes sense
   */
  forget(context: CredentialContext, credentials: Credentials): boolean;
}

/**
 * How long an expiring password is valid at least when it is returned: longer than any single run
 * of git.
 */
export const MIN_REMAINING_MS = 5 * 60_000;

/** The context of a remote's URL, as git would ask about it. */
export function contextOf(url: URL): CredentialContext {
  return { protocol: url.protocol.slice(0, -1), host: url.host, path: url.pathname.slice(1) };
}

/** The origin of a context, for comparing and for messages: `https://git.example.com`. */
export function originOf({ protocol, host }: CredentialContext): string {
  return `${protocol}://${host}`;
}
