import assert from "node:assert/strict";
import { isVendored } from "./vendored.ts";

/**
 * Whether the file is left out, by the module's `go` line. Each row was put to the `go` command
 * (tests/go_zip_test.ts).
 */
const NAMES: { name: string; old: boolean; fixed: boolean; why?: string }[] = [
  { name: "a.go", old: false, fixed: false },
  { name: "vendor", old: false, fixed: false, why: "a file of this name" },
  { name: "vendor/a.go", old: false, fixed: false, why: "a package of its own, not a copy" },
  { name: "vendor/x/a.go", old: true, fixed: true },
  { name: "vendor/example.com/x/a.go", old: true, fixed: true },
  { name: "vendor/modules.txt", old: false, fixed: true },
  { name: "vendor/x/modules.txt", old: true, fixed: true },
  {
    name: "sub/vendor/modules.txt",
    old: true,
    fixed: false,
    why: "the old rule knows no exception",
  },
  { name: "s/vendor/modules.txt", old: true, fixed: false },
  { name: "pkg/vendor/vendor.go", old: true, fixed: false, why: "the old rule, again" },
  { name: "pkg/vendor/x/a.go", old: true, fixed: true },
  { name: "vendored/a.go", old: false, fixed: false },
  { name: "vendored/x/a.go", old: false, fixed: false },
  { name: "my-vendor/x/a.go", old: false, fixed: false },
  { name: "Vendor/x/a.go", old: false, fixed: false },
  { name: "vendor/vendor/a.go", old: true, fixed: true },
  { name: "a/vendor/vendor/a.go", old: true, fixed: true },
  { name: "a/vendor/b/vendor/a.go", old: true, fixed: true, why: "the first one counts" },
];

const OLD = [null, "1.9", "1.11", "1.23", "1.23.9", "1.24.1rc1", "1.24rc01"];
const FIXED = ["1.24", "1.24.0", "1.24rc1", "1.25.3", "1.100", "2.0", "10.1"];

Deno.test("isVendored()", async (t) => {
  for (const { name, old, fixed, why } of NAMES) {
    await t.step(why === undefined ? name : `${name}: ${why}`, () => {
      for (const version of OLD) assert.equal(isVendored(name, version), old, `go ${version}`);
      for (const version of FIXED) assert.equal(isVendored(name, version), fixed, `go ${version}`);
    });
  }
});
