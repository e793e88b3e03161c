/** Module versions for comparisons of matchers: at, before and after the bounds of real ranges. */
import type { FakeEntry } from "../fakes/vulndb.ts";

export interface AskedVersion {
  readonly path: string;
  readonly version: string;
}

/** The same for the same entries: the generator is seeded. */
export function chosenPairs(
  entries: readonly FakeEntry[],
  count: number,
  seed = 19,
): AskedVersion[] {
  const bounds = new Map<string, Set<string>>();
  for (const { affected } of entries) {
    for (const { package: { name }, ranges } of affected) {
      const known = bounds.get(name) ?? new Set();
      for (const [, version = ""] of JSON.stringify(ranges).matchAll(/"([0-9][^"]*)"/g)) {
        if (version !== "0") known.add(version);
      }
      bounds.set(name, known);
    }
  }
  const paths = [...bounds.keys()].sort();
  const random = randomNumbers(seed);
  const pairs = new Map<string, AskedVersion>();
  while (pairs.size < count) {
    const path = paths[random(paths.length)] ?? "";
    const versions = [...bounds.get(path) ?? []].sort();
    const bound = versions[random(versions.length)];
    const kind = bound === undefined ? 3 : random(4);
    const version = kind < 2
      ? `v${bound}`
      : kind === 2
      ? neighbour(bound ?? "", random(2) === 0 ? -1 : 1)
      : `v${random(3)}.${random(30)}.${random(10)}`;
    pairs.set(`${path}@${version}`, { path, version });
  }
  return [...pairs.values()];
}

/** With the patch number before or after it, without a prerelease. */
function neighbour(bound: string, step: number): string {
  const [release = ""] = bound.split(/[-+]/);
  const [major = "0", minor = "0", patch = "0"] = release.split(".");
  return `v${major}.${minor}.${Math.max(0, Number(patch) + step)}`;
}

/** Whole numbers below a limit, by mulberry32. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return below === 0 ? 0 : ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
