import assert from "node:assert/strict";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { importAthensFilter } from "./athens_filter.ts";
import { policy as schema } from "./config.ts";
import { Exceptions } from "./exceptions.ts";
import type { Facts } from "./facts.ts";
import { Policy } from "./policy.ts";

const FILTER = `# the default
-

+ github.com/my-org
- github.com/my-org/old v1,~v2.3.4
+ github.com/my-org/old/kept
D github.com/other
- github.com/my-org/odd <v0.3.0,^v1.2.0  # old ones
`;

/** Rows as Athens decides them, by its own rules. */
const ROWS: readonly [module: string, version: string, isAllowed: boolean][] = [
  ["github.com/x/y", "v1.0.0", false],
  ["github.com/other/z", "v1.0.0", true],
  ["github.com/my-org/new", "v1.0.0", true],
  ["github.com/my-org/old", "v0.9.0", true],
  ["github.com/my-org/old", "v1.9.0", false],
  ["github.com/my-org/old", "v1.9.0-rc.1", false],
  ["github.com/my-org/old/v2", "v2.3.3", true],
  ["github.com/my-org/old/v2", "v2.3.5", false],
  ["github.com/my-org/old/v2", "v2.4.0", true],
  ["github.com/my-org/old/kept", "v1.0.0", true],
  ["github.com/my-org/odd", "v0.3.0", false],
  ["github.com/my-org/odd", "v0.3.1", true],
  ["github.com/my-org/odd", "v1.1.9", true],
  ["github.com/my-org/odd", "v1.9.0", false],
];

Deno.test("importAthensFilter() makes rules that decide as the filter does", async (t) => {
  const { rules, notes } = importAthensFilter(FILTER);
  assert.equal(notes.length, 1);
  assert.match(notes[0] ?? "", /^line 7: github\.com\/other is served by this server/);
  const exceptions = new Exceptions([]);
  const policy = new Policy({
    config: schema.parse({ rules }),
    facts: { isPrivate: () => false } as unknown as Facts,
    exceptions: () => exceptions,
    hook: null,
    now: Date.now,
  });
  for (const [module, version, isAllowed] of ROWS) {
    await t.step(`${module}@${version}`, async () => {
      const path = parseModulePath(module);
      const { signal } = new AbortController();
      const verdict = await policy.decide({ path, version: parseVersion(path, version) }, {
        identity: null,
        signal,
      });
      assert.equal(verdict.action, isAllowed ? "allow" : "deny");
    });
  }
});

Deno.test("importAthensFilter() names the line that it cannot read", () => {
  const rows = [
    { line: "* example.com", want: /line 2 .*"\*" is not \+, - or D/ },
    { line: "+ example.com v1 v2", want: /line 2 .*more than a sign/ },
    { line: "+ example.com latest", want: /"latest" is not a version/ },
    { line: "+ example.com ~v1.2", want: /"~v1\.2" is not a version/ },
  ];
  for (const { line, want } of rows) {
    assert.throws(() => importAthensFilter(`+\n${line}\n`), want, line);
  }
});
