import assert from "node:assert/strict";
import golden from "../../tests/testdata/golden/paths.json" with { type: "json" };
import { filePathFault } from "./file_path.ts";

Deno.test("filePathFault() refuses what Go refuses", async (t) => {
  for (const { input, reason } of golden.filePaths) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(filePathFault(input) === null, reason === "", `Go says: ${reason}`);
    });
  }
});

const REASONS: { input: string; want: string }[] = [
  { input: "", want: "empty string" },
  { input: "/etc/passwd", want: "leading slash" },
  { input: "a/../b", want: 'path element ".." has nothing but dots' },
  { input: "a//b", want: "empty path element" },
  { input: "a/", want: "trailing slash" },
  { input: "a/b.", want: "trailing dot in path element" },
  { input: "a\\b", want: 'invalid character "\\\\"' },
  { input: "\ud800", want: "not valid Unicode" },
  { input: "a/Aux.h", want: '"Aux" is a reserved file name on Windows' },
];

Deno.test("filePathFault() says why", async (t) => {
  for (const { input, want } of REASONS) {
    await t.step(JSON.stringify(input), () => assert.equal(filePathFault(input), want));
  }
});
