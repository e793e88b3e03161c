import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import golden from "../../tests/testdata/golden/sumdbs.json" with { type: "json" };
import { UnverifiedError } from "./errors.ts";
import { openNote, VerifierKey } from "./note.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("VerifierKey.parse() takes the keys that Go takes", async (t) => {
  for (const { input, name } of golden.keys) {
    await t.step(input, () => {
      if (name === null) assert.throws(() => VerifierKey.parse(input), /^Error: Cannot read verif/);
      else assert.equal(VerifierKey.parse(input).name, name);
    });
  }
});

Deno.test("openNote() says of notes what Go says", async (t) => {
  const key = VerifierKey.parse(golden.notes.key);
  for (const { what, note, text } of golden.notes.notes) {
    await t.step(what, () => {
      if (text === null) assert.throws(() => openNote(encode(note), key), UnverifiedError);
      else assert.equal(openNote(encode(note), key).text, text);
    });
  }
});

Deno.test("openNote() leaves out every signature that nobody has checked", () => {
  const key = VerifierKey.parse(golden.notes.key);
  const noteOf = (what: string) =>
    golden.notes.notes.find((row) => row.what === what)?.note ?? assert.fail(what);
  for (const what of ["a second signature", "a second signature, first", "100 signatures"]) {
    assert.equal(decode(openNote(encode(noteOf(what)), key).bytes), noteOf("a tree"));
  }
});

Deno.test("openNote() refuses what is not UTF-8", () => {
  const key = VerifierKey.parse(golden.notes.key);
  for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]]) {
    const note = Uint8Array.of(...bytes, ...encode(golden.notes.notes[0]?.note ?? ""));
    assert.throws(() => openNote(note, key), UnverifiedError);
  }
});

Deno.test("openNote() takes no byte-order mark away before it checks the signature", () => {
  const name = "sum.example.com";
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const encoded = Uint8Array.of(1, ...Uint8Array.fromBase64(x, { alphabet: "base64url" }));
  const hash = createHash("sha256").update(`${name}\n`).update(encoded).digest().subarray(0, 4);
  const key = VerifierKey.parse(`${name}+${hash.toString("hex")}+${encoded.toBase64()}`);
  const note = (text: string, signed: string) => {
    const signature = Uint8Array.of(...hash, ...sign(null, encode(signed), privateKey));
    return encode(`${text}\n— ${name} ${signature.toBase64()}\n`);
  };
  assert.equal(openNote(note("\ufeffa\n", "\ufeffa\n"), key).text, "\ufeffa\n");
  assert.throws(() => openNote(note("\ufeffa\n", "a\n"), key), UnverifiedError);
});
