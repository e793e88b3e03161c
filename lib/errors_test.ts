import assert from "node:assert/strict";
import { describeError, meaningOf, StorageError } from "./errors.ts";

function chain(...messages: string[]): Error | undefined {
  const [message, ...rest] = messages;
  return message === undefined ? undefined : new Error(message, { cause: chain(...rest) });
}

const ROWS: { name: string; error: unknown; want: string }[] = [
  { name: "no error", error: "odd", want: "odd" },
  { name: "causes", error: chain("a", "b", "c"), want: "a: b: c" },
  {
    name: "what is said already",
    error: chain("no answer: refused", "refused", "c"),
    want: "no answer: refused: c",
  },
  { name: "ten causes", error: chain(..."0123456789"), want: "0: 1: 2: 3: 4: 5: 6: 7" },
];

Deno.test("describeError() says what happened and why", async (t) => {
  for (const { name, error, want } of ROWS) {
    await t.step(name, () => assert.equal(describeError(error), want));
  }
});

Deno.test("describeError() ends where a cause is its own", () => {
  const error = new Error("round");
  error.cause = error;
  assert.equal(describeError(error), "round");
});

Deno.test("meaningOf() takes a system without files for overloaded, whatever needed one", () => {
  const ROWS = [
    { error: Object.assign(new Error("open"), { code: "EMFILE" }), want: "overloaded" },
    { error: Object.assign(new Error("open"), { code: "ENFILE" }), want: "overloaded" },
    { error: Object.assign(new Error("open"), { code: "EACCES" }), want: "internal" },
    { error: new StorageError("Cannot read"), want: "store" },
    { error: "EMFILE", want: "internal" },
  ];
  for (const { error, want } of ROWS) assert.equal(meaningOf(error), want);
});
