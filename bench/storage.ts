/**
 * `deno task bench storage`: this server with a bucket that is a round trip away, with and without
 * `storage.cache`.
 *
 * The bucket is an emulator on this machine (tools/install_emulators) behind a proxy that passes a
 * request on {@linkcode ROUND_TRIP_MS} after it came, and counts. "Warm" is what the bucket has and
 * a server that has just been started has not in memory; the cache is that of the server before it,
 * as after a restart.
 *
 * Limits: the proxy takes each request on a connection of its own; on this machine that costs no
 * round trip. Requests come one after another.
 */
import { join } from "node:path";
import {
  type Emulator,
  type EmulatorProgram,
  FAKE_GCS_SERVER,
  findEmulator,
  S3_ACCOUNT,
  S3_REGION,
  startGcs,
  startS3,
  VERSITYGW,
} from "../tests/worlds/emulator.ts";
import { FaultProxy } from "../tests/fakes/fault_proxy.ts";
import { Contestant, get } from "./contestants.ts";
import { fileOf, madeModules, SMALL_MODULES } from "./made_modules.ts";
import { type Goal, median, type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const ROUND_TRIP_MS = 20;
const BUCKET = "modules";
/** For each figure: others for each, because what was asked for once is in memory. */
const MODULES = 20;

interface Bucket {
  readonly name: string;
  readonly program: EmulatorProgram;
  readonly start: (path: string, bucket: string) => Promise<Emulator>;
  readonly storage: (url: string) => object;
  readonly env: Readonly<Record<string, string>>;
}

const BUCKETS: readonly Bucket[] = [
  {
    name: "gcs",
    program: FAKE_GCS_SERVER,
    start: startGcs,
    storage: (url) => ({ gcs: { bucket: BUCKET, apiEndpoint: url } }),
    env: {},
  },
  {
    name: "s3",
    program: VERSITYGW,
    start: startS3,
    storage: (url) => ({ s3: { bucket: BUCKET, region: S3_REGION, endpoint: url } }),
    env: {
      AWS_ACCESS_KEY_ID: S3_ACCOUNT.accessKeyId,
      AWS_SECRET_ACCESS_KEY: S3_ACCOUNT.secretAccessKey,
    },
  },
];

type Way = "ours" | "with cache";

export async function benchStorage({ longRounds: rounds, say }: BenchOptions): Promise<Report> {
  await using upstream = await Upstream.start([await madeModules([])]);
  // Its log grows with each record that is asked for the first time, which would be work of the
  // first contestant alone.
  for (const { path, version } of SMALL_MODULES) {
    await get(`${upstream.sumdbUrl}/lookup/${path}@${version}`);
  }
  const samples = new Samples();
  const missing: string[] = [];
  for (const bucket of BUCKETS) {
    const program = findEmulator(bucket.program);
    if (program === null) {
      missing.push(`${bucket.program.name} is not installed.`);
      continue;
    }
    for (let round = 0; round < rounds; round++) {
      for (const way of ["ours", "with cache"] as const) {
        say(`${bucket.name}, round ${round + 1} of ${rounds}: ${way}`);
        await bench(bucket, way, { program, upstream, samples });
      }
    }
  }
  return {
    suite: "storage",
    notes: [
      `Each request to the bucket takes ${ROUND_TRIP_MS} ms more than on this machine.`,
      '"ours" is without storage.cache. Requests are means, times medians.',
      ...missing,
    ],
    rows: samples.rows(),
  };
}

interface World {
  readonly program: string;
  readonly upstream: Upstream;
  readonly samples: Samples;
}

async function bench(bucket: Bucket, way: Way, { program, upstream, samples }: World) {
  await using emulator = await bucket.start(program, BUCKET);
  await using proxy = new FaultProxy(emulator.url);
  proxy.plan = async () => {
    await new Promise((resolve) => setTimeout(resolve, ROUND_TRIP_MS));
    return null;
  };
  const cacheFolder = await Deno.makeTempDir({ prefix: "bench-cache-" });
  const cache = way === "ours" ? {} : { cache: { path: join(cacheFolder, "cache") } };
  const options = {
    upstream,
    storage: { ...bucket.storage(proxy.url), ...cache },
    env: bucket.env,
    untilAnswers: "readyz",
  };
  const measure = async (
    server: Contestant,
    row: { name: string; extension: "info" | "mod" | "zip"; from: number; atMost?: number },
  ) => {
    const { name, extension, from, atMost } = row;
    const timesMs: number[] = [];
    const before = proxy.requests.length;
    for (const module of SMALL_MODULES.slice(from * MODULES, (from + 1) * MODULES)) {
      const startMs = performance.now();
      await get(`${server.url}/${fileOf(module, extension)}`);
      timesMs.push(performance.now() - startMs);
    }
    const requests = (proxy.requests.length - before) / MODULES;
    const goals: Goal[] = atMost === undefined ? [] : [{ atMost }];
    const title = `${bucket.name}: ${name}`;
    samples.add({ name: title, unit: "ms", goals: [] }, way, median(timesMs));
    samples.add({ name: `${title}: requests`, unit: "requests", goals }, way, requests);
  };
  try {
    {
      await using server = await Contestant.start("ours", options);
      await measure(server, { name: "cold `.info`", extension: "info", from: 0 });
      await measure(server, { name: "cold `.zip` after it", extension: "zip", from: 0 });
      for (const module of SMALL_MODULES.slice(MODULES, 4 * MODULES)) {
        await get(`${server.url}/${fileOf(module, "zip")}`);
      }
    }
    await using server = await Contestant.start("ours", options);
    await measure(server, { name: "warm `.info`", extension: "info", from: 1, atMost: 1 });
    await measure(server, { name: "warm `.mod`", extension: "mod", from: 2, atMost: 1 });
    await measure(server, { name: "warm `.zip`", extension: "zip", from: 3, atMost: 2 });
    await measure(server, {
      name: "warm `.zip` after `.info`",
      extension: "zip",
      from: 1,
      atMost: 1,
    });
  } finally {
    await Deno.remove(cacheFolder, { recursive: true });
  }
}
