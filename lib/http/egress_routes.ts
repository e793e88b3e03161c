/**
 * How a stranger's host is reached: at addresses that were looked up once and checked, or through
 * the operator's forward proxy, which resolves names itself.
 *
 * Lookups use the operating system (getaddrinfo: /etc/hosts, nsswitch.conf), like every other
 * connection. A result is cached for {@linkcode CACHE_TTL_MS}; connections go to the checked
 * addresses.
 */
import { lookup } from "node:dns/promises";
import { LRUCache } from "lru-cache";
import { withDeadline } from "../async/deadline.ts";
import { Semaphore } from "../async/semaphore.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { OverloadedError, ProxyError, UpstreamError } from "../errors.ts";
import { parseAddress } from "./address.ts";
import { type Destination, destinationOf, EgressPolicy } from "./egress.ts";
import { ForwardProxies } from "./forward_proxy.ts";
import { isWantOfFiles } from "./want_of_files.ts";

/** All addresses of a host name. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

export type Route =
  | {
    readonly kind: "direct";
    readonly destination: Destination;
    /** At least one. All were checked. */
    readonly addresses: readonly string[];
  }
  | { readonly kind: "proxy"; readonly proxy: URL };

export interface EgressRoutesOptions {
  /** As in `egress.allow`. Default: only public addresses. */
  readonly allow?: readonly string[];
  /** The variables that name forward proxies. Default: there is none. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the operating system's. */
  readonly resolve?: Resolve;
  /** Milliseconds since any moment. */
  readonly now?: () => number;
}

const LOOKUP_TIMEOUT_MS = 10_000;
/** Each lookup takes a thread of the runtime, which others need too. */
const MAX_LOOKUPS_AT_ONCE = 32;
const MAX_LOOKUPS_WAITING = 1000;
/** More addresses of one host are not tried. All are checked. */
const MAX_ADDRESSES = 8;
const CACHE_TTL_MS = 30_000;
const CACHE_MAX_HOSTS = 1000;

export class EgressRoutes {
  readonly #policy: EgressPolicy;
  readonly #proxies: ForwardProxies;
  readonly #resolve: Resolve;
  readonly #found: LRUCache<string, readonly string[]>;
  readonly #flights = new SingleFlight<readonly string[]>(MAX_LOOKUPS_WAITING);
  readonly #lookups = new Semaphore({
    what: "look up a host name",
    permits: MAX_LOOKUPS_AT_ONCE,
    maxWaiting: MAX_LOOKUPS_WAITING,
    maxWaitMs: LOOKUP_TIMEOUT_MS,
  });

  constructor(options: EgressRoutesOptions = {}) {
    this.#policy = new EgressPolicy(options.allow);
    this.#proxies = new ForwardProxies(options.env ?? {});
    this.#resolve = options.resolve ?? resolveBySystem;
    this.#found = new LRUCache<string, readonly string[]>({
      max: CACHE_MAX_HOSTS,
      ttl: CACHE_TTL_MS,
      ttlResolution: 0,
      perf: { now: options.now ?? (() => performance.now()) },
    });
  }

  /**
   * @throws {EgressError} when the host is not allowed
   * @throws {UpstreamError | DeadlineError} when the name cannot be looked up
   */
  async find(url: URL): Promise<Route> {
    const destination = destinationOf(url);
    const forward = this.#proxies.for(url);
    if (forward === null) {
      return { kind: "direct", destination, addresses: await this.addressesOf(destination) };
    }
    this.#policy.checkHost(destination);
    return { kind: "proxy", proxy: forward };
  }

  /** The addresses to connect to. Throws as {@linkcode find}. */
  async addressesOf(destination: Destination): Promise<readonly string[]> {
    const { hostname } = destination;
    const isAllowedByName = this.#policy.checkHost(destination);
    if (parseAddress(hostname) !== null) return [hostname];
    const addresses = await this.#lookUp(hostname);
    if (!isAllowedByName) this.#policy.checkAddresses(addresses, destination);
    return addresses.slice(0, MAX_ADDRESSES);
  }

  async #lookUp(hostname: string): Promise<readonly string[]> {
    const known = this.#found.get(hostname);
    if (known !== undefined) return known;
    return await this.#flights.run(hostname, async () => {
      try {
        const addresses = await withDeadline(
          () => this.#resolveInTurn(hostname),
          { timeoutMs: LOOKUP_TIMEOUT_MS, what: `look up ${hostname}` },
        );
        if (addresses.length === 0) throw new Error("it has no address");
        this.#found.set(hostname, addresses);
        return addresses;
      } catch (cause) {
        if (cause instanceof ProxyError) throw cause;
        if (isWantOfFiles(cause)) {
          throw new OverloadedError(
            `Cannot reach ${hostname}: this server has no file descriptor left`,
            { cause },
          );
        }
        throw new UpstreamError(`Cannot reach ${hostname}`, {
          cause: new Error(`cannot look up ${hostname}`, { cause }),
        });
      }
    });
  }

  /** The permit is held until the lookup has ended, which no deadline can hasten. */
  async #resolveInTurn(hostname: string): Promise<readonly string[]> {
    using _permit = await this.#lookups.acquire();
    return await this.#resolve(hostname);
  }
}

async function resolveBySystem(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}
