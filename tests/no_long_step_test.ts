/**
 * No step of our own code holds the thread for long, whatever a stranger sends: each parser, and
 * whatever could be quadratic, works on input at its limit while a probe of the event loop measures
 * how long others wait. no_long_step_files_test.ts is the same for zips, stores and JSON.
 */
import assert from "node:assert/strict";
import { atPace, Pace } from "../lib/async/pace.ts";
import { Budget } from "../lib/async/budget.ts";
import { AccessList } from "../lib/auth/access_list.ts";
import { LimitExceededError } from "../lib/errors.ts";
import { DEFAULT_GIT_LIMITS, gitReadLimits } from "../lib/git/limits.ts";
import { packet, PacketReader, readRefs } from "../lib/git/protocol.ts";
import { isHash, readLsRemote, type Refs, refsDigest } from "../lib/git/refs.ts";
import { parseTree } from "../lib/git/tree.ts";
import { detectInText } from "../lib/licences/detect.ts";
import { MAX_LICENCE_FILE_BYTES } from "../lib/licences/licence_files.ts";
import {
  MAX_GO_MOD_SIZE_BYTES,
  modulePathLine,
  scanGoMod,
  scanGoModNotices,
} from "../lib/module/go_mod.ts";
import { MAX_INFO_SIZE_BYTES, parseInfo } from "../lib/module/info.ts";
import { pickLatest } from "../lib/module/latest.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { retractedBy } from "../lib/module/retraction.ts";
import { parseGoImports } from "../lib/source/go_import.ts";
import { GitModule } from "../lib/source/git_module.ts";
import { MAX_VERSIONS } from "../lib/source/git_tags.ts";
import { layoutOf } from "../lib/source/layout.ts";
import { ProxySource } from "../lib/source/proxy_source.ts";
import { Upstream } from "../lib/source/upstream.ts";
import { LicenceMatcher } from "../lib/spdx/matcher.ts";
import { readPackedTable, unpackTable } from "../lib/spdx/table.ts";
import { MAX_DATA_TILE_BYTES } from "../lib/sumdb/log_folder.ts";
import { splitRecords } from "../lib/sumdb/record.ts";
import { selectFiles, type TreeFile } from "../lib/zip/select.ts";
import { MemoryRepository } from "./fakes/memory_repository.ts";
import { pause } from "../lib/async/pause.ts";
import { createLogger } from "../lib/log/log.ts";
import { modulesOf } from "../lib/policy/audit.ts";
import { MAX_ROWS } from "../lib/usage/usage_counter.ts";
import { UsageLog } from "../lib/usage/usage_log.ts";
import { MemoryStore } from "./fakes/memory_store.ts";
import { type Suspect, testLongestSteps } from "./suites/longest_step_suite.ts";
import { builtInMatcher, LICENCE_TEXTS, licenceText } from "./worlds/licences.ts";

const MIB = 1024 * 1024;
const PATH = parseModulePath("x.y/r");
const HASH = "a".repeat(40);
const { signal } = new AbortController();
const encode = (text: string) => new TextEncoder().encode(text);

/** Text of that many characters: `start`, then `part` again and again, then `end`. */
function filled(part: string, { chars = MAX_GO_MOD_SIZE_BYTES, start = "", end = "" } = {}) {
  const room = chars - start.length - end.length;
  return start + part.repeat(Math.floor(room / part.length)) + end;
}

const pace = () => new Pace(signal);

const GO_MODS: Record<string, string> = {
  "retract lines": filled("retract v1.0.0\n"),
  "require lines": filled("require x.y/z v1.0.0\n"),
  "one word": filled("a"),
  "one word of letters that are not ASCII": filled("é", { chars: MAX_GO_MOD_SIZE_BYTES / 2 }),
  "blanks": filled(" "),
  "blank lines": filled("\n"),
  "parentheses in a line": filled("x ( "),
  "lines of an unknown block": filled("a b\n", { start: "x (\n", end: ")\n" }),
  "a line of strings": filled('"a" '),
  "one string of escapes": filled("\\x41", { start: 'require "', end: '" v1.0.0\n' }),
  "one version": filled("0a.", { start: "require a v1.0.0-", end: "a\n" }),
  "comments": filled("//\n"),
  "long comments": filled(`//${"a".repeat(8 * 1024)}\n`, { end: "retract v1.0.0\n" }),
  "comments on retract lines": filled("//\nretract v1.0.0//\n"),
  "retract lines of a block with a long comment": filled("v1.0.0\n", {
    start: `${`// ${"a ".repeat(2000)}\n`.repeat(256)}retract (\n`,
    end: ")\n",
  }),
  "module in each line": filled("module\n", { start: "(\n" }),
  "a path with blanks behind it": filled(" ", { start: "((\nmodule a" }),
};

const MIT = licenceText("MIT");
const GPL = licenceText("GPL-3.0-only");

/** A text with another word after so many of its own. */
function changed(text: string, every: number): string {
  return text.split(" ").map((word, i) => i % every === 0 ? `${word} gopher` : word).join(" ");
}

/** As long as a licence file may be. */
const LICENCES: Record<string, string> = {
  "one licence again and again": MIT,
  "one licence on one line": MIT.replaceAll(/\s+/g, " "),
  "a long licence again and again": GPL,
  "a changed licence again and again": `${changed(licenceText("BSD-4-Clause-UC"), 12)}\n`,
  "a changed long licence again and again": `${changed(GPL, 9)}\n`,
  "all licences": [...LICENCE_TEXTS.values()].join("\n"),
  "the words of all licences": [...LICENCE_TEXTS.values()].join(" ").split(/\s+/)
    .map((word, i, words) => words[i * 7919 % words.length] ?? word).join(" "),
  "one word": "the ",
  "one long word": "a",
  "tags": "<a ",
  "bullets": "1. ",
  "copyright signs": "(c) ",
  "blank lines": "\n",
};

const HTML = [
  ..."</= \t",
  "<a ",
  "<a b",
  "<a b=",
  "<!--",
  '<a b="',
  "<a b='&#1",
  "b ",
  "&a",
  "<meta name=go-import content='a git b'>",
];

function tagged(count: number): Refs {
  assert.ok(isHash(HASH));
  const hash = HASH;
  return new Map(Array.from({ length: count }, (_, i) => [`refs/tags/v1.${i}.0-rc.1`, hash]));
}

/** Versions in an order that no sort finds easy. */
function versions(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `v1.${i * 7919 % count}.0-rc.${i % 7}`);
}

async function* chunksOf(
  bytes: Uint8Array<ArrayBuffer>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.slice(at, at + 65_536);
}

function proxyOf(list: string): ProxySource {
  const fetch = () => Promise.resolve(new Response(list));
  return new ProxySource(new Upstream(new URL("https://proxy.example.com"), fetch));
}

/** A module whose tags are all retracted, or all but the first. */
function moduleWith({ tags, retractions }: { tags: number; retractions: number }): GitModule {
  const repository = new MemoryRepository();
  const lines = Array.from({ length: retractions }, (_, i) => `retract v1.0.${retractions - i}\n`);
  const hash = repository.commit({
    files: { "go.mod": `module x.y/r\n${lines.join("")}` },
    refs: ["HEAD"],
  });
  const refs: Refs = new Map(
    Array.from({ length: tags }, (_, i) => [`refs/tags/v1.0.${i}`, hash]),
  );
  const layout = layoutOf(PATH, { root: "x.y/r", subdir: "" });
  return new GitModule({ layout, repository, refs, signal });
}

const git = gitReadLimits(DEFAULT_GIT_LIMITS);

const SUSPECTS: readonly Suspect[] = [
  ...Object.entries(GO_MODS).flatMap(([what, text]) => {
    const bytes = encode(text);
    return [
      {
        name: `a go.mod of 16 MiB: ${what}`,
        prepare: () => () => atPace(scanGoMod(bytes), pace()),
      },
      {
        name: `the notices of a go.mod of 16 MiB: ${what}`,
        prepare: () => () => atPace(scanGoModNotices(bytes), pace()),
      },
      {
        name: `the module line of 16 MiB: ${what}`,
        prepare: () => () => atPace(modulePathLine(bytes), pace()),
      },
    ];
  }),
  ...Object.entries(LICENCES).map(([what, part]): Suspect => ({
    name: `a licence file of 1 MiB: ${what}`,
    prepare: async () => {
      const matcher = await builtInMatcher();
      const text = part.repeat(Math.ceil(MAX_LICENCE_FILE_BYTES / part.length))
        .slice(0, MAX_LICENCE_FILE_BYTES);
      return () => atPace(detectInText(text, { path: "LICENSE", matcher }), pace());
    },
  })),
  {
    name: "the table of licences",
    prepare: () => async () => {
      const table = await atPace(unpackTable(await readPackedTable()), pace());
      await atPace(LicenceMatcher.create(table), pace());
    },
  },
  {
    name: "a go.mod of 16 MiB that is not UTF-8",
    prepare: () => {
      const bytes = new Uint8Array(MAX_GO_MOD_SIZE_BYTES).fill(0xff);
      return () => atPace(scanGoMod(bytes), pace());
    },
  },
  {
    name: "@latest with 3,000 tags and 10,000 retractions",
    prepare: () => {
      const module = moduleWith({ tags: 3_000, retractions: 10_000 });
      return () => module.latest();
    },
  },
  {
    name: "as many tags and retractions as there may be",
    prepare: () => {
      const module = moduleWith({ tags: MAX_VERSIONS, retractions: 10_000 });
      return async () => {
        await module.latest();
        await module.find("v1.0");
      };
    },
  },
  {
    name: "@latest of what is published, 20,000 versions and 10,000 retractions",
    prepare: () => {
      const list = versions(MAX_VERSIONS);
      const retractions = list.slice(0, 10_000).map((version) => ({ low: version, high: version }));
      return () => atPace(pickLatest(list, retractions), pace());
    },
  },
  {
    name: "10,000 retractions",
    prepare: () => {
      const list = versions(10_000).map((version) => ({ low: version, high: version }));
      return () => retractedBy(list)("v1.0.0");
    },
  },
  {
    name: "a list of as many versions as there may be",
    prepare: () => {
      const proxy = proxyOf(versions(MAX_VERSIONS).join("\n"));
      return async () => {
        assert.equal((await proxy.list(PATH, signal)).versions.length, MAX_VERSIONS);
      };
    },
  },
  {
    name: "a list of 400,000 versions",
    prepare: () => {
      const proxy = proxyOf(versions(400_000).join("\n").slice(0, 8 * MIB));
      return () => assert.rejects(proxy.list(PATH, signal), LimitExceededError);
    },
  },
  ...["\n", " ", "x", "v1.0.0\n", "x \n"].map((part) => ({
    name: `a list of 8 MiB of ${JSON.stringify(part)}`,
    prepare: () => {
      const proxy = proxyOf(filled(part, { chars: 8 * MIB }));
      return () => proxy.list(PATH, signal);
    },
  })),
  {
    name: "as many refs as there may be: protocol 2",
    prepare: () => {
      const packets = Array.from(
        { length: DEFAULT_GIT_LIMITS.maxRefs },
        (_, i) => packet(`${HASH} refs/tags/v1.${i}.0 peeled:${HASH}\n`),
      );
      const bytes = encode(`${packets.join("")}0000`);
      return () => {
        const budget = new Budget(git.refs, { what: "it" });
        const stream = ReadableStream.from(chunksOf(bytes));
        return readRefs(new PacketReader(stream, budget), DEFAULT_GIT_LIMITS);
      };
    },
  },
  {
    name: "as many refs as there may be: ls-remote",
    prepare: () => {
      const { maxRefs } = DEFAULT_GIT_LIMITS;
      const lines = Array.from({ length: maxRefs }, (_, i) => `${HASH}\trefs/tags/v1.${i}.0\n`);
      const bytes = encode(lines.join(""));
      return () => {
        const budget = new Budget(git.lsRemote, { what: "it" });
        return readLsRemote(chunksOf(bytes), { maxRefs, budget });
      };
    },
  },
  {
    name: "the digest of as many refs as there may be",
    prepare: () => {
      const refs = tagged(DEFAULT_GIT_LIMITS.maxRefs);
      return () => atPace(refsDigest(refs), pace());
    },
  },
  {
    name: "as many refs as there may be: versions of a module",
    prepare: () => {
      const refs = tagged(DEFAULT_GIT_LIMITS.maxRefs);
      const layout = layoutOf(PATH, { root: "x.y/r", subdir: "" });
      const repository = new MemoryRepository();
      return () =>
        assert.rejects(
          new GitModule({ layout, repository, refs, signal }).list(),
          LimitExceededError,
        );
    },
  },
  {
    name: "as many files in a commit as there may be",
    prepare: () => {
      const files = Array.from(
        { length: DEFAULT_GIT_LIMITS.maxTreeEntries },
        (_, i): TreeFile => ({ kind: "file", name: `vendor/x/${i}/GO.MOD`, sizeBytes: 1 }),
      );
      return () => selectFiles(files, { goVersion: "1.24", pace: pace() });
    },
  },
  {
    name: "the listing of a commit with as many files as there may be",
    prepare: () => {
      const line = (i: number) => `100644 blob ${HASH}       1\tdir/${i}\0`;
      const text = Array.from({ length: DEFAULT_GIT_LIMITS.maxTreeEntries }, (_, i) => line(i));
      const listing = encode(text.join(""));
      return async () => {
        const paced = pace();
        const budget = new Budget(git.tree, { what: "it" });
        for await (const _ of parseTree(chunksOf(listing), budget)) await paced.spend(1024);
      };
    },
  },
  ...HTML.map((part) => ({
    name: `a go-get page of 512 KiB of ${JSON.stringify(part)}`,
    prepare: () => {
      const page = filled(part, { chars: 512 * 1024 });
      return () => atPace(parseGoImports(page), pace());
    },
  })),
  {
    name: "an .info",
    prepare: () => {
      const bytes = encode(filled("[", { chars: MAX_INFO_SIZE_BYTES, start: '{"Version":' }));
      return () => assert.throws(() => parseInfo(bytes));
    },
  },
  ...["\n", "a\n", "a\n\n"].map((part) => ({
    name: `a data tile of ${JSON.stringify(part)}`,
    prepare: () => {
      const bytes = encode(filled(part, { chars: MAX_DATA_TILE_BYTES }));
      return () => void splitRecords(bytes);
    },
  })),
  {
    name: "an access list of 100 rules and the longest path",
    prepare: () => {
      const list = new AccessList(Array.from({ length: 100 }, (_, i) => ({
        access: i % 2 === 0 ? "deny" as const : "allow" as const,
        moduleRegexp: `(a+)+b${i}$`,
        modules: [`x.y/*a*a*a*a${i}`],
      })));
      const path = parseModulePath(`x.y/${"a".repeat(4000)}`);
      return () => void list.decide("x", path);
    },
  },
  {
    name: "usage of as many versions as may be",
    prepare: () => {
      const rows = Array.from({ length: MAX_ROWS }, (_, i) => ({
        module: `example.com/${i * 7919 % MAX_ROWS}`,
        version: "v1.0.0",
        kind: "zip" as const,
        identity: "ci",
        count: 1,
      }));
      const usage = new UsageLog({
        store: new MemoryStore(),
        mode: "identities",
        replica: "one",
        collect: () => Promise.resolve(rows.splice(0)),
        now: Date.now,
        pause,
        log: createLogger("silent"),
      });
      return () => usage[Symbol.asyncDispose]();
    },
  },
  {
    name: "audit of 8 MiB of go.sum",
    prepare: () => {
      const h1 = `h1:${"A".repeat(43)}=`;
      const text = filledLines((i) => `example.com/m${i % 20_000} v1.0.0 ${h1}\n`, 8 * MIB);
      return () => modulesOf(text);
    },
  },
  {
    name: "audit of a bill of materials with as many values as may be",
    prepare: () => {
      const component = '{"purl":"pkg:golang/example.com/m@v1.0.0"}';
      const text = `{"components":[${Array(49_000).fill(component).join(",")}]}`;
      return () => modulesOf(text);
    },
  },
  {
    name: "audit of 8 MiB of JSON",
    prepare: () => {
      const text = `{"a":[${"[],".repeat(2.6 * MIB)}[]]}`;
      return () => assert.rejects(modulesOf(text), /more than 100000 values/);
    },
  },
];

function filledLines(line: (i: number) => string, chars: number): string {
  const lines: string[] = [];
  for (let length = 0, i = 0; length < chars; i++) {
    lines.push(line(i));
    length += lines.at(-1)?.length ?? 0;
  }
  return lines.join("");
}

testLongestSteps(SUSPECTS);
