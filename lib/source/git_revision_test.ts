import assert from "node:assert/strict";
import { type Hash, isHash, type Refs } from "../git/refs.ts";
import { matchRevision, type RevisionMatch, revisionName } from "./git_revision.ts";

function hash(start: string, length = 40): Hash {
  const text = start.padEnd(length, "0");
  assert.ok(isHash(text));
  return text;
}

const MAIN = hash("aaaaaaaaaa");
const TAGGED = hash("bbbbbbbbbb");
const OTHER = hash("bbbbbbbccc");

const REFS: Refs = new Map([
  ["HEAD", MAIN],
  ["refs/heads/main", MAIN],
  ["refs/heads/both", MAIN],
  ["refs/heads/v1.2.3", OTHER],
  ["refs/heads/abcdef1", OTHER],
  ["refs/tags/both", TAGGED],
  ["refs/tags/v1.0.0", TAGGED],
]);

const UNKNOWN: RevisionMatch = { kind: "unknown" };

const cases: readonly { input: string; want: RevisionMatch }[] = [
  { input: "v1.0.0", want: { kind: "ref", hash: TAGGED, ref: "refs/tags/v1.0.0" } },
  { input: "main", want: { kind: "ref", hash: MAIN, ref: "refs/heads/main" } },
  { input: "both", want: { kind: "ref", hash: TAGGED, ref: "refs/tags/both" } },
  { input: "v1.2.3", want: { kind: "ref", hash: OTHER, ref: "refs/heads/v1.2.3" } },
  { input: "abcdef1", want: { kind: "ref", hash: OTHER, ref: "refs/heads/abcdef1" } },
  { input: "HEAD", want: { kind: "ref", hash: MAIN, ref: null } },
  // HEAD and a branch lead to it, and the first by name is HEAD.
  { input: MAIN, want: { kind: "ref", hash: MAIN, ref: null } },
  { input: "aaaaaaa", want: { kind: "ref", hash: MAIN, ref: null } },
  { input: "bbbbbbbb", want: { kind: "ref", hash: TAGGED, ref: "refs/tags/both" } },
  { input: "bbbbbbbc", want: { kind: "ref", hash: OTHER, ref: "refs/heads/abcdef1" } },
  { input: "bbbbbbb", want: { kind: "ambiguous" } },
  { input: "aaaaaa", want: UNKNOWN },
  { input: "AAAAAAA", want: UNKNOWN },
  { input: "aaaaaaag", want: UNKNOWN },
  { input: "1234567", want: { kind: "digits" } },
  { input: "1".repeat(40), want: { kind: "digits" } },
  { input: "1".repeat(41), want: UNKNOWN },
  { input: "1".repeat(64), want: UNKNOWN },
  { input: "refs/heads/main", want: UNKNOWN },
  { input: "heads/main", want: UNKNOWN },
  { input: "main~1", want: UNKNOWN },
  { input: "--all", want: UNKNOWN },
  { input: "", want: UNKNOWN },
];

Deno.test("matchRevision()", async (t) => {
  for (const { input, want } of cases) {
    await t.step(input, () => assert.deepEqual(matchRevision(REFS, input), want));
  }
});

Deno.test("matchRevision() takes 64 digits in a SHA-256 repository", () => {
  const refs: Refs = new Map([["refs/heads/main", hash("abc", 64)]]);
  assert.deepEqual(matchRevision(refs, "1".repeat(64)), { kind: "digits" });
  assert.deepEqual(matchRevision(refs, "1".repeat(65)), UNKNOWN);
});

Deno.test("matchRevision() knows nothing of an empty repository", () => {
  for (const input of ["HEAD", "main", "1234567"]) {
    assert.deepEqual(matchRevision(new Map(), input), UNKNOWN);
  }
});

const names: readonly { query: string; prefix: string; want: string }[] = [
  { query: "v1.2.3", prefix: "", want: "v1.2.3" },
  { query: "v1.2.3-rc.1", prefix: "kit/", want: "kit/v1.2.3-rc.1" },
  { query: "v1.2.3+meta", prefix: "kit/", want: "kit/v1.2.3+meta" },
  { query: "v2.0.0+incompatible", prefix: "", want: "v2.0.0" },
  { query: "v2", prefix: "kit/", want: "kit/v2" },
  { query: "v0.0.0-20200101000000-abcdefabcdef", prefix: "kit/", want: "abcdefabcdef" },
  { query: "v1.2.4-0.20200101000000-abcdef+incompatible", prefix: "", want: "abcdef" },
  { query: "v0.0.0-20209999999999-abcdefabcdef", prefix: "", want: "abcdefabcdef" },
  { query: "v1.0.0_x", prefix: "kit/", want: "v1.0.0_x" },
  { query: "main", prefix: "kit/", want: "main" },
];

Deno.test("revisionName()", async (t) => {
  for (const { query, prefix, want } of names) {
    await t.step(`${query} of ${prefix}`, () => assert.equal(revisionName(query, prefix), want));
  }
});
