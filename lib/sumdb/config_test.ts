import assert from "node:assert/strict";
import { Sumdb } from "../../tests/fakes/sumdb.ts";
import { ConfigError } from "../errors.ts";
import { parseConfig } from "../config/config.ts";
import { pathText } from "../schema/fault.ts";
import {
  isDatabaseName,
  type SumDatabaseConfig,
  sumDatabaseFaults,
  type SumDatabasesConfig,
} from "./config.ts";

function configOf({ name, verifierKey }: Sumdb): SumDatabaseConfig {
  return { name, publicKey: verifierKey.slice(`${name}+`.length), url: `https://${name}/base` };
}

function config(
  sumDatabase?: SumDatabaseConfig | "off",
  ...sumDatabases: SumDatabaseConfig[]
): SumDatabasesConfig {
  return { publicModules: { sumDatabase }, sumDatabaseProxy: { sumDatabases } };
}

Deno.test("privateSumDatabase answers for public modules too, unless told otherwise", () => {
  const yaml = "privateSumDatabase: { name: sum.example.com/team, privateKey: { file: key } }";
  assert.deepEqual(parseConfig(yaml).privateSumDatabase, {
    name: "sum.example.com/team",
    privateKey: { file: "key" },
    combined: true,
  });
  assert.equal(parseConfig("").privateSumDatabase, undefined);
});

Deno.test("privateSumDatabase refuses what cannot work", async (t) => {
  const other = "name: sum.other.example.com, publicKey: " +
    "c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW, url: https://sum.example.com";
  const rows = [
    {
      input: "{ name: a b, privateKey: x }",
      fault: /privateSumDatabase\.name: "a b" is not a host/,
    },
    { input: "{ privateKey: x }", fault: /privateSumDatabase\.name/ },
    { input: "{ name: sum.example.com }", fault: /privateSumDatabase\.privateKey/ },
    { input: "{ name: sum.example.com, privateKey: x, public: true }", fault: /public/ },
    {
      input: "{ name: sum.golang.org, privateKey: x }",
      fault: /privateSumDatabase\.name: "sum\.golang\.org" is the name of another database/,
    },
    {
      input: `{ name: sum.other.example.com, privateKey: x }\n` +
        `publicModules: { sumDatabase: { ${other} } }`,
      fault: /privateSumDatabase\.name: "sum\.other\.example\.com" is the name of another database/,
    },
    {
      input: "{ name: sum.example.com, privateKey: x }\npublicModules: { sumDatabase: off }",
      fault: /privateSumDatabase\.combined: needs publicModules\.sumDatabase/,
    },
  ];
  for (const { input, fault } of rows) {
    await t.step(input, () => {
      assert.throws(() => parseConfig(`privateSumDatabase: ${input}`), (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, fault);
        return true;
      });
    });
  }
  parseConfig(
    "privateSumDatabase: { name: sum.example.com, privateKey: x, combined: false }\n" +
      "publicModules: { sumDatabase: off }",
  );
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
      want: [
        /^sumDatabaseProxy\.sumDatabases\[0\]\.publicKey: "sum\.example\.test" already has another key/,
      ],
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
      config: config({ ...good, publicKey: "x" }, { ...good, publicKey: "" }),
      want: [/^publicModules/, /^sumDatabaseProxy/],
    },
  ];
  for (const { what, config, want } of rows) {
    await t.step(what, () => {
      const faults = sumDatabaseFaults(config)
        .map(({ path, message }) => `${pathText(path)}: ${message}`);
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

Deno.test("publicModules.noSumDatabase is a list as in GONOSUMDB", () => {
  for (const text of ["a.example.com", "a.example.com/b/,*.example.com,", ""]) {
    const { publicModules } = parseConfig(`publicModules: { noSumDatabase: "${text}" }`);
    assert.equal(publicModules.noSumDatabase, text);
  }
  const rows = [
    { input: "a.example.com, b.example.com", fault: /without white space/ },
    { input: "/a", fault: /empty element/ },
    { input: "a.example.com,/b", fault: /empty element/ },
    { input: "a.example.com//b", fault: /empty element/ },
    { input: "a[", fault: /publicModules\.noSumDatabase: .*\[/ },
  ];
  for (const { input, fault } of rows) {
    const yaml = `publicModules: { noSumDatabase: "${input}" }`;
    assert.throws(
      () => parseConfig(yaml),
      (error) => error instanceof ConfigError && fault.test(error.message),
    );
  }
});
