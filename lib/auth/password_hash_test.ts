import assert from "node:assert/strict";
import { PasswordHash, PasswordHashError } from "./password_hash.ts";

/** Of "correct horse", by Python's `hashlib.scrypt(…, n=1024, r=8, p=1, dklen=32)`. */
const GOLDEN =
  "$scrypt$ln=10,r=8,p=1$c2l4dGVlbiBieXRlIHNsdA$pm8pKHMuzBMnzWjY+J2K8bOo4zfV05STJL8ONhhN0II";

Deno.test("PasswordHash.matches() knows a password again", async () => {
  const hash = PasswordHash.parse(GOLDEN);
  assert.equal(await hash.matches("correct horse"), true);
  for (const wrong of ["", "correct hors", "correct horse ", "Correct horse"]) {
    assert.equal(await hash.matches(wrong), false, wrong);
  }
});

Deno.test("PasswordHash.of() gives each hash a salt of its own", async () => {
  const hashes = [await PasswordHash.of("pässword"), await PasswordHash.of("pässword")];
  assert.notEqual(hashes[0], hashes[1]);
  for (const hash of hashes) {
    assert.equal(await PasswordHash.parse(hash).matches("pässword"), true);
    assert.equal(await PasswordHash.parse(hash).matches("password"), false);
  }
});

Deno.test("PasswordHash.parse() refuses what it cannot or should not check", async (t) => {
  const [, , , salt = "", hash = ""] = GOLDEN.split("$");
  const rows = [
    "",
    "correct horse",
    "$2b$12$C6UzMDM.H6dfI/f/IKcEeO5nTh3nV1QqPZqEoCgC1QmTfWn0fB5vG", // bcrypt
    `$argon2id$v=19$m=65536,t=3,p=4$${salt}$${hash}`,
    `$scrypt$ln=9,r=8,p=1$${salt}$${hash}`, // too cheap
    `$scrypt$ln=19,r=8,p=1$${salt}$${hash}`, // too dear
    `$scrypt$ln=18,r=16,p=1$${salt}$${hash}`, // 512 MiB
    `$scrypt$ln=10,r=0,p=1$${salt}$${hash}`,
    `$scrypt$ln=10,r=8,p=0$${salt}$${hash}`,
    `$scrypt$ln=10,r=8,p=1$$${hash}`,
    `$scrypt$ln=10,r=8,p=1$${salt}$`,
    `$scrypt$ln=10,r=8,p=1$${salt}$AAAA`, // four characters are 3 bytes: guessed at once
    `${GOLDEN} `,
  ];
  for (const text of rows) {
    await t.step(text, () => {
      assert.throws(() => PasswordHash.parse(text), (error) => {
        assert.ok(error instanceof PasswordHashError);
        assert.ok(!error.message.includes(hash), "shows no hash");
        return true;
      });
    });
  }
});
