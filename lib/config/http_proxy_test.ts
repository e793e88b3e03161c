import assert from "node:assert/strict";
import { parseConfig } from "./config.ts";
import { proxyVariables } from "./http_proxy.ts";

const PLACES = { directory: ".", env: (name: string) => name === "PW" ? "p@ss:word" : undefined };
const LOOPBACK = "localhost,127.0.0.0/8,::1";

function variables(href: string, noProxy: string) {
  return { HTTPS_PROXY: href, HTTP_PROXY: href, NO_PROXY: noProxy };
}

const READ: { yaml: string; want: unknown }[] = [
  { yaml: "{}", want: "as they are" },
  {
    yaml: "{ url: http://proxy.example.com:3128/ }",
    want: variables("http://proxy.example.com:3128", LOOPBACK),
  },
  {
    yaml: "{ url: https://proxy.example.com, user: me, password: { envVar: PW } }",
    want: variables("https://me:p%40ss%3Aword@proxy.example.com", LOOPBACK),
  },
  {
    yaml:
      '{ url: http://proxy.example.com, noProxy: "a.example.com, .b.example.com,*.c.example.com,10.0.0.0/8,fd00::/8,::2" }',
    want: variables(
      "http://proxy.example.com",
      `a.example.com,.b.example.com,.c.example.com,10.0.0.0/8,fd00::/8,::2,${LOOPBACK}`,
    ),
  },
  { yaml: '{ url: http://proxy.example.com, noProxy: "*" }', want: "none" },
];

Deno.test("proxyVariables() says what runtime and git are told", async (t) => {
  for (const { yaml, want } of READ) {
    await t.step(yaml, async () => {
      const { httpProxy } = parseConfig(`httpProxy: ${yaml}`);
      assert.deepEqual(await proxyVariables(httpProxy, PLACES), want);
    });
  }
});

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
