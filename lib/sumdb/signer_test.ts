import assert from "node:assert/strict";
import { openNote, VerifierKey } from "./note.ts";
import { openTree, signTree } from "./signed_tree.ts";
import { EMPTY_HASH } from "./merkle.ts";
import { SignerKey } from "./signer.ts";

/** The key pair of the example in the documentation of golang.org/x/mod/sumdb/note. */
const SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const TEXT = "If you think cryptography is the answer to your problem,\n" +
  "then you don't know what your problem is.\n";
/** Go's signature of the text. */
const SIGNED = `${TEXT}\n` +
  "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("SignerKey signs as Go does", () => {
  const key = SignerKey.parse(SECRET);
  assert.equal(key.verifierKey, PUBLIC);
  assert.equal(new TextDecoder().decode(key.sign(TEXT)), SIGNED);
  assert.equal(openNote(encode(SIGNED), VerifierKey.parse(PUBLIC)).text, TEXT);
});

Deno.test("SignerKey.generate() makes a key that can be read again, and no other", () => {
  const key = SignerKey.generate("sum.example.com/team");
  const again = SignerKey.parse(key.toSecret());
  assert.equal(again.verifierKey, key.verifierKey);
  const { note, ...tree } = signTree({ size: 0, hash: EMPTY_HASH }, again);
  assert.deepEqual(openTree(note, VerifierKey.parse(key.verifierKey)), { ...tree, note });
  assert.notEqual(SignerKey.generate("sum.example.com/team").verifierKey, key.verifierKey);
});

Deno.test("SignerKey.parse() refuses what is no signer key, and tells nothing of it", async (t) => {
  const base64 = SECRET.slice(SECRET.lastIndexOf("+") + 1);
  const rows = [
    { what: "a verifier key", input: PUBLIC },
    { what: "nothing", input: "" },
    { what: "a space", input: `${SECRET} ` },
    { what: "no name", input: `PRIVATE+KEY++c74f20a3+${base64}` },
    { what: "another name", input: SECRET.replace("Peter", "Paul") },
    { what: "another hash", input: SECRET.replace("c74f20a3", "c74f20a4") },
    { what: "another algorithm", input: SECRET.replace("+AYEK", "+AoEK") },
    { what: "too short", input: SECRET.slice(0, -4) },
    { what: "bad base64", input: `${SECRET.slice(0, -1)}*` },
  ];
  for (const { what, input } of rows) {
    await t.step(what, () => {
      assert.throws(() => SignerKey.parse(input), (error: unknown) => {
        assert.ok(error instanceof Error);
        assert.match(error.message, /^Cannot read signer key/);
        assert.ok(!error.message.includes(base64.slice(2, 20)));
        return true;
      });
    });
  }
});
