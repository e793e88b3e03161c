/**
 * Processes that share a disk store and are killed: tests with real processes that creating a key
 * in lib/store/disk.ts is atomic. Power loss is not tested.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DiskStore, MAX_TEMPORARY_AGE_MS } from "../lib/store/disk.ts";
import { readAll } from "../lib/store/object_store.ts";
import { SELF_CHECK } from "./processes/disk_writer.ts";
import { within } from "./support/eventually.ts";

const WRITERS = 4;
const CONTENT_SIZE_BYTES = 30_000;
const WRITER_URL = new URL("./processes/disk_writer.ts", import.meta.url).href;

/** What a writer says about a key. */
interface Report {
  readonly key: string;
  readonly outcome: string;
  readonly checksum: string;
}

/** A disk_writer.ts process. */
class Writer {
  readonly reports: Report[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string>;

  constructor(path: string, count: number) {
    const options = ["--no-prompt", `--allow-read=${path}`, `--allow-write=${path}`];
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", ...options, WRITER_URL, path, `${count}`, `${CONTENT_SIZE_BYTES}`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#lines = linesOf(this.#child.stdout);
  }

  /** Resolves when the writer waits for {@linkcode go}. */
  async ready(): Promise<void> {
    const line = await within("a writer to be ready", this.#lines.next());
    assert.deepEqual(line, { value: "ready", done: false });
  }

  async go(): Promise<void> {
    const stdin = this.#child.stdin.getWriter();
    await stdin.write(new Uint8Array(1));
    await stdin.close();
  }

  /** Kills the writer once it has reported on `count` keys, wherever it is then. */
  async killAfter(count: number): Promise<void> {
    while (this.reports.length < count && await this.#report());
    this.#child.kill("SIGKILL");
    await this.end();
  }

  /** Resolves when the process is gone. */
  async end(): Promise<Deno.CommandStatus> {
    while (await this.#report());
    return await within("the end of a writer", this.#child.status);
  }

  async #report(): Promise<boolean> {
    const { value, done } = await within("a report of a writer", this.#lines.next());
    if (done) return false;
    const [index = "", outcome = "", checksum = ""] = value.split(" ");
    this.reports.push({ key: `race/${index}`, outcome, checksum });
    return true;
  }
}

async function startAll(path: string, count: number): Promise<Writer[]> {
  const writers = Array.from({ length: WRITERS }, () => new Writer(path, count));
  await Promise.all(writers.map((writer) => writer.ready()));
  await Promise.all(writers.map((writer) => writer.go()));
  return writers;
}

Deno.test("DiskStore lets one of several processes create a key", async () => {
  const path = await Deno.makeTempDir();
  try {
    const writers = await startAll(path, 100);
    for (const writer of writers) assert.equal((await writer.end()).code, 0);
    const reports = writers.flatMap((writer) => writer.reports);
    assert.equal(reports.length, WRITERS * 100);
    assert.equal(reports.filter(({ outcome }) => outcome === "created").length, 100);
    await assertWhole(path, reports);
    assert.equal((await Array.fromAsync(Deno.readDir(`${path}/.tmp`))).length, 0);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("DiskStore serves an object whose process was killed before it stored its sums", async () => {
  const path = await Deno.makeTempDir();
  try {
    const writer = new Writer(path, 1);
    await writer.ready();
    await writer.go();
    assert.equal((await writer.end()).code, 0);
    // What a process leaves that dies between link(2) and rename(2).
    await Deno.rename(`${path}/race/.0.sums`, `${path}/.tmp/sums`);
    assert.deepEqual(await unsummed(path), ["0"]);
    await assertWhole(path, writer.reports);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("DiskStore has only complete objects after its processes were killed", async (t) => {
  const path = await Deno.makeTempDir();
  const reports: Report[] = [];
  try {
    for (const round of [1, 2, 3]) {
      const points = Array.from({ length: WRITERS }, () => Math.floor(Math.random() * 40 * round));
      await t.step(`killed after ${points.join(", ")} keys`, async () => {
        const writers = await startAll(path, 150);
        await Promise.all(writers.map((writer, i) => writer.killAfter(points[i] ?? 0)));
        reports.push(...writers.flatMap((writer) => writer.reports));
        await assertWhole(path, reports);
      });
    }
    await t.step("not killed", async () => {
      const writers = await startAll(path, 150);
      for (const writer of writers) assert.equal((await writer.end()).code, 0);
      reports.push(...writers.flatMap((writer) => writer.reports));
      await assertWhole(path, reports);
      const keys = new Set(reports.map(({ key }) => key));
      assert.equal(keys.size, 150);
    });
    await t.step("and swept", async () => {
      await DiskStore.open({ path, now: () => Date.now() + 2 * MAX_TEMPORARY_AGE_MS });
      assert.equal((await Array.fromAsync(Deno.readDir(`${path}/.tmp`))).length, 0);
      await assertWhole(path, reports);
    });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

/** Objects without checksums: their process was killed before it stored them. */
async function unsummed(path: string): Promise<string[]> {
  const names = (await Array.fromAsync(Deno.readDir(`${path}/race`))).map(({ name }) => name);
  return names.filter((name) => /^\d+$/.test(name) && !names.includes(`.${name}.sums`));
}

/**
 * Every object is whole and is its creator's; every key that was reported on is there; there is
 * nothing else.
 */
async function assertWhole(path: string, reports: readonly Report[]): Promise<void> {
  const faults: unknown[] = [];
  const say = (facts: unknown) => void faults.push(facts);
  const store = await DiskStore.open({
    path,
    check: SELF_CHECK,
    log: { warn: say, error: say },
  });
  const checksums = new Map<string, string>();
  for (const name of await store.list("race")) {
    assert.match(name, /^\d+$/);
    const object = await store.get(`race/${name}`);
    assert.ok(object !== null);
    const bytes = await readAll(object);
    assert.equal(bytes.length, object.sizeBytes);
    const checksum = createHash("sha256").update(bytes.subarray(32)).digest("hex");
    assert.equal(bytes.subarray(0, 32).toHex(), checksum, `race/${name} is torn`);
    checksums.set(`race/${name}`, checksum);
  }
  assert.deepEqual(faults, []);
  assert.deepEqual(await unsummed(path), [], "reading an object makes its missing sums");
  const created = reports.filter(({ outcome }) => outcome === "created");
  assert.equal(
    new Set(created.map(({ key }) => key)).size,
    created.length,
    "a key has two creators",
  );
  for (const { key, checksum } of created) assert.equal(checksums.get(key), checksum, key);
  for (const { key } of reports) assert.ok(checksums.has(key), `${key} is lost`);
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
