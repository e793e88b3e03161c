/**
 * 50 writers in 4 processes that create the same keys of the same store at the same time, on each
 * back end: one creates the key, the others learn that it exists, and everybody reads the content
 * of the first.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { bucketTests, openDirectory, STORE_ENV, type StorePlace } from "./worlds/store_places.ts";
import { BLOCK_SIZE_BYTES, type Job } from "./processes/store_writer.ts";
import { within } from "./support/eventually.ts";

const WRITERS_BY_PROCESS = [13, 13, 12, 12];
const WRITER_URL = new URL("./processes/store_writer.ts", import.meta.url).href;
const MIB = 1024 * 1024;
/**
 * A gigabyte and more goes over the loopback for 80 MB; what matters is that it is more than one
 * part.
 */
const LARGE_SIZE_BYTES = Deno.env.get("CI") === "true" ? 80 * MIB : 9 * MIB;

const SIZES: Record<string, Pick<Job, "keys" | "sizeBytes">> = {
  "1 kB": { keys: Array.from({ length: 20 }, (_, i) => `small/${i}`), sizeBytes: 1000 },
  [`${LARGE_SIZE_BYTES / MIB} MiB`]: { keys: ["large/0"], sizeBytes: LARGE_SIZE_BYTES },
};

race("DiskStore", openDirectory);
bucketTests((kind, open) => race(kind === "gcs" ? "GcsStore" : "S3Store", open));

function race(name: string, open: () => Promise<StorePlace>): void {
  Deno.test(`${name} lets one of 50 writers in 4 processes create`, async (t) => {
    await using place = await open();
    for (const [size, job] of Object.entries(SIZES)) {
      await t.step(size, () => raceOnce(place, job));
    }
  });
}

const RACE_TIMEOUT_MS = 300_000;

async function raceOnce(
  { config, store }: StorePlace,
  job: Pick<Job, "keys" | "sizeBytes">,
): Promise<void> {
  const processes = WRITERS_BY_PROCESS.map((writers) => spawn({ ...job, config, writers }));
  const readers = processes.map(({ stdout }) => stdout.pipeThrough(new TextDecoderStream()));
  const outputs = readers.map((output) => output.getReader());
  // All have loaded their code, which takes far longer than a create.
  for (const output of outputs) {
    assert.equal((await within("a writer to be ready", output.read())).value, "ready\n");
  }
  for (const { stdin } of processes) await stdin.close();
  const timeoutMs = RACE_TIMEOUT_MS;
  const texts = await within("all writers to end", Promise.all(outputs.map(rest)), { timeoutMs });
  const reports = texts.flatMap((text) => text.trim().split("\n"));
  for (const process of processes) assert.equal((await process.status).code, 0);

  const writers = WRITERS_BY_PROCESS.reduce((sum, count) => sum + count);
  assert.equal(reports.length, writers * job.keys.length);
  for (const key of job.keys) {
    const created = reports.filter((report) => report.startsWith(`${key} created `));
    const existing = reports.filter((report) => report.startsWith(`${key} exists `));
    assert.deepEqual([created.length, existing.length], [1, writers - 1], key);
    assert.equal(created[0], `${key} created ${await blockOf(store, key, job)}`);
  }
}

function spawn(job: Job): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--no-check", "--no-prompt", "--allow-net=127.0.0.1"]
      .concat(["--allow-env", "--allow-sys", "--allow-read", "--allow-write"])
      .concat([WRITER_URL, JSON.stringify(job)]),
    env: STORE_ENV,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
}

async function rest(output: ReadableStreamDefaultReader<string>): Promise<string> {
  const chunks: string[] = [];
  for (;;) {
    const { value, done } = await output.read();
    if (done) return chunks.join("");
    chunks.push(value);
  }
}

/** The SHA-256 of the block that an object repeats from its first to its last byte. */
async function blockOf(
  store: ObjectStore,
  key: string,
  { sizeBytes }: Pick<Job, "sizeBytes">,
): Promise<string> {
  const object = await store.get(key);
  assert.ok(object !== null);
  assert.equal(object.sizeBytes, sizeBytes);
  const blocks = object.body.pipeThrough(blocksOf(Math.min(sizeBytes, BLOCK_SIZE_BYTES)));
  let first: Uint8Array | null = null;
  for await (const block of blocks) {
    first ??= block;
    assert.equal(Buffer.compare(block, first.subarray(0, block.length)), 0, `${key} is mixed`);
  }
  return createHash("sha256").update(first ?? new Uint8Array()).digest("hex");
}

function blocksOf(sizeBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let block = new Uint8Array(sizeBytes);
  let filled = 0;
  return new TransformStream({
    transform(chunk, controller) {
      for (let left = chunk; left.length > 0;) {
        const piece = left.subarray(0, sizeBytes - filled);
        block.set(piece, filled);
        filled += piece.length;
        left = left.subarray(piece.length);
        if (filled < sizeBytes) continue;
        controller.enqueue(block);
        block = new Uint8Array(sizeBytes);
        filled = 0;
      }
    },
    flush(controller) {
      if (filled > 0) controller.enqueue(block.subarray(0, filled));
    },
  });
}
