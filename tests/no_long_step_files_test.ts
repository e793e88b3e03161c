/**
 * As no_long_step_test.ts, for zips of as many files as there may be, for the stores' lists, and
 * for JSON and XML that others send.
 */
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { Pace } from "../lib/async/pace.ts";
import { KEY_SET_LIMITS, KeySet } from "../lib/auth/key_set.ts";
import { API_LIMITS, GitHubApp } from "../lib/credentials/github_app.ts";
import { DEFAULT_GIT_LIMITS } from "../lib/git/limits.ts";
import { isHash } from "../lib/git/refs.ts";
import { formatEntries } from "../lib/index/entry.ts";
import { INDEX_FOLDER, ModuleIndex } from "../lib/index/module_index.ts";
import { createLogger } from "../lib/log/log.ts";
import { MAX_GO_MOD_SIZE_BYTES } from "../lib/module/go_mod.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseVersion } from "../lib/module/version.ts";
import { Copies } from "../lib/store/copies.ts";
import { DiskStore } from "../lib/store/disk.ts";
import { GcsStore } from "../lib/store/gcs.ts";
import { makeCopy } from "../lib/store/manifest.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { bytesContent } from "../lib/store/object_store.ts";
import { S3Store } from "../lib/store/s3.ts";
import { ANSWER_LIMITS } from "../lib/store/store_client.ts";
import { type CommitEntry, type CommitFiles, createZip } from "../lib/zip/create.ts";
import { inspectZip } from "../lib/zip/read.ts";
import { Seeds } from "../lib/zip/reusable_zips.ts";
import { MAX_PLACES, ZipError } from "../lib/zip/rules.ts";
import { selectFiles, type TreeFile } from "../lib/zip/select.ts";
import { ZipWriter } from "../lib/zip/zip_writer.ts";
import { textAnswer } from "../routes/respond.ts";
import { ReadyText } from "../routes/ready_text.ts";
import { MemoryStore } from "./fakes/memory_store.ts";
import { type Suspect, testLongestSteps } from "./suites/longest_step_suite.ts";

const MIB = 1024 * 1024;
const PATH = parseModulePath("x.y/r");
const MODULE = { path: PATH, version: parseVersion(PATH, "v1.0.0") };
const HASH = "a".repeat(40);
const { signal } = new AbortController();
const encode = (text: string) => new TextEncoder().encode(text);

/** Removed when the tests of this file have ended. */
const directory = Deno.makeTempDirSync({ prefix: "no-long-step-" });
globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));

/** Text of at most that many characters: `start`, then `part` again and again, then `end`. */
function filled(part: string, { chars, start = "", end = "" }: {
  readonly chars: number;
  readonly start?: string;
  readonly end?: string;
}): string {
  const room = chars - start.length - end.length;
  return start + part.repeat(Math.floor(room / part.length)) + end;
}

/** File names that are in the order of their numbers. */
const NAMES: Record<string, (i: number) => string> = {
  "short names": (i) => `f${String(i).padStart(6, "0")}`,
  "names of letters that sort otherwise": (i) => `${"\uf900".repeat(90)}${i}`,
};

/** A zip of as many empty files as there may be, or as many as its directory holds. */
async function largestZip(name: (i: number) => string): Promise<string> {
  const file = await Deno.makeTempFile({ dir: directory, suffix: ".zip" });
  using handle = await Deno.open(file, { write: true });
  const zip = new ZipWriter(handle, { limitBytes: 400 * MIB, pace: new Pace(undefined) });
  const prefix = `${MODULE.path}@${MODULE.version}/`;
  const empty = {
    chunks: [deflateRawSync("")],
    sha256: createHash("sha256").digest("hex"),
    crc32: 0,
    sizeBytes: 0,
  };
  for (let i = 0; i < MAX_PLACES; i++) await zip.addDeflated(prefix + name(i), empty);
  await zip.finish();
  return file;
}

/** What git says of a commit of empty files. */
function commitOf(names: readonly string[]): CommitFiles {
  assert.ok(isHash(HASH));
  const entries = names.map((path): CommitEntry => ({
    kind: "file",
    hash: HASH,
    path,
    sizeBytes: 0,
  }));
  const tar = tarOf(names);
  return {
    async *listTree() {
      yield* entries;
    },
    async *listFiles() {},
    archive: () => ReadableStream.from(chunksOf(tar)),
    readFile: () => Promise.resolve(null),
  };
}

/** A tar of empty files with names of up to 100 bytes (POSIX ustar). */
function tarOf(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const tar = new Uint8Array((names.length + 2) * 512);
  for (const [i, name] of names.entries()) {
    const header = tar.subarray(i * 512, (i + 1) * 512);
    const put = (text: string, at: number) => header.set(encode(text), at);
    put(name, 0);
    put("0000644\0" + "0000000\0".repeat(2) + "00000000000\0".repeat(2) + "        0", 100);
    put("ustar\x0000", 257);
    const sum = header.reduce((sum, byte) => sum + byte, 0);
    put(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  }
  return tar;
}

async function* chunksOf(
  bytes: Uint8Array<ArrayBuffer>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.slice(at, at + 65_536);
}

function times<T>(count: number, item: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => item(i));
}

const ZIPS: Suspect[] = [
  ...Object.entries(NAMES).map(([what, name]) => ({
    name: `reading a zip of as many files as there may be: ${what}`,
    prepare: async () => {
      const file = await largestZip(name);
      return () => inspectZip(file, { module: MODULE });
    },
  })),
  ...[0, 1].map((seeds) => ({
    name: `making a zip of as many files as there may be${seeds === 0 ? "" : ", with a seed"}`,
    prepare: () => {
      // With a seed, as many as one may have.
      const name = NAMES["short names"] ?? String;
      const commit = commitOf(times(seeds === 0 ? MAX_PLACES : 20_000, name));
      const folder = `${directory}/seeds-${crypto.randomUUID()}`;
      const options = {
        module: MODULE,
        dir: "",
        goVersion: null,
        seeds: new Seeds(folder),
        signal,
      };
      return async () => {
        for (let i = 0; i <= seeds; i++) {
          await createZip(commit, { ...options, file: `${directory}/${crypto.randomUUID()}.zip` });
        }
      };
    },
  })),
  {
    name: "making a zip of a commit with as many files as there may be, all with attributes",
    prepare: () => {
      const names = times(DEFAULT_GIT_LIMITS.maxTreeEntries, (i) => `a/go.mod/${i}/.gitattributes`);
      const commit = commitOf([]);
      const entries = names.map((path): CommitEntry => ({
        kind: "file",
        hash: HASH,
        path,
        sizeBytes: 0,
      }));
      const listTree = async function* () {
        yield* entries;
      };
      const options = { module: MODULE, dir: "", goVersion: null, signal };
      return () =>
        assert.rejects(
          createZip({ ...commit, listTree }, {
            ...options,
            file: `${directory}/${crypto.randomUUID()}.zip`,
          }),
        );
    },
  },
  ...Object.entries({
    "of letters": () => "é".repeat(32_000),
    "of capital letters": () => "\u{10400}".repeat(16_000),
    "of directories": () => filled("a/", { chars: 64_000, end: "b" }),
    "of one directory after another": (i: number) => filled(`${i}/`, { chars: 64_000, end: "b" }),
  }).map(([what, name]) => ({
    name: `files in a commit with the longest names, ${what}`,
    prepare: () => {
      const files = times(1000, (i): TreeFile => ({
        kind: "file",
        name: `${i}${name(i)}`,
        sizeBytes: 1,
      }));
      return async () => {
        try {
          await selectFiles(files, { goVersion: "1.24", pace: new Pace(signal) });
        } catch (error) {
          // Directories are places, too, of which there may be too many.
          assert.ok(error instanceof ZipError);
        }
      };
    },
  })),
];

/** What a bucket answers with, by the shape of the names. */
function bucketAnswers(
  { start, end, parts }: { start: string; end: string; parts: Record<string, string> },
): [string, string][] {
  return Object.entries(parts).map(([what, part]) => [
    what,
    filled(part, { chars: ANSWER_LIMITS.maxBytes, start, end }),
  ]);
}

async function listOrFail(store: ObjectStore): Promise<void> {
  // The answer is refused, or not: only its time counts.
  await store.list("m1/x.y/r/@v").catch(() => []);
  await store.get("m1/x.y/r/@v/v1.0.0").catch(() => null);
}

function answering(text: string) {
  return (status: number) => () => Promise.resolve(new Response(text, { status }));
}

const ONCE = { maxAttempts: 1 };

function s3Suspects(): Suspect[] {
  const start = "<ListBucketResult>";
  const end = "</ListBucketResult>";
  const texts = bucketAnswers({
    start,
    end,
    parts: {
      names: "<Contents><Key>m1/x.y/r/@v/v1.0.0</Key></Contents>",
      "empty elements": "<a/>",
      "attributes": "<a b='c' d='e' f='g' h='i'/>",
      references: "&amp;",
      "references that XML does not have": "&#1;",
      text: "x",
      tags: "<",
    },
  });
  const credentials = () => Promise.resolve({ accessKeyId: "a", secretAccessKey: "b" });
  return texts.flatMap(([what, text]) =>
    [200, 404, 403].map((status) => ({
      name: `a bucket's XML with status ${status} at its limit: ${what}`,
      prepare: () => {
        const fetch = answering(text)(status);
        const options = { bucket: "b", region: "r", endpoint: "http://127.0.0.1:1", credentials };
        const store = new S3Store({ ...options, fetch, times: ONCE });
        return () => listOrFail(store);
      },
    }))
  );
}

function gcsSuspects(): Suspect[] {
  const parts = {
    names: '{"name":"m1/x.y/r/@v/v1.0.0"},',
    "short names": '{"name":"a"},',
    "empty objects": "{},",
    lists: "[",
    strings: '"\\u00e9",',
  };
  const texts = bucketAnswers({ start: '{"items":[', end: '{"name":"a"}]}', parts });
  return texts.flatMap(([what, text]) =>
    [200, 404].map((status) => ({
      name: `a bucket's JSON with status ${status} at its limit: ${what}`,
      prepare: () => {
        const fetch = answering(text)(status);
        const options = { bucket: "b", apiEndpoint: "http://127.0.0.1:1", times: ONCE };
        const store = new GcsStore({ ...options, fetch });
        return () => listOrFail(store);
      },
    }))
  );
}

const JSON_TEXTS: Record<string, (chars: number) => string> = {
  lists: (chars) => "[".repeat(chars),
  "lists, all closed": (chars) => "[".repeat(chars / 2) + "]".repeat(chars / 2),
  objects: (chars) => filled('{"a":', { chars }),
  keys: (chars) => filled("{},", { chars, start: '{"keys":[', end: "{}]}" }),
  names: (chars) => `{${times(Math.floor(chars / 14), (i) => `"${i}":1`).join(",")}}`,
};

async function find(keys: KeySet): Promise<unknown> {
  return await keys.find({ alg: "RS256", kid: "x" }, { payload: "", signature: "" });
}

const JSON_SUSPECTS: Suspect[] = Object.entries(JSON_TEXTS).flatMap(([what, text]) => [
  {
    name: `keys of an issuer at their limit: ${what}`,
    prepare: () => {
      const body = text(KEY_SET_LIMITS.maxBytes);
      const keys = new KeySet({
        issuer: "https://issuer.example.com",
        jwksUri: "https://issuer.example.com/keys",
        fetch: () => Promise.resolve(new Response(body)),
        now: () => performance.now(),
      });
      return async () => {
        // Nobody has the key: only the time to find that out counts.
        await find(keys).catch(() => null);
        await find(keys).catch(() => null);
      };
    },
  },
  {
    name: `an issuer's discovery document at its limit: ${what}`,
    prepare: () => {
      const body = text(KEY_SET_LIMITS.maxBytes);
      const keys = new KeySet({
        issuer: "https://issuer.example.com",
        fetch: () => Promise.resolve(new Response(body)),
        now: () => performance.now(),
      });
      return () => assert.rejects(find(keys));
    },
  },
  ...[200, 404].map((status) => ({
    name: `GitHub's answer with status ${status} at its limit: ${what}`,
    prepare: () => {
      const body = text(API_LIMITS.maxBytes);
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
      const headers = { "Content-Type": "application/json; charset=utf-8" };
      const app = new GitHubApp({
        id: 1,
        apiBaseUrl: "https://api.example.com",
        privateKey: () => Promise.resolve(privateKey),
        fetch: () => Promise.resolve(new Response(body, { status, headers })),
        now: Date.now,
        log: createLogger("silent", { write: () => {} }),
      });
      return async () => {
        await app.credentials(REMOTE, { signal }).catch(() => null);
      };
    },
  })),
]);

const REMOTE = { protocol: "https", host: "github.com", path: "o/r.git" };

const STORED: Suspect[] = [
  {
    name: "100,000 published versions",
    prepare: () => {
      const names = times(100_000, (i) => `v1.${i * 7919 % 100_000}.0-rc.${i % 7}`);
      const store = Object.assign(new MemoryStore(), { list: () => Promise.resolve(names) });
      const copies = new Copies(store);
      return async () => assert.equal((await copies.list(PATH)).length, names.length);
    },
  },
  {
    name: "an index of 100,000 entries, of which none is listed any more",
    prepare: async () => {
      const store = new MemoryStore();
      for (let batch = 0; batch < 200; batch++) {
        const entries = times(500, (i) => ({
          ...MODULE,
          version: parseVersion(PATH, `v1.${batch}.${i}`),
          timeMs: batch * 500 + i,
        }));
        await store.create(
          `${INDEX_FOLDER}/${String(batch).padStart(12, "0")}`,
          bytesContent(encode(formatEntries(entries))),
        );
      }
      const index = new ModuleIndex({
        store,
        isListed: (path) => /^(?:[a-z]+\.)+com\//.test(path),
        now: Date.now,
        pause: () => Promise.resolve(),
        log: createLogger("silent", { write: () => {} }),
      });
      return async () => assert.deepEqual(await index.read({ sinceMs: 0, limit: 2000 }), []);
    },
  },
  ...["random letters", "require lines"].map((what) => ({
    name: `answering a go.mod of 16 MiB, compressed: ${what}`,
    prepare: () => {
      const goMod = what === "require lines"
        ? encode(filled("require x.y/z v1.0.0\n", { chars: MAX_GO_MOD_SIZE_BYTES }))
        : randomLetters(MAX_GO_MOD_SIZE_BYTES);
      return () => {
        const headers = new Headers({ "Accept-Encoding": "gzip" });
        textAnswer(new ReadyText(goMod), {
          request: { method: "GET", headers },
          contentType: "text/plain",
          cacheControl: "no-store",
        });
      };
    },
  })),
  {
    name: "publishing a go.mod of 16 MiB, and reading it again",
    prepare: () => {
      const goMod = randomLetters(MAX_GO_MOD_SIZE_BYTES);
      return async () => {
        const path = `${directory}/store-${crypto.randomUUID()}`;
        const store = await DiskStore.open({ path });
        const zipH1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" as never;
        const time = "2026-01-02T03:04:05Z";
        const copy = makeCopy({
          ...MODULE,
          time,
          goMod,
          zipH1,
          source: "proxy https://proxy.example.com",
        });
        await new Copies(store).publish({ ...copy, zip: null });
        await new Copies(store).read(MODULE);
      };
    },
  },
];

function randomLetters(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < bytes.length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes.map((byte) => 97 + byte % 26);
}

testLongestSteps([...ZIPS, ...s3Suspects(), ...gcsSuspects(), ...JSON_SUSPECTS, ...STORED]);
