/** The facts that a policy asks for, from the parts that know them. */
import type { Advisories } from "../advisories/advisories.ts";
import { ratingOf } from "../advisories/severity.ts";
import type { ModuleIndex } from "../index/module_index.ts";
import type { ModulePath } from "../module/path.ts";
import { Ages } from "../policy/age.ts";
import type { ClockLog } from "../policy/clock_log.ts";
import { type Facts, UnknownFactError } from "../policy/facts.ts";
import type { ModuleService } from "../service/service.ts";
import type { SumDatabases } from "../sumdb/databases.ts";

export interface OpenFactsOptions {
  readonly service: ModuleService;
  readonly databases: SumDatabases;
  readonly index: ModuleIndex | null;
  /** Null without a source of them. */
  readonly advisories: Advisories | null;
  readonly clockOf: (database: string) => ClockLog;
  readonly isPrivate: (path: ModulePath) => boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function openFacts(options: OpenFactsOptions): Facts {
  const { service, databases, index, clockOf, isPrivate, now } = options;
  const ages = new Ages({
    positionOf: (module, signal) => databases.positionOf(module, signal),
    clockOf,
    firstSeenMs: async (module) => await index?.timeOf(module) ?? null,
    now,
  });
  return {
    isPrivate,
    age: (module, signal) => ages.of(module, signal),
    moduleAge: async (path, signal) => {
      const list = await service.list(path, { mayFetch: true, signal, facts: {} });
      const [version] = list.versions;
      if (version === undefined) throw new UnknownFactError("age", `${path} has no version`);
      return await ages.of({ path, version }, signal);
    },
    advisories: ({ path, version }) => {
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
    },
    licences: () => {
      throw new UnknownFactError("licences", "not detected");
    },
    status: () => {
      throw new UnknownFactError("retractions", "not detected");
    },
  };
}
