/**
 * Explains one module version, for anyone who wonders why it is served as it is, or not at all:
 * what is published, what each source and the checksum database currently have, and who may read
 * it.
 *
 * Nothing is published or stored; git sources fetch into their mirrors as for any request. A part
 * that fails carries the reason in its place, so there is always an explanation.
 */
import { withDeadline } from "../async/deadline.ts";
import { SingleFlight } from "../async/single_flight.ts";
import type { AccessList } from "../auth/access_list.ts";
import { describeError, type Meaning, meaningOf, ProxyError } from "../errors.ts";
import type { H1, ModuleHashes } from "../module/h1.ts";
import type { DatabaseFor } from "../module/hash_database.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { namesByPlace, type RepositoryName } from "../module/repository_identity.ts";
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
  readonly copies: Copies;
  /** The sources of a module. */
  readonly sourcesOf: (
    path: ModulePath,
  ) => { readonly privatePrefix: string | null; readonly sources: readonly Source[] };
  readonly databaseFor: DatabaseFor;
  /** Null: everyone may read everything. */
  readonly accessList: AccessList | null;
  readonly limits?: Partial<ExplainLimits>;
}

export interface ExplainLimits {
  /** How long each source, and the database, may take. */
  readonly timeoutMs: number;
  /** How many explanations may be in progress at once. */
  readonly maxFlights: number;
}

export const EXPLAIN_LIMITS: ExplainLimits = { timeoutMs: 60_000, maxFlights: 8 };

export class Explainer {
  readonly #options: ExplainerOptions;
  readonly #limits: ExplainLimits;
  readonly #flights: SingleFlight<Omit<Explanation, "access">>;

  constructor(options: ExplainerOptions) {
    this.#options = options;
    this.#limits = { ...EXPLAIN_LIMITS, ...options.limits };
    this.#flights = new SingleFlight(this.#limits.maxFlights);
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
      () => this.#lookInto(module),
      signal,
    );
    const { accessList } = this.#options;
    const access = accessList === null ? null : identities.map((identity) => ({
      identity,
      ...accessList.decide(identity, module.path, facts.names),
    }));
    return { ...facts, access };
  }

  async #lookInto(module: ModuleVersion): Promise<Omit<Explanation, "access">> {
    const { path, version } = module;
    const { privatePrefix, sources } = this.#options.sourcesOf(path);
    const copy = await orFailure(() => this.#options.copies.read(module));
    const known = copy === null || "failed" in copy ? null : copy;
    const names = new Set(known === null ? [] : namesOfCopy(known.manifest));
    const [published, checksumDatabase, said] = await Promise.all([
      known === null ? null : this.#published(known),
      orFailure(() => this.#record(module, known)),
      Promise.all(sources.map(async (source) => ({
        source: source.description,
        ...await orFailure(() => this.#ask(source, { module, published: known, names }), names),
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

  async #published(copy: Copy): Promise<PublishedPart | Failed> {
    const { time, origin, source, goMod, zip } = copy.manifest;
    return await orFailure(async () => {
      const stored = await this.#options.copies.openZip(copy);
      await stored?.body.cancel();
      return {
        time,
        source,
        ...origin === undefined ? {} : { origin },
        goMod: { h1: goMod.h1, sizeBytes: goMod.sizeBytes },
        zip: { h1: zip.h1, sizeBytes: stored?.sizeBytes ?? null },
      };
    });
  }

  async #ask(
    source: Source,
    { module, published, names }: {
      module: ModuleVersion;
      published: Copy | null;
      names: Set<RepositoryName>;
    },
  ): Promise<SourcePart> {
    const { info, goMod } = await this.#withDeadline(
      `ask ${source.description}`,
      (signal) => source.describe(module, signal),
    );
    const { url: remote, subdir } = info.origin ?? {};
    if (remote !== undefined) {
      for (const name of namesByPlace(module.path, { remote, subdir })) names.add(name);
    }
    const goModH1 = hashGoMod(goMod);
    const isAsPublished = published === null ? null : goModH1 === published.manifest.goMod.h1;
    return { time: info.time, goModH1, isAsPublished };
  }

  async #record(module: ModuleVersion, published: Copy | null): Promise<DatabasePart | null> {
    const database = this.#options.databaseFor(module.path);
    if (database === null) return null;
    const { name } = database;
    const hashes = await this.#withDeadline(
      `ask ${name}`,
      (signal) => database.find(module, signal),
    );
    if (hashes === null) return { name, record: null };
    const { zipH1, goModH1 } = hashes;
    const isAsPublished = published === null
      ? null
      : published.manifest.zip.h1 === zipH1 && published.manifest.goMod.h1 === goModH1;
    return { name, record: { zipH1, goModH1, isAsPublished } };
  }

  #withDeadline<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(work, { timeoutMs: this.#limits.timeoutMs, what });
  }
}

/** @param names takes those of what a failure tells of */
async function orFailure<T>(
  work: () => Promise<T>,
  names?: Set<RepositoryName>,
): Promise<T | Failed> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProxyError) {
      for (const name of error.names) names?.add(name as RepositoryName);
    }
    // As on every other route, the causes of a message are only logged.
    const reason = error instanceof ProxyError ? error.message : describeError(error);
    return { failed: meaningOf(error), reason };
  }
}
