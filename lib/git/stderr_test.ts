import assert from "node:assert/strict";
import fc from "fast-check";
import { MESSAGE_MAX_CHARS, readableStderr } from "./stderr.ts";

Deno.test("readableStderr()", async (t) => {
  const rows: { input: string; secrets?: string[]; want: string }[] = [
    { input: "", want: "" },
    { input: "fatal: no\n", want: "fatal: no" },
    { input: "remote: a\r\nremote:\n\nfatal: b\n", want: "remote: a; remote:; fatal: b" },
    { input: "\x1b[31mred\x1b[0m\x07", want: "[31mred [0m" },
    { input: "\u009b2J", want: "2J" },
    { input: "key s3cret.", secrets: ["s3cret"], want: "key ***." },
    { input: "abc ab", secrets: ["ab", "abc"], want: "*** ***" },
    { input: "a", secrets: [""], want: "a" },
    { input: "to https://u:p@h/x and http://t@h/", want: "to https://***@h/x and http://***@h/" },
    // An address in a path is no userinfo.
    { input: "https://h/a@b", want: "https://h/a@b" },
  ];
  for (const { input, secrets = [], want } of rows) {
    await t.step(JSON.stringify(input), () => assert.equal(readableStderr(input, secrets), want));
  }
});

Deno.test("readableStderr() is one short line without the secret, whatever git says", () => {
  const secret = "gh5_Secret-0123456789";
  const piece = fc.oneof(fc.string({ unit: "binary" }), fc.constant(secret), fc.constant("\n"));
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    const line = readableStderr(pieces.join(""), [secret]);
    assert.ok(!line.includes(secret));
    // deno-lint-ignore no-control-regex -- control characters are what is looked for
    assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f]/);
    assert.ok(line.length <= MESSAGE_MAX_CHARS + 1);
  }));
});
