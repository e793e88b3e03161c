import assert from "node:assert/strict";
import fc from "fast-check";
import { isInBlock, isPublicAddress, networkOf, parseAddress, parseBlock } from "./address.ts";

/**
 * IANA's registries of special-purpose addresses as of 2026-11 with the multicast blocks, and what
 * is not allocated for global unicast. For each block its first and last address are tried.
 */
const SPECIAL_BLOCKS: readonly string[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.31.196.0/24",
  "192.52.193.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "192.175.48.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/96",
  "::ffff:0:0/96",
  "::ffff:0:0:0/96",
  "64:ff9b:1::/48",
  "100::/64",
  "100:0:0:1::/64",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "2620:4f:8000::/48",
  "3fff::/20",
  "4000::/2",
  "8000::/1",
  "5f00::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

/** Neighbours of special blocks, and hosts that everybody knows. */
const PUBLIC: readonly string[] = [
  "1.0.0.0",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "126.255.255.255",
  "128.0.0.0",
  "169.253.255.255",
  "169.255.0.0",
  "172.15.255.255",
  "172.32.0.0",
  "192.0.1.0",
  "192.167.255.255",
  "192.169.0.0",
  "198.17.255.255",
  "198.20.0.0",
  "223.255.255.255",
  "2001:200::",
  "2001:4860:4860::8888",
  "2606:4700:4700::1111",
  "2a00:1450:4001:81b::200e",
  "64:ff9b::8.8.8.8",
];

Deno.test("isPublicAddress() refuses the whole of every special-purpose block", async (t) => {
  for (const text of SPECIAL_BLOCKS) {
    await t.step(text, () => {
      const block = parseBlock(text);
      assert.ok(block !== null);
      const first = block.first.toByteArray();
      const last = first.map((byte, i) =>
        byte | 0xff >> Math.min(8, Math.max(0, block.prefixLength - i * 8))
      );
      for (const bytes of [first, last]) assert.equal(isPublicAddress(textOf(bytes)), false);
    });
  }
});

Deno.test("isPublicAddress() takes what is in no special-purpose block", async (t) => {
  for (const text of PUBLIC) await t.step(text, () => assert.equal(isPublicAddress(text), true));
});

Deno.test("isPublicAddress() looks at the IPv4 address in NAT64", async (t) => {
  for (
    const address of ["10.0.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "255.255.255.255"]
  ) {
    await t.step(address, () => assert.equal(isPublicAddress(`64:ff9b::${address}`), false));
  }
});

Deno.test("isPublicAddress() never takes IPv4 inside IPv6 for public where a machine may unwrap it", () => {
  fc.assert(fc.property(fc.ipV4(), (ipv4) => {
    const [high = "", low = ""] = hexPairs(ipv4);
    for (
      const wrapped of [
        `::ffff:${ipv4}`,
        `::${ipv4}`,
        `2002:${high}:${low}::1`,
        `2001:0:${high}:${low}::`,
      ]
    ) assert.equal(isPublicAddress(wrapped), false, wrapped);
  }));
});

Deno.test("parseAddress() takes the usual form alone", async (t) => {
  const others = [
    "",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.1.",
    "127.0.0.256",
    " 127.0.0.1",
    "[::1]",
    "fe80::1%eth0",
    "::1%1",
    "1::2::3",
    "example.com",
  ];
  for (const text of others) {
    await t.step(`not "${text}"`, () => {
      assert.equal(parseAddress(text), null);
      assert.equal(isPublicAddress(text), false);
    });
  }
});

Deno.test("parseBlock() and isInBlock()", () => {
  const block = parseBlock("10.20.0.0/16");
  assert.ok(block !== null);
  assert.equal(isInBlock("10.20.255.255", block), true);
  assert.equal(isInBlock("10.21.0.0", block), false);
  assert.equal(isInBlock("::ffff:10.20.0.1", block), false);
  assert.equal(isInBlock("nonsense", block), false);
  for (const text of ["10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "a/8"]) {
    assert.equal(parseBlock(text), null, text);
  }
});

function textOf(bytes: readonly number[]): string {
  return bytes.length === 4
    ? bytes.join(".")
    : Uint8Array.from(bytes).toHex().replace(/.{4}(?=.)/g, "$&:");
}

function hexPairs(ipv4: string): string[] {
  const hex = Uint8Array.from(ipv4.split(".").map(Number)).toHex();
  return [hex.slice(0, 4), hex.slice(4)];
}

Deno.test("networkOf() is the part of an address that one client has", async (t) => {
  const rows = [
    { input: "127.0.0.1", want: "127.0.0.1" },
    { input: "::ffff:127.0.0.1", want: "127.0.0.1" },
    { input: "::1", want: "0:0:0:0" },
    { input: "2001:DB8:1:2:3:4:5:6", want: "2001:db8:1:2" },
    { input: "2001:db8:1:2::", want: "2001:db8:1:2" },
    { input: "", want: "" },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(networkOf(input), want));
  }
});
