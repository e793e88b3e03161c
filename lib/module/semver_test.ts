import assert from "node:assert/strict";
import fc from "fast-check";
import golden from "../../tests/testdata/golden/semvers.json" with { type: "json" };
import { canonicalSemver, compareSemver, majorOf, parseSemver } from "./semver.ts";

const INPUTS = golden.versions.map(({ input }) => input);

/** Versions that share their parts, so that often only the last one differs. */
const version = fc.tuple(
  fc.constantFrom(
    "v0",
    "v1",
    "v1.0",
    "v1.2",
    "v1.0.0",
    "v1.2.0",
    "v1.2.3",
    "v1.2.30",
    "v99999999999999999999.0.0",
  ),
  fc.array(fc.constantFrom("0", "1", "9", "10", "a", "b", "-", "0a", "A", "rc1", "x-y"), {
    maxLength: 3,
  }),
  fc.constantFrom("", "+meta", "+incompatible"),
).map(([core, identifiers, build]) =>
  core + (identifiers.length === 0 ? "" : `-${identifiers.join(".")}`) + build
);

Deno.test("parseSemver() takes what Go takes", async (t) => {
  for (const { input, valid, prerelease, build } of golden.versions) {
    await t.step(JSON.stringify(input), () => {
      const parsed = parseSemver(input);
      assert.equal(parsed !== null, valid);
      assert.equal(parsed?.prerelease ?? "", prerelease);
      assert.equal(parsed?.build ?? "", build);
    });
  }
});

Deno.test("canonicalSemver(), majorOf() and the minor version agree with Go", async (t) => {
  for (const { input, canonical, major, majorMinor } of golden.versions) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(canonicalSemver(input) ?? "", canonical);
      assert.equal(majorOf(input) ?? "", major);
      assert.equal(majorMinorOf(input) ?? "", majorMinor);
    });
  }
});

Deno.test("compareSemver() orders every pair as Go does", async (t) => {
  for (const [row, v] of INPUTS.entries()) {
    await t.step(JSON.stringify(v), () => {
      const order = INPUTS.map((w) => "<=>"[Math.sign(compareSemver(v, w)) + 1]).join("");
      assert.equal(order, golden.orders[row]);
    });
  }
});

Deno.test("compareSemver() is a total order", () => {
  fc.assert(fc.property(version, version, version, (a, b, c) => {
    assert.equal(Math.sign(compareSemver(a, b)), -Math.sign(compareSemver(b, a)) || 0);
    if (compareSemver(a, b) <= 0 && compareSemver(b, c) <= 0) {
      assert.ok(compareSemver(a, c) <= 0);
    }
  }));
});

Deno.test("compareSemver() is zero exactly where the canonical forms are the same", () => {
  fc.assert(fc.property(version, version, (a, b) => {
    assert.equal(compareSemver(a, b) === 0, canonicalSemver(a) === canonicalSemver(b));
  }));
});

Deno.test("canonicalSemver() of a canonical form is that form", () => {
  fc.assert(fc.property(version, (text) => {
    const canonical = canonicalSemver(text);
    if (canonical !== null) assert.equal(canonicalSemver(canonical), canonical);
  }));
});

Deno.test("parseSemver() takes text of any length, in linear time and without a deep stack", () => {
  const count = 2_000_000;
  for (const part of ["1", "0", "a", "-", ".", "1.", "a.", "0a."]) {
    for (const start of ["v", "v1.0.0-", "v1.0.0+"]) {
      assert.equal(parseSemver(start + part.repeat(count) + "!"), null);
    }
  }
  assert.notEqual(parseSemver(`v1.0.0-${"a.".repeat(count)}a+${"a.".repeat(count)}a`), null);
});

/** `semver.MajorMinor`, which nothing but these vectors needs. */
function majorMinorOf(text: string): string | null {
  const version = parseSemver(text);
  return version === null ? null : `v${version.major}.${version.minor}`;
}
