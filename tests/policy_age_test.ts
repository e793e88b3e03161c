/**
 * Rules by age, with a checksum database and clocks that tests move: the age of a version is what
 * is proven, it is the same for all replicas and after a restart, and a hold ends when its denial
 * says that it ends.
 */
import assert from "node:assert/strict";
import type { Advisories } from "../lib/advisories/advisories.ts";
import { ENTRY_STEP_MS } from "../lib/policy/clock_log.ts";
import { MemoryStore } from "./fakes/memory_store.ts";
import { Sumdb } from "./fakes/sumdb.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { fakeEntry } from "./fakes/vulndb.ts";
import { eventually } from "./support/eventually.ts";
import { advisoriesOf } from "./worlds/advisories.ts";
import { startTestApp, type TestApp } from "./worlds/app.ts";
import { startServer } from "./worlds/server.ts";

const A = "example.com/a";
const ZIP = (version: string) => `${A}/@v/${version}.zip`;
const LIST = `${A}/@v/list`;
const START = Date.UTC(2026, 10, 29, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const COOL_DOWN = { rules: [{ name: "cool-down", minAge: "7d", action: "hold" }] };

interface Clock {
  ms: number;
}

interface ReplicaOptions {
  readonly policy?: unknown;
  readonly isVerified?: boolean;
  readonly advisories?: Advisories;
}

interface World extends AsyncDisposable {
  readonly upstream: Upstream;
  readonly sumdb: Sumdb;
  readonly store: MemoryStore;
  replica(clock: Clock, options?: ReplicaOptions): Promise<TestApp>;
}

/** One store, an upstream with `a` v1.0.0, which is old, and its checksum database. */
async function world(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(await startUpstream());
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(sumdb);
  const store = new MemoryStore();
  const disposed = stack.move();
  const made: World = {
    upstream,
    sumdb,
    store,
    replica: async (clock, { policy = COOL_DOWN, isVerified = true, advisories } = {}) =>
      disposed.use(
        await startTestApp({
          upstreams: [upstream.url],
          store,
          policy,
          now: () => clock.ms,
          ...advisories && { advisories },
          sumDatabase: {
            name: sumdb.name,
            publicKey: sumdb.verifierKey,
            url: `${upstream.url}/sumdb/${sumdb.name}`,
          },
          ...isVerified ? {} : { findHashes: () => Promise.resolve(null) },
        }),
      ),
    [Symbol.asyncDispose]: () => disposed.disposeAsync(),
  };
  await release(made, "v1.0.0");
  // Seen long ago, by a replica that is gone.
  const first = await made.replica({ ms: START - 100 * DAY });
  await first.text(ZIP("v1.0.0"));
  await first.text(`${A}/@v/v1.0.0.info`);
  return made;
}

/** Released now, whatever its commit says. */
async function release({ upstream }: World, version: string, time?: string): Promise<void> {
  const files = { "go.mod": `module ${A}\n`, "a.go": `package a // ${version}\n` };
  await upstream.addModule({ path: A, version, files, ...time === undefined ? {} : { time } });
}

/** When a denial says that the version is allowed. */
async function heldUntil(app: TestApp, version: string): Promise<number> {
  const { status, body } = await app.text(ZIP(version));
  assert.equal(status, 403, body);
  const [, date, time] = /^allowed from (\S+) (\S+) UTC$/m.exec(body) ?? [];
  return Date.parse(`${date}T${time}:00Z`);
}

async function listOf(app: TestApp): Promise<string> {
  const { status, body } = await app.text(LIST);
  assert.equal(status, 200, body);
  return body;
}

async function maxAge(app: TestApp, path: string): Promise<number> {
  const response = await app.get(path);
  await response.bytes();
  return Number(/max-age=(\d+)/.exec(response.headers.get("Cache-Control") ?? "")?.[1]);
}

Deno.test("a commit's time makes no version old", async () => {
  await using made = await world();
  await release(made, "v1.1.0", "2019-01-01T00:00:00Z");
  const app = await made.replica({ ms: START });
  assert.equal((await app.text(ZIP("v1.0.0"))).status, 200);
  assert.equal(await heldUntil(app, "v1.1.0"), START + 7 * DAY);
  const { body } = await app.text(ZIP("v1.1.0"));
  assert.match(body, /known for 0 minutes, and 7 days are required \(sum\.example\.test had it on/);
  assert.match(body, /newest allowed version: go get example\.com\/a@v1\.0\.0/);
});

Deno.test("a hold ends by itself at the moment that it names, and lists are not kept longer", async () => {
  await using made = await world();
  await release(made, "v1.1.0");
  const clock = { ms: START };
  const app = await made.replica(clock);
  const untilMs = await heldUntil(app, "v1.1.0");
  assert.equal(await listOf(app), "v1.0.0\n");
  assert.equal(await maxAge(app, LIST), 60);
  clock.ms = untilMs - 30_500;
  for (const path of [LIST, `${A}/@latest`]) assert.equal(await maxAge(app, path), 30, path);
  clock.ms = untilMs - 1;
  assert.equal(await heldUntil(app, "v1.1.0"), untilMs);
  assert.equal(await listOf(app), "v1.0.0\n");
  assert.equal(await maxAge(app, LIST), 0);
  clock.ms = untilMs;
  assert.equal((await app.text(ZIP("v1.1.0"))).status, 200);
  assert.equal(await listOf(app), "v1.0.0\nv1.1.0\n");
  assert.equal(await maxAge(app, LIST), 60);
});

Deno.test("a hold ends although nobody sees another tree, and there was one within the hour", async () => {
  await using made = await world();
  const clock = { ms: START };
  const app = await made.replica(clock);
  await release(made, "v1.1.0");
  const first = await heldUntil(app, "v1.1.0");
  assert.equal(first, START + 7 * DAY);
  clock.ms += 10 * MINUTE;
  await release(made, "v1.2.0");
  // Its tree is recorded an hour after the last one.
  const untilMs = await heldUntil(app, "v1.2.0");
  assert.equal(untilMs, START + ENTRY_STEP_MS + 7 * DAY);
  clock.ms = START + ENTRY_STEP_MS;
  assert.equal(await heldUntil(app, "v1.2.0"), untilMs);
  made.upstream.misbehave(/\/sumdb\//, () => new Response("down\n", { status: 500 }));
  clock.ms = untilMs - 1;
  assert.equal(await heldUntil(app, "v1.2.0"), untilMs);
  clock.ms = untilMs;
  assert.equal((await app.text(ZIP("v1.2.0"))).status, 200);
});

Deno.test("a version that is tagged again keeps its age, and its first bytes", async () => {
  await using made = await world();
  await release(made, "v1.1.0");
  const clock = { ms: START };
  const app = await made.replica(clock);
  const untilMs = await heldUntil(app, "v1.1.0");
  const files = { "go.mod": `module ${A}\n`, "a.go": "package a // moved\n" };
  const { zip } = await made.upstream.addModule({ path: A, version: "v1.1.0", files });
  made.upstream.misbehave(/v1\.1\.0\.zip$/, () => new Response(zip), { times: 1 });
  clock.ms = untilMs;
  // It is old enough by its record, which is of the bytes that were first.
  const { status, body } = await app.text(ZIP("v1.1.0"));
  assert.equal(status, 502);
  assert.match(body, /its tag was moved/);
  assert.equal((await app.text(ZIP("v1.1.0"))).status, 200);
});

Deno.test("replicas agree at each moment, and so does one that starts later", async () => {
  await using made = await world();
  const clock = { ms: START };
  const replicas = [await made.replica(clock), await made.replica(clock)];
  const [one, two] = replicas;
  assert.ok(one !== undefined && two !== undefined);
  await release(made, "v1.1.0");
  const untilMs = await heldUntil(one, "v1.1.0");
  for (const ms of [0, HOUR, DAY, untilMs - START - 1]) {
    clock.ms = START + ms;
    replicas.push(await made.replica(clock));
    for (const app of replicas) assert.equal(await heldUntil(app, "v1.1.0"), untilMs);
  }
  clock.ms = untilMs;
  replicas.push(await made.replica(clock));
  for (const app of replicas) {
    assert.equal((await app.text(ZIP("v1.1.0"))).status, 200);
    assert.equal(await listOf(app), "v1.0.0\nv1.1.0\n");
  }
});

Deno.test("a replica whose clock is off by an hour shortens a hold by an hour at most", async (t) => {
  for (const offMs of [HOUR, -HOUR]) {
    await t.step(`${offMs / HOUR} h`, async () => {
      await using made = await world();
      await release(made, "v1.1.0");
      const [right, wrong] = [{ ms: START }, { ms: START + offMs }];
      const [app, other] = [await made.replica(right), await made.replica(wrong)];
      // The one whose clock is wrong sees the version first.
      assert.equal(await heldUntil(other, "v1.1.0"), START + offMs + 7 * DAY);
      const untilMs = await heldUntil(app, "v1.1.0");
      assert.equal(untilMs, START + offMs + 7 * DAY);
      right.ms = START + 7 * DAY - HOUR - 1;
      wrong.ms = right.ms + offMs;
      assert.equal((await app.text(ZIP("v1.1.0"))).status, 403);
      right.ms = untilMs;
      wrong.ms = right.ms + offMs;
      assert.equal((await app.text(ZIP("v1.1.0"))).status, 200);
    });
  }
});

Deno.test("where the checksum database is down, the age of an unknown version is unknown", async (t) => {
  await using made = await world();
  await release(made, "v1.1.0");
  made.upstream.misbehave(/\/sumdb\//, () => new Response("down\n", { status: 500 }));
  await t.step("its zip and the list are 503", async () => {
    const app = await made.replica({ ms: START }, { isVerified: false });
    for (const path of [ZIP("v1.1.0"), LIST]) {
      const response = await app.get(path);
      assert.equal(response.status, 503);
      assert.equal(response.headers.get("Retry-After"), "30");
      assert.match(await response.text(), /^Cannot determine the age that the policy asks for: /);
    }
  });
  await t.step("what is known already is decided", async () => {
    const app = await made.replica({ ms: START });
    assert.equal((await app.text(ZIP("v1.0.0"))).status, 200);
  });
  await t.step("a rule with unknown: allow does not apply", async () => {
    const policy = { rules: [{ ...COOL_DOWN.rules[0], unknown: "allow" }] };
    const app = await made.replica({ ms: START }, { policy, isVerified: false });
    assert.equal((await app.text(ZIP("v1.1.0"))).status, 200);
    assert.equal(await listOf(app), "v1.0.0\nv1.1.0\n");
  });
});

Deno.test("a fix of what was published here is not held on the fast lane, unless it is malware", async () => {
  await using made = await world();
  await release(made, "v1.0.1");
  await release(made, "v1.0.2");
  const affecting = (...events: readonly unknown[]) => [
    { package: { name: A, ecosystem: "Go" }, ranges: [{ type: "SEMVER", events }] },
  ];
  const affected = affecting({ introduced: "0" }, { fixed: "1.0.1" });
  const entry = fakeEntry("GO-2026-1", { name: A, affected });
  const advisories = await advisoriesOf([entry]);
  const malware = { name: "malware", advisories: { malicious: true }, action: "deny" };
  const replica = (rules: readonly unknown[]) =>
    made.replica({ ms: START }, { policy: { rules }, advisories });
  const waiting = await replica(COOL_DOWN.rules);
  assert.equal(await heldUntil(waiting, "v1.0.1"), START + 7 * DAY);
  const app = await replica([malware, { ...COOL_DOWN.rules[0], fastLane: true }]);
  assert.equal((await app.text(ZIP("v1.0.1"))).status, 200);
  assert.equal(await listOf(app), "v1.0.0\nv1.0.1\n");
  assert.equal(await heldUntil(app, "v1.0.2"), START + ENTRY_STEP_MS + 7 * DAY);
  const { body } = await app.text(`explain/${A}@v1.0.1`);
  assert.match(body, /GO-2026-1 names it as the fix of v1\.0\.0/);
  const infected = await made.replica({ ms: START }, {
    policy: { rules: [malware, { ...COOL_DOWN.rules[0], fastLane: true }] },
    advisories: await advisoriesOf([
      entry,
      fakeEntry("MAL-2026-1", { name: A, affected: affecting({ introduced: "1.0.1" }) }),
    ]),
  });
  assert.match((await infected.text(ZIP("v1.0.1"))).body, /policy rule "malware"/);
});

Deno.test("@latest is the highest version that is allowed and not retracted", async () => {
  await using made = await world();
  const add = (version: string, goMod: string) =>
    made.upstream.addModule({
      path: A,
      version,
      files: { "go.mod": `module ${A}\n\ngo 1.20\n${goMod}`, "a.go": "package a\n" },
    });
  await add("v1.1.0", "");
  await add("v1.2.0", "\nretract v1.1.0\n");
  const policy = {
    rules: [
      { name: "broken", modules: [A], versions: ">=1.2.0", action: "deny" },
      { name: "all", modules: ["example.com/none"], action: "deny" },
    ],
  };
  const app = await made.replica({ ms: START }, { policy });
  assert.equal(JSON.parse((await app.text(`${A}/@latest`)).body).Version, "v1.0.0");
  await made.upstream.addModule({
    path: "example.com/none",
    version: "v1.0.0",
    files: { "go.mod": "module example.com/none\n", "n.go": "package none\n" },
  });
  const { status, body } = await app.text("example.com/none/@latest");
  assert.equal(status, 403);
  assert.match(body, /rule "all"\nno version of this module is allowed/);
  assert.equal((await app.text("example.com/none/@v/list")).body, "");
  const denials = app.log.filter(({ status }) => status === 403);
  assert.deepEqual(denials.map(({ policy, level }) => [policy, level]), [
    [{ rule: "all", action: "deny", isEnforced: true, reason: "" }, "info"],
  ]);
});

Deno.test("a hold ends on all threads without a restart", async () => {
  const dir = await Deno.makeTempDir();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  const upstream = stack.use(await startUpstream());
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  upstream.mount(sumdb);
  for (const version of ["v1.0.0", "v1.1.0"]) {
    const files = { "go.mod": `module ${A}\n`, "a.go": "package a\n" };
    await upstream.addModule({ path: A, version, files });
    const recorded = upstream.hashesOf(A, version);
    assert.ok(recorded !== null);
    sumdb.append(recorded);
  }
  await Deno.writeTextFile(
    `${dir}/config.yaml`,
    JSON.stringify({
      storage: { disk: { path: `${dir}/data` } },
      publicModules: {
        sumDatabase: {
          name: sumdb.name,
          publicKey: sumdb.verifierKey,
          url: `${upstream.url}/sumdb/${sumdb.name}`,
        },
      },
      policy: { rules: [{ name: "cool-down", minAge: "1h", action: "hold" }] },
    }),
  );
  const server = stack.use(
    await startServer({
      args: ["--config-file", `${dir}/config.yaml`, "--workers", "3"],
      env: { GOPROXY: upstream.url },
    }),
  );
  const untilMs = Date.now() + 5_000;
  const entry = (atMs: number, size: number) =>
    JSON.stringify({ format: 1, at: new Date(atMs).toISOString(), size, hash: "" });
  await Deno.mkdir(`${dir}/data/c1/${sumdb.name}`, { recursive: true });
  const entries = [entry(untilMs - 2 * HOUR, 1), entry(untilMs - HOUR, 2)];
  for (const [i, text] of entries.entries()) {
    await Deno.writeTextFile(`${dir}/data/c1/${sumdb.name}/${String(i).padStart(12, "0")}`, text);
  }
  /** On a connection of its own, which any thread accepts. */
  const ask = async (path: string) => {
    using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
    const startMs = Date.now();
    const response = await fetch(`${server.url}/${path}`, { client });
    const body = await response.bytes();
    const text = path === LIST ? new TextDecoder().decode(body) : "";
    return { startMs, endMs: Date.now(), status: response.status, text };
  };
  const asked: Awaited<ReturnType<typeof ask>>[] = [];
  const lists: Awaited<ReturnType<typeof ask>>[] = [];
  await eventually("answers on all threads after the end of the hold", async () => {
    asked.push(await ask(ZIP("v1.1.0")));
    lists.push(await ask(LIST));
    return lists.filter(({ startMs }) => startMs >= untilMs).length >= 24;
  }, { timeoutMs: 30_000 });
  for (const { startMs, endMs, status } of asked) {
    if (endMs < untilMs) assert.equal(status, 403);
    if (startMs >= untilMs) assert.equal(status, 200);
  }
  for (const { startMs, endMs, text } of lists) {
    if (endMs < untilMs) assert.equal(text, "v1.0.0\n");
    if (startMs >= untilMs) assert.equal(text, "v1.0.0\nv1.1.0\n");
  }
  assert.ok(asked.some(({ endMs }) => endMs < untilMs), "some must come before the end");
});
