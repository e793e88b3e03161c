/**
 * Ways in which the zip of a published copy reaches a client without passing through this process
 * (docs/design/zip_delivery.md): a redirect to the bucket (`storage.gcs.redirect`,
 * `storage.s3.redirect`), and nginx on this machine, which sends the file of a disk store
 * (`listen.accelRedirect`). Both come after access has been decided, and where there is nothing to
 * hand over the zip is sent from here.
 */
import { isLoopbackHost } from "../lib/http/address.ts";
import { networkMatcher } from "../lib/http/client_address.ts";
import type { ModuleZip } from "../lib/service/stored_modules.ts";
import type { RedirectConfig } from "../lib/store/config.ts";
import type { Answer } from "./answer.ts";
import type { RouteRequest } from "./app.ts";
import { type BlobHeaders, blobHeaders, isNotModified } from "./respond.ts";

export interface ZipDeliveryOptions {
  /** Which clients are redirected. */
  readonly redirect: RedirectConfig;
  /** The location of nginx. Default: it sends nothing. */
  readonly accelRedirect?: string | undefined;
  /** Addresses and CIDR blocks; nginx is one of them. */
  readonly trustedProxies: readonly string[];
}

/** What a request tells about its way. */
export type ZipRequest = Pick<
  RouteRequest,
  "method" | "headers" | "origin" | "address" | "peer" | "facts"
>;

export interface ZipDelivery {
  /** Whether somebody else is to send a zip to this client, if possible. */
  appliesTo(request: ZipRequest): boolean;
  /** The answer that has somebody else send the zip; null where it is sent from here. */
  answer(
    zip: Pick<ModuleZip, "url" | "file">,
    options: BlobHeaders & {
      readonly request: ZipRequest;
    },
  ): Promise<Answer | null>;
}

/** Every zip is sent from here. */
export const SENT_FROM_HERE: ZipDelivery = {
  appliesTo: () => false,
  answer: () => Promise.resolve(null),
};

export function zipDelivery(
  { redirect, accelRedirect, trustedProxies }: ZipDeliveryOptions,
): ZipDelivery {
  if (redirect !== false) return redirects(redirect);
  return accelRedirect === undefined
    ? SENT_FROM_HERE
    : handsOverTo({ location: accelRedirect, isProxy: networkMatcher(trustedProxies) });
}

/**
 * A HEAD is answered from here: S3's signature is for one method. A range is redirected like the
 * whole, because clients send `Range` on, which no signature covers.
 */
function redirects(redirect: Exclude<RedirectConfig, false>): ZipDelivery {
  const isNear = redirect === true ? () => true : networkMatcher(redirect.networks);
  const appliesTo = ({ method, address }: ZipRequest) => method === "GET" && isNear(address);
  return {
    appliesTo,
    async answer(zip, { request, etag }) {
      if (!appliesTo(request) || isNotModified(request.headers, etag)) return null;
      const url = await zip.url();
      if (url === null || wouldGetCredentials(url, request)) return null;
      request.facts["sentBy"] = "bucket";
      return {
        status: 302,
        headers: { "Location": url.href, "Cache-Control": "no-store" },
        body: null,
        sizeBytes: 0,
      };
    },
  };
}

/**
 * Go's client (net/http), unlike browsers, keeps `Authorization` when a redirect leads to the same
 * host name, on whatever port, or to one below it. A bucket there would get the credentials, and S3
 * refuses a request that has them besides its signature.
 */
function wouldGetCredentials({ hostname }: URL, { headers, origin }: ZipRequest): boolean {
  if (headers.get("Authorization") === null) return false;
  const ours = new URL(origin).hostname;
  return !isLoopbackHost(ours) && (hostname === ours || hostname.endsWith(`.${ours}`));
}

/**
 * nginx serves the file at `<location>/<path below the store's directory>`, a range or the headers
 * of it as requested, with the type and caching of this answer. Only where the connection is a
 * trusted proxy's: anybody else would get an answer without a body.
 */
function handsOverTo(
  { location, isProxy }: { location: string; isProxy: (peer: string | null) => boolean },
): ZipDelivery {
  const appliesTo = ({ peer = null }: ZipRequest) => isProxy(peer);
  return {
    appliesTo,
    async answer(zip, { request, contentType, etag }) {
      if (!appliesTo(request) || isNotModified(request.headers, etag)) return null;
      const file = await zip.file();
      if (file === null) return null;
      request.facts["sentBy"] = "nginx";
      // Keys have no characters that a URL escapes. nginx says itself that it accepts ranges.
      const { "Accept-Ranges": _, ...headers } = blobHeaders({ contentType, etag });
      return {
        status: 200,
        headers: { ...headers, "X-Accel-Redirect": `${location}/${file}` },
        body: null,
      };
    },
  };
}
