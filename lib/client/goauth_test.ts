import assert from "node:assert/strict";
import { formatHeaders, isBelow, parseStatus } from "./goauth.ts";

Deno.test("formatHeaders() writes URL, empty line, header, empty line", () => {
  const want = "https://proxy.example.com\n\nAuthorization: Bearer t\n\n";
  assert.equal(formatHeaders(new URL("https://proxy.example.com/"), "Bearer t"), want);
  assert.match(
    formatHeaders(new URL("https://proxy.example.com:8443/go/"), "Bearer t"),
    /^https:\/\/proxy\.example\.com:8443\/go\n\n/,
  );
});

const HEADS: { head: string; want: number | RegExp }[] = [
  { head: "HTTP/2.0 401 Unauthorized\nA: b\n\n", want: 401 },
  { head: "HTTP/1.1 404\n\n", want: 404 },
  { head: "", want: /no HTTP status line/ },
  { head: "A: b\n\nHTTP/1.1 401 Unauthorized", want: /no HTTP status line/ },
  { head: "HTTP/1.1 4011 No", want: /no HTTP status line/ },
];

for (const { head, want } of HEADS) {
  Deno.test(`parseStatus() of ${JSON.stringify(head)}`, () => {
    if (typeof want === "number") assert.equal(parseStatus(head), want);
    else assert.throws(() => parseStatus(head), want);
  });
}

const BELOW: { url: string; server: string; want: boolean }[] = [
  { url: "https://p.example.com/m/@v/list", server: "https://p.example.com", want: true },
  { url: "https://p.example.com/go/m", server: "https://p.example.com/go", want: true },
  { url: "https://p.example.com/go", server: "https://p.example.com/go/", want: true },
  { url: "https://p.example.com/gone", server: "https://p.example.com/go", want: false },
  { url: "https://p.example.com:8443/go", server: "https://p.example.com/go", want: false },
  { url: "https://p.example.com.x.org/", server: "https://p.example.com", want: false },
  { url: "http://p.example.com/", server: "https://p.example.com", want: false },
];

for (const { url, server, want } of BELOW) {
  Deno.test(`isBelow() of ${url} and ${server}`, () => {
    assert.equal(isBelow(new URL(url), new URL(server)), want);
  });
}
