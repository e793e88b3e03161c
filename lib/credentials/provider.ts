/**
 * The contract of a credential provider: it answers what git asks a credential helper, "user and password for this
 * remote?" (gitcredentials(7), git-credential(1)).
 *
 * - P1 `null` says that there is nothing for this remote and git goes without. A provider has credentials only for the
 *   remotes it is configured for: which remote a module lies at may be said by a web page, and must not send a password
 *   to another host.
 * - P2 A failure to find out is thrown, never `null`. It is an `UpstreamError`, `DeadlineError` or `OverloadedError` that
 *   says what to do about it; `NotFoundError` only where the repository is known not to exist; `SecretError` where our
 *   own configuration is at fault.
 * - P3 A password that expires is good for another {@linkcode MIN_REMAINING_MS} when it is handed out.
 * - P4 Messages (with their causes), steps and log lines hold no secret. The one who gets {@linkcode Credentials} keeps
 *   them off argument lists, URLs and disk, and takes `password` out of what git prints.
 * - P5 An aborted signal ends the wait with the signal's reason; what others wait for goes on.
 *
 * A new kind of credentials is a file beside this one, and a case in `open.ts`.
 */

/**
 * What credentials are asked for: git's credential context (gitcredentials(7), CREDENTIAL CONTEXTS).
 */
export interface CredentialContext {
  /** `https` or `http`. */
  readonly protocol: string;
  /** In lower case, with the port where it is not the protocol's own: `git.example.com`, `127.0.0.1:8443`. */
  readonly host: string;
  /** Without a leading slash: `my-org/lib.git`. */
  readonly path: string;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** Not there where nobody says. */
  readonly expiresAt?: Date;
}

export interface CredentialsOptions {
  readonly signal: AbortSignal;
  /** Is told what happens, one sentence a step, for a person who looks for a fault. Holds no secret. */
  readonly onStep?: (text: string) => void;
}

export interface CredentialProvider {
  /** What a person calls it in a message: `GitHub App 12345`. */
  readonly description: string;

  credentials(context: CredentialContext, options: CredentialsOptions): Promise<Credentials | null>;

  /** The remote has refused the last credentials: the next call does not answer from a cache. */
  forget(context: CredentialContext): void;
}

/** For how long an expiring password is good when it is handed out: longer than any one run of git takes. */
export const MIN_REMAINING_MS = 5 * 60_000;

/** The context of a remote's URL, as git would ask about it. */
export function contextOf(url: URL): CredentialContext {
  return { protocol: url.protocol.slice(0, -1), host: url.host, path: url.pathname.slice(1) };
}

/** The origin of a context, for comparing and for messages: `https://git.example.com`. */
export function originOf({ protocol, host }: CredentialContext): string {
  return `${protocol}://${host}`;
}
