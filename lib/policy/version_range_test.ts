import assert from "node:assert/strict";
import { VersionRange } from "./version_range.ts";

Deno.test("VersionRange.has() compares as Go does", async (t) => {
  const rows = [
    {
      range: ">=1.2.0 <1.4.0",
      has: ["v1.2.0", "v1.3.9", "v1.4.0-rc.1"],
      lacks: ["v1.1.9", "v1.4.0"],
    },
    {
      range: "<1.2.0 || >=2",
      has: ["v1.1.0", "v2.0.0", "v3.0.0"],
      lacks: ["v1.2.0", "v2.0.0-rc.1"],
    },
    { range: "v1.4.2", has: ["v1.4.2", "v1.4.2+incompatible"], lacks: ["v1.4.3", "v1.4.2-rc.1"] },
    { range: ">1.4.2 <=1.5", has: ["v1.4.3", "v1.5.0"], lacks: ["v1.4.2", "v1.5.1"] },
    {
      range: ">=0.0.0-20240101000000-000000000000",
      has: ["v0.0.0-20240102000000-abcdefabcdef", "v0.1.0"],
      lacks: ["v0.0.0-20231231000000-abcdefabcdef"],
    },
    { range: ">=1", has: [], lacks: ["main", "1.0.0"] },
  ];
  for (const { range, has, lacks } of rows) {
    await t.step(range, () => {
      const parsed = new VersionRange(range);
      assert.deepEqual(has.filter((version) => !parsed.has(version)), []);
      assert.deepEqual(lacks.filter((version) => parsed.has(version)), []);
      assert.ok(!parsed.isEmpty);
    });
  }
});

Deno.test("new VersionRange() refuses what is no range", () => {
  for (const text of ["", "||", ">=1 ||", "latest", ">= 1.0", "^1.2.0", "1.x", "=>1.0.0"]) {
    assert.throws(() => new VersionRange(text), /is not a (range|comparison)/, text);
  }
  const long = Array.from({ length: 101 }, () => "1").join(" ");
  assert.throws(() => new VersionRange(long), /at most 100/);
});

Deno.test("VersionRange.isEmpty says that the bounds contradict each other", () => {
  for (
    const text of [">=2 <1", ">1.0.0 <1.0.0", ">=1.0.0 <1.0.0", "1.0.0 2.0.0", ">=2 <1 || >3 <3"]
  ) {
    assert.ok(new VersionRange(text).isEmpty, text);
  }
  for (const text of [">=1 <=1", ">=2 <1 || 5"]) assert.ok(!new VersionRange(text).isEmpty, text);
});
