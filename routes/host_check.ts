/**
 * Which names of this server are answered, by the header `Host` (RFC 9110, 7.2).
 *
 * A server on a loopback address is for this machine. A web page from elsewhere can have a name of
 * its own resolve to loopback (DNS rebinding) and let the browser ask here, as if the page came
 * from here; but its requests carry that name. So there only loopback names are answered, and those
 * in `listen.hosts`: with a reverse proxy on the same machine, the names that it passes on.
 *
 * On other addresses every well-formed name is answered. Ports do not count.
 *
 * KNOWN LIMIT: the runtime gives an HTTP/1 request without the header the name `localhost`, and
 * nothing tells it from a request of HTTP/2, which has none. Browsers always send a name.
 */
import { isLoopbackHost } from "../lib/http/address.ts";
import type { Answer } from "./answer.ts";
import { noteAnswer } from "./respond.ts";

/** A name or an address, in brackets for IPv6, and perhaps a port. */
const AUTHORITY = /^([A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{0,5})?$/;

export interface HostCheckOptions {
  /** What the server listens on. */
  readonly host: string;
  /** Names that it has besides. */
  readonly hosts: readonly string[];
}

export type CheckHost = (request: Pick<Request, "url" | "headers">) => Answer | null;

/** The answer to a request that is not for this server, or null. */
export function hostCheck({ host, hosts }: HostCheckOptions): CheckHost {
  const isLocal = isLoopbackHost(host);
  const names = new Set([host, ...hosts].map((name) => name.toLowerCase()));
  const isOurs = (name: string) => !isLocal || isLoopbackHost(name) || names.has(name);
  // Nearly all requests are for the same name.
  let lastGood = "";
  return ({ url, headers }) => {
    const header = headers.get("Host");
    const authority = authorityOf(url);
    if (authority === lastGood && (header === null || header === authority)) return null;
    const name = AUTHORITY.exec(authority)?.[1]?.toLowerCase().replace(/\.$/, "");
    // With an absolute URL in the request line there are two names, which must be one.
    const isOne = header === null || header.toLowerCase() === authority.toLowerCase();
    if (name === undefined || !isOne) return refusal(400, "the header Host is malformed");
    if (!isOurs(name)) {
      return refusal(
        403,
        `the server listens on ${host} and is not known as "${name}" there; ` +
          "a reverse proxy's names belong into listen.hosts",
      );
    }
    lastGood = authority;
    return null;
  };
}

function authorityOf(url: string): string {
  const start = url.indexOf("//") + 2;
  const end = url.indexOf("/", start);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

function refusal(status: number, reason: string): Answer {
  return noteAnswer(`Cannot answer: ${reason}\n`, { status });
}
