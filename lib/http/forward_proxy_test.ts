import assert from "node:assert/strict";
import { ForwardProxies } from "./forward_proxy.ts";

const HTTPS_PROXY = "http://secure.example.com:3128";

Deno.test("ForwardProxies.for() reads the usual variables", async (t) => {
  const rows: { url: string; env: Record<string, string>; want: string | null }[] = [
    { url: "https://a.com", env: {}, want: null },
    { url: "https://a.com", env: { HTTPS_PROXY }, want: `${HTTPS_PROXY}/` },
    { url: "http://a.com", env: { HTTPS_PROXY }, want: null },
    { url: "http://a.com", env: { http_proxy: "p:1" }, want: "http://p:1/" },
    {
      url: "https://a.com",
      env: { HTTPS_PROXY: "", ALL_PROXY: "http://p:1" },
      want: "http://p:1/",
    },
    { url: "https://a.com", env: { HTTPS_PROXY, NO_PROXY: "*" }, want: null },
    { url: "https://a.com", env: { HTTPS_PROXY, NO_PROXY: "b.com, a.com" }, want: null },
    { url: "https://x.a.com", env: { HTTPS_PROXY, NO_PROXY: ".a.com" }, want: null },
    { url: "https://x.a.com", env: { HTTPS_PROXY, no_proxy: "*.a.com" }, want: null },
    { url: "https://xa.com", env: { HTTPS_PROXY, NO_PROXY: "a.com" }, want: `${HTTPS_PROXY}/` },
    { url: "https://10.1.2.3", env: { HTTPS_PROXY, NO_PROXY: "10.0.0.0/8" }, want: null },
    {
      url: "https://11.1.2.3",
      env: { HTTPS_PROXY, NO_PROXY: "10.0.0.0/8" },
      want: `${HTTPS_PROXY}/`,
    },
    { url: "https://[::1]", env: { HTTPS_PROXY, NO_PROXY: "::1" }, want: null },
  ];
  for (const { url, env, want } of rows) {
    await t.step(`${url} with ${JSON.stringify(env)}`, () => {
      assert.equal(new ForwardProxies(env).for(new URL(url))?.href ?? null, want);
    });
  }
});
