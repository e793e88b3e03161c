import assert from "node:assert/strict";
import { createLogger } from "../lib/log/log.ts";
import type { Metrics } from "../lib/log/metrics.ts";
import {
  Connections,
  type ConnectionsOptions,
  defaultMaxConnections,
  IDLE_TIMEOUT_MS,
  REQUEST_TIMEOUT_MS,
} from "./connections.ts";

const HOUR_MS = 3_600_000;

/** Connections of one second to the next, which are looked through when the test says so. */
class World implements Disposable {
  readonly connections: Connections;
  /** Those that were closed, in order. */
  readonly closed: string[] = [];
  readonly reasons: string[] = [];
  readonly warnings: string[] = [];
  #nowMs = 0;

  constructor(max: number, options: Pick<ConnectionsOptions, "isProxy"> = {}) {
    const metrics: Metrics = {
      add: (_name, labels) => void this.reasons.push(Object.values(labels).join()),
      observe: () => {},
      gauge: () => {},
    };
    const log = createLogger("warn", {
      write: (line) => void this.warnings.push(JSON.parse(line).msg),
    });
    this.connections = new Connections({
      max,
      log,
      metrics,
      now: () => this.#nowMs,
      ...options,
    });
  }

  open(name: string, address = "192.0.2.1") {
    const connection = this.connections.admit(address, () => void this.closed.push(name));
    assert.ok(connection !== null);
    return connection;
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    this.connections.sweep();
  }

  [Symbol.dispose](): void {
    this.connections[Symbol.dispose]();
  }
}

Deno.test("Connections closes who sends no request, who sends no other, and nobody who waits", () => {
  using world = new World(10);
  world.open("new");
  world.open("idle").answered();
  const busy = world.open("busy");
  busy.begin();
  world.pass(REQUEST_TIMEOUT_MS - 1);
  assert.deepEqual(world.closed, []);
  world.pass(1);
  assert.deepEqual(world.closed, ["new"]);
  world.pass(IDLE_TIMEOUT_MS);
  assert.deepEqual(world.closed, ["new", "idle"]);
  world.pass(HOUR_MS);
  busy.end();
  world.pass(IDLE_TIMEOUT_MS - 1);
  assert.equal(world.connections.size, 1);
  world.pass(1);
  assert.deepEqual(world.closed, ["new", "idle", "busy"]);
  assert.deepEqual(world.reasons, ["no-request", "idle", "idle"]);
});

Deno.test("Connections closes a connection on which the rest of a request does not come", () => {
  using world = new World(10);
  world.pass(HOUR_MS);
  for (const name of ["complete", "incomplete"]) {
    const connection = world.open(name);
    connection.begin();
    connection.end();
    connection.expectRest();
    if (name === "complete") connection.answered();
  }
  world.pass(REQUEST_TIMEOUT_MS);
  assert.deepEqual(world.closed, ["incomplete"]);
});

Deno.test("Connections makes room: of whom has most, the new and the oldest first", () => {
  using world = new World(5);
  world.open("good", "192.0.2.2").answered();
  world.open("oldest").answered();
  world.pass(1000);
  world.open("new 1");
  world.open("new 2");
  const busy = world.open("busy");
  busy.begin();
  for (const name of ["a", "b"]) world.open(name).begin();
  assert.deepEqual(world.closed, ["new 1", "new 2", "oldest"]);
  // Of the address with fewer connections nothing is closed, though it is idle.
  assert.equal(world.connections.admit("192.0.2.1", () => {}), null);
  busy.becameSlow();
  world.open("c");
  assert.deepEqual(world.closed.at(-1), "busy");
});

Deno.test("Connections leaves the last quarter of the places to addresses with few", () => {
  using world = new World(16);
  const good = world.open("good", "192.0.2.2");
  good.begin();
  for (let i = 0; i < 11; i++) world.open(String(i)).begin();
  assert.equal(world.connections.isOverShare("192.0.2.1"), true);
  assert.equal(world.connections.admit("192.0.2.1", () => {}), null);
  for (let i = 0; i < 4; i++) world.open(`other ${i}`, "192.0.2.2").begin();
  assert.equal(world.connections.admit("192.0.2.2", () => {}), null);
  assert.deepEqual([world.connections.size, world.closed], [16, []]);
  good.close();
  assert.deepEqual(world.closed, ["good"]);
  world.open("next", "192.0.2.3");
});

Deno.test("Connections gives one address all places where there is no other", () => {
  using world = new World(16);
  for (let i = 0; i < 16; i++) world.open(String(i)).begin();
  assert.equal(world.connections.isOverShare("192.0.2.1"), false);
  assert.deepEqual([world.connections.size, world.closed], [16, []]);
});

Deno.test("Connections gives a trusted proxy all places, and closes its connections last", () => {
  using world = new World(16, { isProxy: (address) => address === "192.0.2.1" });
  for (let i = 0; i < 14; i++) world.open(`proxy ${i}`).answered();
  for (let i = 0; i < 2; i++) world.open(`client ${i}`, "192.0.2.2").answered();
  assert.equal(world.connections.isOverShare("192.0.2.1"), false);
  world.open("proxy 14");
  assert.deepEqual(world.closed, ["client 0"]);
});

Deno.test("Connections.change() resolves when there may be room", async () => {
  using world = new World(1);
  const only = world.open("only");
  only.begin();
  const changes = [world.connections.change(), world.connections.change()];
  only.end();
  await Promise.all(changes);
  world.open("next").begin();
  const gone = world.connections.change();
  world.connections.sweep();
  await gone;
});

Deno.test("Connections warns once a minute", () => {
  using world = new World(1);
  for (let i = 0; i < 100; i++) world.open(String(i));
  assert.equal(world.warnings.length, 1);
  world.pass(60_000);
  world.open("once more");
  world.open("and again");
  assert.equal(world.warnings.length, 2);
});

Deno.test("defaultMaxConnections() leaves files for everything else", () => {
  const ROWS = [
    { fileLimit: 64, want: 16 },
    { fileLimit: 256, want: 16 },
    { fileLimit: 512, want: 127 },
    { fileLimit: null, want: 409 },
    { fileLimit: 20_000, want: 10_000 },
    { fileLimit: 1_048_576, want: 10_000 },
  ];
  for (const { fileLimit, want } of ROWS) {
    assert.equal(defaultMaxConnections({ fileLimit, maxChildProcesses: 30 }), want);
  }
});
