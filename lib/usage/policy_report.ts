/**
 * What rules of the policy have decided, by rule: which versions, for whom, how often. With a
 * policy in audit mode, that is what enforcing it would break.
 */
import type { UsageRow } from "./usage_row.ts";

export interface ReportedVersion {
  /** `module@version`. */
  readonly name: string;
  readonly requests: number;
  /** In the order of their names; clients that were not recorded are left out. */
  readonly identities: readonly string[];
}

export interface ReportedRule {
  readonly rule: string;
  readonly action: string;
  readonly mode: string;
  readonly requests: number;
  /** Those with the most requests first. */
  readonly versions: readonly ReportedVersion[];
}

/** Collects rows; only those about zips that a rule has decided count. */
export class PolicyReport {
  readonly #rules = new Map<string, Map<string, { requests: number; identities: Set<string> }>>();
  #requests = 0;

  /** All zips that were requested. */
  get requests(): number {
    return this.#requests;
  }

  add({ module, version, kind, identity, count, rule, action, mode }: UsageRow): void {
    if (kind !== "zip") return;
    this.#requests += count;
    if (rule === undefined) return;
    const versions = entryOf(this.#rules, `${rule} ${action} ${mode}`, () => new Map());
    const known = entryOf(versions, `${module}@${version}`, () => ({
      requests: 0,
      identities: new Set<string>(),
    }));
    known.requests += count;
    if (identity !== null) known.identities.add(identity);
  }

  /** Those with the most requests first. */
  rules(): ReportedRule[] {
    return [...this.#rules].map(([key, found]) => {
      const [rule = "", action = "", mode = ""] = key.split(" ");
      const versions = [...found].map(([name, { requests, identities }]) => ({
        name,
        requests,
        identities: [...identities].sort(),
      })).sort((a, b) => b.requests - a.requests || (a.name < b.name ? -1 : 1));
      const requests = versions.reduce((sum, version) => sum + version.requests, 0);
      return { rule, action, mode, requests, versions };
    }).sort((a, b) => b.requests - a.requests || (a.rule < b.rule ? -1 : 1));
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/** For a person, a line each; at most `maxVersions` of each rule. */
export function reportText(
  { rules, requests }: { readonly rules: readonly ReportedRule[]; readonly requests: number },
  maxVersions = 20,
): string[] {
  if (rules.length === 0) return [`no rule has decided about any of ${requests} zips`];
  return rules.flatMap((rule) => {
    const [shown, left] = [rule.versions.slice(0, maxVersions), rule.versions.length - maxVersions];
    const width = Math.max(...shown.map(({ name }) => name.length));
    return [
      `${rule.rule}: ${rule.action}, ${rule.mode}: ${rule.requests} of ${requests} zips`,
      ...shown.map(({ name, requests, identities }) =>
        `  ${name.padEnd(width)}  ${String(requests).padStart(6)}  ${identities.join(", ")}`
          .trimEnd()
      ),
      ...left > 0 ? [`  and ${left} more`] : [],
    ];
  });
}
