import assert from "node:assert/strict";
import { fetchFrom, hashesOf, moduleOf, recordOf } from "../../tests/worlds/sum_database.ts";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { NotFoundError, UpstreamError } from "../errors.ts";
import { createLogger } from "../log/log.ts";
import { MemoryStore } from "../../tests/fakes/memory_store.ts";
import type { SumDatabases } from "./databases.ts";
import {
  DEFAULT_SUM_DATABASE,
  isDatabaseName,
  openSumDatabases,
  type SumDatabaseConfig,
  sumDatabaseFaults,
  type SumDatabasesConfig,
} from "./open.ts";
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

/** What the database that verifies has of a module; undefined where none is to be asked. */
function find(databases: SumDatabases, module = moduleOf(A)) {
  return databases.databaseFor(module.path)?.find(module, signal);
}

interface Opened {
  readonly databases: SumDatabases;
  /** The servers that were gone to directly. */
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
  assert.equal(await find(databases, moduleOf(recordOf("example.com/x"))), null);
  sumdb.requests.length = 0;
  assert.equal(databases.databaseFor(moduleOf(PRIVATE).path), null);
  assert.deepEqual([sumdb.requests, other.requests], [[], []]);

  const off = open(config("off", configOf(sumdb)), { servers });
  assert.equal(off.databases.databaseFor(moduleOf(A).path), null);
  assert.deepEqual(off.direct, []);
});

Deno.test("sumDatabaseFaults() names what cannot be used", async (t) => {
  const good = configOf(new Sumdb());
  const [hash, key] = good.publicKey.split("+", 2);
  const other = configOf(new Sumdb());
  const rows: { what: string; config: SumDatabasesConfig; want: RegExp[] }[] = [
    { what: "nothing", config: config(), want: [] },
    { what: "off", config: config("off"), want: [] },
    { what: "one", config: config(good), want: [] },
    { what: "one for both", config: config(good, good), want: [] },
    {
      what: "a whole verifier key",
      config: config({ ...good, publicKey: `${good.name}+${good.publicKey}` }, good),
      want: [],
    },
    {
      what: "two keys for one name",
      config: config(good, other),
      want: [/^sumDatabaseProxy\.sumDatabases\[0\]\.publicKey: "sum\.example\.test" has another/],
    },
    {
      what: "no name",
      config: config({ ...good, name: "" }),
      want: [/^publicModules\.sumDatabase\.name: "" is not a host/],
    },
    {
      what: "a key without its hash",
      config: config({ ...good, publicKey: key ?? "" }),
      want: [/^publicModules\.sumDatabase\.publicKey: Cannot read verifier key/],
    },
    {
      what: "a hash without its key",
      config: config({ ...good, publicKey: hash ?? "" }),
      want: [/^publicModules\.sumDatabase\.publicKey: Cannot read verifier key/],
    },
    {
      what: "the key of another name",
      config: config("off", { ...good, name: "other.example" }),
      want: [/^sumDatabaseProxy\.sumDatabases\[0\]\.publicKey: .* of "other\.example"/],
    },
    {
      what: "two faults",
      config: config({ ...good, name: "A" }, { ...good, publicKey: "" }),
      want: [/^publicModules/, /^sumDatabaseProxy/],
    },
  ];
  for (const { what, config, want } of rows) {
    await t.step(what, () => {
      const faults = sumDatabaseFaults(config);
      assert.equal(faults.length, want.length, faults.join("\n"));
      for (const [i, pattern] of want.entries()) assert.match(faults[i] ?? "", pattern);
    });
  }
});

Deno.test("isDatabaseName() takes hosts with a port and a path", () => {
  const names = ["sum.example.com", "localhost", "sum.example.com:8080", "sum.example.com/a/b.C~_"];
  for (const name of names) assert.ok(isDatabaseName(name), name);
  const others = [
    "",
    "A.example.com",
    ".example.com",
    "sum..example.com",
    "sum.example.com/",
    "/a",
    "sum.example.com//a",
    "sum.example.com/..",
    "sum.example.com/.a",
    "a b",
    "a+b",
    "a%2fb",
    "user@sum.example.com",
    `a.${"b".repeat(130)}`,
  ];
  for (const name of others) assert.ok(!isDatabaseName(name), name);
});
