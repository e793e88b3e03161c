import assert from "node:assert/strict";
import { InvalidRequestError } from "../errors.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { formatEntries, InvalidIndexError, parseEntries, parseSince } from "./entry.ts";

const path = parseModulePath("example.com/hello");
const version = parseVersion(path, "v1.0.0");
const LINE =
  '{"Path":"example.com/hello","Version":"v1.0.0","Timestamp":"2026-01-02T03:04:05.678Z"}\n';

Deno.test("formatEntries() writes what the head of the file shows, and parseEntries() reads it", () => {
  const entries = [{ path, version, timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678) }];
  assert.equal(formatEntries(entries), LINE);
  assert.deepEqual(parseEntries(LINE), entries);
  assert.deepEqual(parseEntries(LINE + LINE), [...entries, ...entries]);
  assert.deepEqual(parseEntries(""), []);
});

Deno.test("parseEntries() refuses what is damaged", async (t) => {
  const rows: Record<string, string> = {
    "a line that is cut off": LINE.slice(0, -1),
    "no JSON": "Path\n",
    "an empty line": `${LINE}\n`,
    "no version": LINE.replace("Version", "version"),
    "a version that the path cannot have": LINE.replace("v1.0.0", "v2.0.0"),
    "a path that is none": LINE.replace("example.com", "-"),
    "a time that is none": LINE.replace("2026-01-02", "2026-13-02"),
  };
  for (const [name, text] of Object.entries(rows)) {
    await t.step(name, () => void assert.throws(() => parseEntries(text), InvalidIndexError));
  }
});

Deno.test("parseSince() reads RFC 3339, and rounds up what lies between two milliseconds", async (t) => {
  const rows: { input: string; want: string }[] = [
    { input: "2026-01-02T03:04:05Z", want: "2026-01-02T03:04:05.000Z" },
    { input: "2026-01-02T03:04:05.6Z", want: "2026-01-02T03:04:05.600Z" },
    { input: "2026-01-02T03:04:05.678Z", want: "2026-01-02T03:04:05.678Z" },
    { input: "2026-01-02T03:04:05.678000001Z", want: "2026-01-02T03:04:05.679Z" },
    { input: "2026-01-02T03:04:05.999999999Z", want: "2026-01-02T03:04:06.000Z" },
    { input: "2026-01-02T05:04:05.678+02:00", want: "2026-01-02T03:04:05.678Z" },
    // The zero of Go's times, from which a new follower begins.
    { input: "0001-01-01T00:00:00Z", want: "0001-01-01T00:00:00.000Z" },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(new Date(parseSince(input)).toISOString(), want));
  }
});

Deno.test("parseSince() refuses other texts", async (t) => {
  for (
    const text of [
      "yesterday",
      "2026-01-02",
      "2026-01-02T03:04:05",
      "2026-01-02 03:04:05Z",
      "2026-13-02T03:04:05Z",
      "2026-01-02T03:04:05.0000000001Z",
      "1767323045",
    ]
  ) {
    await t.step(text, () => void assert.throws(() => parseSince(text), InvalidRequestError));
  }
});
