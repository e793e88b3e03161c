import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Affected,
  fixesFor,
  isAffected,
  lastFix,
  parseAffected,
  parseLoosely,
} from "./ranges.ts";

function affected(ranges: readonly string[], versions: readonly string[] = []): Affected {
  return { path: "example.com/m", ranges, versions, isRangeUnknown: false, lastFix: "" };
}

Deno.test("isAffected() follows x/vuln", async (t) => {
  const rows: { ranges: string[]; versions?: string[]; in?: string[]; out?: string[] }[] = [
    { ranges: [], in: ["v0.0.0", "v9.9.9", "not a version"] },
    // A range without events.
    { ranges: [""], in: ["v0.0.0", "v9.9.9"] },
    { ranges: [">=0"], in: ["v0.0.0-20200101000000-abcdef123456", "v0.0.0", "v9.9.9"] },
    { ranges: [">=0 <2.0.0"], in: ["v1.0.0", "v2.0.0-rc.1"], out: ["v2.0.0", "v3.0.0"] },
    { ranges: [">=1.0.0"], in: ["v1.0.0", "v2.0.0"], out: ["v0.9.9", "v1.0.0-rc.1"] },
    { ranges: [">=1.0.0 <1.5.0 >=2.0.0"], in: ["v1.2.0", "v2.0.0"], out: ["v0.1.0", "v1.6.0"] },
    // The order in which events are written does not count.
    { ranges: [">=1.19.0 <1.19.1 >=0 <1.18.6"], in: ["v1.18.1", "v1.19.0"], out: ["v1.18.6"] },
    { ranges: [">=0 >=1.19.0 <1.19.1"], in: ["v1.18.6"], out: ["v1.19.1"] },
    { ranges: [">=0 <1.0.0", ">=0.5.0 <2.0.0"], in: ["v0.1.0", "v1.5.0"], out: ["v2.0.0"] },
    {
      ranges: [">=0 <0.0.0-20220824120805-abcdef123456"],
      in: ["v0.0.0-20210101000000-ffffffffffff"],
      out: ["v0.0.0-20220824120805-abcdef123456", "v0.0.0-20230101000000-000000000000", "v0.0.1"],
    },
    {
      ranges: [">=2.0.0+incompatible <2.1.0+incompatible"],
      in: ["v2.0.0", "v2.0.5+incompatible"],
      out: ["v2.1.0+incompatible"],
    },
    // What is no version is before all versions.
    { ranges: [">=0 <1.0.0"], in: ["main"] },
    { ranges: [">=1.0.0"], out: ["main"] },
    // Nothing that x/vuln reads.
    { ranges: [">=1.0.0 <=1.4.0"], in: ["v1.0.0", "v1.4.0"], out: ["v1.4.1-0", "v1.5.0"] },
    { ranges: [], versions: ["1.2.3", "v1.3.0"], in: ["v1.2.3", "v1.3.0"], out: ["v1.2.4"] },
    { ranges: [">=2.0.0"], versions: ["1.2.3"], in: ["v1.2.3", "v2.1.0"], out: ["v1.2.4"] },
  ];
  for (const { ranges, versions, in: inside = [], out = [] } of rows) {
    const parsed = parseAffected(affected(ranges, versions));
    for (const version of inside) {
      await t.step(`${ranges.join(" or ")} has ${version}`, () => {
        assert.equal(isAffected(parsed, parseLoosely(version)), true);
      });
    }
    for (const version of out) {
      await t.step(`${ranges.join(" or ")} has not ${version}`, () => {
        assert.equal(isAffected(parsed, parseLoosely(version)), false);
      });
    }
  }
});

Deno.test("parseLoosely() takes versions with and without their prefix", () => {
  for (const text of ["1.2.3", "v1.2.3", "go1.2.3"]) {
    assert.equal(parseLoosely(text)?.minor, "2", text);
  }
  assert.equal(parseLoosely("vv1.2.3"), null);
});

Deno.test("fixesFor() names later versions that nothing in the advisory is about", async (t) => {
  const rows = [
    { ranges: [">=0 <1.5.0"], version: "v1.0.0", want: ["1.5.0"] },
    { ranges: [">=0"], version: "v1.0.0", want: [] },
    { ranges: [">=0 <1.5.0 >=2.0.0 <2.1.0"], version: "v1.0.0", want: ["1.5.0", "2.1.0"] },
    { ranges: [">=0 <1.5.0 >=2.0.0 <2.1.0"], version: "v2.0.0", want: ["2.1.0"] },
    {
      ranges: [">=1.0.0 <1.5.0 >=2.0.0 <2.1.0", ">=1.4.0 <1.6.0"],
      version: "v1.0.0",
      want: [
        "1.6.0",
        "2.1.0",
      ],
    },
    { ranges: [">=0 <1.5.0", ">=0 <1.5.0"], version: "v1.0.0", want: ["1.5.0"] },
    { ranges: [">=0 <1.5.0", ">=0"], version: "v1.0.0", want: [] },
  ];
  for (const { ranges, version, want } of rows) {
    await t.step(`${ranges.join(" or ")} from ${version}`, () => {
      const parsed = ranges.map((range) => parseAffected(affected([range])));
      assert.deepEqual(fixesFor(parsed, parseLoosely(version)), want);
    });
  }
});

Deno.test("lastFix() is where the last range ends", async (t) => {
  const rows = [
    { ranges: [], want: "" },
    { ranges: [">=0"], want: "" },
    { ranges: [">=0 <1.0.4"], want: "1.0.4" },
    { ranges: [">=0 <1.0.4 >=1.1.2"], want: "" },
    { ranges: ["<1.0.0 >=0 <0.1.0 >=0.5.0"], want: "1.0.0" },
    { ranges: [">=0 <0.1.0", ">=0 <0.2.0"], want: "0.2.0" },
    // Clients filter by it first: an open range must not be hidden by another one.
    { ranges: [">=0", ">=0 <0.2.0"], want: "" },
    { ranges: [">=0 <=1.4.0"], want: "" },
  ];
  for (const { ranges, want } of rows) {
    await t.step(ranges.join(" or "), () => assert.equal(lastFix(affected(ranges)), want));
  }
  await t.step("versions beside the ranges", () => {
    assert.equal(lastFix(affected([">=0 <1.0.0"], ["2.0.0"])), "");
  });
});

Deno.test("no version from lastFix() on is affected", () => {
  const version = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)).map((parts) => parts.join("."));
  const event = fc.tuple(fc.constantFrom(">=", "<", "<="), version).map((parts) => parts.join(""));
  const range = fc.array(event, { maxLength: 6 }).map((events) => [">=0", ...events].join(" "));
  fc.assert(fc.property(fc.array(range, { maxLength: 3 }), version, (ranges, version) => {
    const one = affected(ranges);
    const fix = lastFix(one);
    const isLater = fix !== "" &&
      isAffected(parseAffected(affected([`>=${fix}`])), parseLoosely(version));
    if (isLater) assert.equal(isAffected(parseAffected(one), parseLoosely(version)), false);
  }));
});
