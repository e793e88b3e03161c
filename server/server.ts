/**
 * `serve`: puts the parts together, listens, and ends in order: `/readyz` answers 503 from when it is told to end.
 */
import type { ClientAuth } from "../lib/auth/client_auth.ts";
import { OPEN_GUARD } from "../lib/auth/guard.ts";
import { clientAuthWarnings, openClientAuth } from "../lib/auth/open.ts";
import type { Config } from "../lib/config/config.ts";
import { ConfigError, describeError } from "../lib/errors.ts";
import type { Fetch } from "../lib/http/client.ts";
import type { Logger } from "../lib/log/log.ts";
import { parseLogLevel } from "../lib/log/log_level.ts";
import type { Metrics } from "../lib/log/metrics.ts";
import type { ModulePath } from "../lib/module/path.ts";
import { atProgramEnd } from "../lib/log/at_exit.ts";
import { openScratch } from "../lib/scratch/scratch.ts";
import { ScratchQuota } from "../lib/scratch/scratch_quota.ts";
import { PUBLISH_TIMEOUT_MS, Publisher } from "../lib/service/publisher.ts";
import { ModuleService } from "../lib/service/service.ts";
import { Copies } from "../lib/store/copies.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { checkStore, probeStore } from "../lib/store/probe.ts";
import type { SumDatabases } from "../lib/sumdb/databases.ts";
import type { PrivateSumDatabase } from "../lib/sumdb/private_database.ts";
import { announce } from "./banner.ts";
import { chooseUpstreams } from "../lib/open/upstreams.ts";
import { listen } from "./listen.ts";
import { openExplainer } from "../lib/open/explainer.ts";
import { openDatabases } from "../lib/open/databases.ts";
import { newVia, openFetch } from "../lib/open/fetch.ts";
import { openIndex } from "../lib/open/index.ts";
import type { Program } from "../lib/open/git.ts";
import { openPrivateSumDatabase } from "../lib/open/private_sum_database.ts";
import { openSources } from "../lib/open/sources.ts";
import { openConfiguredStore } from "../lib/open/store.ts";
import { Prometheus } from "./prometheus.ts";
import { allRoutes } from "../routes/all_routes.ts";
import { Threads } from "./threads/threads.ts";
import { VERSION } from "../lib/open/version.ts";
import { createApp } from "../routes/app.ts";
import { ConcurrencyLimit } from "../routes/concurrency_limit.ts";
import { RequestLog } from "../routes/request_log.ts";

export interface ServeOptions {
  readonly config: Config;
  /** Where relative paths in the configuration begin. */
  readonly configDirectory: string;
  readonly program: Program;
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Where scratch directories are made; it may be shared with other processes and may be lost. */
  readonly scratchDir: string;
  readonly env: Readonly<Record<string, string>>;
  /** How many threads answer requests, the main one among them. */
  readonly threads: number;
  readonly log: Logger;
  /** Tells the server to end. */
  readonly signal: AbortSignal;
}

/** Returns when the server has ended. */
export async function serve(options: ServeOptions): Promise<void> {
  const { config, host, port, env, log, signal } = options;
  if (/^TLS1\.3$/i.test(config.tls.minVersion ?? "")) {
    log.warn(
      "tls.minVersion: outgoing connections may use TLS 1.2 where a server has nothing newer",
    );
  }
  if ((env["HTTP_PROXY"] ?? env["http_proxy"]) && !(env["HTTPS_PROXY"] ?? env["https_proxy"])) {
    log.warn("HTTP_PROXY is for plain http alone; for https, set HTTPS_PROXY or httpProxy.url");
  }
  const entries = chooseUpstreams(config, { env, port, log });
  using metrics = new Prometheus({ version: VERSION });
  const store = await openProbedStore({ ...options, metrics });
  await using scratch = await openScratch(options.scratchDir);
  const { limits } = config;
  const quota = new ScratchQuota({
    directory: scratch.directory,
    maxBytes: limits.scratchMaxMiB * 1024 * 1024,
    now: () => performance.now(),
  });
  metrics.gauge("gomodproxy_scratch_bytes", () => quota.sizeBytes());
  const via = newVia();
  const fetch = await openFetch(config, { env, via });
  const auth = await openGuard(options, fetch);
  const index = openIndex(config, { store, log });
  const threads = options.threads === 1 ? null : new Threads({
    count: options.threads - 1,
    module: new URL("./threads/serving.ts", import.meta.url),
    recognize: (header) => auth?.recognize(header) ?? null,
    knownVersions: (path) => service.lists.known(path),
    onSeen: (module) => index?.add(module),
    log,
  });
  await using sources = await openSources({
    ...options,
    entries,
    fetch,
    scratchDirectory: scratch.directory,
    metrics,
    ...threads === null ? {} : {
      inspectZip: (file, options) => threads.inspectZip(file, options),
    },
  });
  const { source, upstreams } = sources;
  const isPrivate = (path: ModulePath) => sources.isPrivate(path);
  const databases = openDatabases(config, {
    fetch,
    upstreams,
    store,
    isPrivate,
    log,
    metrics,
  });
  const ownDatabase = await openPrivateSumDatabase({ ...options, store, databases, isPrivate });
  const copies = new Copies(store, {
    threads: options.threads,
    onSeen: (manifest) => index?.add(manifest),
  });
  const publisher = new Publisher({
    copies,
    source,
    databaseFor: (path) => (ownDatabase ?? databases).databaseFor(path),
    zips: config.publicModules.zips,
    isEager: isPrivate,
    scratchDirectory: scratch.directory,
    quota,
    timeoutMs: PUBLISH_TIMEOUT_MS,
    log,
    metrics,
  });
  const service = new ModuleService({ copies, source, publisher, log, threads: options.threads });
  const requestLog = new RequestLog({ log, metrics, gathers: true });
  atProgramEnd(() => requestLog.flush());
  const app = createApp({
    routes: allRoutes({
      checkStore: (signal) => checkStore(store, signal),
      isStopping: () => signal.aborted,
      auth,
      metrics: {
        contentType: metrics.contentType,
        render: () => {
          requestLog.flush();
          return threads === null ? metrics.render() : threads.renderMetrics(metrics);
        },
      },
      index,
      explainer: openExplainer(config, { copies, sources, databases }),
      databases: withOwn(databases, ownDatabase?.over(service)),
      service,
    }),
    guard: auth ?? OPEN_GUARD,
    log,
    via,
    metrics,
    requestLog,
    concurrency: new ConcurrencyLimit(limits, metrics),
    slowClientTimeoutMs: limits.slowClientTimeoutSeconds * 1000,
  });
  await listen(app, {
    config: config.listen,
    places: { directory: options.configDirectory, env: (name) => env[name] },
    host,
    port,
    log,
    signal,
    announce: (url) =>
      announce({ url, store: store.description, upstream: source.description }, log),
    threads: threads && {
      start: (address) => {
        const logLevel = parseLogLevel(log.level) ?? "info";
        const isGuarded = auth !== null;
        return threads.start(
          {
            config,
            env,
            logLevel,
            host,
            port: address.port,
            via,
            threads: options.threads,
            isGuarded,
          },
          app,
        );
      },
      stop: () => threads.stop(),
    },
  });
  requestLog.flush();
  await index?.drain();
}

/** The databases that clients may ask for: our own by its name, too. */
function withOwn(databases: SumDatabases, own?: PrivateSumDatabase): Pick<SumDatabases, "find"> {
  return { find: (name) => name === own?.name ? own : databases.find(name) };
}

/**
 * Null where nobody is asked who they are.
 *
 * @throws {ConfigError} when a secret cannot be used
 */
async function openGuard(
  { config: { clientAuth }, configDirectory, env, log }: ServeOptions,
  fetch: Fetch,
): Promise<ClientAuth | null> {
  if (!clientAuth.enabled) return null;
  for (const warning of clientAuthWarnings(clientAuth)) log.warn(warning);
  const places = { directory: configDirectory, env: (name: string) => env[name] };
  return await openClientAuth(clientAuth, { places, fetch, now: Date.now, log });
}

/** @throws {ConfigError} when the store cannot be opened, or does not keep a store's contract */
async function openProbedStore(
  { config, env, log, metrics }: Pick<ServeOptions, "config" | "env" | "log"> & {
    metrics: Metrics;
  },
): Promise<ObjectStore> {
  try {
    const store = await openConfiguredStore(config, { env, metrics, cacheLog: log });
    await probeStore(store);
    return store;
  } catch (cause) {
    throw new ConfigError(`storage: ${describeError(cause)}`, { cause });
  }
}
