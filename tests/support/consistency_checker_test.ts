import assert from "node:assert/strict";
import {
  type Answer,
  checkConsistency,
  type CheckedPolicy,
  describeViolation,
  type FileAnswer,
  FLIP_BOUND_MS,
  type ListAnswer,
} from "./consistency_checker.ts";

const MODULE = "example.com/m";
const PSEUDO = "v0.0.0-20240102030405-0123456789ab";

/** A file's answer; the replica's name does not matter. */
function file(startMs: number, endMs: number, facts: Partial<FileAnswer> = {}): FileAnswer {
  return {
    startMs,
    endMs,
    replica: "r",
    status: 200,
    module: MODULE,
    file: "mod",
    version: "v1.0.0",
    digest: "d",
    copy: null,
    ...facts,
  };
}

function list(startMs: number, endMs: number, facts: Partial<ListAnswer> = {}): ListAnswer {
  return {
    startMs,
    endMs,
    replica: "r",
    status: 200,
    module: MODULE,
    file: "list",
    isFromStore: false,
    versions: [],
    ...facts,
  };
}

const ROWS: readonly { name: string; log: readonly Answer[]; want: readonly string[] }[] = [
  { name: "nothing", log: [], want: [] },
  {
    name: "one copy, everywhere",
    log: [
      file(0, 1, { file: "zip", digest: "z", copy: "a" }),
      file(0, 1, { file: "mod", digest: "m", copy: "a" }),
      file(2, 3, { file: "info", digest: "i" }),
      file(9, 10, { file: "zip", digest: "z", copy: "a", replica: "other" }),
    ],
    want: [],
  },
  {
    name: "another content, also at the same time",
    log: [file(0, 9, { digest: "one" }), file(0, 9, { digest: "other" })],
    want: ["one copy"],
  },
  {
    name: "another content, once, between good ones",
    log: [file(0, 1), file(2, 3, { digest: "other" }), file(4, 5)],
    want: ["one copy"],
  },
  {
    name: "two files of two copies",
    log: [file(0, 1, { file: "mod", copy: "a" }), file(2, 3, { file: "zip", copy: "b" })],
    want: ["one copy"],
  },
  {
    name: "two copies with a file between them that says nothing",
    log: [
      file(0, 1, { file: "info", copy: "a" }),
      file(2, 3, { file: "mod" }),
      file(4, 5, { file: "zip", copy: "b" }),
    ],
    want: ["one copy"],
  },
  {
    name: "copies of other versions and modules",
    log: [
      file(0, 1, { copy: "a" }),
      file(0, 1, { copy: "b", digest: "e", version: "v1.1.0" }),
      file(0, 1, { copy: "c", digest: "f", module: "example.com/n" }),
    ],
    want: [],
  },
  {
    name: "failures have no copy",
    log: [file(0, 1), file(2, 3, { status: 502, digest: "error", copy: "b" })],
    want: [],
  },
  {
    name: "a list names what was read",
    log: [file(0, 1), list(2, 3, { versions: ["v1.0.0"] })],
    want: [],
  },
  { name: "a list lacks what was read", log: [file(0, 1), list(2, 3)], want: ["list after read"] },
  {
    name: "a list of the store, too",
    log: [file(0, 1), list(2, 3, { isFromStore: true })],
    want: ["list after read"],
  },
  { name: "a list began before the answer ended", log: [file(0, 2), list(1, 3)], want: [] },
  { name: "a list ended before it was read", log: [list(0, 1), file(2, 3)], want: [] },
  {
    name: "a list lacks what could not be read",
    log: [file(0, 1, { status: 503 }), list(2, 3)],
    want: [],
  },
  { name: "a list that failed", log: [file(0, 1), list(2, 3, { status: 503 })], want: [] },
  {
    name: "a pseudo-version is not listed",
    log: [file(0, 1, { version: PSEUDO }), list(2, 3)],
    want: [],
  },
  {
    name: "a list of the store shrinks",
    log: [
      list(0, 1, { isFromStore: true, versions: ["v1.0.0", "v1.1.0"] }),
      list(2, 3, { isFromStore: true, versions: ["v1.1.0"] }),
    ],
    want: ["no shrinking"],
  },
  {
    name: "a list lacks what the store had",
    log: [list(0, 1, { isFromStore: true, versions: ["v1.0.0"] }), list(2, 3)],
    want: ["no shrinking"],
  },
  {
    name: "a list grows, shrinks and grows again",
    log: [
      list(0, 1, { isFromStore: true }),
      list(2, 3, { isFromStore: true, versions: ["v1.0.0"] }),
      list(4, 5, { isFromStore: true }),
      list(6, 7, { isFromStore: true, versions: ["v1.0.0"] }),
    ],
    want: ["no shrinking"],
  },
  {
    name: "two lists at the same time",
    log: [list(0, 2, { isFromStore: true, versions: ["v1.0.0"] }), list(1, 3)],
    want: [],
  },
  {
    name: "a source takes back what nobody has read",
    log: [list(0, 1, { versions: ["v1.0.0"] }), list(2, 3)],
    want: [],
  },
  { name: "404 before it was read", log: [file(0, 1, { status: 404 }), file(2, 3)], want: [] },
  { name: "404 while it is read", log: [file(0, 2), file(1, 3, { status: 404 })], want: [] },
  {
    name: "404 after it was read",
    log: [file(0, 1), file(2, 3, { status: 404 })],
    want: ["no 404"],
  },
  {
    name: "410 of another file after it was read",
    log: [file(0, 1), file(2, 3, { file: "zip", status: 410 })],
    want: ["no 404"],
  },
  {
    name: "404 of another version",
    log: [file(0, 1), file(2, 3, { version: "v1.1.0", status: 404 })],
    want: [],
  },
  {
    name: "404 for the list of what was read",
    log: [file(0, 1), list(2, 3, { status: 404 })],
    want: ["no 404"],
  },
];

Deno.test("checkConsistency()", async (t) => {
  for (const { name, log, want } of ROWS) {
    await t.step(name, () => {
      for (const order of [log, log.toReversed()]) {
        assert.deepEqual(checkConsistency(order).map(({ rule }) => rule), want);
      }
    });
  }
});

/** Versions with an odd minor number are withheld, until an exception, and after it. */
const POLICY: CheckedPolicy = {
  rule: "odd",
  governs: (_, version) => /^v1\.\d*[13579]\./.test(version),
  isWithheld: true,
  flips: [
    { startMs: 100, endMs: 110, isWithheld: false },
    { startMs: 30_000, endMs: 30_010, isWithheld: true },
  ],
};
const SETTLED = 110 + FLIP_BOUND_MS;
const odd = { version: "v1.1.0", file: "zip" } as const;
const denied = { ...odd, status: 403, digest: "", deniedBy: "odd" } as const;

const POLICY_ROWS: readonly { name: string; log: readonly Answer[]; want: readonly string[] }[] = [
  {
    name: "withheld, allowed, withheld",
    log: [
      file(0, 1, denied),
      file(101, 102, odd),
      file(SETTLED + 1, SETTLED + 2, odd),
      file(30_001, 30_002, denied),
      file(30_010 + FLIP_BOUND_MS + 1, 50_000, denied),
    ],
    want: [],
  },
  {
    name: "both states while a change spreads",
    log: [file(101, 102, odd), file(SETTLED - 1, SETTLED, denied), file(103, 104, odd)],
    want: [],
  },
  { name: "given before the exception", log: [file(0, 99, odd)], want: ["policy"] },
  { name: "denied after the bound", log: [file(SETTLED + 1, 20_000, denied)], want: ["policy"] },
  {
    name: "given after the bound of the end",
    log: [file(30_011 + FLIP_BOUND_MS, 50_000, odd)],
    want: ["policy"],
  },
  {
    name: "another version is denied",
    log: [file(0, 1, { ...denied, version: "v1.2.0" })],
    want: ["policy"],
  },
  { name: "its .mod is denied", log: [file(0, 1, { ...denied, file: "mod" })], want: ["policy"] },
  {
    name: "denied by who knows what",
    log: [file(0, 1, { ...denied, deniedBy: null })],
    want: ["policy"],
  },
  {
    name: ".info and .mod of what is withheld",
    log: [file(0, 1, { ...odd, file: "info" }), file(0, 1, { ...odd, file: "mod", digest: "m" })],
    want: [],
  },
  {
    name: "the latest version is withheld",
    log: [file(0, 1, { ...odd, file: "info", isLatest: true })],
    want: ["policy"],
  },
  { name: "it is listed", log: [list(0, 1, { versions: ["v1.1.0"] })], want: ["policy"] },
  {
    name: "it is hidden although it was read",
    log: [file(0, 1, { ...odd, file: "mod" }), list(2, 3), list(SETTLED - 1, SETTLED)],
    want: [],
  },
  {
    name: "it is hidden after the bound",
    log: [file(0, 1, { ...odd, file: "mod" }), list(SETTLED + 1, SETTLED + 2)],
    want: ["list after read"],
  },
  {
    name: "a list of the store lacks it again once it is withheld again",
    log: [
      list(SETTLED + 1, SETTLED + 2, { isFromStore: true, versions: ["v1.1.0"] }),
      list(30_001, 30_002, { isFromStore: true }),
    ],
    want: [],
  },
  {
    name: "a list of the store lacks it before that",
    log: [
      list(SETTLED + 1, SETTLED + 2, { isFromStore: true, versions: ["v1.1.0"] }),
      list(SETTLED + 3, SETTLED + 4, { isFromStore: true }),
    ],
    want: ["no shrinking"],
  },
  {
    name: "404 for what is withheld",
    log: [file(0, 1, { ...odd, file: "mod" }), file(2, 3, { ...odd, status: 404 })],
    want: ["no 404"],
  },
];

Deno.test("checkConsistency() under a policy", async (t) => {
  for (const { name, log, want } of POLICY_ROWS) {
    await t.step(name, () => {
      for (const order of [log, log.toReversed()]) {
        assert.deepEqual(checkConsistency(order, POLICY).map(({ rule }) => rule), want);
      }
    });
  }
});

Deno.test("describeViolation() names both answers", () => {
  const [violation] = checkConsistency([file(0, 1), file(2, 3, { replica: "s", digest: "other" })]);
  assert.ok(violation !== undefined);
  assert.equal(
    describeViolation(violation),
    "one copy: s from 2.0 to 3.0 ms: 200 example.com/m v1.0.0.mod other of copy ?, " +
      "but r from 0.0 to 1.0 ms: 200 example.com/m v1.0.0.mod d of copy ?",
  );
});
