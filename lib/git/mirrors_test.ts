import assert from "node:assert/strict";
import { GitServer } from "../../tests/fakes/git_server.ts";
import { TestMirrors, testRemote } from "../../tests/worlds/mirrors.ts";
import { directorySizeBytes } from "../scratch/folders.ts";
import { EVICTION_INTERVAL_MS, type Lease } from "./mirrors.ts";
import { isHash } from "./refs.ts";

/** A server with repositories of about 100 kB each. */
async function startServer(names: readonly string[]): Promise<GitServer> {
  const server = await GitServer.start();
  for (const name of names) {
    const repo = await server.createRepo(name);
    await repo.commit({ "noise": crypto.getRandomValues(new Uint8Array(60_000)) });
  }
  return server;
}

/** Fetches what HEAD leads to. */
async function fill(lease: Lease): Promise<void> {
  const refs = await lease.repository.refs();
  const head = refs.get("HEAD");
  assert.ok(head !== undefined && isHash(head));
  assert.ok(await lease.repository.snapshot(refs, head) !== null);
}

function entriesOf(test: TestMirrors): string[] {
  return [...Deno.readDirSync(`${test.folder}/mirrors`)].map(({ name }) => name).sort();
}

/**
 * Evicts until so many mirrors are left. One that nobody uses may seem used for a moment: a program
 * that another thread of this process starts right now, for another test, holds copies of our locks
 * until it runs.
 */
async function evictDownTo(count: number, test: TestMirrors): Promise<void> {
  for (let tries = 0; tries < 1000 && entriesOf(test).length > count; tries++) {
    await test.mirrors.evict();
  }
}

Deno.test("Mirrors.open() keeps what is known of a repository from one lease to the next", async () => {
  await using server = await startServer(["a.git"]);
  await using test = await TestMirrors.start();
  const remote = testRemote(server.urlOf("a.git"));
  await using first = await test.mirrors.open(remote);
  await using second = await test.mirrors.open(remote);
  assert.equal(first.repository, second.repository);
  await fill(first);
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  await using third = await test.mirrors.open(remote);
  assert.equal(third.repository, first.repository);
});

Deno.test("Mirrors.evict() removes the mirrors used longest ago, and none in use", async () => {
  await using server = await startServer(["a.git", "b.git", "c.git"]);
  await using test = await TestMirrors.start({ maxTotalSizeBytes: 250_000 });
  const names: string[] = [];
  const leases: Lease[] = [];
  for (const name of ["a.git", "b.git", "c.git"]) {
    test.clock.nowMs += 1000;
    const lease = await test.mirrors.open(testRemote(server.urlOf(name)));
    await fill(lease);
    names.push(...entriesOf(test).filter((entry) => !names.includes(entry)));
    leases.push(lease);
  }
  const [a, b, c] = leases;
  assert.ok(a && b && c);
  assert.ok(await directorySizeBytes(`${test.folder}/mirrors`) > 250_000);
  await test.mirrors.evict();
  assert.deepEqual(entriesOf(test), names.toSorted(), "all are in use");

  await b[Symbol.asyncDispose]();
  await c[Symbol.asyncDispose]();
  await evictDownTo(2, test);
  const [nameA = "", nameB = "", nameC = ""] = names;
  assert.deepEqual(entriesOf(test), [nameA, nameC].sort(), "b was used before c");

  test.clock.nowMs += 1000;
  await using again = await test.mirrors.open(testRemote(server.urlOf("b.git")));
  await fill(again);
  await a[Symbol.asyncDispose]();
  await evictDownTo(2, test);
  assert.deepEqual(entriesOf(test), [nameB, nameC].sort(), "a was opened first");
});

Deno.test("Mirrors evicts by itself after a lease has ended, now and then", async () => {
  await using server = await startServer(["a.git", "b.git"]);
  await using test = await TestMirrors.start({ maxTotalSizeBytes: 150_000 });
  for (const name of ["a.git", "b.git"]) {
    await using lease = await test.mirrors.open(testRemote(server.urlOf(name)));
    await fill(lease);
  }
  assert.equal(entriesOf(test).length, 2);
  test.clock.nowMs += EVICTION_INTERVAL_MS;
  await using lease = await test.mirrors.open(testRemote(server.urlOf("b.git")));
  await lease[Symbol.asyncDispose]();
  await test.mirrors[Symbol.asyncDispose]();
  assert.equal(entriesOf(test).length, 1);
  assert.ok(test.logged.some((line) => line.includes("mirror evicted")));
});

Deno.test("Mirrors.evict() does not touch a mirror that another process uses", async () => {
  await using server = await startServer(["a.git"]);
  await using test = await TestMirrors.start();
  await using other = await TestMirrors.start({ directory: test.folder, maxTotalSizeBytes: 1 });
  const remote = testRemote(server.urlOf("a.git"));
  await using lease = await test.mirrors.open(remote);
  await fill(lease);
  await other.mirrors.evict();
  assert.equal(entriesOf(test).length, 1);
  await lease[Symbol.asyncDispose]();
  await evictDownTo(0, other);
  assert.deepEqual(entriesOf(test), []);

  // Ours notices, also when it had found everything there before.
  await using again = await test.mirrors.open(remote);
  await fill(again);
});

Deno.test("Mirrors.start() clears what a killed process left, and keeps the rest", async () => {
  await using server = await startServer(["a.git"]);
  await using test = await TestMirrors.start();
  await using lease = await test.mirrors.open(testRemote(server.urlOf("a.git")));
  await fill(lease);
  await lease[Symbol.asyncDispose]();
  const kept = entriesOf(test);
  await Deno.mkdir(`${test.folder}/mirrors/trash-1/content.git`, { recursive: true });
  await Deno.writeTextFile(`${test.folder}/mirrors/trash-1/content.git/x`, "x");
  await using _next = await TestMirrors.start({ directory: test.folder });
  assert.deepEqual(entriesOf(test), kept);
});
