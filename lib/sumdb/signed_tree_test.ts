import assert from "node:assert/strict";
import golden from "../../tests/testdata/golden/sumdbs.json" with { type: "json" };
import { UnverifiedError } from "./errors.ts";
import { VerifierKey } from "./note.ts";
import { openTree } from "./signed_tree.ts";

Deno.test("openTree() reads the trees that Go reads", async (t) => {
  const key = VerifierKey.parse(golden.notes.key);
  for (const { what, note, size, hash } of golden.notes.notes) {
    await t.step(what, () => {
      const bytes = new TextEncoder().encode(note);
      if (size === null) {
        assert.throws(() => openTree(bytes, key), UnverifiedError);
        return;
      }
      const tree = openTree(bytes, key);
      assert.deepEqual([tree.size, tree.hash.toBase64()], [size, hash]);
    });
  }
});
