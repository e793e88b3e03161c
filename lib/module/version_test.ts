import assert from "node:assert/strict";
import fc from "fast-check";
import paths from "../../tests/testdata/golden/paths.json" with { type: "json" };
import escapes from "../../tests/testdata/golden/escapes.json" with { type: "json" };
import golden from "../../tests/testdata/golden/semvers.json" with { type: "json" };
import { unlessRefused } from "../../tests/support/unless_refused.ts";
import { InvalidRequestError } from "../errors.ts";
import { parseModulePath } from "./path.ts";
import {
  canonicalVersion,
  compareVersions,
  isCanonicalVersion,
  isVersionOf,
  parseQuery,
  parseVersion,
} from "./version.ts";

const INPUTS = golden.versions.map(({ input }) => input);

Deno.test("canonicalVersion() and isCanonicalVersion() agree with Go", async (t) => {
  for (const { input, canonicalVersion: want } of golden.versions) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(canonicalVersion(input) ?? "", want);
      assert.equal(isCanonicalVersion(input), input !== "" && input === want);
    });
  }
});

Deno.test("parseVersion() and isVersionOf() take the canonical versions that fit the path", async (t) => {
  for (const { pathMajor, fits, unfit } of paths.pathMajors) {
    const parent = pathMajor.startsWith(".") ? "gopkg.in/z" : "example.com/z";
    const path = unlessRefused(() => parseModulePath(parent + pathMajor), InvalidRequestError);
    if (path === null) continue; // Go splits .v0-unstable so, and refuses the path.
    await t.step(path, () => {
      const taken = [...fits, ...unfit].filter((version) =>
        unlessRefused(() => parseVersion(path, version), InvalidRequestError) === version
      );
      const want = fits.filter((version) => isCanonicalVersion(version));
      assert.deepEqual(taken, want);
      assert.deepEqual([...fits, ...unfit].filter((text) => isVersionOf(path, text)), want);
    });
  }
});

const REASONS: { path: string; version: string; want: string }[] = [
  { path: "x.y/z", version: "main", want: "not a semantic version" },
  { path: "x.y/z", version: "v1.2", want: 'the canonical form is "v1.2.0"' },
  { path: "x.y/z", version: "v1.2.3+meta", want: 'the canonical form is "v1.2.3"' },
  {
    path: "x.y/z",
    version: "v2.0.0",
    want: "the module path asks for major version v0 or v1, not v2",
  },
  {
    path: "x.y/z/v2",
    version: "v1.0.0",
    want: "the module path asks for major version v2, not v1",
  },
  {
    path: "gopkg.in/z.v3-unstable",
    version: "v2.0.0",
    want: "the module path asks for major version v3, not v2",
  },
];

Deno.test("parseVersion() says why", async (t) => {
  for (const { path, version, want } of REASONS) {
    await t.step(`${path}@${version}`, () => {
      assert.throws(() => parseVersion(parseModulePath(path), version), {
        name: "InvalidRequestError",
        message: `Cannot read version "${version}" of "${path}": ${want}`,
      });
    });
  }
});

Deno.test("parseQuery() takes what a URL can hold", async (t) => {
  for (const { input, want } of escapes.escapeVersion) {
    await t.step(JSON.stringify(input), () => {
      const got = unlessRefused(() => parseQuery(input), InvalidRequestError);
      assert.equal(got, want === null ? null : input);
    });
  }
});

Deno.test("parseQuery() says why", () => {
  assert.throws(() => parseQuery("feature/x"), {
    name: "InvalidRequestError",
    message: 'Cannot read revision "feature/x": invalid character "/"',
  });
});

Deno.test("compareVersions() sorts as Go does", () => {
  assert.deepEqual(INPUTS.toSorted(compareVersions), golden.sorted);
});

Deno.test("compareVersions() is zero only for the same text", () => {
  const input = fc.constantFrom(...INPUTS);
  fc.assert(fc.property(input, input, (a, b) => {
    assert.equal(compareVersions(a, b) === 0, a === b);
  }));
});
