/**
 * Clients that seem to download modules elsewhere. A `go` command whose `GOPROXY` goes on to
 * another proxy or to `direct` still asks this server for the checksum of what it has downloaded
 * there. So a client that has looked up a version, and requested neither its `.mod` nor its zip,
 * got it elsewhere, or had it in its module cache without a line in go.sum.
 */
import type { UsageRow } from "./usage_row.ts";

export interface SuspectedBypass {
  readonly identity: string;
  /** `module@version`, in order. */
  readonly versions: readonly string[];
}

/** Bounded by the number of rows that are read. */
export class BypassReport {
  readonly #lookedUp = new Map<string, Set<string>>();
  readonly #downloaded = new Map<string, Set<string>>();

  add({ module, version, kind, identity }: UsageRow): void {
    if (identity === null) return;
    const seen = kind === "lookup" ? this.#lookedUp : this.#downloaded;
    const known = seen.get(identity) ?? new Set();
    seen.set(identity, known.add(`${module}@${version}`));
  }

  /** Those with the most versions first. */
  suspected(): SuspectedBypass[] {
    return [...this.#lookedUp].map(([identity, versions]) => {
      const downloaded = this.#downloaded.get(identity) ?? new Set();
      return { identity, versions: [...versions.difference(downloaded)].sort() };
    }).filter(({ versions }) => versions.length > 0)
      .sort((a, b) => b.versions.length - a.versions.length);
  }
}

/** For a person, a line each. */
export function bypassText(suspected: readonly SuspectedBypass[]): string[] {
  return suspected.map(({ identity, versions }) =>
    `suspected bypass: ${identity} looked up ${versions.length} versions that it has not ` +
    `downloaded here, such as ${versions[0]}`
  );
}
