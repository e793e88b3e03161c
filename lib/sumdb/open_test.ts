import assert from "node:assert/strict";
import { fetchFrom, hashesOf, moduleOf, recordOf } from "../../tests/worlds/sum_database.ts";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { NotFoundError, UpstreamError } from "../errors.ts";
import { createLogger } from "../log/log.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import type { SumDatabases } from "./databases.ts";
import { DEFAULT_SUM_DATABASE, type SumDatabaseConfig, type SumDatabasesConfig } from "./config.ts";
import { openSumDatabases } from "./open.ts";
import type { SumdbUpstream } from "./fetch_order.ts";

const A = recordOf("example.com/a");
const PRIVATE = recordOf("example.com/private");
const { signal } = new AbortController();

function configOf({ name, verifierKey }: Sumdb): SumDatabaseConfig {
  return { name, publicKey: verifierKey.slice(`${name}+`.length), url: `https://${name}/base` };
}

function config(
  sumDatabase?: SumDatabaseConfig | "off",
  ...sumDatabases: SumDatabaseConfig[]
): SumDatabasesConfig {
  return { publicModules: { sumDatabase }, sumDatabaseProxy: { sumDatabases } };
}

/** What the verifying database has of a module; undefined if there is no such database. */
async function find(databases: SumDatabases, module = moduleOf(A)) {
  const found = await databases.databaseFor(module.path)?.find(module, signal);
  assert.ok(found !== "unrecorded");
  return found ?? null;
}

interface Opened {
  readonly databases: SumDatabases;
  /** The servers that were contacted directly. */
  readonly direct: string[];
}

/** `servers` can be reached directly, by their names; `upstreams` are asked first. */
function open(
  config: SumDatabasesConfig,
  { servers = [], upstreams = [] }: { servers?: Sumdb[]; upstreams?: SumdbUpstream[] } = {},
): Opened {
  const direct: string[] = [];
  const databases = openSumDatabases(config, {
    upstreams,
    openServer: (url) => ({
      get: (path, options) => {
        direct.push(url.href);
        const server = servers.find(({ name }) => url.hostname === name);
        return server === undefined
          ? Promise.reject(new UpstreamError(`Cannot reach ${url.href}`))
          : fetchFrom(server)(path, options);
      },
    }),
    store: new MemoryStore(),
    isPrivate: (path) => path === PRIVATE.path,
    now: () => 0,
    log: createLogger("silent"),
  });
  return { databases, direct };
}

function supporting(sumdb: Sumdb): SumdbUpstream {
  return {
    get: (path, options) => {
      const [, file] = path.split(`sumdb/${sumdb.name}/`);
      if (file === "supported") return Promise.resolve(new Uint8Array());
      if (file === undefined) return Promise.reject(new NotFoundError(path));
      return fetchFrom(sumdb)(file, options);
    },
  };
}

Deno.test("openSumDatabases() knows the default, the configured ones, and no others", () => {
  const [one, other] = [new Sumdb({ name: "one.example" }), new Sumdb({ name: "other.example" })];
  const isKnown = ({ databases }: Opened) =>
    [DEFAULT_SUM_DATABASE.name, one.name, other.name].map((name) =>
      databases.find(name).isVerified
    );
  assert.deepEqual(isKnown(open(config())), [true, false, false]);
  assert.deepEqual(isKnown(open(config("off"))), [true, false, false]);
  assert.deepEqual(isKnown(open(config(configOf(one)))), [true, true, false]);
  assert.deepEqual(isKnown(open(config("off", configOf(other)))), [true, false, true]);
  assert.deepEqual(isKnown(open(config(configOf(one), configOf(other)))), [true, true, true]);
});

Deno.test("openSumDatabases() goes through an upstream that supports it, else directly", async () => {
  const sumdb = new Sumdb();
  sumdb.append(A);
  const through = open(config(configOf(sumdb)), {
    servers: [sumdb],
    upstreams: [supporting(new Sumdb({ name: "other.example" })), supporting(sumdb)],
  });
  assert.equal((await find(through.databases))?.zipH1, A.h1);
  assert.deepEqual(through.direct, []);

  const direct = open(config(configOf(sumdb)), { servers: [sumdb] });
  assert.equal((await find(direct.databases))?.zipH1, A.h1);
  assert.deepEqual(new Set(direct.direct), new Set([`https://${sumdb.name}/base`]));

  const broken = { get: () => Promise.reject(new UpstreamError("broken")) };
  const unknown = open(config(configOf(sumdb)), { servers: [sumdb], upstreams: [broken] });
  await assert.rejects(
    async () => await find(unknown.databases),
    /broken/,
  );
  assert.deepEqual(unknown.direct, []);
});

Deno.test("openSumDatabases() takes another key for the default database, as for any", () => {
  const sumdb = new Sumdb({ name: DEFAULT_SUM_DATABASE.name });
  sumdb.append(A);
  const opened = open(config(configOf(sumdb)), { servers: [sumdb] });
  assert.ok(opened.databases.find(sumdb.name).isVerified);
});

Deno.test("databaseFor() gives the database that verifies, and none for private modules", async () => {
  const sumdb = new Sumdb();
  sumdb.append(A);
  const other = new Sumdb({ name: "other.example" });
  const servers = [sumdb, other];
  const { databases } = open(config(configOf(sumdb), configOf(other)), { servers });
  assert.deepEqual(await hashesOf(find(databases)), {
    zipH1: A.h1,
    goModH1: A.goModH1,
  });
  const x = moduleOf(recordOf("example.com/x"));
  assert.equal(await databases.databaseFor(x.path)?.find(x, signal), "unrecorded");
  sumdb.requests.length = 0;
  assert.equal(databases.databaseFor(moduleOf(PRIVATE).path), null);
  assert.deepEqual([sumdb.requests, other.requests], [[], []]);

  const off = open(config("off", configOf(sumdb)), { servers });
  assert.equal(off.databases.databaseFor(moduleOf(A).path), null);
  assert.deepEqual(off.direct, []);
});

Deno.test("the default database's missing record counts where an upstream supports it", async () => {
  const sumdb = new Sumdb({ name: DEFAULT_SUM_DATABASE.name });
  const { databases } = open(config(), { upstreams: [supporting(sumdb)] });
  const module = moduleOf(A);
  assert.equal(await databases.databaseFor(module.path)?.find(module, signal), "unrecorded");
  const other = open(config(), { upstreams: [supporting(new Sumdb({ name: "other.example" }))] });
  assert.equal(await other.databases.databaseFor(module.path)?.find(module, signal), null);
});

Deno.test("databaseFor() gives none for a path of noSumDatabase, which no database is told of", async () => {
  const sumdb = new Sumdb();
  sumdb.append(A);
  const publicModules = { sumDatabase: configOf(sumdb), noSumDatabase: "*.com/b,example.com/a/" };
  const opened = open({ publicModules, sumDatabaseProxy: { sumDatabases: [] } }, {
    servers: [sumdb],
  });
  for (const path of ["example.com/a", "example.com/a/sub", "example.com/b"]) {
    const module = moduleOf(recordOf(path));
    assert.equal(opened.databases.databaseFor(module.path), null);
    const lookup = opened.databases.find(sumdb.name).lookup(module, signal);
    await assert.rejects(lookup, NotFoundError);
  }
  assert.deepEqual(opened.direct, []);
  for (const path of ["example.com/ab", "example.com/c", "a.example.com/c"]) {
    assert.notEqual(opened.databases.databaseFor(moduleOf(recordOf(path)).path), null);
  }
});
