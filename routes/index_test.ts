import assert from "node:assert/strict";
import type { Guard } from "../lib/auth/guard.ts";
import type { IndexEntry } from "../lib/index/entry.ts";
import type { IndexReader } from "../lib/index/module_index.ts";
import { createLogger } from "../lib/log/log.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseVersion } from "../lib/module/version.ts";
import { createApp } from "./app.ts";
import { indexRoute } from "./index.ts";

/** One entry a second from 1970 on; every 1000th is of a module that everybody may read. */
const ENTRIES: readonly IndexEntry[] = Array.from({ length: 5000 }, (_, i) => {
  const path = parseModulePath(`example.com/${i % 1000 === 0 ? "open" : "secret"}`);
  return { path, version: parseVersion(path, `v1.0.${i}`), timeMs: i * 1000 };
});

const INDEX: IndexReader = {
  read: ({ sinceMs, limit }) =>
    Promise.resolve(ENTRIES.filter(({ timeMs }) => timeMs >= sinceMs).slice(0, limit)),
};

const NO_NAMES = { of: () => Promise.resolve([]) };

const EVERYTHING: Guard = {
  answersDiffer: false,
  admit: () => ({
    identity: null,
    mayRead: () => true,
    dependsOnRepository: () => false,
    admitTo: null,
  }),
};
const OPEN_ONLY: Guard = {
  answersDiffer: true,
  admit: () => ({
    identity: "ci",
    mayRead: (path) => path.endsWith("/open"),
    dependsOnRepository: () => false,
    admitTo: null,
  }),
};

async function get(query: string, guard: Guard = EVERYTHING, init?: RequestInit) {
  const log = createLogger("error", { write: () => {} });
  const app = createApp({
    routes: [indexRoute({ index: INDEX, copyNames: NO_NAMES })],
    guard,
    log,
    via: "1.1 test",
  });
  const response = await app(new Request(`http://proxy.test/index${query}`, init));
  const body = await response.text();
  return { status: response.status, body, headers: response.headers };
}

async function versions(query: string, guard: Guard = EVERYTHING): Promise<number[]> {
  const { status, body } = await get(query, guard);
  assert.equal(status, 200, body);
  return body.split("\n").slice(0, -1).map((line) => Number(JSON.parse(line).Version.slice(5)));
}

Deno.test("/index gives the oldest entries, 2000 at most", async () => {
  assert.deepEqual(await versions(""), Array.from({ length: 2000 }, (_, i) => i));
  assert.equal((await versions("?limit=999999")).length, 2000);
  const { body, headers } = await get("?limit=1");
  assert.equal(
    body,
    '{"Path":"example.com/open","Version":"v1.0.0","Timestamp":"1970-01-01T00:00:00.000Z"}\n',
  );
  assert.equal(headers.get("Cache-Control"), "no-store");
});

Deno.test("/index begins with `since`, it included", async () => {
  assert.deepEqual(await versions("?since=1970-01-01T00:00:07Z&limit=2"), [7, 8]);
  assert.deepEqual(await versions("?limit=2&since=1970-01-01T00%3A00%3A07.000000001Z"), [8, 9]);
  assert.deepEqual(await versions("?since=2026-01-01T00:00:00Z"), []);
  assert.deepEqual(await versions("?since=&limit="), await versions(""));
});

Deno.test("/index leaves out what the client may not read, and goes on behind it", async () => {
  assert.deepEqual(await versions("", OPEN_ONLY), [0, 1000, 2000, 3000, 4000]);
  assert.deepEqual(await versions("?limit=3", OPEN_ONLY), [0, 1000, 2000]);
  assert.deepEqual(await versions("?since=1970-01-01T00:33:21Z", OPEN_ONLY), [3000, 4000]);
});

Deno.test("/index refuses what it cannot read", async (t) => {
  for (const query of ["?since=yesterday", "?limit=0", "?limit=-1", "?limit=ten", "?limit=1e3"]) {
    await t.step(query, async () => {
      const { status, body } = await get(query);
      assert.equal(status, 404);
      assert.match(body, /Cannot read (since|limit)/);
    });
  }
});

Deno.test("/index is empty for HEAD, and does not answer POST", async () => {
  const { status, body, headers } = await get("?limit=1", EVERYTHING, { method: "HEAD" });
  assert.deepEqual([status, body, headers.get("Content-Length")], [200, "", "86"]);
  assert.equal((await get("", EVERYTHING, { method: "POST" })).status, 405);
});
