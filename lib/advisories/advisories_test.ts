import assert from "node:assert/strict";
import { join } from "node:path";
import { fakeEntry, FakeVulndb } from "../../tests/fakes/vulndb.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { UnavailableError } from "../errors.ts";
import { createFetch } from "../http/client.ts";
import { NO_METRICS } from "../log/metrics.ts";
import { check } from "../schema/check.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { type Advisories, advisoryNotes } from "./advisories.ts";
import { advisories as schema } from "./config.ts";
import { openAdvisories } from "./open.ts";

const { signal } = new AbortController();
const HOUR_MS = 3_600_000;

class World implements AsyncDisposable {
  readonly store: ObjectStore = new MemoryStore();
  readonly go = new FakeVulndb([fakeEntry("GO-1"), fakeEntry("GO-2", { name: "example.com/n" })]);
  readonly log: string[] = [];
  nowMs = Date.UTC(2026, 0, 1);
  readonly directory = Deno.makeTempDirSync({ prefix: "advisories-" });

  constructor() {
    const own = JSON.stringify(fakeEntry("ORG-1", { name: "corp.example.com/a" }));
    Deno.mkdirSync(join(this.directory, "own"));
    Deno.writeTextFileSync(join(this.directory, "own/ORG-1.json"), own);
    Deno.writeTextFileSync(join(this.directory, "malware.txt"), "example.com/n # bad\n");
  }

  open(): Advisories {
    const { value } = check(schema, {
      sources: [
        { name: "own", directory: "own" },
        { name: "go", url: this.go.url },
        { name: "malware", kind: "malware", file: "malware.txt" },
      ],
    });
    const line = (...args: unknown[]) => void this.log.push(String(args.at(-1)));
    return openAdvisories(value ?? assert.fail(), {
      store: this.store,
      fetch: createFetch({ userAgent: "test", via: "1.1 test" }),
      directory: this.directory,
      scratchDirectory: () => Promise.resolve(this.directory),
      isPrivate: (path) => path.startsWith("corp.example.com/"),
      now: () => this.nowMs,
      log: { info: line, warn: line, error: line } as never,
      metrics: NO_METRICS,
    }) ?? assert.fail();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.go[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}

const idsOf = (findings: readonly { id: string; source: string }[]) =>
  findings.map(({ id, source }) => `${source} ${id.replace(/[0-9a-f]{12}$/, "…")}`);

Deno.test("Advisories merges its sources, in the order of the configuration", async () => {
  await using world = new World();
  const advisories = world.open();
  const generations: number[] = [];
  using _listening = advisories.onChange(({ generation }) => void generations.push(generation));
  assert.throws(() => advisories.database, UnavailableError);
  await advisories.refresh(signal);
  const { matcher, table, database, status } = advisories;
  assert.deepEqual(idsOf(matcher.match("corp.example.com/a", "v1.0.0")), ["own ORG-1"]);
  assert.deepEqual(idsOf(matcher.match("example.com/n", "v1.0.0")), [
    "go GO-2",
    "malware MAL-malware-…",
  ]);
  assert.equal(database.size, 4);
  // Sources that are read at the same time may be one change.
  assert.deepEqual(generations, generations.map((_, i) => i + 1));
  assert.equal(table.generation, generations.length);
  assert.equal(table.state, "own:1 go:1 malware:1");
  assert.deepEqual([status.asOfMs, status.isStale], [world.nowMs, false]);
  assert.deepEqual(advisoryNotes(status), []);

  // Another replica has the same without asking anybody.
  await world.go.down();
  const other = world.open();
  await other.load(signal);
  assert.deepEqual([other.table.state, other.database.size], [table.state, 4]);
});

Deno.test("Advisories says what is stale, and answers from it", async () => {
  await using world = new World();
  const advisories = world.open();
  await advisories.refresh(signal);
  await world.go.down();
  world.nowMs += 73 * HOUR_MS;
  await advisories.refresh(signal);
  const { status } = advisories;
  assert.deepEqual(status.sources.map(({ name, isStale }) => [name, isStale]), [
    ["own", false],
    ["go", true],
    ["malware", false],
  ]);
  assert.deepEqual([status.isStale, status.asOfMs], [true, world.nowMs - 73 * HOUR_MS]);
  assert.deepEqual(advisoryNotes(status), [
    'advisories of "go" are stale: last read 2026-01-01T00:00:00.000Z',
  ]);
  assert.ok(world.log.includes("advisories are stale: they have not been read for long"));
  assert.equal(advisories.matcher.match("example.com/m", "v1.0.0").length, 1);
  world.go.up();
  await advisories.refresh(signal);
  // Nothing has changed.
  assert.equal(advisories.status.generation, status.generation);
  assert.ok(world.log.includes("all advisories are up to date again"));
});

Deno.test("Advisories has no database until every source was read once", async () => {
  await using world = new World();
  await Deno.remove(join(world.directory, "malware.txt"));
  const advisories = world.open();
  await advisories.refresh(signal);
  assert.throws(() => advisories.database, (error) => {
    assert.ok(error instanceof UnavailableError);
    assert.match(error.message, /source "malware" was never read; the log says why$/);
    return true;
  });
  assert.equal(advisories.status.asOfMs, null);
  assert.deepEqual(advisoryNotes(advisories.status), ['advisories of "malware" were never read']);
});

Deno.test("Advisories.run() keeps them up to date until it is ended", async () => {
  await using world = new World();
  const advisories = world.open();
  const end = new AbortController();
  const running = advisories.run(end.signal);
  await eventually("all sources to be read", () => advisories.status.asOfMs !== null);
  end.abort();
  await running;
});
