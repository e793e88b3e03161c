import assert from "node:assert/strict";
import { parseConfig } from "../config/config.ts";
import { proxyVariables } from "./proxy_variables.ts";

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
