import assert from "node:assert/strict";
import fc from "fast-check";
import { LimitExceededError, UpstreamError } from "../errors.ts";
import { Budget } from "../async/budget.ts";
import { isHash, readLsRemote, type Refs } from "./refs.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);
const C = "c".repeat(64);

async function read(output: string, { maxRefs }: { maxRefs: number }): Promise<Refs> {
  const limits = { name: "refs", maxBytes: 1e6, timeoutMs: null };
  const chunks = new Blob([output]).stream();
  return await readLsRemote(chunks, { maxRefs, budget: new Budget(limits, { what: "it" }) });
}

Deno.test("readLsRemote()", async (t) => {
  const rows: { what: string; input: string; want: [string, string][] }[] = [
    { what: "an empty repository", input: "", want: [] },
    {
      what: "HEAD, branch, light tag",
      input: `${A}\tHEAD\n${A}\trefs/heads/main\n${B}\trefs/tags/v1.0.0\n`,
      want: [["HEAD", A], ["refs/heads/main", A], ["refs/tags/v1.0.0", B]],
    },
    {
      what: "an annotated tag: its commit",
      input: `${A}\trefs/tags/v1.0.0\n${B}\trefs/tags/v1.0.0^{}\n`,
      want: [["refs/tags/v1.0.0", B]],
    },
    {
      what: "names with slashes, SHA-256",
      input: `${C}\trefs/tags/sub/dir/v1.0.0\n${C}\trefs/heads/-x\n`,
      want: [["refs/tags/sub/dir/v1.0.0", C], ["refs/heads/-x", C]],
    },
    {
      what: "others are ignored",
      input: `${A}\trefs/pull/1/head\n${A}\trefs/notes/x\n${A}\tFETCH_HEAD\n${A}\trefs/headsx\n`,
      want: [],
    },
    {
      // No git has such refs; in a refspec they would mean something else.
      what: "names that git forbids are ignored",
      input: `${A}\trefs/tags/a:b\n${A}\trefs/heads/*\n${A}\trefs/heads/a b\n`,
      want: [],
    },
  ];
  for (const { what, input, want } of rows) {
    await t.step(what, async () => {
      assert.deepEqual([...await read(input, { maxRefs: 10 })], want);
    });
  }
});

Deno.test("readLsRemote() refuses what ls-remote does not print", async (t) => {
  const rows = [
    "garbage",
    `${A} HEAD`,
    `${A.slice(1)}\tHEAD`,
    `${A.toUpperCase()}\tHEAD`,
    `\tHEAD`,
    `${A}\tHEAD\n${C}\trefs/heads/x`,
  ];
  for (const input of rows) {
    await t.step(JSON.stringify(input), async () => {
      await assert.rejects(read(input, { maxRefs: 10 }), UpstreamError);
    });
  }
});

Deno.test("readLsRemote() has a limit for the refs that count", async () => {
  const lines = (n: number, kind: string) =>
    Array.from({ length: n }, (_, i) => `${A}\trefs/${kind}/${i}\n`).join("");
  assert.equal((await read(lines(3, "tags") + lines(9, "pull"), { maxRefs: 3 })).size, 3);
  await assert.rejects(read(lines(4, "tags"), { maxRefs: 3 }), LimitExceededError);
});

Deno.test("readLsRemote() throws nothing but its error", async () => {
  const line = fc.oneof(
    fc.string(),
    fc.tuple(
      fc.constantFrom(A, B, C, "x"),
      fc.constantFrom("HEAD", "refs/tags/v1", "refs/tags/v1^{}"),
    )
      .map((pair) => pair.join("\t")),
  );
  await fc.assert(fc.asyncProperty(fc.array(line), async (lines) => {
    try {
      for (const [name, hash] of await read(lines.join("\n"), { maxRefs: 2 })) {
        assert.ok(isHash(hash));
        assert.doesNotMatch(name, /\^\{\}$/);
      }
    } catch (error) {
      assert.ok(error instanceof UpstreamError);
    }
  }));
});
