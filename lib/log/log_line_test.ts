import assert from "node:assert/strict";
import { readableLine } from "./log_line.ts";

const HEAD = { level: "warn", time: "2024-05-06T07:08:09.123Z" };

const LINES: { name: string; line: Record<string, unknown>; want: string }[] = [
  { name: "no facts", line: { ...HEAD, msg: "late" }, want: "07:08:09 warn  late" },
  {
    name: "facts, quoted where they have to be",
    line: { ...HEAD, msg: "late", path: "/a b", n: 1, ok: true, "x": "a=b", y: { z: [1] } },
    want: '07:08:09 warn  late  path="/a b" n=1 ok=true x="a=b" y={"z":[1]}',
  },
  {
    name: "an error with its stack",
    line: { ...HEAD, msg: "late", err: { message: "no", stack: "Error: no\n    at a.ts:1" } },
    want: "07:08:09 warn  late\n  Error: no\n      at a.ts:1",
  },
  {
    name: "what would drive the terminal",
    line: { ...HEAD, msg: "\x1b[2J", path: "\x1b]0;x\x07", q: "\x9b1m \n" },
    want: '07:08:09 warn  \ufffd[2J  path=\ufffd]0;x\ufffd q="\ufffd1m \\n"',
  },
];

Deno.test("readableLine() writes a line for people", async (t) => {
  for (const { name, line, want } of LINES) {
    await t.step(name, () => {
      assert.equal(readableLine(JSON.stringify(line), { colors: false }), want);
    });
  }
});

Deno.test("readableLine() has colours where they are wanted", () => {
  const line = readableLine(JSON.stringify({ ...HEAD, msg: "late", a: 1 }), { colors: true });
  assert.equal(line, "\x1b[2m07:08:09\x1b[0m \x1b[33mwarn \x1b[0m late  \x1b[2ma=1\x1b[0m");
});
