/**
 * The HTTP clients for strangers' hosts: one that connects to checked addresses, and one for each
 * forward proxy.
 */
import { EgressProxy } from "./egress_proxy.ts";
import type { EgressRoutes } from "./egress_routes.ts";

/**
 * Creates a client that uses its own `proxy` for every host. `Deno.createHttpClient` alone does
 * not: it bypasses the proxy for hosts that the variable NO_PROXY names at that moment.
 */
export type CreateClient = (
  options: Pick<
    Deno.CreateHttpClientOptions,
    "caCerts" | "poolMaxIdlePerHost" | "poolIdleTimeout" | "proxy"
  >,
) => Deno.HttpClient;

export interface EgressClientsOptions {
  readonly routes: EgressRoutes;
  readonly createClient: CreateClient;
  /** Additional root certificates, PEM. */
  readonly caCertificates: readonly string[];
}

/** Idle connections kept for each host. */
const MAX_IDLE_CONNECTIONS_PER_HOST = 64;
/** Strangers may name many hosts, and each idle connection keeps a tunnel of egress_proxy.ts. */
const IDLE_TIMEOUT_MS = 20_000;

export class EgressClients implements Disposable {
  readonly #options: EgressClientsOptions;
  /** By proxy; empty for none. Opened on first use. */
  readonly #clients = new Map<string, Deno.HttpClient>();
  #proxy: EgressProxy | null = null;

  constructor(options: EgressClientsOptions) {
    this.#options = options;
  }

  /** The client for a request to this URL. Throws as {@linkcode EgressRoutes.find}. */
  async clientFor(url: URL): Promise<Deno.HttpClient> {
    const route = await this.#options.routes.find(url);
    return route.kind === "direct" ? this.#direct() : this.#through(route.proxy);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
    this.#proxy?.[Symbol.dispose]();
  }

  #direct(): Deno.HttpClient {
    this.#proxy ??= new EgressProxy(this.#options.routes);
    return this.#client("", this.#proxy.address);
  }

  #through(proxy: URL): Deno.HttpClient {
    const { username, password } = proxy;
    const plain = new URL(proxy);
    plain.username = plain.password = "";
    const basicAuth = {
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
    };
    return this.#client(proxy.href, {
      url: plain.href,
      ...username === "" ? {} : { basicAuth },
    });
  }

  #client(key: string, proxy: Deno.Proxy): Deno.HttpClient {
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const { createClient, caCertificates } = this.#options;
    const client = createClient({
      caCerts: [...caCertificates],
      poolMaxIdlePerHost: MAX_IDLE_CONNECTIONS_PER_HOST,
      poolIdleTimeout: IDLE_TIMEOUT_MS,
      proxy,
    });
    this.#clients.set(key, client);
    return client;
  }
}
