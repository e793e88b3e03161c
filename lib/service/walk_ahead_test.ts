import assert from "node:assert/strict";
import { eventually } from "../../tests/support/eventually.ts";
import { ForbiddenError, NotFoundError, UpstreamError } from "../errors.ts";
import { createLogger } from "../log/log.ts";
import type { Metrics } from "../log/metrics.ts";
import { h1Of } from "../module/h1.ts";
import { type ModuleVersion, nameOf, parseModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { type Copy, makeCopy } from "../store/manifest.ts";
import { FIRST_WINDOW } from "./client_graph.ts";
import { type FollowedClient, IDLE_MS, type Publishable, WalkAhead } from "./walk_ahead.ts";

/** Requirements by version, both as `path@version` below `example.com/`; the `go` line, if any. */
type Graph = Readonly<Record<string, readonly string[]>>;

interface WorldOptions {
  readonly graph: Graph;
  /** The `go` line of all files. Default: 1.21. */
  readonly go?: string;
  readonly publishable?: (path: ModulePath) => Publishable | null;
  readonly maxUnderWay?: number;
}

/** A walk over a graph; a guess is under way until it is released, at once by default. */
class World implements AsyncDisposable {
  readonly walk: WalkAhead;
  /** What was fetched ahead, in order, below `example.com/`. */
  readonly fetched: string[] = [];
  /** The zips of what was fetched ahead. */
  readonly zips: string[] = [];
  readonly counts = new Map<string, number>();
  nowMs = 1_000_000;
  /** Reads the gauge, as the page of metrics does. */
  scrape: () => unknown = () => null;
  /** Fails a fetch. */
  fault: (name: string) => Error | null = () => null;
  /** Holds fetches back. */
  gate: Promise<void> = Promise.resolve();
  readonly #options: WorldOptions;
  readonly #stored = new Map<string, Copy>();

  constructor(options: WorldOptions) {
    this.#options = options;
    const metrics: Metrics = {
      add: (name, labels, value = 1) => {
        const key = `${name.replace(/^gomodproxy_ahead_/, "")} ${Object.values(labels).join()}`;
        this.counts.set(key, (this.counts.get(key) ?? 0) + value);
      },
      observe: () => {},
      gauge: (_name, read) => void (this.scrape = read),
    };
    this.walk = new WalkAhead({
      remembered: (module) => this.#stored.get(nameOf(module)) ?? null,
      fetch: (module) => this.#fetch(module),
      fetchZip: (module) => this.#fetchZip(module),
      publishable: options.publishable ?? (() => "public"),
      maxUnderWay: options.maxUnderWay,
      log: createLogger("fatal", { write: () => {} }),
      metrics,
      now: () => this.nowMs,
    });
  }

  copyOf(module: ModuleVersion): Copy {
    const { graph, go = "1.21" } = this.#options;
    const lines = (graph[shortName(module)] ?? []).map((name) => {
      const { path, version } = moduleOf(name);
      return `require ${path} ${version}\n`;
    });
    const goMod = new TextEncoder().encode(
      `module ${module.path}\n\ngo ${go}\n\n${lines.join("")}`,
    );
    const zipH1 = h1Of(new Uint8Array(32));
    return makeCopy({ ...module, time: "2024-01-02T03:04:05Z", goMod, zipH1, source: "proxy x" });
  }

  /** As another client or an earlier run left it. */
  store(name: string): void {
    this.#stored.set(nameOf(moduleOf(name)), this.copyOf(moduleOf(name)));
  }

  /** A client asks for a `.mod`, which is fetched if nobody has. */
  ask(name: string, client: FollowedClient = ALICE): void {
    const module = moduleOf(name);
    const isHit = this.#stored.has(nameOf(module));
    if (!isHit) this.store(name);
    this.walk.answered({ copy: this.copyOf(module), file: "mod", isHit, client });
  }

  askZip(name: string, client: FollowedClient = ALICE): void {
    this.walk.answered({ copy: this.copyOf(moduleOf(name)), file: "zip", isHit: false, client });
  }

  async settled(): Promise<void> {
    // Each guess that ends may begin another one.
    for (let before = -1; before !== this.fetched.length;) {
      before = this.fetched.length;
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  async #fetch(module: ModuleVersion) {
    const name = shortName(module);
    const stored = this.#stored.get(nameOf(module));
    if (stored !== undefined) return { copy: stored, isFetched: false };
    this.fetched.push(name);
    await this.gate;
    const fault = this.fault(name);
    if (fault !== null) throw fault;
    this.store(name);
    return { copy: this.copyOf(module), isFetched: true };
  }

  #fetchZip(module: ModuleVersion) {
    this.zips.push(shortName(module));
    return Promise.resolve({ isFetched: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.walk.stop();
  }
}

const ALICE: FollowedClient = { identity: "alice", key: () => "alice", mayRead: () => true };

function moduleOf(name: string): ModuleVersion {
  return parseModuleVersion(`example.com/${name}`);
}

function shortName(module: ModuleVersion): string {
  return nameOf(module).slice("example.com/".length);
}

function numbered(count: number, prefix = "m"): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(3, "0")}@v1.0.0`);
}

Deno.test("WalkAhead fetches what a go.mod file requires that was not in the store", async () => {
  await using world = new World({ graph: { "root@v1.0.0": ["a@v1.0.0", "b@v1.0.0"] } });
  world.ask("root@v1.0.0");
  await world.settled();
  assert.deepEqual(world.fetched, ["a@v1.0.0", "b@v1.0.0"]);
});

Deno.test("WalkAhead follows nobody whose requests are all answered from the store", async () => {
  await using world = new World({ graph: { "root@v1.0.0": ["a@v1.0.0"] } });
  world.store("root@v1.0.0");
  world.ask("root@v1.0.0");
  await world.settled();
  assert.deepEqual(world.fetched, []);
});

Deno.test("WalkAhead forgets a client that has asked for nothing for a minute", async () => {
  const names = numbered(20);
  await using world = new World({ graph: { "root@v1.0.0": names } });
  world.ask("root@v1.0.0");
  await world.settled();
  world.nowMs += 60_000;
  // What it asks for now is in the store.
  for (const name of names.slice(0, FIRST_WINDOW)) world.ask(name);
  await world.settled();
  assert.equal(world.fetched.length, FIRST_WINDOW);
});

Deno.test("WalkAhead takes up the files that a client was given before its first miss", async () => {
  const graph = { "root@v1.0.0": ["a@v1.0.0", "b@v1.0.0", "c@v1.0.0"], "a@v1.0.0": [] };
  await using world = new World({ graph });
  world.store("root@v1.0.0");
  world.ask("root@v1.0.0");
  world.ask("a@v1.0.0");
  await world.settled();
  assert.deepEqual(world.fetched, ["b@v1.0.0", "c@v1.0.0"]);
});

Deno.test("WalkAhead keeps to the pruning of the graph", async (t) => {
  const graph = {
    "root@v1.0.0": ["a@v1.0.0", "b@v1.0.0"],
    "a@v1.0.0": ["b@v0.9.0", "c@v1.0.0"],
    "c@v1.0.0": ["d@v1.0.0"],
  };
  const rows = [
    { go: "1.17", want: ["a@v1.0.0", "b@v1.0.0"] },
    { go: "1.16", want: ["a@v1.0.0", "b@v1.0.0", "b@v0.9.0", "c@v1.0.0", "d@v1.0.0"] },
  ];
  for (const { go, want } of rows) {
    await t.step(`go ${go}`, async () => {
      await using world = new World({ graph, go });
      // A client that asks for all that there is to ask for.
      for (const name of ["root@v1.0.0", ...want]) {
        world.ask(name);
        await world.settled();
      }
      assert.deepEqual(world.fetched, want);
    });
  }
});

Deno.test("WalkAhead counts useful and useless guesses", async () => {
  await using world = new World({ graph: { "root@v1.0.0": ["a@v1.0.0", "b@v1.0.0"] } });
  world.ask("root@v1.0.0");
  await world.settled();
  world.ask("a@v1.0.0");
  world.ask("a@v1.0.0");
  world.nowMs += 5 * 60_000;
  world.scrape();
  assert.deepEqual(Object.fromEntries(world.counts), {
    "fetches_total version,ok": 2,
    "guesses_total version,useful": 1,
    "guesses_total version,useless": 1,
  });
});

Deno.test("WalkAhead counts a guess as useful whose flight a client has joined", async () => {
  await using world = new World({ graph: { "root@v1.0.0": ["a@v1.0.0"] } });
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  world.ask("root@v1.0.0");
  await world.settled();
  world.ask("a@v1.0.0");
  gate.resolve();
  await world.settled();
  assert.equal(world.counts.get("guesses_total version,useful"), 1);
});

Deno.test("WalkAhead ends when the client asks for nothing more", async () => {
  const graph = { "root@v1.0.0": numbered(100) };
  await using world = new World({ graph, maxUnderWay: 2 });
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  world.ask("root@v1.0.0");
  await world.settled();
  assert.equal(world.fetched.length, 2);
  world.nowMs += IDLE_MS;
  gate.resolve();
  await world.settled();
  assert.equal(world.fetched.length, 2);
});

Deno.test("WalkAhead fetches few for a client that asks for none of it", async () => {
  await using world = new World({ graph: { "root@v1.0.0": numbered(100) } });
  world.ask("root@v1.0.0");
  await world.settled();
  assert.equal(world.fetched.length, FIRST_WINDOW);
});

Deno.test("WalkAhead has so many guesses under way, of each client some", async () => {
  const graph = { "root@v1.0.0": numbered(20), "other@v1.0.0": numbered(20, "n") };
  await using world = new World({ graph, maxUnderWay: 6 });
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  world.ask("root@v1.0.0");
  world.ask("other@v1.0.0", { identity: "bob", key: () => "bob", mayRead: () => true });
  await world.settled();
  assert.equal(world.fetched.length, 6);
  gate.resolve();
  await world.settled();
  assert.equal(world.fetched.filter((name) => name.startsWith("m")).length, FIRST_WINDOW);
  assert.equal(world.fetched.filter((name) => name.startsWith("n")).length, FIRST_WINDOW);
});

Deno.test("WalkAhead begins so many in a second", async () => {
  const graph = { "root@v1.0.0": numbered(2_000) };
  await using world = new World({ graph });
  world.ask("root@v1.0.0");
  await world.settled();
  // All that was guessed is asked for, as fast as it can be.
  for (let asked = 0; asked < world.fetched.length; asked++) {
    world.ask(world.fetched[asked] ?? "");
    await world.settled();
  }
  assert.equal(world.fetched.length, 200);
  world.nowMs += 1_000;
  world.ask(world.fetched.at(-1) ?? "");
  await world.settled();
  assert.ok(world.fetched.length > 200);
});

Deno.test("WalkAhead leaves an upstream alone that fails, for as long as it wants", async (t) => {
  const busy = new UpstreamError("status 429");
  busy.retryAfterMs = 30_000;
  const rows = [
    { name: "without Retry-After", fault: new UpstreamError("status 503"), pauseMs: 1_000 },
    { name: "Retry-After: 30", fault: busy, pauseMs: 30_000 },
  ];
  for (const { name, fault, pauseMs } of rows) {
    await t.step(name, async () => {
      const graph = { "root@v1.0.0": numbered(100) };
      await using world = new World({ graph, maxUnderWay: 1 });
      world.fault = () => fault;
      world.ask("root@v1.0.0");
      await world.settled();
      assert.equal(world.fetched.length, 1);
      for (const [waitedMs, want] of [[pauseMs - 1, 1], [1, 2]] as const) {
        world.nowMs += waitedMs;
        world.ask("root@v1.0.0");
        await world.settled();
        assert.equal(world.fetched.length, want, `after ${waitedMs} ms more`);
      }
    });
  }
});

Deno.test("WalkAhead pauses longer with each failure in a row", async () => {
  await using world = new World({ graph: { "root@v1.0.0": numbered(100) }, maxUnderWay: 1 });
  world.fault = () => new UpstreamError("status 500");
  world.ask("root@v1.0.0");
  await world.settled();
  world.nowMs += 1_000;
  world.ask("root@v1.0.0");
  await world.settled();
  assert.equal(world.fetched.length, 2);
  world.nowMs += 1_999;
  world.ask("root@v1.0.0");
  await world.settled();
  assert.equal(world.fetched.length, 2);
});

Deno.test("WalkAhead goes on after what does not exist or must not be had", async () => {
  await using world = new World({ graph: { "root@v1.0.0": numbered(4) }, maxUnderWay: 1 });
  const faults = [
    new NotFoundError("no such version"),
    new ForbiddenError("not ahead"),
    null,
    null,
  ];
  world.fault = () => faults.shift() ?? null;
  world.ask("root@v1.0.0");
  await world.settled();
  assert.deepEqual(world.fetched, numbered(4));
});

Deno.test("WalkAhead fetches nothing that the client may not read", async () => {
  const graph = { "root@v1.0.0": ["a@v1.0.0", "secret@v1.0.0", "z@v1.0.0"] };
  await using world = new World({ graph });
  world.ask("root@v1.0.0", {
    identity: "eve",
    key: () => "eve",
    mayRead: (path) => !path.includes("secret"),
  });
  await world.settled();
  assert.deepEqual(world.fetched, ["a@v1.0.0", "z@v1.0.0"]);
});

Deno.test("WalkAhead fetches nothing that a policy forbids", async () => {
  const graph = { "root@v1.0.0": ["a@v1.0.0", "denied@v1.0.0", "z@v1.0.0"] };
  await using world = new World({ graph });
  world.ask("root@v1.0.0", {
    ...ALICE,
    mayHave: ({ path }, { file }) => Promise.resolve(file === "mod" && !path.includes("denied")),
  });
  await world.settled();
  assert.deepEqual(world.fetched, ["a@v1.0.0", "z@v1.0.0"]);
});

Deno.test("WalkAhead looks behind nothing that the client may not read by its repository", async () => {
  await using world = new World({ graph: { "root@v1.0.0": ["a@v1.0.0"] } });
  const copy = makeCopy({
    ...moduleOf("root@v1.0.0"),
    time: "2024-01-02T03:04:05Z",
    goMod: world.copyOf(moduleOf("root@v1.0.0")).goMod,
    zipH1: h1Of(new Uint8Array(32)),
    source: "git https://git.example.com/team/secret",
  });
  const client: FollowedClient = {
    identity: "eve",
    key: () => "eve",
    mayRead: (_path, names = []) => !names.some((name) => name.includes("secret")),
  };
  world.walk.answered({ copy, file: "mod", isHit: false, client });
  await world.settled();
  assert.deepEqual(world.fetched, []);
});

Deno.test("WalkAhead fetches what is private only because of a private file", async (t) => {
  const graph = {
    "open@v1.0.0": ["a@v1.0.0", "private/b@v1.0.0", "zips/c@v1.0.0"],
    "private/root@v1.0.0": ["a@v1.0.0", "private/b@v1.0.0", "zips/c@v1.0.0"],
  };
  const rows = [
    { root: "open@v1.0.0", want: ["a@v1.0.0"] },
    { root: "private/root@v1.0.0", want: ["a@v1.0.0", "private/b@v1.0.0"] },
  ];
  const publishable = (path: ModulePath) => {
    if (path.includes("/zips/")) return null;
    return path.includes("/private/") ? "private" : "public";
  };
  for (const { root, want } of rows) {
    await t.step(root, async () => {
      await using world = new World({ graph, publishable });
      world.ask(root);
      await world.settled();
      assert.deepEqual(world.fetched, want);
    });
  }
});

Deno.test("WalkAhead passes over what is no module path", async () => {
  await using world = new World({ graph: {} });
  const goMod = new TextEncoder().encode(
    "module example.com/root\n\ngo 1.21\n\nrequire ../secret v1.0.0\nrequire example.com/a v1.0.0\n",
  );
  const copy = makeCopy({
    ...moduleOf("root@v1.0.0"),
    time: "2024-01-02T03:04:05Z",
    goMod,
    zipH1: h1Of(new Uint8Array(32)),
    source: "proxy x",
  });
  world.walk.answered({ copy, file: "mod", isHit: false, client: ALICE });
  await world.settled();
  assert.deepEqual(world.fetched, ["a@v1.0.0"]);
});

Deno.test("WalkAhead learns from other threads that a client goes on", async () => {
  const names = numbered(30);
  await using world = new World({ graph: { "root@v1.0.0": names } });
  world.ask("root@v1.0.0");
  await world.settled();
  for (const name of names.slice(0, 4)) {
    world.walk.answeredByThread({ module: moduleOf(name), file: "info", key: "alice" });
  }
  await world.settled();
  assert.equal(world.fetched.length, FIRST_WINDOW + 2 * 4);
  assert.equal(world.counts.get("guesses_total version,useful"), 4);
});

Deno.test("WalkAhead fetches zips for a client that downloads a whole graph", async () => {
  const names = numbered(20);
  await using world = new World({ graph: { "root@v1.0.0": names } });
  for (const name of ["root@v1.0.0", ...names]) {
    world.ask(name);
    await world.settled();
  }
  for (const name of names.slice(0, 10)) {
    world.askZip(name);
    await world.settled();
  }
  assert.deepEqual(world.zips, names.slice(5, 5 + world.zips.length));
  assert.equal(world.counts.get("guesses_total zip,useful"), 5);
});

Deno.test("WalkAhead fetches no zip that the client may not have", async (t) => {
  const denied = "m007@v1.0.0";
  const rows: Record<string, FollowedClient> = {
    "by its path": { ...ALICE, mayRead: (path) => !path.endsWith("m007") },
    "by a policy": {
      ...ALICE,
      mayHave: ({ path }, { file }) => Promise.resolve(file === "mod" || !path.endsWith("m007")),
    },
  };
  for (const [name, client] of Object.entries(rows)) {
    await t.step(name, async () => {
      const names = numbered(20);
      await using world = new World({ graph: { "root@v1.0.0": names } });
      for (const name of ["root@v1.0.0", ...names]) {
        world.ask(name, client);
        await world.settled();
      }
      for (const name of names.slice(0, 15)) {
        if (name !== denied) world.askZip(name, client);
        await world.settled();
      }
      assert.ok(world.zips.includes("m008@v1.0.0"));
      assert.ok(!world.zips.includes(denied));
    });
  }
});

Deno.test("WalkAhead.stop() waits for what is nearly done, and begins nothing more", async () => {
  await using world = new World({ graph: { "root@v1.0.0": numbered(100) }, maxUnderWay: 2 });
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  world.ask("root@v1.0.0");
  await world.settled();
  const stopped = world.walk.stop();
  gate.resolve();
  await stopped;
  await eventually("guesses to end", () => Promise.resolve(world.fetched.length >= 2));
  const { length } = world.fetched;
  world.ask("other@v1.0.0");
  await world.settled();
  assert.equal(world.fetched.length, length);
});
