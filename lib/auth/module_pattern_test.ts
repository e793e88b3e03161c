import assert from "node:assert/strict";
import { moduleGlobFault, moduleRegexpFault } from "./module_pattern.ts";

Deno.test("moduleRegexpFault() refuses what is not Go's syntax", async (t) => {
  for (const source of ["(", "a{1001}", "(?=a)", "(?!a)", "\\1", "[z-a]", "*", "(?<=a)b"]) {
    await t.step(source, () => assert.equal(typeof moduleRegexpFault(source), "string"));
  }
  for (const source of ["^github\\.com/", "(?i)ABC", "(?P<org>a)", "\\pL", "[[:alpha:]]", "a|b"]) {
    await t.step(source, () => assert.equal(moduleRegexpFault(source), null));
  }
});

Deno.test("moduleGlobFault() refuses what covers nothing", async (t) => {
  for (const glob of ["", "/a", "a//b", "a,b", "[", "/"]) {
    await t.step(glob, () => assert.equal(typeof moduleGlobFault(glob), "string"));
  }
});
