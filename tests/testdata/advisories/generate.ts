/**
 * Makes entries.jsonl and verdicts.json: see README.md.
 *
 * ```text
 * deno run -A generate.ts VULNDB/data/osv GOVULNCHECK
 * ```
 */
import { type FakeEntry, fakeEntry, FakeVulndb } from "../../fakes/vulndb.ts";
import { verdictsOf } from "../../support/govulncheck.ts";
import { chosenPairs } from "../../support/advisory_pairs.ts";

const PAIRS = 200;
/** Entries about more modules make the data large. */
const MAX_ENTRIES_OF_MODULE = 30;

const [folder = "", govulncheck = ""] = Deno.args;

interface OsvEntry {
  readonly id: string;
  readonly withdrawn?: string;
  readonly published: string;
  readonly database_specific: { readonly review_status: string };
  readonly affected: readonly {
    readonly package: { readonly name: string; readonly ecosystem: string };
    readonly ranges: readonly unknown[];
    readonly ecosystem_specific?: { readonly custom_ranges?: readonly unknown[] };
  }[];
}

/** What matching needs of an entry. */
function trimmed(entry: OsvEntry, isWanted: (path: string) => boolean): FakeEntry {
  const { id, withdrawn, published, affected, database_specific: specific } = entry;
  const { summary: _summary, schema_version, ...rest } = fakeEntry(id);
  return {
    ...rest,
    schema_version,
    modified: published,
    ...withdrawn === undefined ? {} : { withdrawn },
    database_specific: { review_status: specific.review_status },
    affected: affected.filter((one) => isWanted(one.package.name)).map((one) => {
      const custom = one.ecosystem_specific?.custom_ranges;
      return {
        package: one.package,
        ranges: one.ranges,
        ...custom === undefined ? {} : { ecosystem_specific: { custom_ranges: custom } },
      };
    }),
  };
}

const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
const all: OsvEntry[] = names.map((name) => JSON.parse(Deno.readTextFileSync(`${folder}/${name}`)));
const sizes = new Map<string, number>();
for (const path of all.flatMap(({ affected }) => affected.map((one) => one.package.name))) {
  sizes.set(path, (sizes.get(path) ?? 0) + 1);
}
const isSmall = (path: string) => (sizes.get(path) ?? 0) <= MAX_ENTRIES_OF_MODULE;
const pairs = [
  ...chosenPairs(all.map((entry) => trimmed(entry, isSmall)), PAIRS),
  ...["v1.18.0", "v1.21.13", "v1.22.0-rc.1", "v1.25.4"].flatMap((version) => [
    { path: "stdlib", version },
    { path: "toolchain", version },
  ]),
];
const paths = new Set(pairs.map(({ path }) => path));
const entries = all.map((entry) => trimmed(entry, (path) => paths.has(path)))
  .filter(({ affected }) => affected.length > 0);
await using vulndb = new FakeVulndb(entries);
const verdicts = await verdictsOf(pairs, { program: govulncheck, database: vulndb.url });
const here = new URL(".", import.meta.url);
await Deno.writeTextFile(
  new URL("entries.jsonl", here),
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""),
);
await Deno.writeTextFile(
  new URL("verdicts.jsonl", here),
  pairs.map(({ path, version }) => {
    const found = verdicts.get(`${path}@${version}`) ?? new Map();
    return `${JSON.stringify({ path, version, found: Object.fromEntries(found) })}\n`;
  }).join(""),
);
console.log(`${entries.length} entries, ${pairs.length} pairs`);
