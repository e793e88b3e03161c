import assert from "node:assert/strict";
import { directoryOf, isLicenceFile, isRootSource } from "./licence_files.ts";

const ROWS: { path: string; want: boolean }[] = [
  { path: "LICENSE", want: true },
  { path: "LICENCE", want: true },
  { path: "license.MD", want: true },
  { path: "COPYING.LESSER", want: true },
  { path: "COPYING.LESSER.txt", want: true },
  { path: "LICENSE-APACHE-2.0.txt", want: true },
  { path: "MIT-LICENSE.markdown", want: true },
  { path: "MIT_LICENCE", want: true },
  { path: "UNLICENSE", want: true },
  { path: "a/b/LICENSE.rst", want: true },
  { path: "vendor/LICENSE", want: true },
  { path: "vendored/x/LICENSE", want: true },
  { path: "vendor/x/LICENSE", want: false },
  { path: "a/vendor/x/y/LICENSE", want: false },
  { path: "LICENSE/x", want: false },
  { path: "LICENSES", want: false },
  { path: "NOTICE", want: false },
  { path: "PATENTS", want: false },
  { path: "LICENSE.html", want: false },
  { path: "MIT_LICENSE.txt", want: false },
  { path: "", want: false },
];

Deno.test("isLicenceFile() goes by the names that pkgsite has", async (t) => {
  for (const { path, want } of ROWS) {
    await t.step(path, () => assert.equal(isLicenceFile(path), want));
  }
});

Deno.test("isRootSource() is true for Go files in the root that are no tests", () => {
  for (const path of ["a.go", "a_linux.go"]) assert.ok(isRootSource(path), path);
  for (const path of ["x/a.go", "a_test.go", "a.s", "go"]) assert.ok(!isRootSource(path), path);
});

Deno.test("directoryOf() is empty for the root", () => {
  assert.deepEqual(["LICENSE", "a/LICENSE", "a/b/c.go"].map(directoryOf), ["", "a", "a/b"]);
});
