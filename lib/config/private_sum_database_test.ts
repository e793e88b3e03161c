import assert from "node:assert/strict";
import { ConfigError } from "../errors.ts";
import { parseConfig } from "./config.ts";

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
    { input: "{ name: a b, privateKey: x }", fault: /privateSumDatabase\.name: not a host/ },
    { input: "{ privateKey: x }", fault: /privateSumDatabase\.name/ },
    { input: "{ name: sum.example.com }", fault: /privateSumDatabase\.privateKey/ },
    { input: "{ name: sum.example.com, privateKey: x, public: true }", fault: /public/ },
    {
      input: "{ name: sum.golang.org, privateKey: x }",
      fault: /privateSumDatabase\.name: "sum\.golang\.org" is another database's/,
    },
    {
      input: `{ name: sum.other.example.com, privateKey: x }\n` +
        `publicModules: { sumDatabase: { ${other} } }`,
      fault: /privateSumDatabase\.name: "sum\.other\.example\.com" is another database's/,
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
