/**
 * `deno task bench delivery`: zips that this server sends, and zips that others send for it
 * (docs/design/zip_delivery.md): what it costs this process per gigabyte that clients get.
 *
 * - From a disk: this server alone; behind nginx, which passes its zips on; and with nginx sending
 *   the files (`listen.accelRedirect`), in the configuration of deploy/nginx. Clients are wrk.
 * - From a bucket, an emulator on this machine (tools/install_emulators): through this server, and
 *   after a redirect. Clients are loops of `fetch` in this process, which follow it; they take a
 *   good part of the machine, so that MB/s are theirs more than the server's.
 * - Redirects alone, by wrk, for S3 and for Google with a service account's key.
 */
import { join } from "node:path";
import { SignedBucket } from "../tests/fakes/signed_bucket.ts";
import {
  FAKE_GCS_SERVER,
  findEmulator,
  S3_ACCOUNT,
  S3_REGION,
  startGcs,
  startS3,
  VERSITYGW,
} from "../tests/worlds/emulator.ts";
import { findNginx, startNginx } from "../tests/worlds/nginx.ts";
import { Contestant, get } from "./contestants.ts";
import { load } from "./load.ts";
import { fileOf, largeModule, madeModules } from "./made_modules.ts";
import { treeCpuMs } from "./process_tree.ts";
import { type Report, type Row, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const ZIP_BYTES = [100_000, 5_000_000, 70_000_000];
const CLIENTS = 8;
const BUCKET = "modules";
const LOCATION = "/internal/zips";

interface World {
  readonly upstream: Upstream;
  readonly samples: Samples;
  readonly seconds: number;
}

export async function benchDelivery(
  { longRounds, seconds, say }: BenchOptions,
): Promise<Report> {
  say("making the modules");
  await using upstream = await Upstream.start([await madeModules(ZIP_BYTES)]);
  const world = { upstream, samples: new Samples(), seconds };
  const [nginx, s3, gcs] = [findNginx(), findEmulator(VERSITYGW), findEmulator(FAKE_GCS_SERVER)];
  for (let round = 0; round < longRounds; round++) {
    say(`round ${round + 1} of ${longRounds}`);
    if (nginx !== null) await benchDisk(world, nginx);
    if (s3 !== null) await benchS3(world, s3);
    if (gcs !== null) await benchGcs(world, gcs);
  }
  const missing = Object.entries({ nginx, versitygw: s3, "fake-gcs-server": gcs })
    .filter(([, path]) => path === null).map(([name]) => `${name} is not installed.`);
  return {
    suite: "delivery",
    notes: [
      `"ours": this server sends the zips. ${CLIENTS} clients.`,
      "Work is CPU time of this server's process alone, per GB that clients have received.",
      ...missing,
    ],
    rows: world.samples.rows(),
  };
}

async function benchDisk(world: World, program: string): Promise<void> {
  const ways = [
    { name: "ours", listen: {}, isBehind: false },
    { name: "behind nginx", listen: { trustedProxies: ["127.0.0.1"] }, isBehind: true },
    {
      name: "sent by nginx",
      listen: { trustedProxies: ["127.0.0.1"], accelRedirect: LOCATION },
      isBehind: true,
    },
  ];
  for (const { name, listen, isBehind } of ways) {
    const folder = await Deno.makeTempDir({ prefix: "bench-delivery-" });
    try {
      const store = join(folder, "data");
      await using server = await Contestant.start("ours", {
        upstream: world.upstream,
        listen,
        storage: { disk: { path: store } },
      });
      await using nginx = isBehind
        ? await startNginx(program, { server: server.url, store })
        : null;
      const url = nginx?.url ?? server.url;
      for (const sizeBytes of ZIP_BYTES) {
        const paths = [fileOf(largeModule(sizeBytes), "zip")];
        await get(`${server.url}/${paths[0]}`);
        await load({ url, paths, connections: CLIENTS, seconds: 1 });
        const nginxBefore = nginx === null ? null : await treeCpuMs(nginx.pid);
        const before = await treeCpuMs(server.pid);
        const served = await load({ url, paths, connections: CLIENTS, seconds: world.seconds });
        const after = await treeCpuMs(server.pid);
        const nginxAfter = nginx === null ? null : await treeCpuMs(nginx.pid);
        const what = `disk, zip of ${sizeOf(sizeBytes)}`;
        add(world, { what, way: name, ...served, cpuMs: difference(before, after) });
        const nginxMs = difference(nginxBefore, nginxAfter);
        const work = { name: `${what}: work of nginx`, unit: "CPU ms/GB" as const, goals: [] };
        world.samples.add(work, name, nginxMs === null ? null : nginxMs * 1e9 / served.bytes);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
}

async function benchS3(world: World, program: string): Promise<void> {
  for (const redirect of [false, true]) {
    await using emulator = await startS3(program, BUCKET);
    await using server = await Contestant.start("ours", {
      upstream: world.upstream,
      storage: { s3: { bucket: BUCKET, region: S3_REGION, endpoint: emulator.url, redirect } },
      env: {
        AWS_ACCESS_KEY_ID: S3_ACCOUNT.accessKeyId,
        AWS_SECRET_ACCESS_KEY: S3_ACCOUNT.secretAccessKey,
      },
      untilAnswers: "readyz",
    });
    for (const sizeBytes of ZIP_BYTES) {
      const path = fileOf(largeModule(sizeBytes), "zip");
      await get(`${server.url}/${path}`);
      await pull(`${server.url}/${path}`, 1);
      const before = await treeCpuMs(server.pid);
      const served = await pull(`${server.url}/${path}`, world.seconds);
      const after = await treeCpuMs(server.pid);
      add(world, {
        what: `S3, zip of ${sizeOf(sizeBytes)}`,
        way: redirect ? "redirected" : "ours",
        ...served,
        cpuMs: difference(before, after),
      });
    }
    if (redirect) await benchRedirects(world, "S3", server);
  }
}

async function benchGcs(world: World, program: string): Promise<void> {
  await using bucket = new SignedBucket(await startGcs(program, BUCKET));
  const key = await Deno.makeTempFile({ prefix: "bench-delivery-" });
  try {
    await Deno.writeTextFile(key, bucket.account.keyFile);
    await using server = await Contestant.start("ours", {
      upstream: world.upstream,
      storage: { gcs: { bucket: BUCKET, apiEndpoint: bucket.url, redirect: true } },
      env: { GOOGLE_APPLICATION_CREDENTIALS: key },
      untilAnswers: "readyz",
    });
    await get(`${server.url}/${fileOf(largeModule(ZIP_BYTES[0] ?? 0), "zip")}`);
    await benchRedirects(world, "GCS", server);
  } finally {
    await Deno.remove(key);
  }
}

/** The redirects alone: wrk does not follow them. */
async function benchRedirects({ samples, seconds }: World, bucket: string, server: Contestant) {
  const paths = [fileOf(largeModule(ZIP_BYTES[0] ?? 0), "zip")];
  await load({ url: server.url, paths, connections: CLIENTS, seconds: 1 });
  const before = await treeCpuMs(server.pid);
  const served = await load({ url: server.url, paths, connections: CLIENTS, seconds });
  const cpuMs = difference(before, await treeCpuMs(server.pid));
  const name = `${bucket}, redirects alone`;
  samples.add(
    { name, unit: "requests/s", goals: [] },
    "redirected",
    served.requests / served.seconds,
  );
  samples.add(
    { name: `${name}: work`, unit: "CPU µs/request", goals: [] },
    "redirected",
    cpuMs === null ? null : cpuMs * 1000 / served.requests,
  );
}

interface Pulled {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Several clients, each with one request after the other, which follow redirects. */
async function pull(url: string, seconds: number): Promise<Pulled> {
  const startMs = performance.now();
  const elapsedMs = () => performance.now() - startMs;
  let [requests, bytes] = [0, 0];
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (elapsedMs() < seconds * 1000) {
      const sizeBytes = await get(url);
      bytes += sizeBytes;
      requests++;
    }
  }));
  return { requests, bytes, seconds: elapsedMs() / 1000 };
}

function add({ samples }: World, { what, way, requests, bytes, seconds, cpuMs }: Pulled & {
  readonly what: string;
  readonly way: string;
  readonly cpuMs: number | null;
}): void {
  const row = (name: string, unit: Row["unit"]) => ({ name, unit, goals: [] });
  samples.add(row(`${what}: requests`, "requests/s"), way, requests / seconds);
  samples.add(row(what, "MB/s"), way, bytes / 1e6 / seconds);
  samples.add(row(`${what}: work`, "CPU ms/GB"), way, cpuMs === null ? null : cpuMs * 1e9 / bytes);
}

function difference(before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : after - before;
}

function sizeOf(bytes: number): string {
  return bytes < 1e6 ? `${bytes / 1e3} kB` : `${bytes / 1e6} MB`;
}
