/**
 * The address of a client behind proxies that are trusted to tell it (`listen.trustedProxies`): the
 * rightmost one in `X-Forwarded-For` that is not a trusted proxy's. Each proxy appends the address
 * that it was connected from, so what is left of that one anybody may have written.
 *
 * The header is ignored where the connection is not a trusted proxy's. Of addresses with a port
 * (`192.0.2.1:80`, `[2001:db8::1]:80`) the port is ignored. An entry that is no address ends the
 * search: the proxy to the right of it is the client then.
 *
 * `Forwarded` (RFC 7239) is not read: hardly a proxy sends it, and one that passes it on from
 * clients as it came would let them choose their address.
 *
 * Limits: the last {@linkcode MAX_HOPS} entries and {@linkcode MAX_LENGTH} characters.
 */
import { type Block, isInBlock, parseAddress, parseBlock } from "./address.ts";

const MAX_HOPS = 16;
const MAX_LENGTH = 1024;

/** Says which client a request is of. */
export type FindClientAddress = (peer: string | null, headers: Headers) => string | null;

/**
 * @param trusted addresses and CIDR blocks
 * @throws {Error} when one is neither
 */
export function clientAddressFinder(trusted: readonly string[]): FindClientAddress {
  if (trusted.length === 0) return (peer) => peer;
  const isTrusted = networkMatcher(trusted);
  return (peer, headers) => {
    if (!isTrusted(peer)) return peer;
    const header = headers.get("X-Forwarded-For") ?? "";
    let client = peer;
    for (const entry of header.slice(-MAX_LENGTH).split(",").slice(-MAX_HOPS).reverse()) {
      const address = plainAddress(entry.trim());
      if (address === null) return client;
      client = address;
      if (!isTrusted(address)) return client;
    }
    return client;
  };
}

/**
 * Says whether an address, as {@linkcode FindClientAddress} has it, is in one of these networks.
 * Null is in none.
 *
 * @param networks addresses and CIDR blocks
 * @throws {Error} when one is neither
 */
export function networkMatcher(networks: readonly string[]): (address: string | null) => boolean {
  const blocks = networks.map(parseProxyBlock);
  return (text) => {
    const address = text === null ? null : plainAddress(text);
    return address !== null && blocks.some((block) => isInBlock(address, block));
  };
}

/** @throws {Error} saying that it is neither an address nor a CIDR block */
export function parseProxyBlock(text: string): Block {
  const block = parseBlock(text);
  if (block !== null) return block;
  throw new Error(`"${text}" is not an address or CIDR block, as in 10.0.0.0/8`);
}

/** Without brackets, port and zone; an IPv4 address that is mapped into IPv6 as itself. */
function plainAddress(text: string): string | null {
  const [, inBrackets] = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text) ?? [];
  const [, beforePort] = /^([\d.]+):\d{1,5}$/.exec(text) ?? [];
  const host = (inBrackets ?? beforePort ?? text).replace(/^::ffff:(?=[\d.]+$)/i, "")
    .replace(/%[\w.-]+$/, "");
  return parseAddress(host) === null ? null : host;
}
