/**
 * Restricts connections to hosts that strangers name: in a public module path, in a go-get page, or
 * in a redirect of one of them. The hosts must be public (address.ts), or the configuration must
 * allow them:
 *
 * ```yaml
 * egress:
 *   allow: [10.20.0.0/16, 192.0.2.7:8443, git.internal.example.com]
 * ```
 *
 * A block or an address allows what names resolve to, optionally at one port only; a name allows
 * itself and no subdomain, whatever it resolves to. This file decides; egress_routes.ts looks names
 * up, egress_proxy.ts connects.
 */
import { UpstreamError } from "../errors.ts";
import { type Block, isInBlock, isPublicAddress, parseAddress, parseBlock } from "./address.ts";

/** A refusal. The message names only the host; the cause, for the log, has the reason. */
export class EgressError extends UpstreamError {
  constructor(host: string, reason: string) {
    super(`Cannot reach ${host}`, {
      cause: new Error(`${reason}, and egress.allow does not allow it`),
    });
  }
}

/** The destination of a connection: a host name or an address without brackets, and a port. */
export interface Destination {
  readonly hostname: string;
  readonly port: number;
}

/**
 * An entry of `egress.allow`: a block of addresses, or a name. Without a port it applies to all
 * ports.
 */
export type EgressRule =
  & ({ readonly block: Block } | { readonly name: string })
  & { readonly port: number | null };

/**
 * Lower-case labels of letters, digits, `-` and `_`, without a trailing dot: names that the URL
 * standard, git and the resolver read in the same way.
 */
const NAME =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/**
 * Last labels of names that are not public, by IANA's registry of special-use domain names (RFC
 * 6761), ICANN's reservation of `internal`, and custom. They matter when a forward proxy resolves
 * the name.
 */
const INTERNAL_NAME =
  /(?:^|\.)(?:alt|corp|home|home\.arpa|internal|intranet|invalid|lan|local|localdomain|localhost|onion|private|test)$/;

/** A host or a bracketed IPv6 address, optionally with a port. */
const RULE = /^(?:\[(?<ipv6>[^\]]+)\]|(?<host>[^\s[\]/\\:@?#%]+))(?::(?<port>\d{1,5}))?$/;

/**
 * @throws {Error} saying what the text is not
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseEgressRule("git.internal.example.com:8443"), {
 *   name: "git.internal.example.com",
 *   port: 8443,
 * });
 * assert.throws(() => parseEgressRule("*.example.com"));
 * ```
 */
export function parseEgressRule(text: string): EgressRule {
  const whole = parseBlock(text);
  if (whole !== null) return { block: whole, port: null };
  const { ipv6, host = ipv6, port } = RULE.exec(text)?.groups ?? {};
  const number = port === undefined ? null : Number(port);
  if (host !== undefined && (number === null || number >= 1 && number <= 65535)) {
    const block = parseBlock(host);
    if (block !== null) return { block, port: number };
    // International names in the form that is looked up; a name that becomes an address was a
    // spelling of one.
    const name = ipv6 === undefined ? URL.parse(`http://${host}/`)?.hostname ?? "" : "";
    if (NAME.test(name) && !/(?:^|\.)\d+$/.test(name)) return { name, port: number };
  }
  throw new Error(`"${text}" is not a host, an address (also with a port) or a CIDR block`);
}

export class EgressPolicy {
  readonly #rules: readonly EgressRule[];

  /** @param allow as in `egress.allow` */
  constructor(allow: readonly string[] = []) {
    this.#rules = allow.map(parseEgressRule);
  }

  /**
   * Checks a host before its name is looked up. For an address the decision is final.
   *
   * @returns whether the configuration allows the name, so that it may resolve to any address
   * @throws {EgressError}
   */
  checkHost({ hostname, port }: Destination): boolean {
    if (parseAddress(hostname) !== null) {
      this.#checkAddress(hostname, { hostname, port });
      return false;
    }
    // If the URL standard, git and resolvers may read a name differently, no rule can allow it.
    if (!NAME.test(hostname) || /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(hostname)) {
      throw new EgressError(hostname, `"${hostname}" is not a plain host name`);
    }
    const isAllowed = this.#rules.some((rule) =>
      "name" in rule && rule.name === hostname && fitsPort(rule, port)
    );
    if (isAllowed) return true;
    if (!hostname.includes(".") || INTERNAL_NAME.test(hostname)) {
      throw new EgressError(hostname, `"${hostname}" is not a public name`);
    }
    return false;
  }

  /**
   * Checks all addresses of a name. One that is not public rejects the name: otherwise an attacker
   * who controls the name could retry until some check is missing, and honest names do not mix
   * both.
   *
   * @throws {EgressError}
   */
  checkAddresses(addresses: readonly string[], destination: Destination): void {
    for (const address of addresses) this.#checkAddress(address, destination);
  }

  #checkAddress(address: string, { hostname, port }: Destination): void {
    if (isPublicAddress(address)) return;
    const isAllowed = this.#rules.some((rule) =>
      "block" in rule && isInBlock(address, rule.block) && fitsPort(rule, port)
    );
    if (isAllowed) return;
    const range = parseAddress(address)?.range() ?? "malformed";
    const what = address === hostname ? address : `"${hostname}" resolves to ${address}, which`;
    throw new EgressError(hostname, `${what} is not a public address (${range})`);
  }
}

function fitsPort(rule: EgressRule, port: number): boolean {
  return rule.port === null || rule.port === port;
}

/** The destination of a URL. */
export function destinationOf({ hostname, port, protocol }: URL): Destination {
  return {
    hostname: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? (protocol === "http:" ? 80 : 443) : Number(port),
  };
}
