import assert from "node:assert/strict";
import { InvalidRequestError } from "../errors.ts";
import { parseGoSums } from "./go_sum.ts";

const A = `h1:${"A".repeat(43)}=`;
const B = `h1:${"B".repeat(42)}A=`;
const M = "example.com/m";

Deno.test("parseGoSums() joins the lines of a version, in one file and in several", () => {
  const want = [
    { path: M, version: "v1.0.0", zipH1: A, goModH1: B },
    { path: "example.com/Up", version: "v2.0.0+incompatible", zipH1: null, goModH1: A },
  ];
  const lines = [`${M} v1.0.0 ${A}`, `${M} v1.0.0/go.mod ${B}`];
  const up = `example.com/Up v2.0.0+incompatible/go.mod ${A}`;
  const rows = [
    [`${lines[0]}\n${lines[1]}\n${up}\n`],
    [`${lines[0]}\r\n\r\n`, `${lines[1]}\n${up}`, `${lines[0]}\n`],
    [`  ${lines[0]}\t\n${M} v1.0.0 h9:future\n\n${lines[1]}\n${up}`],
  ];
  for (const texts of rows) assert.deepEqual(parseGoSums(texts), want);
  assert.deepEqual(parseGoSums([""]), []);
});

for (
  const { input, want } of [
    { input: `${M} v1.0.0`, want: /three fields/ },
    { input: `${M} v1.0.0 ${A} x`, want: /three fields/ },
    { input: `${M} v1.0.0 h1:short`, want: /no hash/ },
    { input: `${M} master ${A}`, want: /no module version/ },
    { input: `${M} v2.0.0 ${A}`, want: /no module version/ },
    { input: `m v1.0.0 ${A}`, want: /no module version/ },
    { input: `${M} v1.0.0 ${A}\n${M} v1.0.0 ${B}`, want: /another line has/ },
  ]
) {
  Deno.test(`parseGoSums() refuses ${JSON.stringify(input)}`, () => {
    assert.throws(() => parseGoSums([input]), (error) => {
      assert.ok(error instanceof InvalidRequestError);
      assert.match(error.message, want);
      return true;
    });
  });
}
