import assert from "node:assert/strict";
import fc from "fast-check";
import { InvalidRequestError } from "../errors.ts";
import { h1Of, hexOfH1, isH1, parseH1 } from "./h1.ts";

const HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const TEXT = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

Deno.test("isH1() and parseH1() take h1: and the one base64 of 32 bytes, and nothing else", async (t) => {
  const rows = [
    { input: TEXT, want: true },
    { input: "", want: false },
    { input: TEXT.slice(3), want: false },
    { input: TEXT.replace("h1:", "h2:"), want: false },
    { input: `${TEXT}\n`, want: false },
    { input: TEXT.replaceAll("+", "-").replaceAll("/", "_"), want: false },
    // The same bytes by a lax decoder: two names for one blob.
    { input: TEXT.replace("FU=", "FV="), want: false },
    { input: `h1:${HEX}`, want: false },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(isH1(input), want);
      if (want) assert.equal(parseH1(input), input);
      else assert.throws(() => parseH1(input), InvalidRequestError);
    });
  }
});

Deno.test("h1Of() and hexOfH1() have the one spelling of any SHA-256", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
    const h1 = h1Of(bytes);
    assert.equal(parseH1(`h1:${bytes.toBase64()}`), h1);
    assert.equal(hexOfH1(h1), bytes.toHex());
  }));
});
