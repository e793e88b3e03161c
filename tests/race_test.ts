/**
 * Four replicas on one store, while everything around them changes: the upstream has two copies of
 * each version and answers them in turn, and says 404 now and then; the git origin's tags move and
 * vanish; exceptions from a policy that withholds every third version are recorded and revoked;
 * every second a replica is killed (-9) and another one starts in its place. What clients were
 * answered is logged, and consistency_checker.ts must find no violation.
 *
 * What is asked of whom, and who is killed, is drawn from a seed, which is printed and can be set
 * (RACE_SEED). What comes of it also depends on the machine's timing: a seed makes the same plan,
 * not the same run.
 *
 * By default there are 1,000 requests, on a directory. With CI=true or RACE=full there are 10,000
 * on each of a directory and real servers of object storage.
 */
import assert from "node:assert/strict";
import { type Answer, checkConsistency, describeViolation } from "./support/consistency_checker.ts";
import {
  emulatorTests,
  FAKE_GCS_SERVER,
  S3_ACCOUNT,
  S3_REGION,
  startGcs,
  startS3,
  VERSITYGW,
} from "./worlds/emulator.ts";
import { type Place, startRaceWorld } from "./worlds/race_world.ts";
import { report } from "./support/report.ts";

const IS_FULL = Deno.env.get("CI") === "true" || Deno.env.get("RACE") === "full";
const REQUESTS = IS_FULL ? 10_000 : 1000;
const BUCKET = "modules";

async function openDirectory(): Promise<Place> {
  const path = await Deno.makeTempDir({ prefix: "race-store-" });
  return {
    storage: { disk: { path } },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("a race of replicas on a directory keeps the promise", () => race("disk", openDirectory));

if (IS_FULL) {
  emulatorTests(FAKE_GCS_SERVER, (program) => {
    Deno.test("a race of replicas on Google Cloud Storage keeps the promise", () =>
      race("gcs", async () => {
        const emulator = await startGcs(program, BUCKET);
        return {
          storage: { gcs: { bucket: BUCKET, apiEndpoint: emulator.url } },
          [Symbol.asyncDispose]: () => emulator[Symbol.asyncDispose](),
        };
      }));
  });
  emulatorTests(VERSITYGW, (program) => {
    Deno.test("a race of replicas on S3 keeps the promise", () =>
      race("s3", async () => {
        const emulator = await startS3(program, BUCKET);
        const s3 = { bucket: BUCKET, region: S3_REGION, endpoint: emulator.url };
        return {
          storage: { s3: { ...s3, forcePathStyle: true } },
          env: {
            AWS_ACCESS_KEY_ID: S3_ACCOUNT.accessKeyId,
            AWS_SECRET_ACCESS_KEY: S3_ACCOUNT.secretAccessKey,
          },
          [Symbol.asyncDispose]: () => emulator[Symbol.asyncDispose](),
        };
      }));
  });
}

Deno.test("a race of replicas detects a store whose create overwrites", async () => {
  await using world = await startRaceWorld({
    open: openDirectory,
    requests: 300,
    entry: "tests/processes/overwriting_server.ts",
  });
  await world.run();
  const violations = checkConsistency(world.log, world.policy);
  report(`disk that overwrites: ${world.report()}: ${violations.length} violations`);
  assert.ok(violations.some(({ rule }) => rule === "one copy"));
});

async function race(name: string, open: () => Promise<Place>): Promise<void> {
  await using world = await startRaceWorld({ open, requests: REQUESTS });
  await Promise.all([world.run(), world.killEverySecond(), world.flipPolicy()]);
  await world.askAgain();
  const violations = checkConsistency(world.log, world.policy);
  report(`${name}: ${world.report()}: ${violations.length} violations`);
  assert.deepEqual(violations.map(describeViolation), [], `RACE_SEED=${world.seed}`);
  assert.deepEqual(world.unexpected, []);
  assert.ok(world.kills > 0);
  assert.ok(world.policy.flips.length > 1);
  assert.ok(world.log.some(({ status }) => status === 403));
  assert.ok(world.log.length >= REQUESTS / 2, "most requests must have been answered");
  for (const module of world.modules) {
    assert.ok(world.log.some((answer) => answer.module === module && isZip(answer)), module);
  }
}

function isZip({ file, status }: Answer): boolean {
  return file === "zip" && status === 200;
}
