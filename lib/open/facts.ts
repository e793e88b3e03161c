/** The facts that a policy asks for, from the parts that know them. */
import type { Advisories } from "../advisories/advisories.ts";
import { ratingOf } from "../advisories/severity.ts";
import { ForbiddenError, NotFoundError, ProxyError } from "../errors.ts";
import type { ModuleIndex } from "../index/module_index.ts";
import type { LicenceReader } from "../licences/licence_reader.ts";
import { licencesOf, type ModuleLicences } from "../licences/record.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { Version } from "../module/version.ts";
import { Ages } from "../policy/age.ts";
import type { ClockLog } from "../policy/clock_log.ts";
import { type Facts, UnknownFactError } from "../policy/facts.ts";
import { findFix } from "../policy/fix.ts";
import { NoticeReader } from "../service/module_notices.ts";
import type { ModuleService } from "../service/service.ts";
import type { SumDatabases } from "../sumdb/databases.ts";
import { ZipError } from "../zip/rules.ts";

export interface OpenFactsOptions {
  readonly service: ModuleService;
  readonly databases: SumDatabases;
  readonly index: ModuleIndex | null;
  /** Null without a source of them. */
  readonly advisories: Advisories | null;
  readonly licences: LicenceReader;
  readonly clockOf: (database: string) => ClockLog;
  readonly isPrivate: (path: ModulePath) => boolean;
  /** The versions of a module that have been published here, lowest first. */
  readonly publishedOf: (path: ModulePath, signal: AbortSignal) => Promise<readonly Version[]>;
}

export function openFacts(options: OpenFactsOptions): Facts {
  const { service, databases, index, clockOf, isPrivate } = options;
  const notices = new NoticeReader(service);
  const ages = new Ages({
    positionOf: (module, signal) => databases.positionOf(module, signal),
    clockOf,
    firstSeenMs: async (module) => await index?.timeOf(module) ?? null,
  });
  const advisoriesOf = ({ path, version }: ModuleVersion) => {
    const { advisories } = options;
    if (advisories === null) {
      throw new UnknownFactError("advisories", "advisories.sources has none");
    }
    // What is known of the others is not all.
    if (advisories.unread !== null) {
      throw new UnknownFactError(
        "advisories",
        `source "${advisories.unread.name}" was never read`,
      );
    }
    return advisories.matcher.match(path, version).map(({ severity, ...finding }) => ({
      ...finding,
      severity: severity === null ? null : ratingOf(severity),
    }));
  };
  return {
    isPrivate,
    age: (module, signal) => ages.of(module, signal),
    moduleAge: async (module, signal) => {
      const { path } = module;
      const { versions: [version = module.version] } = await determine(
        "age",
        () => service.list(path, { mayFetch: true, signal, facts: {} }),
      );
      return await ages.of({ path, version }, signal);
    },
    advisories: advisoriesOf,
    fix: async (module, signal) => {
      const published = await determine("fixes", () => options.publishedOf(module.path, signal));
      return findFix(module, { published, advisoriesOf });
    },
    licences: async (module, { onlyKnown, signal }) => {
      const found = await determine(
        "licences",
        () => readLicences(module, { options, onlyKnown, signal }),
      );
      if (found !== null) return licencesOf(found);
      if (onlyKnown) return null;
      throw new UnknownFactError("licences", "its zip is not available");
    },
    status: async (path, signal) => {
      const asking = { mayFetch: true, signal, facts: {} };
      const said = await determine("retractions", () => notices.read(path, asking));
      return said ?? { retractions: [], deprecation: null, version: null };
    },
  };
}

/** For a list, what is in memory must do: a store is slow for thousands of versions. */
async function readLicences(
  module: ModuleVersion,
  { options: { service, licences }, onlyKnown, signal }: {
    readonly options: OpenFactsOptions;
    readonly onlyKnown: boolean;
    readonly signal: AbortSignal;
  },
): Promise<ModuleLicences | null> {
  if (!onlyKnown) {
    const copy = await service.copy(module, { mayFetch: true, signal, facts: {} });
    return await licences.read(copy, { signal });
  }
  const copy = service.remembered(module);
  return copy === null ? null : await licences.read(copy, { onlyKnown, signal });
}

/** @throws {UnknownFactError} for failures that say nothing about the module */
async function determine<T>(fact: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof NotFoundError || cause instanceof ForbiddenError) throw cause;
    if (!(cause instanceof ProxyError) && !(cause instanceof ZipError)) throw cause;
    throw new UnknownFactError(fact, cause.message, { cause });
  }
}
