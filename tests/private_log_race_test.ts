/**
 * Replicas in processes of their own that append the same module versions to one log, each in
 * another order, and are killed (-9) in the middle of it; others start in their place. Afterwards a
 * walk through the log finds no fault, and each version is in it exactly once, under the number
 * that every replica has reported, the killed ones too.
 *
 * With CI=true or RACE=full there are more of all, and real servers of object storage.
 */
import assert from "node:assert/strict";
import type { StorageConfig } from "../lib/store/config.ts";
import { appendTo, assertSoundLog, privateLog } from "./worlds/private_log.ts";
import { bucketTests, openDirectory, STORE_ENV, type StorePlace } from "./worlds/store_places.ts";
import type { Job } from "./processes/private_log_writer.ts";
import { report } from "./support/report.ts";

const IS_FULL = Deno.env.get("CI") === "true" || Deno.env.get("RACE") === "full";
const REPLICAS = 4;
const KILLS = IS_FULL ? 40 : 6;
const VERSIONS = IS_FULL ? 2000 : 300;
const WORKERS = 5;
/** A replica is killed after so many of its answers, more or less. */
const ANSWERS = 25;
const WRITER_URL = new URL("./processes/private_log_writer.ts", import.meta.url).href;
race("a directory", openDirectory);

if (IS_FULL) {
  bucketTests((kind, open) => race(kind === "gcs" ? "Google Cloud Storage" : "S3", open));
}

function race(name: string, open: () => Promise<StorePlace>): void {
  Deno.test(`replicas that are killed while they append make one log on ${name}`, async () => {
    await using place = await open();
    const answers = new Map<number, number>();
    let kills = 0;
    /**
     * One replica after the other, until nobody is to be killed any more and one has come to its
     * end.
     */
    const run = async (line: number) => {
      for (let order = line;; order += REPLICAS) {
        const limit = kills < KILLS ? ANSWERS + order : Infinity;
        if (limit !== Infinity) kills++;
        if (await runReplica(place.config, { order, limit, answers })) return;
      }
    };
    await Promise.all(Array.from({ length: REPLICAS }, (_, line) => run(line)));

    assert.equal(answers.size, VERSIONS);
    // A replica that was killed after the last batch may have left it incomplete; the next one that
    // looks completes it.
    const log = privateLog(place.store);
    const before = await assertSoundLog(place.store, answers);
    for (const [i, id] of answers) assert.equal(await appendTo(log, i), id);
    const { batches, tree } = await assertSoundLog(place.store, answers);
    assert.deepEqual([before.tree, tree.size], [tree, VERSIONS]);
    report(
      `${name}: ${VERSIONS} records in ${batches} batches by ${REPLICAS} replicas, ${kills} kills`,
    );
  });
}

const REPLICA_TIMEOUT_MS = 600_000;

/** Whether it came to its end before it was killed. */
async function runReplica(
  config: StorageConfig,
  { order, limit, answers }: { order: number; limit: number; answers: Map<number, number> },
): Promise<boolean> {
  const job: Job = { config, wanted: shuffled(order), workers: WORKERS };
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-lock", "--no-check", "--no-prompt", "--allow-net=127.0.0.1"]
      .concat(["--allow-env", "--allow-sys", "--allow-read", "--allow-write"])
      .concat([WRITER_URL, JSON.stringify(job)]),
    env: STORE_ENV,
    stdout: "piped",
    // A replica that hangs is killed, and has failed.
    signal: AbortSignal.timeout(REPLICA_TIMEOUT_MS),
  }).spawn();
  let count = 0;
  let rest = "";
  for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [i = NaN, id = NaN] = line.split(" ").map(Number);
      assert.equal(answers.get(i) ?? id, id, `module version ${i} has two numbers`);
      answers.set(i, id);
      if (++count === limit) process.kill("SIGKILL");
    }
  }
  const { success } = await process.status;
  assert.ok(
    success || count >= limit,
    `a replica has failed, or not ended within ${REPLICA_TIMEOUT_MS / 1000} s`,
  );
  return success;
}

/** All module versions, in an order that depends on `seed` alone. */
function shuffled(seed: number): number[] {
  const places = Array.from(
    { length: VERSIONS },
    (_, i) => ({ i, key: Math.imul(i * 7919 + seed * 104_729, 0x9e3779b1) }),
  );
  return places.sort((a, b) => a.key - b.key).map(({ i }) => i);
}
