/**
 * Which IP addresses are public: those that are in none of IANA's registries of special-purpose
 * addresses (https://www.iana.org/assignments/iana-ipv4-special-registry,
 * …/iana-ipv6-special-registry), not multicast, and, for IPv6, allocated for global unicast
 * (2000::/3).
 *
 * The registries also list a few blocks that are globally reachable (AS112, AMT relays). No module
 * is served from them, so they do not count as public. Addresses that contain an IPv4 address
 * (IPv4-mapped, 6to4, Teredo) are never public, since their destination depends on the machine. The
 * one exception is NAT64 (64:ff9b::/96, RFC 6052): in networks with DNS64 every IPv4 host has such
 * an address, so the IPv4 address inside decides.
 */
import ipaddr from "ipaddr.js";

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/**
 * The address of a text in its usual form: four decimal numbers, or IPv6 without brackets and zone.
 * Null for everything else, also for `127.1`, `0x7f.0.0.1` and `2130706433`, which some programs
 * accept as addresses.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseAddress("127.0.0.1")?.range(), "loopback");
 * assert.equal(parseAddress("127.1"), null);
 * assert.equal(parseAddress("fe80::1%eth0"), null);
 * ```
 */
export function parseAddress(text: string): IpAddress | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  const isIPv6 = text.includes(":") && !text.includes("%") && ipaddr.IPv6.isValid(text);
  return isIPv6 ? ipaddr.IPv6.parse(text) : null;
}

const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");
const NAT64 = ipaddr.IPv6.parseCIDR("64:ff9b::/96");

/**
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isPublicAddress("93.184.216.34"), true);
 * assert.equal(isPublicAddress("169.254.169.254"), false);
 * assert.equal(isPublicAddress("64:ff9b::10.0.0.1"), false);
 * ```
 */
export function isPublicAddress(text: string): boolean {
  const address = parseAddress(text);
  if (address === null) return false;
  if (address instanceof ipaddr.IPv4) return address.range() === "unicast";
  if (address.match(NAT64)) {
    return new ipaddr.IPv4(address.toByteArray().slice(-4)).range() === "unicast";
  }
  return address.range() === "unicast" && address.match(GLOBAL_UNICAST);
}

/** Addresses that share their first bits. */
export interface Block {
  readonly first: IpAddress;
  readonly prefixLength: number;
}

/**
 * The block of a text such as `10.0.0.0/8`, or of a single address; null if the text is neither, or
 * if a bit is set after the prefix, which is probably a mistake.
 */
export function parseBlock(text: string): Block | null {
  const [, host = "", length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const first = parseAddress(host);
  if (first === null) return null;
  const bits = first.toByteArray().length * 8;
  const prefixLength = length === undefined ? bits : Number(length);
  if (prefixLength > bits || !hasZerosBehind(first, prefixLength)) return null;
  return { first, prefixLength };
}

export function isInBlock(text: string, { first, prefixLength }: Block): boolean {
  const address = parseAddress(text);
  return address !== null && address.kind() === first.kind() && address.match(first, prefixLength);
}

function hasZerosBehind(address: IpAddress, prefixLength: number): boolean {
  const bits = address.toByteArray().map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return !bits.slice(prefixLength).includes("1");
}

/**
 * What one client can have addresses of: an IPv4 address, or the first 64 bits of an IPv6 address,
 * which must be valid.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(networkOf("192.0.2.1"), "192.0.2.1");
 * assert.equal(networkOf("::ffff:192.0.2.1"), "192.0.2.1");
 * assert.equal(networkOf("2001:db8::1"), "2001:db8:0:0");
 * assert.equal(networkOf("2001:db8:0:0:1::"), "2001:db8:0:0");
 * ```
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [start = "", end = ""] = address.toLowerCase().split("::", 2);
  const [before, after] = [start, end].map((part) => part === "" ? [] : part.split(":"));
  const missing = 8 - (before?.length ?? 0) - (after?.length ?? 0);
  const zeros = Array.from({ length: Math.max(0, missing) }, () => "0");
  return [...before ?? [], ...zeros, ...after ?? []].slice(0, 4).join(":");
}

/**
 * Whether a host, as in a URL or in `--host`, is this machine by its name: a loopback address,
 * `localhost`, or a name below it (RFC 6761, 6.3).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isLoopbackHost("[::1]"), true);
 * assert.equal(isLoopbackHost("127.0.0.1.example.com"), false);
 * ```
 */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase();
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  return parseAddress(name.replace(/^\[(.*)\]$/, "$1"))?.range() === "loopback";
}
