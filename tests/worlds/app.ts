/**
 * The whole product in this process, called as a function: the wiring of the server over a store in
 * memory and an upstream list, with short deadlines and no pauses between retries.
 */
import type { Advisories } from "../../lib/advisories/advisories.ts";
import type { ClientAuth } from "../../lib/auth/client_auth.ts";
import { parseConfig } from "../../lib/config/config.ts";
import type { IndexReader } from "../../lib/index/module_index.ts";
import { createLogger } from "../../lib/log/log.ts";
import type { HashDatabase } from "../../lib/module/hash_database.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import { Parts } from "../../lib/open/parts.ts";
import { openSurroundings } from "../../lib/open/surroundings.ts";
import type { ModuleService, ServiceLimits } from "../../lib/service/service.ts";
import type { ObjectStore } from "../../lib/store/object_store.ts";
import type { SumDatabaseConfig } from "../../lib/sumdb/config.ts";
import type { App, Route } from "../../routes/app.ts";
import { openApp, type OpenedApp } from "../../server/app.ts";
import { MemoryStore } from "../fakes/memory_store.ts";

export interface TestAppOptions {
  /** Base URLs, asked in this order; `|` semantics where `onAnyError`. */
  readonly upstreams: readonly string[];
  readonly onAnyError?: boolean;
  readonly store?: ObjectStore;
  readonly limits?: Partial<ServiceLimits>;
  /** What a checksum database knows. Default: there is none. */
  readonly findHashes?: HashDatabase["find"];
  readonly zips?: "lazy" | "eager";
  /**
   * Checksum databases whose keys are known. Default: only the `go` command's own, which no test
   * asks.
   */
  readonly sumDatabases?: readonly SumDatabaseConfig[];
  /** The checksum database that modules are verified with, unless there is `findHashes`. */
  readonly sumDatabase?: SumDatabaseConfig;
  /** The section `policy` of the configuration. Default: none. */
  readonly policy?: unknown;
  /** The clock of the policy. Default: the machine's. */
  readonly now?: () => number;
  readonly isPrivate?: (path: ModulePath) => boolean;
  /** Default: nobody is asked who they are. */
  readonly auth?: ClientAuth;
  /** Default: none. */
  readonly index?: IndexReader;
  /** Default: none. */
  readonly advisories?: Advisories;
  /**
   * Whether the store is probed as at the start of the server, after which `/readyz` is 200.
   * Default: false.
   */
  readonly isProbed?: boolean;
}

const TIMES = {
  smallTimeoutMs: 2_000,
  idleTimeoutMs: 2_000,
  zipTimeoutMs: 20_000,
  retryPauseMs: 1,
};

/** A product under test; disposing of it removes its scratch directory. */
export class TestApp implements AsyncDisposable {
  readonly app: App;
  readonly routes: readonly Route[];
  readonly store: ObjectStore;
  /** The log, a line each. */
  readonly log: readonly Record<string, unknown>[];
  readonly #parts: Parts;
  readonly #scratchParent: string;

  constructor(
    { app, routes }: OpenedApp,
    { store, log, parts, scratchParent }: {
      store: ObjectStore;
      log: readonly Record<string, unknown>[];
      parts: Parts;
      scratchParent: string;
    },
  ) {
    this.app = app;
    this.routes = routes;
    this.store = store;
    this.log = log;
    this.#parts = parts;
    this.#scratchParent = scratchParent;
  }

  /** The value of `Via` that the product recognizes as its own. */
  get via(): string {
    return this.#parts.surroundings.via;
  }

  /** What answers the requests for modules. */
  async service(): Promise<ModuleService> {
    return await this.#parts.service();
  }

  /** What fetches have left in the scratch directory: nothing, when none is under way. */
  async leftovers(): Promise<string[]> {
    const { directory } = await this.#parts.scratch();
    // The lock of the run, and the empty directory that git runs in.
    const names = [...Deno.readDirSync(directory)].map(({ name }) => name);
    return names.filter((name) => name !== "lock" && name !== "empty");
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
    await this.#parts[Symbol.asyncDispose]();
    await Deno.remove(this.#scratchParent, { recursive: true });
  }
}

export async function startTestApp(options: TestAppOptions): Promise<TestApp> {
  const log: Record<string, unknown>[] = [];
  const scratchParent = await Deno.makeTempDir({ prefix: "test-app-" });
  const store = options.store ?? new MemoryStore();
  const { findHashes } = options;
  const surroundings = await openSurroundings({
    config: parseConfig(configOf(options)),
    configDirectory: ".",
    env: {},
    scratchDir: scratchParent,
    program: { executable: Deno.execPath(), module: null },
    createClient: Deno.createHttpClient,
    log: createLogger("debug", { write: (line) => void log.push(JSON.parse(line)) }),
  });
  const parts = new Parts(surroundings, {
    replaced: {
      store,
      upstreamTimes: TIMES,
      publishTimeoutMs: 10_000,
      serviceLimits: options.limits ?? {},
      ...(findHashes !== undefined || options.sumDatabase === undefined) && {
        databaseFor: () => findHashes === undefined ? null : { name: "sum.test", find: findHashes },
      },
      ...options.now && { now: options.now },
      ...options.isPrivate && { isPrivate: options.isPrivate },
      ...options.auth && { auth: options.auth },
      ...options.advisories && { advisories: options.advisories },
    },
  });
  if (options.isProbed) await parts.probedStore();
  const app = await openApp(parts, {
    isStopping: () => false,
    metricsPage: { contentType: "text/plain", render: () => Promise.resolve("metric 1\n") },
    index: options.index ?? null,
  });
  return new TestApp(app, { store, log, parts, scratchParent });
}

/** YAML takes JSON. */
function configOf(
  { upstreams, onAnyError, zips = "lazy", sumDatabases = [], ...options }: TestAppOptions,
) {
  const { sumDatabase, policy, advisories } = options;
  return JSON.stringify({
    parentProxy: { url: upstreams.join(onAnyError ? "|" : ",") || "off" },
    publicModules: { sumDatabase: sumDatabase ?? "off", zips },
    ...policy !== undefined && { policy },
    // Which is not read: the advisories are given.
    ...advisories && { advisories: { sources: [{ name: "test", directory: "none" }] } },
    sumDatabaseProxy: { sumDatabases },
    index: "off",
  });
}
