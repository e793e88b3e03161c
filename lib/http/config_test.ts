import assert from "node:assert/strict";
import { parseConfig } from "../config/config.ts";

const REFUSED: { yaml: string; message: RegExp }[] = [
  { yaml: "{ url: proxy.example.com }", message: /^httpProxy\.url: not an http or https URL/m },
  { yaml: "{ url: http://u:secret@proxy.example.com }", message: /^httpProxy\.url: .*user/m },
  { yaml: "{ url: http://proxy.example.com/path }", message: /^httpProxy\.url: it has a path/m },
  {
    yaml: "{ url: http://proxy.example.com, user: me }",
    message: /^httpProxy: user and password go together/m,
  },
  { yaml: '{ url: http://proxy.example.com, user: "a:b", password: x }', message: /user: .*colon/ },
  { yaml: "{ noProxy: a.example.com }", message: /^httpProxy: url is missing/m },
  {
    yaml: '{ url: http://proxy.example.com, noProxy: "a.example.com:443" }',
    message: /^httpProxy\.noProxy: "a\.example\.com:443" has a port/m,
  },
  {
    yaml: '{ url: http://proxy.example.com, noProxy: "a b" }',
    message: /^httpProxy\.noProxy: "a b" is not a host/m,
  },
];

Deno.test("httpProxy refuses what cannot be told to runtime and git", async (t) => {
  for (const { yaml, message } of REFUSED) {
    await t.step(yaml, () => {
      assert.throws(() => parseConfig(`httpProxy: ${yaml}`), (error: Error) => {
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    });
  }
});
