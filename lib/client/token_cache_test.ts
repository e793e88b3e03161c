import assert from "node:assert/strict";
import { join } from "node:path";
import { TokenCache } from "./token_cache.ts";

const TOKEN = { token: "a.b-c", obtainedAtMs: Date.now(), expiresAtMs: Date.now() + 1000 };

/** Runs the test with a folder that is not there yet. */
async function inFolder(test: (directory: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir({ prefix: "token-cache-" });
  try {
    await test(join(parent, "deep", "goauth"));
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

function filesOf(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => join(directory, name));
}

Deno.test("TokenCache keeps a token by its key, for the user alone", () =>
  inFolder(async (directory) => {
    const cache = new TokenCache(directory);
    assert.equal(await cache.get("k"), null);
    assert.equal(await cache.put("k", TOKEN), true);
    assert.deepEqual(await cache.get("k"), TOKEN);
    assert.equal(await cache.get("other"), null);
    const [file = ""] = filesOf(directory);
    assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
    assert.equal(((await Deno.stat(directory)).mode ?? 0) & 0o777, 0o700);
    assert.doesNotMatch(file, /\bk\b/);
  }));

const DAMAGES: readonly string[] = [
  "",
  "{",
  "null",
  '{"format":2,"token":"t","obtainedAtMs":1,"expiresAtMs":2}',
  '{"format":1,"token":"t\\nX: y","obtainedAtMs":1,"expiresAtMs":2}',
  '{"format":1,"token":"t","obtainedAtMs":"1","expiresAtMs":2}',
];

for (const damage of DAMAGES) {
  Deno.test(`TokenCache ignores ${JSON.stringify(damage)} and writes over it`, () =>
    inFolder(async (directory) => {
      const cache = new TokenCache(directory);
      await cache.put("k", TOKEN);
      const [file = ""] = filesOf(directory);
      await Deno.writeTextFile(file, damage);
      assert.equal(await cache.get("k"), null);
      assert.equal(await cache.put("k", TOKEN), true);
      assert.deepEqual(await cache.get("k"), TOKEN);
    }));
}

Deno.test("TokenCache ignores what others may read, and takes their folder away", () =>
  inFolder(async (directory) => {
    const cache = new TokenCache(directory);
    await cache.put("k", TOKEN);
    const [file = ""] = filesOf(directory);
    await Deno.chmod(file, 0o644);
    assert.equal(await cache.get("k"), null);
    await Deno.chmod(directory, 0o755);
    await cache.put("k", TOKEN);
    assert.equal(((await Deno.stat(directory)).mode ?? 0) & 0o777, 0o700);
    assert.deepEqual(await cache.get("k"), TOKEN);
  }));

Deno.test("TokenCache does without a folder that cannot be made", async () => {
  const cache = new TokenCache("/dev/null/goauth");
  assert.equal(await cache.put("k", TOKEN), false);
  assert.equal(await cache.get("k"), null);
});

Deno.test("TokenCache removes what nobody can use any more", () =>
  inFolder(async (directory) => {
    const cache = new TokenCache(directory);
    await cache.put("old", TOKEN);
    const [old = ""] = filesOf(directory);
    const longAgo = new Date(TOKEN.obtainedAtMs - 9 * 24 * 3_600_000);
    await Deno.utime(old, longAgo, longAgo);
    await cache.put("new", TOKEN);
    assert.equal(await cache.get("old"), null);
    assert.deepEqual(await cache.get("new"), TOKEN);
    assert.equal(filesOf(directory).length, 1);
  }));
