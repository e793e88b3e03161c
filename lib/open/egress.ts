/**
 * Outgoing HTTP for hosts that strangers name: public ones, and those that `egress.allow` lists.
 */
import { ForbiddenError } from "../errors.ts";
import { createFetch, type Fetch } from "../http/client.ts";
import { EgressClients } from "../http/egress_clients.ts";
import { EgressRoutes, type Route } from "../http/egress_routes.ts";
import type { PathPrefix, PrivatePrefixes } from "../module/private_prefixes.ts";
import { namesOfRemote } from "../module/repository_identity.ts";
import type { Surroundings } from "./surroundings.ts";
import { USER_AGENT } from "./version.ts";

/** Disposing of it aborts requests in progress. */
export interface Egress extends Disposable {
  readonly fetch: Fetch;
  /** How another program reaches the host of a URL. */
  readonly findRoute: (url: URL) => Promise<Route>;
}

/** @param prefixes a redirect is no way to what is private either */
export function openEgress(
  { config, env, via, caCertificates, createClient }: Surroundings,
  prefixes: Pick<PrivatePrefixes<PathPrefix>, "isPrivate">,
): Egress {
  const routes = new EgressRoutes({ allow: config.egress.allow, env });
  const clients = new EgressClients({ routes, createClient, caCertificates });
  const fetch = createFetch({
    userAgent: USER_AGENT,
    via,
    insecureHosts: config.insecureHosts,
    clientFor: async (url) => {
      if (prefixes.isPrivate(namesOfRemote(url.href))) {
        throw new ForbiddenError(
          `Cannot fetch what a stranger's page or redirect names at ${url.hostname}: ` +
            "it is private here",
        );
      }
      return await clients.clientFor(url);
    },
  });
  return {
    fetch,
    findRoute: (url) => routes.find(url),
    [Symbol.dispose]: () => clients[Symbol.dispose](),
  };
}
