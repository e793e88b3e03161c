import assert from "node:assert/strict";
import { moduleVersion } from "../module/module_version.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import type { Advisory } from "./facts.ts";
import { findFix } from "./fix.ts";

const PATH = "example.com/a";

/** About v1.0.0 and v1.1.0, fixed in v1.1.1. */
const ADVISORY: Advisory = {
  id: "GO-2026-1",
  aliases: [],
  summary: "a panic",
  isReviewed: true,
  isMalicious: false,
  severity: null,
  fixed: ["1.1.1"],
  source: "test",
};

function fixOf(
  version: string,
  {
    published = ["v1.0.0", "v1.1.0"],
    advisory = ADVISORY,
    affected = ["v1.0.0", "v1.1.0"],
    path = PATH,
  }: {
    published?: readonly string[];
    advisory?: Advisory;
    affected?: readonly string[];
    path?: string;
  } = {},
) {
  return findFix(moduleVersion(path, version), {
    published: published.map((one) => parseVersion(parseModulePath(path), one)),
    advisoriesOf: (asked) => affected.includes(asked.version) ? [advisory] : [],
  });
}

Deno.test("findFix() is the version that an advisory names, of one that was published", () => {
  assert.deepEqual(fixOf("v1.1.1"), { advisory: "GO-2026-1", of: "v1.1.0" });
  assert.equal(fixOf("v1.1.2"), null);
  assert.equal(fixOf("v1.1.1", { published: ["v1.1.1"] }), null);
  assert.equal(fixOf("v1.1.1", { published: ["v0.9.0"] }), null);
});

Deno.test("findFix() does not go by what nobody has reviewed, or by what affects the fix too", () => {
  assert.equal(fixOf("v1.1.1", { advisory: { ...ADVISORY, isReviewed: false } }), null);
  assert.equal(fixOf("v1.1.1", { affected: ["v1.1.0", "v1.1.1"] }), null);
});

Deno.test("findFix() knows the Go version of a toolchain", () => {
  const fix = fixOf("v0.0.1-go1.26.5.linux-amd64", {
    path: "golang.org/toolchain",
    published: ["v0.0.1-go1.26.4.linux-amd64"],
    affected: ["v0.0.1-go1.26.4.linux-amd64"],
    advisory: { ...ADVISORY, fixed: ["1.26.5"] },
  });
  assert.equal(fix?.of, "v0.0.1-go1.26.4.linux-amd64");
});
