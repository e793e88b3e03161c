/**
 * The fast lane: a version that a reviewed advisory names as the fix of one that is in use need not
 * wait until it is old enough. What has been published here counts as in use.
 */
import type { ModuleVersion } from "../module/module_version.ts";
import { compareParsed, parseSemver } from "../module/semver.ts";
import type { Version } from "../module/version.ts";
import type { Advisory, Fix } from "./facts.ts";
import { goVersionOf } from "./toolchain.ts";

/** Of the published versions, the highest ones are looked at. */
const MAX_VERSIONS = 1000;

export interface FindFixOptions {
  /** Lowest first. */
  readonly published: readonly Version[];
  readonly advisoriesOf: (module: ModuleVersion) => readonly Advisory[];
}

/** Null where no reviewed advisory about a published version names this one. */
export function findFix(
  module: ModuleVersion,
  { published, advisoriesOf }: FindFixOptions,
): Fix | null {
  const { path } = module;
  const own = new Set(advisoriesOf(module).map(({ id }) => id));
  for (const version of published.slice(-MAX_VERSIONS).toReversed()) {
    if (version === module.version) continue;
    const fixed = advisoriesOf({ path, version }).find((advisory) =>
      advisory.isReviewed && !own.has(advisory.id) && isNamed(module, advisory)
    );
    if (fixed !== undefined) return { advisory: fixed.id, of: version };
  }
  return null;
}

function isNamed(module: ModuleVersion, { fixed }: Advisory): boolean {
  const version = parseSemver(goVersionOf(module) ?? module.version);
  return version !== null && fixed.some((text) => {
    const named = parseSemver(`v${text.replace(/^v/, "")}`);
    return named !== null && compareParsed(named, version) === 0;
  });
}
