import assert from "node:assert/strict";
import fc from "fast-check";
import type { Retraction } from "./go_mod.ts";
import { atOnce } from "../async/pace.ts";
import { pickLatest } from "./latest.ts";

const PSEUDO = "v1.9.1-0.20260102030405-abcdef123456";

const TABLE: {
  what: string;
  versions: string[];
  retractions?: Retraction[];
  want: string | null;
}[] = [
  { what: "nothing", versions: [], want: null },
  { what: "the highest release", versions: ["v1.9.0", "v1.10.0", "v1.2.0"], want: "v1.10.0" },
  {
    what: "a release before a higher pre-release",
    versions: ["v1.0.0", "v1.1.0-rc.1"],
    want: "v1.0.0",
  },
  {
    what: "the highest pre-release of these",
    versions: ["v1.0.0-rc.2", "v1.0.0-rc.10"],
    want: "v1.0.0-rc.10",
  },
  {
    what: "a compatible release before a higher incompatible one",
    versions: ["v1.0.0", "v2.0.0+incompatible"],
    want: "v1.0.0",
  },
  {
    what: "a compatible pre-release before an incompatible release",
    versions: ["v1.0.0-rc.1", "v2.0.0+incompatible"],
    want: "v1.0.0-rc.1",
  },
  {
    what: "an incompatible release if there is nothing else",
    versions: ["v3.0.0-rc.1+incompatible", "v2.0.0+incompatible"],
    want: "v2.0.0+incompatible",
  },
  { what: "no pseudo-version", versions: [PSEUDO], want: null },
  { what: "no pseudo-version beside a release", versions: ["v1.0.0", PSEUDO], want: "v1.0.0" },
  {
    what: "nothing that is not canonical",
    versions: ["v3", "v2.1", "v1.5.0+meta", "main", "", "v1.0.0"],
    want: "v1.0.0",
  },
  {
    what: "not a retracted version",
    versions: ["v1.0.0", "v1.1.0"],
    retractions: [{ low: "v1.1.0", high: "v1.1.0" }],
    want: "v1.0.0",
  },
  {
    what: "outside an interval, whose ends are within",
    versions: ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"],
    retractions: [{ low: "v1.1.0", high: "v1.3.0" }],
    want: "v1.0.0",
  },
  {
    what: "after several intervals",
    versions: ["v1.0.0", "v1.1.0", "v1.2.0"],
    retractions: [{ low: "v1.2.0", high: "v1.2.0" }, { low: "v1.1.0", high: "v1.1.5" }],
    want: "v1.0.0",
  },
  {
    what: "despite an interval the wrong way round",
    versions: ["v1.0.0"],
    retractions: [{ low: "v1.1.0", high: "v0.9.0" }],
    want: "v1.0.0",
  },
  {
    what: "with a retraction in short form",
    versions: ["v1.0.0", "v1.1.0"],
    retractions: [{ low: "v1.1", high: "v1.1" }],
    want: "v1.0.0",
  },
  {
    what: "a pre-release if the releases are retracted",
    versions: ["v1.0.0-rc.1", "v1.0.0"],
    retractions: [{ low: "v1.0.0", high: "v1.0.0" }],
    want: "v1.0.0-rc.1",
  },
  {
    what: "an incompatible version if the others are retracted",
    versions: ["v1.0.0", "v2.0.0+incompatible"],
    retractions: [{ low: "v0.0.0", high: "v1.9.9" }],
    want: "v2.0.0+incompatible",
  },
  {
    what: "nothing if all are retracted",
    versions: ["v1.0.0", "v2.0.0+incompatible"],
    retractions: [{ low: "v1.0.0", high: "v2.0.0" }],
    want: null,
  },
  {
    what: "despite a retraction of a name that is no version",
    versions: ["v1.0.0"],
    retractions: [{ low: "main", high: "main" }],
    want: "v1.0.0",
  },
];

Deno.test("pickLatest() picks", async (t) => {
  for (const { what, versions, retractions = [], want } of TABLE) {
    await t.step(what, () => assert.equal(atOnce(pickLatest(versions, retractions)), want));
  }
});

Deno.test("pickLatest() does not depend on the order of the list, and leaves it alone", () => {
  const versions = fc.shuffledSubarray([
    "v1.0.0",
    "v1.1.0",
    "v1.2.0-rc.1",
    "v2.0.0+incompatible",
    PSEUDO,
    "main",
  ]);
  fc.assert(fc.property(versions, (versions) => {
    const before = [...versions];
    assert.equal(atOnce(pickLatest(versions, [])), atOnce(pickLatest(versions.toReversed(), [])));
    assert.deepEqual(versions, before);
  }));
});
