import assert from "node:assert/strict";
import fc from "fast-check";
import type { Retraction } from "./go_mod.ts";
import { retractedBy } from "./retraction.ts";
import { compareSemver } from "./semver.ts";

const VERSIONS = ["v1.0.0-rc.1", "v1.0.0", "v1.1.0", "v1.2.0", "v1.10.0", "v2.0.0+incompatible"];

const TABLE: { what: string; retractions: Retraction[]; want: string[] }[] = [
  { what: "nothing", retractions: [], want: [] },
  { what: "one version", retractions: [{ low: "v1.1.0", high: "v1.1.0" }], want: ["v1.1.0"] },
  {
    what: "an interval with both ends",
    retractions: [{ low: "v1.0.0", high: "v1.2.0" }],
    want: ["v1.0.0", "v1.1.0", "v1.2.0"],
  },
  {
    what: "an interval within another",
    retractions: [{ low: "v1.0.0", high: "v1.10.0" }, { low: "v1.1.0", high: "v1.1.0" }],
    want: ["v1.0.0", "v1.1.0", "v1.2.0", "v1.10.0"],
  },
  {
    what: "a version in short form",
    retractions: [{ low: "v1.1", high: "v1.1" }],
    want: ["v1.1.0"],
  },
  {
    what: "+incompatible without saying so",
    retractions: [{ low: "v2.0.0", high: "v2.0.0" }],
    want: ["v2.0.0+incompatible"],
  },
  {
    what: "nothing between v1.2.0 and v1.0.0",
    retractions: [{ low: "v1.2.0", high: "v1.0.0" }],
    want: [],
  },
  { what: "nothing called main", retractions: [{ low: "main", high: "main" }], want: [] },
  {
    what: "from main to v1.0.0, since main sorts first",
    retractions: [{ low: "main", high: "v1.0.0" }],
    want: ["v1.0.0-rc.1", "v1.0.0"],
  },
];

Deno.test("retractedBy() retracts", async (t) => {
  for (const { what, retractions, want } of TABLE) {
    await t.step(what, () => assert.deepEqual(VERSIONS.filter(retractedBy(retractions)), want));
  }
});

Deno.test("retractedBy() agrees with a look at every interval", () => {
  const version = fc.constantFrom("main", "v0", "v1.5.0+meta", ...VERSIONS);
  const retractions = fc.array(fc.record({ low: version, high: version }));
  fc.assert(fc.property(retractions, version, (retractions, version) => {
    const want = retractions.some(({ low, high }) =>
      compareSemver(low, version) <= 0 && compareSemver(version, high) <= 0
    );
    assert.equal(retractedBy(retractions)(version), want);
  }));
});

Deno.test("retractedBy() is fast where everything is retracted one by one", () => {
  const versions = Array.from({ length: 20_000 }, (_, n) => `v1.${n}.0`);
  const isRetracted = retractedBy(versions.map((version) => ({ low: version, high: version })));
  assert.ok(versions.every(isRetracted)); // A look at every interval would take minutes.
});
