/**
 * The whole product in this process, called as a function: its routes and service over a store in memory and an upstream
 * list, with short deadlines and no pauses between retries.
 */
import type { ClientAuth } from "../../lib/auth/client_auth.ts";
import { OPEN_GUARD } from "../../lib/auth/guard.ts";
import { allRoutes } from "../../routes/all_routes.ts";
import { Explainer } from "../../lib/service/explainer.ts";
import { createFetch } from "../../lib/http/client.ts";
import type { IndexReader } from "../../lib/index/module_index.ts";
import { createLogger } from "../../lib/log/log.ts";
import type { HashDatabase } from "../../lib/module/hash_database.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import { Publisher } from "../../lib/service/publisher.ts";
import { ModuleService, type ServiceLimits } from "../../lib/service/service.ts";
import { ProxySource } from "../../lib/source/proxy_source.ts";
import { SourceList } from "../../lib/source/source_list.ts";
import { Upstream } from "../../lib/source/upstream.ts";
import { Copies } from "../../lib/store/copies.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import type { ObjectStore } from "../../lib/store/object_store.ts";
import { openSumDatabases, type SumDatabaseConfig } from "../../lib/sumdb/open.ts";
import { type App, createApp, type Route } from "../../routes/app.ts";

export interface TestAppOptions {
  /** Base URLs, asked in this order; `|` semantics where `onAnyError`. */
  readonly upstreams: readonly string[];
  readonly onAnyError?: boolean;
  readonly store?: ObjectStore;
  readonly limits?: Partial<ServiceLimits>;
  /** What a checksum database knows. Default: there is none. */
  readonly findHashes?: HashDatabase["find"];
  readonly zips?: "lazy" | "eager";
  /** Checksum databases whose keys are known. Default: only the `go` command's own, which no test asks. */
  readonly sumDatabases?: readonly SumDatabaseConfig[];
  readonly isPrivate?: (path: ModulePath) => boolean;
  readonly userAgent?: string;
  /** Default: nobody is asked who they are. */
  readonly auth?: ClientAuth;
  /** Default: none. */
  readonly index?: IndexReader;
}

/** A product under test; disposing of it removes its scratch directory. */
export class TestApp implements AsyncDisposable {
  readonly app: App;
  readonly routes: readonly Route[];
  readonly store: ObjectStore;
  readonly scratchDirectory: string;
  /** The log, a line each. */
  readonly log: Record<string, unknown>[] = [];

  constructor(scratchDirectory: string, options: TestAppOptions) {
    const log = createLogger("debug", { write: (line) => void this.log.push(JSON.parse(line)) });
    const via = "1.1 go-mod-proxy-test";
    const fetch = createFetch({ userAgent: options.userAgent ?? "go-mod-proxy/test", via });
    const times = {
      smallTimeoutMs: 2_000,
      idleTimeoutMs: 2_000,
      zipTimeoutMs: 20_000,
      retryPauseMs: 1,
    };
    const upstreams = options.upstreams.map((url) => new Upstream(new URL(url), fetch, times));
    this.scratchDirectory = scratchDirectory;
    this.store = options.store ?? new MemoryStore();
    const copies = new Copies(this.store);
    const source = new SourceList(
      upstreams.map((upstream) => ({
        source: new ProxySource(upstream),
        onAnyError: options.onAnyError ?? false,
      })),
    );
    const { findHashes } = options;
    const publisher = new Publisher({
      copies,
      source,
      databaseFor: () => findHashes === undefined ? null : { name: "sum.test", find: findHashes },
      zips: options.zips ?? "lazy",
      scratchDirectory,
      timeoutMs: 10_000,
      log,
    });
    const { limits = {} } = options;
    const service = new ModuleService({ copies, source, publisher, log, limits });
    const databases = openSumDatabases({
      publicModules: { sumDatabase: "off" },
      sumDatabaseProxy: { sumDatabases: options.sumDatabases ?? [] },
    }, {
      upstreams,
      openServer: (url) => new Upstream(url, fetch, times),
      store: this.store,
      isPrivate: options.isPrivate ?? (() => false),
      now: () => performance.now(),
      log,
    });
    const { auth = null } = options;
    this.routes = allRoutes({
      checkStore: () => Promise.resolve(),
      isStopping: () => false,
      auth,
      metrics: { contentType: "text/plain", render: () => Promise.resolve("metric 1\n") },
      index: options.index ?? null,
      explainer: new Explainer({
        copies,
        placesOf: () => ({ privatePrefix: null, sources: [source] }),
        databaseFor: () => null,
        accessList: null,
      }),
      databases,
      service,
    });
    this.app = createApp({ routes: this.routes, guard: auth ?? OPEN_GUARD, log, via });
  }

  async get(path: string, init?: RequestInit): Promise<Response> {
    return await this.app(new Request(`http://proxy.test/${path}`, init));
  }

  /** Status and body. */
  async text(path: string, init?: RequestInit): Promise<{ status: number; body: string }> {
    const response = await this.get(path, init);
    return { status: response.status, body: await response.text() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.scratchDirectory, { recursive: true });
  }
}

export async function startTestApp(options: TestAppOptions): Promise<TestApp> {
  return new TestApp(await Deno.makeTempDir({ prefix: "test-app-" }), options);
}
