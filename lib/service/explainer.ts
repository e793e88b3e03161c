/**
 * Explains one module version, for anyone who wonders why it is served as it is, or not at all:
 * what is published, what each source and the checksum database currently have, and who may read
 * it.
 *
 * Nothing is published or stored; git sources fetch into their mirrors as for any request. A part
 * that fails carries the reason in its place, so there is always an explanation.
 */
import { withDeadline } from "../async/deadline.ts";
import { type Flight, GRACE_MS, SingleFlight } from "../async/single_flight.ts";
import type { AccessList } from "../auth/access_list.ts";
import { describeError, type Meaning, meaningOf, ProxyError, StorageError } from "../errors.ts";
import { GitError } from "../git/errors.ts";
import type { Logger } from "../log/log.ts";
import type { H1, ModuleHashes } from "../module/h1.ts";
import type { DatabaseFor } from "../module/hash_database.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { namesByPlace, type RepositoryName } from "../module/repository_identity.ts";
import type { PolicyPart } from "../policy/explain.ts";
import type { Policy } from "../policy/policy.ts";
import type { Version } from "../module/version.ts";
import type { Source } from "../source/source.ts";
import type { Copies } from "../store/copies.ts";
import type { Copy } from "../store/manifest.ts";
import { hashGoMod } from "../zip/hash.ts";
import { namesOfCopy } from "./copy_names.ts";

/** A part that could not be determined. */
export interface Failed {
  readonly failed: Meaning;
  readonly reason: string;
}

export interface Explanation {
  readonly module: ModulePath;
  readonly version: Version;
  /** The private prefix that covers the module; null for a public one. */
  readonly privatePrefix: string | null;
  /**
   * The names that the module has because of where its code is, by the published copy and by what
   * its sources say. None where its path leads there.
   */
  readonly names: readonly RepositoryName[];
  /** Null: no copy is published. */
  readonly published: PublishedPart | Failed | null;
  /**
   * What sources currently have, in the order in which they are asked for a version that is not
   * published.
   */
  readonly sources: readonly ({ readonly source: string } & (SourcePart | Failed))[];
  /** Null: no database is used for this module. */
  readonly checksumDatabase: DatabasePart | Failed | null;
  /** Null without client authentication. */
  readonly access: readonly AccessPart[] | null;
  /** For the first of the identities. Null without a policy. */
  readonly policy: PolicyPart | Failed | null;
}

export interface PublishedPart {
  readonly time: string;
  readonly source: string;
  readonly origin?: unknown;
  readonly goMod: { readonly h1: H1; readonly sizeBytes: number };
  /** `sizeBytes` null: not in the store; the next request for it fetches it. */
  readonly zip: { readonly h1: H1; readonly sizeBytes: number | null };
}

export interface SourcePart {
  readonly time: string;
  readonly goModH1: H1;
  /** Null if nothing is published to compare it with. */
  readonly isAsPublished: boolean | null;
}

export interface DatabasePart {
  readonly name: string;
  /** Null: it has no record of this version. */
  readonly record:
    | ModuleHashes & { readonly isAsPublished: boolean | null }
    | null;
}

export interface AccessPart {
  readonly identity: string;
  readonly isAllowed: boolean;
  /** The rule of `clientAuth.acl` that decides, from 0. Null: none applies, which denies. */
  readonly rule: number | null;
  /** The name by which the rule applies. Undefined: the path as it is written. */
  readonly name?: RepositoryName;
}

export interface ExplainerOptions {
  readonly copies: Pick<Copies, "read" | "openZip">;
  /** The sources of a module. */
  readonly sourcesOf: (
    path: ModulePath,
  ) => { readonly privatePrefix: string | null; readonly sources: readonly Source[] };
  readonly databaseFor: DatabaseFor;
  /** Null: everyone may read everything. */
  readonly accessList: AccessList | null;
  /** Null without a policy. */
  readonly policy: Pick<Policy, "explain"> | null;
  /** Takes the whole reason of what could not be found out. */
  readonly log: Logger;
  readonly limits?: Partial<ExplainLimits>;
}

export interface ExplainLimits {
  /** How long each source, and the database, may take. */
  readonly timeoutMs: number;
  /** How many explanations may be in progress at once. */
  readonly maxFlights: number;
  /** How long what nobody waits for any more goes on. */
  readonly graceMs: number;
}

export const EXPLAIN_LIMITS: ExplainLimits = {
  timeoutMs: 60_000,
  maxFlights: 8,
  graceMs: GRACE_MS,
};

export class Explainer {
  readonly #options: ExplainerOptions;
  readonly #limits: ExplainLimits;
  readonly #flights: SingleFlight<Omit<Explanation, "access" | "policy">>;

  constructor(options: ExplainerOptions) {
    this.#options = options;
    this.#limits = { ...EXPLAIN_LIMITS, ...options.limits };
    this.#flights = new SingleFlight(this.#limits.maxFlights, this.#limits);
  }

  /**
   * @param options.identities whose access is included
   * @throws {OverloadedError} when too many explanations are in progress
   */
  async explain(
    module: ModuleVersion,
    { identities, signal }: { identities: readonly string[]; signal: AbortSignal },
  ): Promise<Explanation> {
    const facts = await this.#flights.run(
      nameOf(module),
      (flight) => this.#lookInto(module, flight),
      signal,
    );
    const { accessList } = this.#options;
    const access = accessList === null ? null : identities.map((identity) => ({
      identity,
      ...accessList.decide(identity, module.path, facts.names),
    }));
    const [identity = null] = identities;
    const policy = this.#options.policy === null ? null : await this.#orFailure(
      async () => await this.#options.policy?.explain(module, { identity, signal }) ?? null,
      { names: undefined, signal },
    );
    return { ...facts, access, policy };
  }

  async #lookInto(
    module: ModuleVersion,
    { signal }: Flight,
  ): Promise<Omit<Explanation, "access" | "policy">> {
    const orFailure = <T>(work: () => Promise<T>, names?: Set<RepositoryName>) =>
      this.#orFailure(work, { names, signal });
    const { path, version } = module;
    const { privatePrefix, sources } = this.#options.sourcesOf(path);
    const copy = await orFailure(() => this.#options.copies.read(module));
    const known = copy === null || "failed" in copy ? null : copy;
    const names = new Set(known === null ? [] : namesOfCopy(known.manifest));
    const [published, checksumDatabase, said] = await Promise.all([
      known === null ? null : orFailure(() => this.#published(known)),
      orFailure(() => this.#record(module, { published: known, signal })),
      Promise.all(sources.map(async (source) => ({
        source: source.description,
        ...await orFailure(
          () => this.#ask(source, { module, published: known, names, signal }),
          names,
        ),
      }))),
    ]);
    return {
      module: path,
      version,
      privatePrefix,
      names: [...names],
      published: copy !== null && "failed" in copy ? copy : published,
      sources: said,
      checksumDatabase,
    };
  }

  async #published(copy: Copy): Promise<PublishedPart> {
    const { time, origin, source, goMod, zip } = copy.manifest;
    const stored = await this.#options.copies.openZip(copy);
    await stored?.body.cancel();
    return {
      time,
      source,
      ...origin === undefined ? {} : { origin },
      goMod: { h1: goMod.h1, sizeBytes: goMod.sizeBytes },
      zip: { h1: zip.h1, sizeBytes: stored?.sizeBytes ?? null },
    };
  }

  async #ask(
    source: Source,
    { module, published, names, signal }: {
      module: ModuleVersion;
      published: Copy | null;
      names: Set<RepositoryName>;
      signal: AbortSignal;
    },
  ): Promise<SourcePart> {
    const { info, goMod } = await this.#withDeadline(
      `ask ${source.description}`,
      { work: (signal) => source.describe(module, signal), signal },
    );
    const { url: remote, subdir } = info.origin ?? {};
    if (remote !== undefined) {
      for (const name of namesByPlace(module.path, { remote, subdir })) names.add(name);
    }
    const goModH1 = hashGoMod(goMod);
    const isAsPublished = published === null ? null : goModH1 === published.manifest.goMod.h1;
    return { time: info.time, goModH1, isAsPublished };
  }

  async #record(
    module: ModuleVersion,
    { published, signal }: { published: Copy | null; signal: AbortSignal },
  ): Promise<DatabasePart | null> {
    const database = this.#options.databaseFor(module.path);
    if (database === null) return null;
    const { name } = database;
    const hashes = await this.#withDeadline(
      `ask ${name}`,
      { work: (signal) => database.find(module, signal), signal },
    );
    if (hashes === null) return null;
    if (hashes === "unrecorded") return { name, record: null };
    const { zipH1, goModH1 } = hashes;
    const isAsPublished = published === null
      ? null
      : published.manifest.zip.h1 === zipH1 && published.manifest.goMod.h1 === goModH1;
    return { name, record: { zipH1, goModH1, isAsPublished } };
  }

  #withDeadline<T>(
    what: string,
    { work, signal }: { work: (signal: AbortSignal) => Promise<T>; signal: AbortSignal },
  ): Promise<T> {
    return withDeadline(work, { timeoutMs: this.#limits.timeoutMs, what, signal });
  }

  /** @param options.names takes those of what a failure tells of */
  async #orFailure<T>(
    work: () => Promise<T>,
    { names, signal }: { names: Set<RepositoryName> | undefined; signal: AbortSignal },
  ): Promise<T | Failed> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ProxyError) {
        for (const name of error.names) names?.add(name as RepositoryName);
      }
      // Nobody reads it any more.
      signal.throwIfAborted();
      this.#options.log.info({ error: describeError(error) }, "a part of an explanation failed");
      return { failed: meaningOf(error), reason: toldReason(error) };
    }
  }
}

/** A path of this machine, at the start of a word. Those of URLs are not. */
const LOCAL_PATH = /(?<=^|[\s"'(=`])\/[^\s"'()`]+/g;

/**
 * What a client is told: as on every other route, what a message leaves to its cause is for the
 * log, and so are git's own words and where this machine has its files.
 */
function toldReason(error: unknown): string {
  if (error instanceof StorageError) return "the module store failed";
  if (!(error instanceof ProxyError)) return "internal error";
  const { message } = error instanceof GitError ? error.withoutWords() : error;
  return message.replaceAll(LOCAL_PATH, "…");
}
