/**
 * Sections about connections: how clients reach the server (`listen`), and how it reaches others
 * (`httpProxy`, `caFile`, `insecureHosts`, `tls`).
 *
 * ```yaml
 * httpProxy:
 *   url: http://proxy.example.com:3128
 *   user: me
 *   password: { file: proxy-password }
 *   noProxy: git.example.com,.internal.example.com,10.0.0.0/8
 * ```
 *
 * KNOWN LIMIT: entries of `noProxy` with a port cannot be passed to git, and are refused.
 */
import { z } from "zod";
import type { Fault } from "../schema/fault.ts";
import { faultOf, httpUrl, keysAreKnown, nonEmpty, textFor } from "../schema/fields.ts";
import { secret, secretWarnings } from "../schema/secret.ts";
import { parseProxyBlock } from "./client_address.ts";
import { parseEgressRule } from "./egress.ts";

const HOST_NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

export const listen = z.strictObject({
  /** Serve https. Default: http. */
  tls: z.strictObject({
    /** The chain in PEM, the server's own certificate first. It is read again when replaced. */
    certificate: secret,
    /** PEM. */
    privateKey: secret,
    /** The oldest protocol that clients may use. */
    minVersion: z.enum(["TLS1.2", "TLS1.3"]).default("TLS1.2"),
  }).exactOptional(),
  /**
   * Addresses and CIDR blocks of proxies before the server, which are believed what they say in
   * `X-Forwarded-For` about where a request comes from.
   */
  trustedProxies: z.array(textFor(parseProxyBlock)).default([]),
  /**
   * The location of a trusted proxy on this machine, nginx, that sends zips from the directory of a
   * disk store: they are answered with `X-Accel-Redirect`. Default: this server sends them.
   */
  accelRedirect: z.string().regex(
    /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$/,
    'not a path as in "/internal/zips"',
  ).exactOptional(),
  /**
   * Names that the server has besides loopback ones while it listens on a loopback address: those
   * that a reverse proxy on the same machine passes on in `Host`.
   */
  hosts: z.array(z.string().regex(HOST_NAME, "not a host name without a port")).default([]),
  /**
   * Allows private modules without client authentication, and passwords without TLS, on an address
   * that is not loopback (lib/config/exposure.ts).
   */
  insecure: z.boolean().default(false),
});

/** Outgoing connections. They use at least TLS 1.2, and more cannot be demanded. */
export const tls = z.strictObject({
  minVersion: z.string().regex(/^TLS1\.[0-3]$/i, "not one of TLS1.0 to TLS1.3").exactOptional(),
});

/**
 * A file of root certificates in PEM that count besides the usual ones, relative to the
 * configuration's directory. Default: the file that SSL_CERT_FILE names.
 */
export const caFile = nonEmpty;

/** Hosts (`host` or `host:port`) that may be reached by plain http, besides loopback. */
export const insecureHosts = z.array(nonEmpty).default([]);

/** What strangers may make the server connect to (egress.ts). */
export const egress = z.strictObject({
  /**
   * Hosts (`host` or `host:port`), addresses and CIDR blocks that are not public and that public
   * module paths, go-get pages and redirects may lead to all the same. Default: none.
   */
  allow: z.array(textFor(parseEgressRule)).default([]),
});

/** A host, `.domain`, `*.domain`, an address, or a block of them. */
const NO_PROXY_ENTRY =
  /^(?:(?:\*?\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(?:\/\d{1,3})?$/;

export const httpProxy = z.strictObject({
  /** Default: what HTTPS_PROXY and HTTP_PROXY say. */
  url: httpUrl.check(faultOf((text) =>
    // What is no URL at all has been said.
    !/^https?:/i.test(text) || /^[a-z]+:\/\/[^/]+\/?$/i.test(text) ? null : "it has a path"
  )).exactOptional(),
  /** For Basic authentication, with `password`. */
  user: textFor((text) => {
    // deno-lint-ignore no-control-regex -- a header cannot have them
    if (/[:\x00-\x1f\x7f]|^$/.test(text)) {
      throw new Error("empty, or a colon or control character in it");
    }
  }).exactOptional(),
  password: secret.exactOptional(),
  /**
   * Hosts that are reached directly, separated by commas. `*`: all of them. Default: none but
   * loopback.
   */
  noProxy: textFor(noProxyEntries).exactOptional(),
}).refine((value) => "user" in value === "password" in value, {
  message: "user and password go together",
  when: keysAreKnown,
}).refine((value) => "url" in value || !("user" in value || "noProxy" in value), {
  message: "url is missing",
  when: keysAreKnown,
});

export type HttpProxyConfig = z.output<typeof httpProxy>;

/**
 * The entries of `noProxy` in a form that git and the runtime understand.
 *
 * @throws {Error} saying which entry has none
 */
export function noProxyEntries(text: string): string[] {
  const entries = text.split(",").map((entry) => entry.trim()).filter((entry) => entry !== "");
  for (const entry of entries) {
    if (/^[^:]+:\d+$|\]:\d+$/.test(entry)) {
      throw new Error(`"${entry}" has a port; name the host alone`);
    }
    if (entry !== "*" && !NO_PROXY_ENTRY.test(entry)) {
      throw new Error(`"${entry}" is not a host, .domain, *.domain, address, CIDR block or *`);
    }
  }
  return entries.map((entry) => entry.replace(/^\*\./, "."));
}

export interface ConnectionsConfig {
  readonly listen: z.output<typeof listen>;
  readonly httpProxy: HttpProxyConfig;
  readonly tls: z.output<typeof tls>;
  readonly insecureHosts: z.output<typeof insecureHosts>;
}

/** What is legal and likely wrong. */
export function connectionsWarnings(config: ConnectionsConfig): Fault[] {
  const { listen, httpProxy: { password }, tls, insecureHosts } = config;
  const key = listen.tls?.privateKey;
  const warnings = secretWarnings([
    ...(key === undefined ? [] : [{ path: ["listen", "tls", "privateKey"], secret: key }]),
    ...(password === undefined ? [] : [{ path: ["httpProxy", "password"], secret: password }]),
  ]);
  if (listen.accelRedirect !== undefined && listen.trustedProxies.length === 0) {
    warnings.push({
      path: ["listen", "accelRedirect"],
      message: "it has no effect without the address of the proxy in listen.trustedProxies",
    });
  }
  if (/^TLS1\.3$/i.test(tls.minVersion ?? "")) {
    warnings.push({
      path: ["tls", "minVersion"],
      message: "outgoing connections may use TLS 1.2 where a server has nothing newer",
    });
  }
  for (const [i, host] of insecureHosts.entries()) {
    if (isHost(host)) continue;
    warnings.push({
      path: ["insecureHosts", i],
      message: 'it matches no host; write it as in "git.example.com" or "git.example.com:8080"',
    });
  }
  return warnings;
}

/** Whether it is what a URL can have between its slashes. */
function isHost(text: string): boolean {
  return URL.parse(`http://${text}/`)?.host === text;
}
