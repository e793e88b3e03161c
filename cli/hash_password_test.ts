import assert from "node:assert/strict";
import { InvalidRequestError } from "../lib/errors.ts";
import { readPassword } from "./hash_password.ts";

function streamOf(text: string): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Blob([text]).stream();
}

Deno.test("readPassword() reads one line", async () => {
  for (const input of ["pässword", "pässword\n", "pässword\r\n"]) {
    assert.equal(await readPassword(streamOf(input)), "pässword");
  }
});

Deno.test("readPassword() refuses what nobody could log in with", async () => {
  for (const input of ["", "\n", "a\nb", "a\tb", "a".repeat(1025)]) {
    await assert.rejects(readPassword(streamOf(input)), InvalidRequestError);
  }
});
