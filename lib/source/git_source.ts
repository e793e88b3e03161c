/**
 * Modules from where they are made: the git repository that the module path leads to, or the module proxy that its page
 * names. It is `direct` of a `GOPROXY` list, and what private paths use, with mirrors that have credentials.
 *
 * The answers are those of `go mod download` with `GOPROXY=direct`.
 *
 * Mirrors remember what they have fetched, so those that have credentials are for private paths alone: otherwise a
 * stranger's go-import page could name a private repository as the place of a public path.
 */
import { NotFoundError } from "../errors.ts";
import { RefsMovedError } from "../git/errors.ts";
import type { Mirrors } from "../git/mirrors.ts";
import type { RemoteUrl } from "../git/remote_url.ts";
import type { Repository } from "../git/repository.ts";
import { syntheticGoMod } from "../module/go_mod.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { createZip } from "../zip/create.ts";
import { ZipError } from "../zip/rules.ts";
import type { Seeds } from "../zip/reusable_zips.ts";
import type { ModuleLocation } from "./discover.ts";
import { type FoundVersion, GitModule } from "./git_module.ts";
import { layoutOf } from "./layout.ts";
import type {
  DescribedCopy,
  FetchedCopy,
  FetchedZip,
  FetchOptions,
  KnownVersions,
  ModuleQuery,
  Source,
  VersionInfo,
} from "./source.ts";

export interface GitSourceOptions {
  readonly description: string;
  readonly mirrors: Pick<Mirrors, "open">;
  /** Where a module path's code is ({@linkcode Discovery.locate}). */
  readonly locate: (path: ModulePath, signal: AbortSignal) => Promise<ModuleLocation>;
  /** The proxy at a URL that a page names. Requests that come back to this server are for its HTTP layer to notice. */
  readonly openProxy: (url: URL) => Source;
}

/**
 * How old the refs may be when a version is fetched: clients ask for the list or resolve a branch first. Lists and
 * branches themselves are always looked at anew.
 */
const REFS_MAX_AGE_MS = 5_000;
/** How often the refs are looked at for one question, where somebody moves them again and again. */
const MAX_LOOKS = 5;

export class GitSource implements Source {
  readonly description: string;
  readonly #mirrors: GitSourceOptions["mirrors"];
  readonly #locate: GitSourceOptions["locate"];
  readonly #openProxy: GitSourceOptions["openProxy"];

  constructor(options: GitSourceOptions) {
    this.description = options.description;
    this.#mirrors = options.mirrors;
    this.#locate = options.locate;
    this.#openProxy = options.openProxy;
  }

  list(path: ModulePath, signal: AbortSignal): Promise<KnownVersions> {
    return this.#ask(path, {
      signal,
      proxy: (proxy) => proxy.list(path, signal),
      git: async (module) => ({ versions: await module.list(), freshMs: 0 }),
    });
  }

  latest(path: ModulePath, signal: AbortSignal): Promise<VersionInfo> {
    return this.#ask(path, {
      signal,
      proxy: (proxy) => proxy.latest(path, signal),
      git: async (module) => (await module.latest()).info,
    });
  }

  resolve({ path, query }: ModuleQuery, signal: AbortSignal): Promise<VersionInfo> {
    return this.#ask(path, {
      signal,
      proxy: (proxy) => proxy.resolve({ path, query }, signal),
      git: async (module) => (await module.find(query)).info,
    });
  }

  describe({ path, version }: ModuleVersion, signal: AbortSignal): Promise<DescribedCopy> {
    return this.#ask(path, {
      signal,
      refsMaxAgeMs: REFS_MAX_AGE_MS,
      proxy: (proxy) => proxy.describe({ path, version }, signal),
      git: async (module, { remote }) => describe(await module.find(version), { path, remote }),
    });
  }

  fetchZip({ path, version }: ModuleVersion, options: FetchOptions): Promise<FetchedZip> {
    return this.#ask(path, {
      signal: options.signal,
      refsMaxAgeMs: REFS_MAX_AGE_MS,
      proxy: (proxy) => proxy.fetchZip({ path, version }, options),
      git: async (module, { seeds }) =>
        await makeZip(await module.find(version), { ...options, path, seeds }),
    });
  }

  fetch({ path, version }: ModuleVersion, options: FetchOptions): Promise<FetchedCopy> {
    return this.#ask(path, {
      signal: options.signal,
      refsMaxAgeMs: REFS_MAX_AGE_MS,
      proxy: (proxy) => proxy.fetch({ path, version }, options),
      git: async (module, { remote, seeds }) => {
        // All three files, from the one commit that was found.
        const found = await module.find(version);
        const zip = await makeZip(found, { ...options, path, seeds });
        return { ...describe(found, { path, remote }), zip };
      },
    });
  }

  async #ask<T>(
    path: ModulePath,
    { signal, refsMaxAgeMs = 0, proxy, git }: Question<T>,
  ): Promise<T> {
    const location = await this.#locate(path, signal);
    if (location.kind === "proxy") return await proxy(this.#openProxy(location.url));
    const { remote } = location;
    const layout = layoutOf(path, location);
    await using lease = await this.#mirrors.open(remote);
    const { repository } = lease;
    let maxAgeMs = refsMaxAgeMs;
    for (let looks = 1;; looks++) {
      const refs = await repository.refs({ signal, maxAgeMs });
      try {
        return await git(new GitModule({ layout, repository, refs, signal }), repository);
      } catch (error) {
        // What old refs do not know may be new. Refs that move while we fetch what they said are looked at again.
        const isWorthALook = error instanceof RefsMovedError && looks < MAX_LOOKS ||
          error instanceof NotFoundError && maxAgeMs > 0;
        if (!isWorthALook) throw error;
        maxAgeMs = 0;
      }
    }
  }
}

/** The same question to a proxy and to a repository. */
interface Question<T> {
  readonly signal: AbortSignal;
  readonly refsMaxAgeMs?: number;
  readonly proxy: (proxy: Source) => Promise<T>;
  /** Called again, with newer refs, when the refs have moved. */
  readonly git: (module: GitModule, repository: Repository) => Promise<T>;
}

function describe(
  { info, dir }: FoundVersion,
  { path, remote }: { path: ModulePath; remote: RemoteUrl },
): DescribedCopy {
  return { info, goMod: dir.goMod ?? syntheticGoMod(path), source: `git ${remote}` };
}

interface MakeZipOptions extends FetchOptions {
  readonly path: ModulePath;
  readonly seeds: Seeds;
}

async function makeZip(
  { info: { version }, dir: { dir }, snapshot }: FoundVersion,
  { path, directory, seeds, signal }: MakeZipOptions,
): Promise<FetchedZip> {
  const module = { path, version };
  try {
    const file = `${directory}/module.zip`;
    return await createZip(snapshot, { module, dir, file, seeds, signal });
  } catch (cause) {
    if (!(cause instanceof ZipError)) throw cause;
    // The commit is what it is: a version that no zip can hold is none.
    throw new NotFoundError(`${nameOf(module)}: ${cause.message}`, { cause });
  }
}
