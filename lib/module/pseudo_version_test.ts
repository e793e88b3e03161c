import assert from "node:assert/strict";
import fc from "fast-check";
import golden from "../../tests/testdata/golden/pseudo_versions.json" with { type: "json" };
import { formatPseudoVersion, isPseudoVersion, parsePseudoVersion } from "./pseudo_version.ts";
import { compareSemver, majorOf, parseSemver } from "./semver.ts";

Deno.test("isPseudoVersion() agrees with Go", async (t) => {
  for (const { input, is } of golden.parse) {
    await t.step(JSON.stringify(input), () => assert.equal(isPseudoVersion(input), is));
  }
});

Deno.test("parsePseudoVersion() agrees with Go", async (t) => {
  for (const { input, base, time, revision } of golden.parse) {
    await t.step(JSON.stringify(input), () => {
      const want = base === null || time === null || revision === null
        ? null
        : { base, time: new Date(time), revision, build: parseSemver(input)?.build };
      assert.deepEqual(parsePseudoVersion(input), want);
    });
  }
});

Deno.test("formatPseudoVersion() agrees with Go", async (t) => {
  for (const { major, base, revision, time, want } of golden.format) {
    await t.step(want, () => {
      const got = formatPseudoVersion({ major, base, revision, time: new Date(time) });
      assert.equal(got, want);
    });
  }
});

Deno.test("formatPseudoVersion() refuses a year that has not four digits", () => {
  for (const time of [new Date(Date.UTC(10_000, 0)), new Date(Date.UTC(-1, 0)), new Date(NaN)]) {
    const parts = { major: "", base: "", revision: "abcdef123456", time };
    assert.throws(() => formatPseudoVersion(parts), RangeError);
  }
});

const base = fc.tuple(
  fc.constantFrom("v0.0.0", "v1.2.3", "v1.2.9", "v2.0.0", "v1.0.99999999999999999999"),
  fc.constantFrom("", "-pre", "-rc.1", "-0", "-0.0", "-a-b", "--"),
  fc.constantFrom("", "+incompatible"),
).map((parts) => parts.join(""));
const time = fc.date({
  min: new Date("0000-01-01T00:00:00Z"),
  max: new Date("9999-12-31T23:59:59Z"),
  noInvalidDate: true,
});
const revision = fc.string({
  unit: fc.constantFrom(..."0123456789abcdef"),
  minLength: 12,
  maxLength: 12,
});

Deno.test("parsePseudoVersion() undoes formatPseudoVersion()", () => {
  fc.assert(fc.property(fc.oneof(base, fc.constant("")), time, revision, (base, time, revision) => {
    const text = formatPseudoVersion({ major: majorOf(base) ?? "v3", base, time, revision });
    assert.ok(isPseudoVersion(text));
    assert.deepEqual(parsePseudoVersion(text), {
      // A pre-release that is just -0 has the form of a release's successor.
      base: parseSemver(base)?.prerelease === "-0" ? parsePseudoVersion(text)?.base : base,
      time: new Date(Math.floor(time.getTime() / 1000) * 1000),
      revision,
      build: parseSemver(base)?.build ?? "",
    });
  }));
});

Deno.test("formatPseudoVersion() makes a version right after its base", () => {
  fc.assert(fc.property(base, time, revision, (base, time, revision) => {
    const text = formatPseudoVersion({ major: "", base, time, revision });
    assert.ok(compareSemver(base, text) < 0);
  }));
});

Deno.test("parsePseudoVersion() answers any text", () => {
  const text = fc.array(
    fc.constantFrom("v1", ".0", "-0", ".", "-", "20260102030405", "abc", "+x", "\n"),
  )
    .map((parts) => parts.join(""));
  fc.assert(fc.property(text, (text) => {
    if (parsePseudoVersion(text) !== null) assert.ok(isPseudoVersion(text));
  }));
});
