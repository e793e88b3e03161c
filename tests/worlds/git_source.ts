/**
 * A {@linkcode GitSource} with real git and mirrors in a folder of its own, for which the web and
 * all git hosts are on this machine.
 */
import { Semaphore } from "../../lib/async/semaphore.ts";
import { Git } from "../../lib/git/command.ts";
import { NO_GRANTS } from "../../lib/git/credential_server.ts";
import { DEFAULT_GIT_LIMITS } from "../../lib/git/limits.ts";
import { Mirrors } from "../../lib/git/mirrors.ts";
import { parseRemoteUrl } from "../../lib/git/remote_url.ts";
import { createFetch, type Fetch } from "../../lib/http/client.ts";
import { createLogger } from "../../lib/log/log.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import { Discovery, type ModuleLocation } from "../../lib/source/discover.ts";
import { GitModule } from "../../lib/source/git_module.ts";
import { GitSource } from "../../lib/source/git_source.ts";
import { layoutOf } from "../../lib/source/layout.ts";
import type { VersionInfo } from "../../lib/source/source.ts";

export interface TestGitOptions {
  /** The page at `https://<path>?go-get=1`, or null. */
  readonly page: (path: string) => string | null;
  /** Where the repository at a URL is really served, on loopback. */
  readonly serve: (url: string) => string;
}

/** git processes at once; the machine has two cores. */
const MAX_PROCESSES = 4;

export class TestGitSource implements AsyncDisposable {
  readonly source: GitSource;
  readonly #scratch: string;
  readonly #mirrors: Mirrors;
  readonly #locate: (path: ModulePath, signal: AbortSignal) => Promise<ModuleLocation>;

  private constructor(scratch: string, mirrors: Mirrors, { page, serve }: TestGitOptions) {
    this.#scratch = scratch;
    this.#mirrors = mirrors;
    const discovery = new Discovery({ fetch: pages(page) });
    this.#locate = async (path, signal) => {
      const location = await discovery.locate(path, signal);
      if (location.kind === "proxy") return location;
      return { ...location, remote: parseRemoteUrl(serve(location.remote), LOOPBACK) };
    };
    this.source = new GitSource({
      description: "direct",
      mirrors,
      locate: this.#locate,
      openProxy: (url) => {
        throw new Error(`no proxy ${url}`);
      },
    });
  }

  static async start(options: TestGitOptions): Promise<TestGitSource> {
    const scratch = await Deno.makeTempDir({ prefix: "git-source-" });
    await Deno.mkdir(`${scratch}/empty`);
    const git = new Git({
      environment: { path: Deno.env.get("PATH") ?? "" },
      emptyDirectory: `${scratch}/empty`,
      processes: new Semaphore({
        what: "start git",
        permits: MAX_PROCESSES,
        maxWaiting: 10_000,
        maxWaitMs: 120_000,
      }),
    });
    const mirrors = await Mirrors.start({
      directory: `${scratch}/mirrors`,
      maxTotalSizeBytes: 2 ** 30,
      log: createLogger("silent"),
      git,
      grants: NO_GRANTS,
      fetch: createFetch({ userAgent: "go-mod-proxy/test", via: "1.1 test" }),
      limits: DEFAULT_GIT_LIMITS,
      now: () => performance.now(),
    });
    return new TestGitSource(scratch, mirrors, options);
  }

  /** What HEAD is, whatever is tagged. */
  async head(path: ModulePath, signal: AbortSignal): Promise<VersionInfo> {
    const location = await this.#locate(path, signal);
    if (location.kind === "proxy") throw new Error(`${path} is at a proxy`);
    await using lease = await this.#mirrors.open(location.remote);
    const { repository } = lease;
    const refs = await repository.refs({ signal });
    const layout = layoutOf(path, location);
    return (await new GitModule({ layout, repository, refs, signal }).head()).info;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mirrors[Symbol.asyncDispose]();
    await Deno.remove(this.#scratch, { recursive: true });
  }
}

const LOOPBACK = { isHttpAllowed: (host: string) => host.startsWith("127.0.0.1:") };

function pages(page: (path: string) => string | null): Fetch {
  return (url) => {
    const text = page(`${url.host}${url.pathname}`);
    return Promise.resolve(new Response(text ?? "", { status: text === null ? 404 : 200 }));
  };
}
