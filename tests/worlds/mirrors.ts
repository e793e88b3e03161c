/**
 * The surroundings of a repository in tests of git sources: git, mirrors in a temporary folder, and
 * a clock.
 *
 * Passwords reach git by a shell line instead of the credential server, whose unix socket the test
 * task may not open.
 */
import { Semaphore } from "../../lib/async/semaphore.ts";
import type { Credentials } from "../../lib/credentials/provider.ts";
import { UpstreamError } from "../../lib/errors.ts";
import { Git } from "../../lib/git/command.ts";
import type { Grant } from "../../lib/git/credential_server.ts";
import { DEFAULT_GIT_LIMITS, type GitLimits } from "../../lib/git/limits.ts";
import { Mirrors } from "../../lib/git/mirrors.ts";
import { parseRemoteUrl, type RemoteUrl } from "../../lib/git/remote_url.ts";
import type { Fetch } from "../../lib/http/client.ts";
import { createLogger } from "../../lib/log/log.ts";

export interface TestMirrorsOptions {
  readonly limits?: Partial<GitLimits>;
  readonly maxTotalSizeBytes?: number;
  readonly permits?: number;
  /** Like {@linkcode CredentialProvider.credentials}. Default: none. */
  readonly credentialsFor?: (remote: RemoteUrl) => Promise<Credentials | null>;
  /** Default: a folder of its own, removed at the end. */
  readonly directory?: string;
}

export class TestMirrors implements AsyncDisposable {
  readonly mirrors: Mirrors;
  readonly git: Git;
  /** With `home` and `mirrors` in it. */
  readonly folder: string;
  /** Log lines. */
  readonly logged: string[];
  /** The clock, in milliseconds since 1970. It stands still unless a test moves it. */
  readonly clock: { nowMs: number };
  readonly #ownsFolder: boolean;

  private constructor(
    parts: Pick<TestMirrors, "mirrors" | "git" | "folder" | "logged" | "clock">,
    ownsFolder: boolean,
  ) {
    this.mirrors = parts.mirrors;
    this.git = parts.git;
    this.folder = parts.folder;
    this.logged = parts.logged;
    this.clock = parts.clock;
    this.#ownsFolder = ownsFolder;
  }

  static async start(options: TestMirrorsOptions = {}): Promise<TestMirrors> {
    const folder = options.directory ?? await Deno.makeTempDir({ prefix: "mirrors-" });
    await Deno.mkdir(`${folder}/home`, { recursive: true });
    const logged: string[] = [];
    const clock = { nowMs: Date.UTC(2026, 0, 1) };
    const git = new Git({
      environment: { path: Deno.env.get("PATH") ?? "" },
      emptyDirectory: `${folder}/home`,
      processes: new Semaphore({
        what: "start git",
        permits: options.permits ?? 8,
        maxWaiting: 1000,
        maxWaitMs: 30_000,
      }),
    });
    const mirrors = await Mirrors.start({
      git,
      grants: {
        grant: async (remote) => shellGrant(await options.credentialsFor?.(remote)),
        accept: () => {},
        forget: () => false,
      },
      fetch: loopbackFetch,
      limits: { ...DEFAULT_GIT_LIMITS, ...options.limits },
      now: () => clock.nowMs,
      directory: `${folder}/mirrors`,
      maxTotalSizeBytes: options.maxTotalSizeBytes ?? 2 ** 40,
      log: createLogger("trace", { write: (line) => logged.push(line) }),
    });
    const parts = { mirrors, git, folder, logged, clock };
    return new TestMirrors(parts, options.directory === undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.git[Symbol.asyncDispose]();
    await this.mirrors[Symbol.asyncDispose]();
    if (this.#ownsFolder) await Deno.remove(this.folder, { recursive: true });
  }
}

/** A remote on a server of the tests. */
export function testRemote(url: string): RemoteUrl {
  return parseRemoteUrl(url, { isHttpAllowed: (host) => host.startsWith("127.0.0.1:") });
}

const loopbackFetch: Fetch = async (url, init) => {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init?.signal?.aborted) throw init.signal.reason;
    throw new UpstreamError(`Cannot reach ${url.origin}`, { cause });
  }
};

function shellGrant(credentials: Credentials | null | undefined): Grant | null {
  if (!credentials) return null;
  const { username, password } = credentials;
  const lines = `username=${username}\npassword=${password}\n`;
  return {
    credentials,
    helper: `!f() { test "$1" = get && printf %s '${lines.replaceAll("'", `'\\''`)}'; }; f`,
    environment: {},
    secrets: [password],
    [Symbol.dispose]: () => {},
  };
}
