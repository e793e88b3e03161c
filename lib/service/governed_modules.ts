/**
 * Answers of the module protocol under a policy (policy/policy.ts):
 *
 * | answer | what a denial does |
 * | --- | --- |
 * | list | the version is not in it |
 * | `@latest` | the highest allowed version instead |
 * | `.info`, `.mod` | nothing, unless the gate is `all` |
 * | zip | the {@linkcode PolicyDeniedError} that says why |
 *
 * `.info` and `.mod` stay readable because the `go` command needs those of versions whose code it
 * never uses: without them it cannot load the module graph, and every command fails.
 */
import { NotFoundError, ProxyError } from "../errors.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import { pickLatest } from "../module/latest.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { RepositoryName } from "../module/repository_identity.ts";
import type { Version } from "../module/version.ts";
import { atPace, Pace } from "../async/pace.ts";
import { HOOK_RULE } from "../policy/config.ts";
import { denial, type PolicyDeniedError } from "../policy/denial.ts";
import { type RememberingJudge, UndecidedError } from "../policy/judge.ts";
import type { FilteredList } from "../policy/policy.ts";
import { earlier, isDenied, type Verdict } from "../policy/verdict.ts";
import type { ModuleQuery } from "../source/source.ts";
import type { Copy } from "../store/manifest.ts";
import { namesOfCopy } from "./copy_names.ts";
import { NoticeReader } from "./module_notices.ts";
import type {
  LatestCopy,
  ModuleAnswers,
  ModuleList,
  ModuleZip,
  RememberedList,
  ServiceOptions,
  Timed,
} from "./stored_modules.ts";
import type { Answered, FollowedClient, MayHaveOptions } from "./walk_ahead.ts";

export interface GovernedModulesOptions {
  readonly modules: ModuleAnswers;
  readonly judge: RememberingJudge;
  /**
   * Whether a denial is given here, with its text. If not, the answer is null, and the main thread
   * must be asked.
   */
  readonly explains: boolean;
  readonly metrics?: Metrics;
}

export class GovernedModules implements ModuleAnswers {
  readonly #modules: ModuleAnswers;
  readonly #judge: RememberingJudge;
  readonly #explains: boolean;
  readonly #metrics: Metrics;
  readonly #notices: NoticeReader;

  constructor({ modules, judge, explains, metrics = NO_METRICS }: GovernedModulesOptions) {
    this.#modules = modules;
    this.#notices = new NoticeReader(modules);
    this.#judge = judge;
    this.#explains = explains;
    this.#metrics = metrics;
  }

  remembered(module: ModuleVersion, identity: string | null): Copy | null {
    const copy = this.#modules.remembered(module, identity);
    if (copy === null || this.#judge.gate === "zip") return copy;
    return this.#isKnownToBeAllowed(module, identity) ? copy : null;
  }

  rememberedZip(copy: Copy, identity: string | null): Uint8Array<ArrayBuffer> | null {
    const verdict = this.#judge.remembered(copy.manifest, identity);
    // What a rule has decided is recorded where there is time for it.
    if (verdict === null || verdict.rule !== null) return null;
    return this.#modules.rememberedZip(copy, identity);
  }

  rememberedList(path: ModulePath, identity: string | null): RememberedList | null {
    const list = this.#modules.rememberedList(path, identity);
    if (list === null) return null;
    const filtered = this.#judge.rememberedList(list.versions, identity);
    return filtered === null ? null : this.#timed(filtered);
  }

  async copy(module: ModuleVersion, options: ServiceOptions): Promise<Copy | null> {
    const answer = () => this.#modules.copy(module, options);
    return this.#judge.gate === "zip"
      ? await answer()
      : await this.#governed(module, { options, answer });
  }

  async zip(module: ModuleVersion, options: ServiceOptions): Promise<ModuleZip | null> {
    return await this.#governed(module, {
      options,
      answer: () => this.#modules.zip(module, options),
    });
  }

  async query(asked: ModuleQuery, options: ServiceOptions): Promise<Copy | null> {
    const copy = await this.#modules.query(asked, options);
    if (copy === null || this.#judge.gate === "zip") return copy;
    return await this.#governed(copy.manifest, { options, answer: () => Promise.resolve(copy) });
  }

  async list(path: ModulePath, options: ServiceOptions): Promise<ModuleList | null> {
    const list = await this.#modules.list(path, options);
    if (list === null) return null;
    const filtered = await orUndecided(this.#filter(path, { versions: list.versions, options }));
    return filtered === null ? null : { ...list, ...this.#timed(filtered) };
  }

  publishedNames(path: ModulePath, signal: AbortSignal): Promise<readonly RepositoryName[]> {
    return this.#modules.publishedNames(path, signal);
  }

  async latest(path: ModulePath, options: ServiceOptions): Promise<LatestCopy | null> {
    const latest = await this.#modules.latest(path, options);
    if (latest === null) return null;
    const module = latest.copy.manifest;
    // As in a list: no zip is fetched to know its licence, and the hook is not asked.
    const own = await this.#filter(path, { versions: [module.version], options });
    if (own.versions.length > 0) return { ...latest, ...this.#ending(own.changesAtMs) };
    const allowed = await this.#allowedVersions(path, options);
    const best = await this.#bestOf(allowed.versions, { path, options });
    if (best === null) {
      const verdict = await this.#judge.judge(module, asking(options));
      // It has been allowed since.
      if (!isDenied(verdict)) return latest;
      this.#record(verdict, options);
      throw await this.#denial(module, { verdict, options });
    }
    const copy = await this.#modules.copy({ path, version: best }, options);
    if (copy === null) return null;
    const changesAtMs = earlier(own.changesAtMs, allowed.changesAtMs);
    return { copy, stale: latest.stale, ...this.#ending(changesAtMs) };
  }

  /** The highest version that is not retracted; if all are, the highest. */
  async #bestOf(
    allowed: readonly Version[],
    { path, options }: { path: ModulePath; options: ServiceOptions },
  ): Promise<Version | null> {
    const pace = new Pace(options.signal);
    const said = await this.#notices.read(path, withOwnFacts(options)).catch((error) => {
      if (error instanceof ProxyError && !options.signal.aborted) return null;
      throw error;
    });
    return await atPace(pickLatest(allowed, said?.retractions ?? []), pace) ??
      await atPace(pickLatest(allowed, []), pace);
  }

  #timed({ versions, changesAtMs }: FilteredList): RememberedList {
    return { versions, ...this.#ending(changesAtMs) };
  }

  #ending(changesAtMs: number | null): Timed {
    return { unchangedMs: this.#judge.unchangedMs(changesAtMs) };
  }

  answered(answered: Answered): void {
    const { client } = answered;
    this.#modules.answered({
      ...answered,
      client: {
        ...client,
        mayHave: (module, options) => this.#mayHave(module, { ...options, ...client }),
      },
    });
  }

  /** Whether the policy lets a client have a file. False also if that cannot be determined. */
  async #mayHave(
    module: ModuleVersion,
    { file, identity, signal }: MayHaveOptions & Pick<FollowedClient, "identity">,
  ): Promise<boolean> {
    if (file === "mod" && this.#judge.gate === "zip") return true;
    try {
      return !isDenied(await this.#judge.judge(module, { identity, signal }));
    } catch (error) {
      if (error instanceof ProxyError || error instanceof UndecidedError) return false;
      throw error;
    }
  }

  #isKnownToBeAllowed(module: ModuleVersion, identity: string | null): boolean {
    const verdict = this.#judge.remembered(module, identity);
    return verdict !== null && !isDenied(verdict);
  }

  /**
   * What `answer` says of a version that is not withheld. Null where another thread must answer,
   * which then records the verdict.
   *
   * @throws {PolicyDeniedError}
   * @throws {UnknownFactError}
   */
  async #governed<T>(
    module: ModuleVersion,
    { options, answer }: { options: ServiceOptions; answer: () => Promise<T | null> },
  ): Promise<T | null> {
    const verdict = await orUndecided(this.#judge.judge(module, asking(options)));
    if (verdict === null) return null;
    if (isDenied(verdict)) {
      if (!this.#explains) return null;
      this.#record(verdict, options);
      throw await this.#denial(module, { verdict, options });
    }
    const found = await answer();
    if (found !== null) this.#record(verdict, options);
    return found;
  }

  /** In the access log and the metrics: once for each request. */
  #record(verdict: Verdict, { facts }: ServiceOptions): void {
    const { rule, action, isEnforced, reason } = verdict;
    if (rule === null) return;
    facts["policy"] = { rule, action, isEnforced, reason };
    const mode = isEnforced ? "enforce" : "audit";
    this.#metrics.add("gomodproxy_policy_decisions_total", { rule, action, mode });
  }

  async #denial(
    { path, version }: ModuleVersion,
    { verdict, options }: { verdict: Verdict; options: ServiceOptions },
  ): Promise<PolicyDeniedError> {
    const allowed = await this.#alternatives({ path, version }, { verdict, options });
    const { contact } = this.#judge;
    const error = denial({ path, version }, { verdict, allowed, contact });
    const copy = this.#modules.remembered({ path, version }, options.identity ?? null);
    if (copy !== null) error.names = namesOfCopy(copy.manifest);
    return error;
  }

  /** What a denial offers in place of a version, lowest first; null where that is not known. */
  async #alternatives(
    { path, version }: ModuleVersion,
    { verdict, options }: { verdict: Verdict; options: ServiceOptions },
  ): Promise<readonly Version[] | null> {
    // Lists are made without the hook.
    if (verdict.rule === HOOK_RULE) return null;
    // The denial does not fail because nobody can say what to take instead.
    const allowed = await this.#allowedVersions(path, options).catch((error) => {
      if (options.signal.aborted) throw error;
      return null;
    });
    const { identity = null } = options;
    // A list may have versions whose licences were not known when it was made.
    return allowed?.versions.filter((one) => {
      const known = this.#judge.remembered({ path, version: one }, identity);
      return one !== version && (known === null || !isDenied(known));
    }) ?? null;
  }

  async #allowedVersions(path: ModulePath, options: ServiceOptions): Promise<FilteredList> {
    // The facts of the access log are about what was asked for.
    const list = await this.#modules.list(path, withOwnFacts(options)).catch((error) => {
      if (error instanceof NotFoundError) return null;
      throw error;
    });
    if (list === null) return { versions: [], changesAtMs: null };
    return await this.#filter(path, { versions: list.versions, options });
  }

  async #filter(
    path: ModulePath,
    { versions, options }: { versions: readonly Version[]; options: ServiceOptions },
  ): Promise<FilteredList> {
    return await this.#judge.filter(path, { versions, ...asking(options) });
  }
}

/** Null where another thread must decide. */
async function orUndecided<T>(decision: Promise<T>): Promise<T | null> {
  try {
    return await decision;
  } catch (error) {
    if (error instanceof UndecidedError) return null;
    throw error;
  }
}

function asking({ identity = null, signal }: ServiceOptions) {
  return { identity, signal };
}

function withOwnFacts(options: ServiceOptions): ServiceOptions {
  const { mayFetch, signal, identity = null, admitTo = null } = options;
  return { mayFetch, signal, identity, admitTo, facts: {} };
}
