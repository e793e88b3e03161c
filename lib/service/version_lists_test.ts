import assert from "node:assert/strict";
import { parseModulePath } from "../module/path.ts";
import { parseVersion, type Version } from "../module/version.ts";
import { VersionLists } from "./version_lists.ts";

const PATH = parseModulePath("example.com/m");
const versionsOf = (...texts: string[]) => texts.map((text) => parseVersion(PATH, text));

/** Lists over a store that has what it is told, and can tell so or not. */
function fixture() {
  let nowMs = 1000;
  let published: readonly Version[] | null = [];
  const lists = new VersionLists({
    published: { rememberedList: () => published },
    now: () => nowMs,
  });
  return {
    lists,
    at: (ms: number) => nowMs = ms,
    publish: (versions: readonly Version[] | null) => published = versions,
  };
}

Deno.test("VersionLists names what is published and what the source knows, without pseudo-versions", () => {
  const { lists } = fixture();
  const published = versionsOf("v1.0.0", "v1.10.0");
  const versions = versionsOf("v1.2.0", "v1.10.0", "v0.0.0-20240102030405-0123456789ab");
  const list = lists.add(PATH, { published, known: { versions, freshMs: 0 } });
  assert.deepEqual(list, ["v1.0.0", "v1.2.0", "v1.10.0"]);
});

Deno.test("VersionLists remembers for as long as the source says, 10 s at most", async (t) => {
  const rows = [
    { freshMs: 0, seen: [false, false, false, false] },
    { freshMs: 5000, seen: [true, true, false, false] },
    { freshMs: 60_000, seen: [true, true, true, false] },
  ];
  for (const { freshMs, seen } of rows) {
    await t.step(`${freshMs} ms`, () => {
      const { lists, at } = fixture();
      lists.add(PATH, { published: [], known: { versions: versionsOf("v1.0.0"), freshMs } });
      const got = [1001, 5900, 10_900, 11_100].map((ms) => {
        at(ms);
        assert.equal(lists.known(PATH) !== null, lists.remembered(PATH) !== null);
        return lists.remembered(PATH) !== null;
      });
      assert.deepEqual(got, seen);
    });
  }
});

Deno.test("VersionLists.known() says for how long it is new yet, also to who adds it", () => {
  const { lists, at } = fixture();
  lists.add(PATH, { published: [], known: { versions: versionsOf("v1.0.0"), freshMs: 5000 } });
  at(3000);
  const known = lists.known(PATH);
  assert.deepEqual(known, { versions: ["v1.0.0"], freshMs: 3000 });
  assert.ok(known !== null);
  lists.add(PATH, { published: [], known });
  at(6100);
  assert.equal(lists.known(PATH), null);
});

Deno.test("VersionLists.remembered() is the same array until something is published", () => {
  const { lists, publish } = fixture();
  lists.add(PATH, { published: [], known: { versions: versionsOf("v1.0.0"), freshMs: 5000 } });
  const before = lists.remembered(PATH);
  assert.deepEqual(before, ["v1.0.0"]);
  assert.equal(lists.remembered(PATH), before);
  publish(versionsOf("v1.1.0"));
  const after = lists.remembered(PATH);
  assert.deepEqual(after, ["v1.0.0", "v1.1.0"]);
  assert.equal(lists.remembered(PATH), after);
  publish(null);
  assert.equal(lists.remembered(PATH), null);
});
