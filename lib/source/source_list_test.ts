import assert from "node:assert/strict";
import { DeadlineError, NotFoundError, UpstreamError } from "../errors.ts";
import { parseModulePath } from "../module/path.ts";
import type { Version } from "../module/version.ts";
import type { Source } from "./source.ts";
import { type ListedSource, parseSourceList, SourceList } from "./source_list.ts";

const PARSED: { input: string; want: string[] }[] = [
  { input: "https://a.example.com", want: ["https://a.example.com/"] },
  {
    input: "https://a.example.com/x,https://b.example.com|direct",
    want: ["https://a.example.com/x", "https://b.example.com/ |", "direct"],
  },
  { input: " https://a.example.com , direct ", want: ["https://a.example.com/", "direct"] },
  { input: "direct,https://never.example.com", want: ["direct"] },
  { input: "off|https://never.example.com", want: ["off"] },
  // As for the go command, empty entries do not count.
  { input: ",,https://a.example.com,", want: ["https://a.example.com/"] },
];

Deno.test("parseSourceList() takes GOPROXY values apart", async (t) => {
  for (const { input, want } of PARSED) {
    await t.step(input, () => {
      const got = parseSourceList(input).map((entry) =>
        entry.kind === "proxy" ? entry.url.href + (entry.onAnyError ? " |" : "") : entry.kind
      );
      assert.deepEqual(got, want);
    });
  }
});

const REFUSED: { input: string; message: RegExp }[] = [
  { input: "", message: /at least one entry/ },
  { input: ",|,", message: /at least one entry/ },
  { input: "proxy.example.com", message: /"proxy\.example\.com" is not a URL/ },
  { input: "ftp://proxy.example.com", message: /neither an http nor an https URL/ },
  { input: "file:///srv/modules", message: /neither an http nor an https URL/ },
  { input: "https://proxy.example.com/?token=x", message: /may not have a query/ },
];

Deno.test("parseSourceList() refuses what is no list, and says why", async (t) => {
  for (const { input, message } of REFUSED) {
    await t.step(
      JSON.stringify(input),
      () => assert.throws(() => parseSourceList(input), { message }),
    );
  }
});

Deno.test("parseSourceList() keeps userinfo out of its errors", () => {
  for (const input of ["ftp://user:hunter2@h.example.com", "user:hunter2@h.example.com"]) {
    assert.throws(() => parseSourceList(input), (error) => !/hunter2/.test(String(error)));
  }
});

const PATH = parseModulePath("example.com/m");
const ABSENT = new NotFoundError("absent");
const BROKEN = new UpstreamError("broken");
const LATE = new DeadlineError("late");

/** A source whose answer to `list` is a version, or a failure. */
function sourceOf(answer: string | Error): Source {
  const list = () =>
    answer instanceof Error
      ? Promise.reject(answer)
      : Promise.resolve({ versions: [answer as Version], freshMs: 0 });
  const other = () => Promise.reject(new Error("not asked in this test"));
  return {
    description: "test",
    list,
    latest: other,
    resolve: other,
    describe: other,
    fetchZip: other,
    fetch: other,
  };
}

/** `|` behind an answer in the table means that its entry is followed by one. */
function listed(answers: readonly (string | Error | "|")[]): ListedSource[] {
  const sources: ListedSource[] = [];
  for (const [i, answer] of answers.entries()) {
    if (answer !== "|") {
      sources.push({ source: sourceOf(answer), onAnyError: answers[i + 1] === "|" });
    }
  }
  return sources;
}

const TRIED: { entries: (string | Error | "|")[]; want: string | Error }[] = [
  { entries: ["v1.0.0", "v2.0.0"], want: "v1.0.0" },
  { entries: [ABSENT, "v2.0.0"], want: "v2.0.0" },
  { entries: [ABSENT, ABSENT], want: ABSENT },
  // After a comma only "does not exist" goes on.
  { entries: [BROKEN, "v2.0.0"], want: BROKEN },
  { entries: [LATE, "v2.0.0"], want: LATE },
  { entries: [BROKEN, "|", "v2.0.0"], want: "v2.0.0" },
  { entries: [ABSENT, "|", "v2.0.0"], want: "v2.0.0" },
  // "Does not exist" is the answer only if every entry knows it.
  { entries: [BROKEN, "|", ABSENT], want: BROKEN },
  { entries: [ABSENT, BROKEN], want: BROKEN },
  { entries: [BROKEN, "|", LATE, "|"], want: BROKEN },
];

Deno.test("SourceList goes on as GOPROXY does", async (t) => {
  for (const { entries, want } of TRIED) {
    const name = entries.map((entry) => entry instanceof Error ? entry.message : entry).join(" ");
    await t.step(name, async () => {
      const got = new SourceList(listed(entries)).list(PATH, new AbortController().signal);
      if (want instanceof Error) await assert.rejects(got, want);
      else assert.deepEqual((await got).versions, [want]);
    });
  }
});

Deno.test("SourceList without entries knows no module", async () => {
  const off = new SourceList([]);
  await assert.rejects(off.list(PATH, new AbortController().signal), NotFoundError);
});
