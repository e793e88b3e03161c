import assert from "node:assert/strict";
import { hostCheck } from "./host_check.ts";

/** A request as the runtime makes it: the header goes into the URL as it is. */
function statusOf(check: ReturnType<typeof hostCheck>, host: string | null, url?: string) {
  const headers = new Headers();
  if (host !== null) headers.set("Host", host);
  return check({ url: url ?? `http://${host ?? "localhost:8080"}/m/@v/list`, headers })?.status ??
    null;
}

Deno.test("hostCheck() answers on loopback for its own names alone", async (t) => {
  const check = hostCheck({ host: "127.0.0.1", hosts: ["go.example.com"] });
  const rows: { host: string | null; want: number | null }[] = [
    { host: "127.0.0.1:8080", want: null },
    { host: "127.0.0.1", want: null },
    { host: "127.1.2.3:1", want: null },
    { host: "[::1]:8080", want: null },
    { host: "localhost:8080", want: null },
    { host: "LocalHost.", want: null },
    { host: "proxy.localhost", want: null },
    { host: "go.example.com", want: null },
    { host: "GO.example.com:443", want: null },
    { host: null, want: null },
    { host: "attacker.example", want: 403 },
    { host: "attacker.example:8080", want: 403 },
    { host: "localhost.attacker.example", want: 403 },
    { host: "127.0.0.1.attacker.example", want: 403 },
    { host: "notlocalhost", want: 403 },
    { host: "192.0.2.1", want: 403 },
    { host: "[2001:db8::1]", want: 403 },
    { host: "x.go.example.com", want: 403 },
    { host: "0", want: 403 },
    { host: "127.1", want: 403 },
    { host: "", want: 400 },
    { host: "a b", want: 400 },
    { host: "<script>", want: 400 },
    { host: "localhost/x", want: 400 },
    { host: "localhost?x", want: 400 },
    { host: "user@localhost", want: 400 },
    { host: "[::1", want: 400 },
    { host: "localhost:80:80", want: 400 },
    { host: "caf\u00e9.example", want: 400 },
  ];
  for (const { host, want } of rows) {
    await t.step(String(host), () => {
      assert.equal(statusOf(check, host), want);
      assert.equal(statusOf(check, host), want, "the second time");
    });
  }
});

Deno.test("hostCheck() answers on other addresses for every name", () => {
  const check = hostCheck({ host: "0.0.0.0", hosts: [] });
  assert.equal(statusOf(check, "anything.example:80"), null);
  assert.equal(statusOf(check, "192.0.2.1"), null);
  assert.equal(statusOf(check, "a b"), 400);
});

Deno.test("hostCheck() takes the name of the request line, and no other besides", () => {
  const check = hostCheck({ host: "::1", hosts: [] });
  assert.equal(statusOf(check, "localhost", "http://localhost/x"), null);
  assert.equal(statusOf(check, "localhost", "http://attacker.example/x"), 400);
  assert.equal(statusOf(check, null, "http://attacker.example/x"), 403);
});
