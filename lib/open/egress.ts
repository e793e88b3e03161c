/**
 * Outgoing HTTP for hosts that strangers name: public ones, and those that `egress.allow` lists.
 */
import { createFetch, type Fetch } from "../http/client.ts";
import { EgressClients } from "../http/egress_clients.ts";
import { EgressRoutes, type Route } from "../http/egress_routes.ts";
import type { Surroundings } from "./surroundings.ts";
import { USER_AGENT } from "./version.ts";

/** Disposing of it aborts requests in progress. */
export interface Egress extends Disposable {
  readonly fetch: Fetch;
  /** How another program reaches the host of a URL. */
  readonly findRoute: (url: URL) => Promise<Route>;
}

export function openEgress(
  { config, env, via, caCertificates, createClient }: Surroundings,
): Egress {
  const routes = new EgressRoutes({ allow: config.egress.allow, env });
  const clients = new EgressClients({ routes, createClient, caCertificates });
  const fetch = createFetch({
    userAgent: USER_AGENT,
    via,
    insecureHosts: config.insecureHosts,
    clientFor: (url) => clients.clientFor(url),
  });
  return {
    fetch,
    findRoute: (url) => routes.find(url),
    [Symbol.dispose]: () => clients[Symbol.dispose](),
  };
}
