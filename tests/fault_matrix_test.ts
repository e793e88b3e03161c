/**
 * Each store call of a publish × each way in which it can go wrong × who is asked next: the same
 * replica, another one, or another one while the call is under way.
 *
 * There are two replicas, each the whole product with a connection of its own to one store, and an
 * upstream with two copies of a version, which it answers in turn. A client asks the first replica
 * for a zip while the fault is on; then the next one is asked; then (or before) what was still on
 * its way arrives; then both are asked for everything.
 *
 * Whatever the first client was told: the next one gets an answer, all three files are of one copy
 * on both replicas, that copy is the one that was answered to anybody, and both list the version
 * from the store alone.
 *
 * The same over real servers of object storage, where each *request* of a publish is disturbed in
 * turn: there the back end tries again, and the first client notices nothing.
 */
import assert from "node:assert/strict";
import type { HashDatabase } from "../lib/module/hash_database.ts";
import { S3Store } from "../lib/store/s3.ts";
import { GcsStore } from "../lib/store/gcs.ts";
import { MemoryStore } from "./fakes/memory_store.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { startTestApp, type TestApp } from "./worlds/app.ts";
import {
  type Emulator,
  emulatorTests,
  FAKE_GCS_SERVER,
  S3_ACCOUNT,
  S3_REGION,
  startGcs,
  startS3,
  VERSITYGW,
} from "./worlds/emulator.ts";
import { FaultProxy, type NetworkFault, type ProxiedRequest } from "./fakes/fault_proxy.ts";
import { type Call, type Fault, FaultyStore } from "./fakes/faulty_store.ts";
import { readZip } from "./support/read_zip.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { FAST } from "./suites/network_store_suite.ts";
import { formatTable, report } from "./support/report.ts";

const PATH = "example.com/m";
const MODES = ["eager", "lazy"] as const;
type Mode = (typeof MODES)[number];
const A_PUBLISH: Record<Mode, string> = { eager: "an eager publish", lazy: "a lazy publish" };
/** Who is asked next. */
const NEXT = ["same replica", "other replica", "other replica meanwhile"] as const;
/** The other one is asked, and answers, before the disturbed call leaves. */
const MEANWHILE = NEXT[2];

interface FaultRow {
  readonly name: string;
  readonly fault: Fault;
  /** How many calls on end meet it. */
  readonly times: number;
  /** When what was on its way arrives. Default: after the next request. */
  readonly lands?: "before";
}

const FAULTS: readonly FaultRow[] = [
  { name: "fails", fault: "fail", times: 1 },
  { name: "fails, but has happened", fault: "fail-but-done", times: 1 },
  {
    name: "fails, happens before the next request",
    fault: "fail-then-done",
    times: 1,
    lands: "before",
  },
  { name: "fails, happens after it", fault: "fail-then-done", times: 1 },
  { name: "fails three times", fault: "fail", times: 3 },
];

/** A client that gives up only after a fault has come three times. */
const MAX_TRIES = 4;

for (const mode of MODES) {
  Deno.test(`a fault at any store call of ${A_PUBLISH[mode]} leaves one copy`, async () => {
    const calls = await undisturbedCalls(mode);
    const rows: string[][] = [[`${mode}: this call`, "to the store", ...NEXT]];
    for (const call of calls) {
      for (const fault of FAULTS) {
        const cells: string[] = [];
        for (const next of NEXT) cells.push(await disturbedPublish(mode, { call, ...fault, next }));
        rows.push([describeCall(call), fault.name, ...cells]);
      }
    }
    assert.equal(rows.length - 1, (mode === "eager" ? 4 : 5) * FAULTS.length);
    report(formatTable(rows));
  });
}

async function undisturbedCalls(mode: Mode): Promise<readonly Call[]> {
  await using upstream = await startTwoCopies(mode, "v1.0.0");
  const store = new FaultyStore(new MemoryStore());
  await using app = await startReplica(upstream, { mode, store });
  const response = await app.get(`${PATH}/@v/v1.0.0.zip`);
  await response.body?.cancel();
  assert.equal(response.status, 200);
  return store.calls;
}

interface Disturbance extends FaultRow {
  /** The first one that meets the fault. */
  readonly call: Call;
  readonly next: (typeof NEXT)[number];
}

/** What the two clients were answered, in words. */
async function disturbedPublish(
  mode: Mode,
  { call, name, fault, times, lands, next }: Disturbance,
): Promise<string> {
  const version = "v1.0.0";
  const context = `${mode}, call ${describeCall(call)} ${name}, ${next} next`;
  await using upstream = await startTwoCopies(mode, version);
  const inner = new MemoryStore();
  const later: Awaited<ReturnType<typeof askUntilOk>>[] = [];
  const askNext = async () => {
    later.push(await askUntilOk(next === "same replica" ? first : other, file));
  };
  const faulty = new FaultyStore(inner, async ({ index }) => {
    if (index === call.index && next === MEANWHILE) await askNext();
    return index >= call.index && index < call.index + times ? fault : null;
  });
  await using first = await startReplica(upstream, { mode, store: faulty });
  await using other = await startReplica(upstream, { mode, store: inner });
  const file = `${PATH}/@v/${version}.zip`;

  const answer = await first.get(file);
  const bytes = await answer.bytes();
  if (next === MEANWHILE) {
    // What another has published may be all that the first one needs.
    assert.ok(answer.status === 200 || answer.status === 503, context);
  } else {
    // What has happened counts, whatever was said about it.
    const hasHappened = call.method === "create" && fault === "fail-but-done";
    assert.equal(answer.status, hasHappened ? 200 : 503, context);
    if (lands === "before") await faulty.land();
    await askNext();
  }
  await faulty.land();

  const copy = await copyAt(first, version);
  assert.deepEqual(await copyAt(other, version), copy, context);
  const [answered] = later;
  assert.deepEqual(answered?.bytes, copy.zip, context);
  if (answer.status === 200) assert.deepEqual(bytes, copy.zip, context);
  const { tries } = answered;
  if (next !== "same replica") assert.equal(tries, 1, context);
  return `${answer.status}, ${next === MEANWHILE ? "" : "then "}${"503, ".repeat(tries - 1)}200`;
}

/** Everything that a replica answers about a version; it must be consistent. */
async function copyAt(app: TestApp, version: string) {
  const { bytes: info } = await askUntilOk(app, `${PATH}/@v/${version}.info`);
  const { bytes: mod } = await askUntilOk(app, `${PATH}/@v/${version}.mod`);
  const { bytes: zip } = await askUntilOk(app, `${PATH}/@v/${version}.zip`);
  const goMod = new Map(await readZip(zip)).get(`${PATH}@${version}/go.mod`);
  assert.deepEqual(new Uint8Array(goMod ?? []), mod);
  const { bytes: list } = await askUntilOk(app, `cached-only/${PATH}/@v/list`);
  assert.ok(new TextDecoder().decode(list).split("\n").includes(version));
  return { info, mod, zip };
}

async function askUntilOk(app: TestApp, path: string) {
  for (let tries = 1;; tries++) {
    const response = await app.get(path);
    const bytes = await response.bytes();
    if (response.status === 200) return { bytes, tries };
    assert.equal(response.status, 503, new TextDecoder().decode(bytes));
    assert.ok(tries < MAX_TRIES, `${path} cannot be had`);
  }
}

/**
 * An upstream with two copies of a version. Where the checksum database has fixed the hashes, only
 * the time can be another one; where it has not, everything is.
 */
async function startTwoCopies(mode: Mode, version: string): Promise<Upstream> {
  const upstream = await startUpstream();
  for (const copy of ["one", "other"]) {
    const comment = mode === "eager" ? ` // ${copy}` : "";
    const files = { "go.mod": `module ${PATH}${comment}\n`, "m.go": `package m${comment}\n` };
    const time = copy === "one" ? "2024-01-01T00:00:00Z" : "2024-02-02T00:00:00Z";
    await upstream.addModule({ path: PATH, version, files, time });
  }
  return upstream;
}

function startReplica(
  upstream: Upstream,
  { mode, store }: { mode: Mode; store: ObjectStore },
): Promise<TestApp> {
  const findHashes: HashDatabase["find"] = ({ path, version }) => {
    const hashes = upstream.hashesOf(path, version);
    assert.ok(hashes !== null);
    return Promise.resolve({ zipH1: hashes.h1, goModH1: hashes.goModH1 });
  };
  const known = mode === "lazy" ? { findHashes } : {};
  return startTestApp({ upstreams: [upstream.url], store, ...known });
}

// Over the network.

const NETWORK_FAULTS: readonly { name: string; times: number; fault: NetworkFault }[] = [
  { name: "answers 429 three times", times: 3, fault: { kind: "answer", status: 429 } },
  { name: "answers 503 three times", times: 3, fault: { kind: "answer", status: 503 } },
  { name: "is lost", times: 1, fault: { kind: "refuse" } },
  { name: "happens, its answer is lost", times: 1, fault: { kind: "lose" } },
];

const BUCKET = "modules";

emulatorTests(FAKE_GCS_SERVER, (program) =>
  networkMatrix("gcs", {
    start: () => startGcs(program, BUCKET),
    open: (apiEndpoint) => new GcsStore({ bucket: BUCKET, apiEndpoint, times: FAST }),
  }));

emulatorTests(VERSITYGW, (program) =>
  networkMatrix("s3", {
    start: () => startS3(program, BUCKET),
    open: (endpoint) =>
      new S3Store({
        bucket: BUCKET,
        prefix: "",
        region: S3_REGION,
        endpoint,
        credentials: () => Promise.resolve(S3_ACCOUNT),
        times: FAST,
      }),
  }));

interface NetworkSubject {
  readonly start: () => Promise<Emulator>;
  readonly open: (url: string) => ObjectStore;
}

function networkMatrix(name: string, { start, open }: NetworkSubject): void {
  Deno.test(`a fault at any request to ${name} leaves one copy, and no client notices`, async () => {
    await using emulator = await start();
    const near = open(emulator.url);
    let versions = 0;
    const publish = async (
      mode: Mode,
      row?: { index: number; times: number; fault: NetworkFault },
    ) => {
      await using proxy = new FaultProxy(emulator.url);
      proxy.plan = ({ index }) =>
        row !== undefined && index >= row.index && index < row.index + row.times ? row.fault : null;
      const far = open(proxy.url);
      return await networkPublish({ mode, version: `v1.${versions++}.0`, near, far, proxy });
    };
    for (const mode of MODES) {
      const requests = await publish(mode);
      const rows: string[][] = [[
        `${name}, ${mode}: this request`,
        "the server",
        "requests in all",
      ]];
      for (const [index, { method, target }] of requests.entries()) {
        for (const row of NETWORK_FAULTS) {
          const disturbed = await publish(mode, { index, ...row });
          const context = `${name}, ${mode}, request ${index} (${method} ${target}) ${row.name}`;
          // What is tried again comes on top.
          assert.ok(disturbed.length >= requests.length + row.times, context);
          rows.push([
            `${index + 1}: ${method}`,
            row.name,
            `${disturbed.length}, not ${requests.length}`,
          ]);
        }
      }
      assert.ok(requests.length >= (mode === "eager" ? 4 : 5));
      report(formatTable(rows));
    }
  });
}

interface NetworkPublish {
  readonly mode: Mode;
  readonly version: string;
  /** To the server itself. */
  readonly near: ObjectStore;
  /** To the server by way of the proxy. */
  readonly far: ObjectStore;
  readonly proxy: FaultProxy;
}

/**
 * Publishes through the proxy, compares with what a replica without it says, and returns the
 * requests of the publish.
 */
async function networkPublish(
  { mode, version, near, far, proxy }: NetworkPublish,
): Promise<readonly ProxiedRequest[]> {
  await using upstream = await startTwoCopies(mode, version);
  await using first = await startReplica(upstream, { mode, store: far });
  await using other = await startReplica(upstream, { mode, store: near });
  const response = await first.get(`${PATH}/@v/${version}.zip`);
  const bytes = await response.bytes();
  const requests = [...proxy.requests];
  assert.equal(response.status, 200, new TextDecoder().decode(bytes));
  const copy = await copyAt(first, version);
  assert.deepEqual(copy.zip, bytes);
  assert.deepEqual(await copyAt(other, version), copy);
  return requests;
}

// For people.

function describeCall({ index, method, key }: Call): string {
  return `${index + 1}: ${method} ${key.startsWith("m1/") ? "the manifest" : "the zip"}`;
}
