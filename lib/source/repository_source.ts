/**
 * The answers of one repository, at one state of its refs, to the questions of a {@linkcode Source}
 * about the module that {@linkcode GitModule} finds there.
 */
import { atPace, Pace } from "../async/pace.ts";
import { UnusableError } from "../errors.ts";
import { GitError } from "../git/errors.ts";
import type { Repository, Snapshot } from "../git/repository.ts";
import { scanGoMod, syntheticGoMod } from "../module/go_mod.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { RepositoryName } from "../module/repository_identity.ts";
import { createZip } from "../zip/create.ts";
import { ZipError } from "../zip/rules.ts";
import type { FoundVersion, GitModule } from "./git_module.ts";
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

export interface RepositorySourceOptions {
  readonly repository: Repository;
  /** {@linkcode KnownVersions.names}. */
  readonly names: readonly RepositoryName[];
}

export class RepositorySource implements Source {
  readonly description: string;
  readonly #module: GitModule;
  readonly #repository: Repository;
  readonly #names: readonly RepositoryName[];

  /** @param module of the repository; every path asked for is its path */
  constructor(module: GitModule, { repository, names }: RepositorySourceOptions) {
    this.description = `git ${repository.remote}`;
    this.#module = module;
    this.#repository = repository;
    this.#names = names;
  }

  async list(): Promise<KnownVersions> {
    return { versions: await this.#module.list(), freshMs: 0, names: this.#names };
  }

  async latest(): Promise<VersionInfo> {
    return (await this.#module.latest()).info;
  }

  async resolve({ query }: ModuleQuery): Promise<VersionInfo> {
    return (await this.#module.find(query)).info;
  }

  async describe({ path, version }: ModuleVersion): Promise<DescribedCopy> {
    return this.#describe(await this.#module.find(version), path);
  }

  async fetchZip({ path, version }: ModuleVersion, options: FetchOptions): Promise<FetchedZip> {
    return await this.#makeZip(await this.#module.find(version), { ...options, path });
  }

  /** All three files come from the one commit that was found. */
  async fetch({ path, version }: ModuleVersion, options: FetchOptions): Promise<FetchedCopy> {
    const found = await this.#module.find(version);
    const zip = await this.#makeZip(found, { ...options, path });
    return { ...this.#describe(found, path), zip };
  }

  #describe({ info, dir: { goMod } }: FoundVersion, path: ModulePath): DescribedCopy {
    return { info, goMod: goMod ?? syntheticGoMod(path), source: this.description };
  }

  async #makeZip(
    { info: { version }, dir: { dir, goMod }, snapshot }: FoundVersion,
    { path, file, spool, signal }: FetchOptions & { readonly path: ModulePath },
  ): Promise<FetchedZip> {
    const module = { path, version };
    const goVersion = goMod === null
      ? null
      : (await atPace(scanGoMod(goMod), new Pace(signal))).goVersion;
    const { seeds } = this.#repository;
    // Its size is not known before its end, and most of the wait is for git.
    spool?.abandon();
    try {
      return await createZip(snapshot, {
        module,
        dir,
        goVersion,
        file,
        overwrites: true,
        seeds,
        signal,
      });
    } catch (cause) {
      if (cause instanceof GitError) throw await explain(cause, { snapshot, module, signal });
      if (!(cause instanceof ZipError)) throw cause;
      throw new UnusableError(`${nameOf(module)}: ${cause.message}`, { cause });
    }
  }
}

/**
 * Elements of paths that git has no part in: `.git`, also as Windows spells it, and `.` and `..`
 * (verify_path in git's read-cache.c). `git archive` fails if a commit has one anywhere.
 */
const REFUSED_ELEMENT = /^(?:\.{1,2}|(?:\.git|git~1)[ .]*(?::.*)?)$/i;

/** What it means that git could not pack a commit. */
async function explain(
  failure: GitError,
  { snapshot, module, signal }: {
    readonly snapshot: Snapshot;
    readonly module: ModuleVersion;
    readonly signal: AbortSignal;
  },
): Promise<Error> {
  for await (const { path } of snapshot.listTree("", { signal })) {
    if (!path.split("/").some((element) => REFUSED_ELEMENT.test(element))) continue;
    const fault = `git does not check out a file named "${path}"`;
    return new UnusableError(`${nameOf(module)}: ${fault}`, { cause: failure });
  }
  return failure;
}
