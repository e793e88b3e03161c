/**
 * The server that gives git its passwords: our own process, asked by credential_helper.ts over a
 * unix socket.
 *
 * A {@linkcode Grant} is made for one git run and one repository. git learns how to ask from
 * configuration in its environment: the helper's command line, the socket and a nonce, which are of
 * no use to another user of this machine. The password itself is only in our memory, in the
 * helper's answer and in git's memory, never in an argument, variable or file.
 *
 * Access: the socket (mode 0600) is in a folder (0700) that only our user may enter. A question is
 * answered if it has a nonce in use together with the protocol, host and path of its repository.
 * After a redirect, or for a submodule, git asks for another place and gets nothing.
 */
import { withDeadline } from "../async/deadline.ts";
import {
  contextOf,
  type CredentialContext,
  type CredentialProvider,
  type Credentials,
} from "../credentials/provider.ts";
import { describeError } from "../errors.ts";
import { basicToken } from "../http/basic_authorization.ts";
import type { Logger } from "../log/log.ts";
import type { CredentialAccess } from "./command.ts";
import {
  chunksOf,
  formatAttributes,
  NONCE_VARIABLE,
  parseAttributes,
  readMessage,
  SOCKET_VARIABLE,
  writeMessage,
} from "./credential_helper.ts";
import type { RemoteUrl } from "./remote_url.ts";

export interface CredentialServerOptions {
  /**
   * The directory in which the folder with the socket is made. Its path must be short: a socket's
   * path has at most 107 bytes.
   */
  readonly directory: string;
  /**
   * The program that git is to run, which calls {@linkcode runCredentialHelper}; git's `get` is
   * appended.
   */
  readonly helperCommand: (socketPath: string) => readonly string[];
  /** Variables that the program needs besides ours. No secrets. */
  readonly helperEnvironment?: Readonly<Record<string, string>>;
  readonly log: Logger;
}

/** Gives git the right to ask for passwords. */
export interface Grants {
  /**
   * @returns null where the remote needs no credentials
   * @throws what its {@linkcode CredentialProvider} throws, and {@linkcode DeadlineError}
   */
  grant(remote: RemoteUrl, signal?: AbortSignal): Promise<Grant | null>;
  /** {@linkcode CredentialProvider.accept} */
  accept(remote: RemoteUrl, credentials: Credentials): void;
  /** {@linkcode CredentialProvider.forget} */
  forget(remote: RemoteUrl, credentials: Credentials): boolean;
}

/** For repositories that everyone may read. */
export const NO_GRANTS: Grants = {
  grant: () => Promise.resolve(null),
  accept: () => {},
  forget: () => false,
};

/** The right to ask for the credentials of one repository. Disposing of it ends it. */
export interface Grant extends CredentialAccess, Disposable {
  readonly credentials: Credentials;
}

/** For a provider to find its credentials; a GitHub App asks the host's API twice. */
const PROVIDER_TIMEOUT_MS = 60_000;
/** A question arrives immediately or not at all. */
const QUESTION_TIMEOUT_MS = 5_000;
/** Helpers that may be connected at the same time; there is about one for each running git. */
const MAX_CONNECTIONS = 256;
/** `sun_path` of unix(7) without its NUL. */
const SOCKET_PATH_MAX_BYTES = 107;

/**
 * The flags that give the helper the permissions it needs and no more, under `deno run`. A compiled
 * program has the server's own.
 */
export function helperPermissions(socketPath: string): string[] {
  return [
    "--no-prompt",
    `--allow-env=${SOCKET_VARIABLE},${NONCE_VARIABLE}`,
    `--allow-net=unix:${socketPath}`,
    `--allow-read=${socketPath}`,
    `--allow-write=${socketPath}`,
  ];
}

export class CredentialServer implements AsyncDisposable {
  readonly #options: CredentialServerOptions;
  readonly #folder: string;
  readonly #listener: Deno.UnixListener;
  readonly #grants = new Map<
    string,
    { readonly remote: RemoteUrl; readonly credentials: Credentials }
  >();
  readonly #connections = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  private constructor(
    options: CredentialServerOptions,
    { folder, listener }: { folder: string; listener: Deno.UnixListener },
  ) {
    this.#options = options;
    this.#folder = folder;
    this.#listener = listener;
    this.#accepting = this.#accept();
  }

  static async start(options: CredentialServerOptions): Promise<CredentialServer> {
    const folder = await Deno.makeTempDir({ dir: options.directory, prefix: "c" });
    await Deno.chmod(folder, 0o700);
    const path = `${folder}/s`;
    if (new TextEncoder().encode(path).length > SOCKET_PATH_MAX_BYTES) {
      await Deno.remove(folder);
      throw new Error(
        `Cannot serve credentials at "${path}": the path of a socket has at most ` +
          `${SOCKET_PATH_MAX_BYTES} bytes; use a shorter path for the scratch directory`,
      );
    }
    const listener = Deno.listen({ transport: "unix", path });
    // Between the two calls the folder's mode protects it.
    await Deno.chmod(path, 0o600);
    return new CredentialServer(options, { folder, listener });
  }

  /** Grants for the credentials of one provider. */
  grantsFrom(provider: CredentialProvider): Grants {
    return {
      grant: async (remote, signal) => {
        const context = contextOf(new URL(remote));
        const credentials = await withDeadline(
          (signal) => provider.credentials(context, { signal }),
          { timeoutMs: PROVIDER_TIMEOUT_MS, what: `get credentials for ${remote}`, signal },
        );
        return credentials === null ? null : this.#grant(remote, credentials);
      },
      accept: (remote, credentials) => provider.accept(contextOf(new URL(remote)), credentials),
      forget: (remote, credentials) => provider.forget(contextOf(new URL(remote)), credentials),
    };
  }

  #grant(remote: RemoteUrl, credentials: Credentials): Grant {
    const nonce = crypto.getRandomValues(new Uint8Array(32)).toHex();
    this.#grants.set(nonce, { remote, credentials });
    const { password } = credentials;
    return {
      credentials,
      helper: helperScript(this.#options.helperCommand(`${this.#folder}/s`)),
      environment: {
        ...this.#options.helperEnvironment,
        [SOCKET_VARIABLE]: `${this.#folder}/s`,
        [NONCE_VARIABLE]: nonce,
      },
      secrets: [password, encodeURIComponent(password), basicToken(credentials), nonce],
      [Symbol.dispose]: () => {
        this.#grants.delete(nonce);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    await Promise.all(this.#connections);
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      if (this.#connections.size >= MAX_CONNECTIONS) {
        connection.close();
        continue;
      }
      const served = this.#serve(connection).finally(() => this.#connections.delete(served));
      this.#connections.add(served);
    }
  }

  async #serve(connection: Deno.UnixConn): Promise<void> {
    try {
      await withDeadline(async () => {
        const question = await readMessage(chunksOf(connection));
        await writeMessage(connection, this.#answer(question));
      }, { timeoutMs: QUESTION_TIMEOUT_MS, what: "answer a credential helper" });
    } catch (error) {
      this.#options.log.warn({ error: describeError(error) }, "cannot answer a credential helper");
    } finally {
      connection.close();
    }
  }

  #answer(message: string): string {
    const { nonce = "", protocol = "", host = "", path = "" } = parseAttributes(message);
    const granted = this.#grants.get(nonce);
    if (granted === undefined) {
      this.#options.log.warn({ host, path }, "credential refused: unknown nonce");
      return "";
    }
    const { remote, credentials } = granted;
    if (!isRequestFor(remote, { protocol, host, path })) {
      this.#options.log.warn({ host, path, remote }, "credential refused: for another repository");
      return "";
    }
    return formatAttributes({ username: credentials.username, password: credentials.password });
  }
}

/**
 * Whether git asks for the repository itself. `a/b` and `a/b.git` are the same repository: servers
 * redirect between them.
 */
function isRequestFor(
  remote: RemoteUrl,
  asked: CredentialContext,
): boolean {
  const url = new URL(remote);
  return `${asked.protocol}:` === url.protocol && asked.host === url.host &&
    plainPath(asked.path) === plainPath(decodePath(url.pathname));
}

function plainPath(path: string): string {
  return path.replace(/^\/+/, "").replace(/\/+$/, "").replace(/\.git$/, "");
}

/**
 * Percent-decoded, as git does it before it asks. A path that cannot be decoded stays as it is and
 * so matches no question of git's.
 */
function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/**
 * A credential.helper that runs a command for `get` only: most of the calls are to store or erase.
 * The limit of memory that git may have (process.ts) is none for Deno.
 */
function helperScript(command: readonly string[]): string {
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return `!f() { if test "$1" = get; then ${UNLIMITED}; exec ${quoted} get; fi; }; f`;
}

const UNLIMITED = 'ulimit -S -d "$(ulimit -H -d)"';
