import assert from "node:assert/strict";
import { GoModError, MAX_ARGUMENTS, readDirectives } from "./go_mod_syntax.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("readDirectives() gives lines and the lines of blocks", () => {
  const text = [
    "// why",
    "module example.com/m // why",
    "",
    "retract (",
    "\t// why",
    "\tv1.0.0",
    '\t[v1.1.0, "v1.2.0"] // why',
    ")",
    "empty ()",
    "more words (",
    "\tare left out",
    ")",
    "go 1.24",
  ].join("\r\n");
  assert.deepEqual([...readDirectives(encode(text))], [
    {
      verb: "module",
      args: ["example.com/m"],
      inBlock: false,
      comments: ["// why\r", "// why\r"],
    },
    { verb: "retract", args: ["v1.0.0"], inBlock: true, comments: ["// why\r"] },
    {
      verb: "retract",
      args: ["[", "v1.1.0", ",", '"v1.2.0"', "]"],
      inBlock: true,
      comments: ["// why\r"],
    },
    { verb: "go", args: ["1.24"], inBlock: false, comments: [] },
  ]);
});

Deno.test("readDirectives() keeps no more arguments than it says", () => {
  const many = "x ".repeat(100);
  for (const text of [`verb ${many}`, `verb (\n${many}\n)`]) {
    const [directive] = readDirectives(encode(text));
    assert.ok(typeof directive === "object");
    assert.equal(directive.args.length, MAX_ARGUMENTS);
  }
});

Deno.test("readDirectives() gives what comes before a fault, then throws", () => {
  const directives = readDirectives(encode("go 1.24\nblock (\n"));
  assert.deepEqual(directives.next().value, {
    verb: "go",
    args: ["1.24"],
    inBlock: false,
    comments: [],
  });
  assert.throws(() => directives.next(), GoModError);
});
