import assert from "node:assert/strict";
import fc from "fast-check";
import { clientAddressFinder, networkMatcher } from "./client_address.ts";

const TRUSTED = ["10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"];

const ROWS: { name: string; peer: string | null; header: string | null; want: string | null }[] = [
  { name: "a stranger's header", peer: "203.0.113.5", header: "1.1.1.1", want: "203.0.113.5" },
  { name: "no header", peer: "10.0.0.1", header: null, want: "10.0.0.1" },
  { name: "no peer", peer: null, header: "1.1.1.1", want: null },
  { name: "one hop", peer: "10.0.0.1", header: "203.0.113.9", want: "203.0.113.9" },
  { name: "what the client wrote", peer: "10.0.0.1", header: "1.1.1.1, 2.2.2.2", want: "2.2.2.2" },
  {
    name: "several proxies",
    peer: "10.0.0.1",
    header: "1.1.1.1, 203.0.113.9, 192.0.2.1,10.1.1.1",
    want: "203.0.113.9",
  },
  { name: "only proxies", peer: "10.0.0.1", header: "10.0.0.9, 10.0.0.8", want: "10.0.0.9" },
  { name: "a mapped peer", peer: "::ffff:10.0.0.1", header: "2.2.2.2", want: "2.2.2.2" },
  { name: "a mapped client", peer: "10.0.0.1", header: "::ffff:2.2.2.2", want: "2.2.2.2" },
  { name: "a port", peer: "10.0.0.1", header: "2.2.2.2:8080", want: "2.2.2.2" },
  { name: "IPv6", peer: "2001:db8:1::5", header: "2001:db8:2::9", want: "2001:db8:2::9" },
  { name: "brackets", peer: "10.0.0.1", header: "[2001:db8:2::9]", want: "2001:db8:2::9" },
  { name: "a port at IPv6", peer: "10.0.0.1", header: "[2001:db8:2::9]:1", want: "2001:db8:2::9" },
  { name: "garbage", peer: "10.0.0.1", header: "unknown", want: "10.0.0.1" },
  { name: "garbage on the left", peer: "10.0.0.1", header: "<x>, 2.2.2.2", want: "2.2.2.2" },
  {
    name: "garbage behind a proxy",
    peer: "10.0.0.1",
    header: "1.1.1.1, x, 10.0.0.2",
    want: "10.0.0.2",
  },
  { name: "an empty entry", peer: "10.0.0.1", header: "1.1.1.1,", want: "10.0.0.1" },
  // Some programs take these for addresses.
  { name: "octal", peer: "10.0.0.1", header: "0177.0.0.1", want: "10.0.0.1" },
  { name: "short", peer: "10.0.0.1", header: "127.1", want: "10.0.0.1" },
  {
    name: "a long header",
    peer: "10.0.0.1",
    header: `${"1.1.1.1,".repeat(9999)}2.2.2.2`,
    want: "2.2.2.2",
  },
  {
    name: "many proxies",
    peer: "10.0.0.1",
    header: `1.1.1.1${",10.0.0.2".repeat(99)}`,
    want: "10.0.0.2",
  },
];

Deno.test("clientAddressFinder() finds the rightmost address that is not a trusted proxy's", async (t) => {
  const find = clientAddressFinder(TRUSTED);
  for (const { name, peer, header, want } of ROWS) {
    await t.step(name, () => {
      const headers = new Headers(header === null ? {} : { "X-Forwarded-For": header });
      assert.equal(find(peer, headers), want);
    });
  }
});

Deno.test("clientAddressFinder() trusts nobody by default", () => {
  const headers = new Headers({ "X-Forwarded-For": "1.1.1.1" });
  assert.equal(clientAddressFinder([])("127.0.0.1", headers), "127.0.0.1");
});

Deno.test("clientAddressFinder() lets no client choose its address", () => {
  const find = clientAddressFinder(TRUSTED);
  fc.assert(fc.property(fc.string({ unit: "grapheme-ascii" }), (written) => {
    const text = written.replaceAll(/[^\x20-\x7e]/g, " ");
    const headers = new Headers({ "X-Forwarded-For": text });
    headers.append("X-Forwarded-For", "203.0.113.9");
    assert.equal(find("10.0.0.1", headers), "203.0.113.9");
  }));
});

Deno.test("networkMatcher() finds an address in its networks", async (t) => {
  const isNear = networkMatcher(TRUSTED);
  const rows = [
    { input: "10.255.0.1", want: true },
    { input: "::ffff:10.0.0.1", want: true },
    { input: "192.0.2.1", want: true },
    { input: "2001:db8:1:2::3", want: true },
    { input: "2001:db8:1::1%eth0", want: true },
    { input: "11.0.0.1", want: false },
    { input: "192.0.2.2", want: false },
    { input: "2001:db8:2::3", want: false },
    { input: "", want: false },
    { input: "10.0.0", want: false },
    { input: null, want: false },
  ];
  for (const { input, want } of rows) {
    await t.step(`${input}`, () => assert.equal(isNear(input), want));
  }
  assert.equal(networkMatcher([])("10.0.0.1"), false);
});

Deno.test("clientAddressFinder() refuses what is not a block", () => {
  for (const text of ["10.0.0.1/8", "proxy.example.com", "10.0.0.0/33", ""]) {
    assert.throws(() => clientAddressFinder([text]), /is not an address or CIDR block/);
  }
});
