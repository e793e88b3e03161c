/**
 * The serving process: opens the parts, listens, and shuts down gracefully. During shutdown
 * `/readyz` answers 503.
 */
import type { ClientAuth } from "../lib/auth/client_auth.ts";
import { exposureFaults, exposureWarnings } from "../lib/config/exposure.ts";
import { secretsOf } from "../lib/config/secrets.ts";
import { secretFileWarnings } from "../lib/credentials/secret_files.ts";
import { ConfigError, describeError } from "../lib/errors.ts";
import { readFileLimit } from "../lib/git/file_limit.ts";
import { networkMatcher } from "../lib/http/client_address.ts";
import { atProgramEnd } from "../lib/log/at_exit.ts";
import { parseLogLevel } from "../lib/log/log_level.ts";
import { startAdvisories } from "../lib/open/advisories.ts";
import { Parts } from "../lib/open/parts.ts";
import { startScrubber } from "../lib/open/scrubber.ts";
import { openSurroundings, type ProcessSettings, secretPlaces } from "../lib/open/surroundings.ts";
import { VERSION } from "../lib/open/version.ts";
import { type Fault, pathText } from "../lib/schema/fault.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import type { UsageLog } from "../lib/usage/usage_log.ts";
import { ConcurrencyLimit } from "../routes/concurrency_limit.ts";
import { hostCheck } from "../routes/host_check.ts";
import { RequestLog } from "../routes/request_log.ts";
import { RequestsUnderWay } from "../routes/requests_under_way.ts";
import { openApp } from "./app.ts";
import { announce } from "./banner.ts";
import { Connections, defaultMaxConnections } from "./connections.ts";
import { EventLoopWatch } from "./event_loop_watch.ts";
import { listen, type SharedAddress } from "./listen.ts";
import { Prometheus } from "./prometheus.ts";
import type { ThreadPolicy } from "./threads/protocol.ts";
import { type MainParts, Threads } from "./threads/threads.ts";

export interface ServeOptions extends ProcessSettings {
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** The number of threads that answer requests, including the main one. */
  readonly threads: number;
  /** Starts the shutdown. */
  readonly signal: AbortSignal;
}

/** Returns when the server has shut down. */
export async function serve(options: ServeOptions): Promise<void> {
  const { config, host, port, env, log, signal } = options;
  checkExposure(options);
  for (const warning of await secretFileWarnings(secretsOf(config), secretPlaces(options))) {
    log.warn(textOf(warning));
  }
  // Started now, so that nothing waits for it.
  const fileLimit = readFileLimit({ path: env["PATH"] ?? "" });
  const metrics = new Prometheus({ version: VERSION });
  const surroundings = await openSurroundings(options, metrics);
  const threads = options.threads === 1 ? null : new Threads({
    count: options.threads - 1,
    module: new URL("./threads/serving.ts", import.meta.url),
    log,
  });
  await using parts = new Parts(surroundings, {
    isServing: true,
    port,
    threads: options.threads,
    ...threads === null ? {} : {
      inspectZip: (file, options) => threads.inspectZip(file, options),
    },
  });
  // A wrong upstream list is reported before the store is touched.
  parts.upstreams();
  const store = await openProbedStore(parts);
  const auth = await parts.auth();
  const index = await parts.index();
  const service = await parts.service();
  const policy = await parts.policy();
  policy?.onChange(() => threads?.policyChanged());
  await using usage = await parts.openUsage(() => threads?.takeUsage() ?? Promise.resolve([]));
  const requestLog = new RequestLog({
    log,
    metrics,
    gathers: true,
    onUsage: usage === null ? undefined : (key) => usage.counter.add(key),
  });
  atProgramEnd(() => requestLog.flush());
  const requests = new RequestsUnderWay();
  using _watch = new EventLoopWatch({ log, metrics, requests, thread: "main" });
  const { app } = await openApp(parts, {
    isStopping: () => signal.aborted,
    metricsPage: {
      contentType: metrics.contentType,
      render: () => {
        requestLog.flush();
        return threads === null ? metrics.render() : threads.renderMetrics(metrics);
      },
    },
    requestLog,
    requests,
    concurrency: new ConcurrencyLimit(config.limits, metrics),
    slowClientTimeoutMs: config.limits.slowClientTimeoutSeconds * 1000,
    checkHost: hostCheck({ host, hosts: config.listen.hosts }),
  });
  await using _scrubber = await startScrubber(parts, signal);
  await using _advisories = await startAdvisories(parts, signal);
  const upstream = (await parts.sources()).source.description;
  const maxConnections = Math.ceil(
    (config.limits.connections ?? defaultMaxConnections({
      fileLimit: await fileLimit,
      maxChildProcesses: config.maxChildProcesses,
    })) / options.threads,
  );
  using connections = new Connections({
    max: maxConnections,
    log,
    metrics,
    isProxy: networkMatcher(config.listen.trustedProxies),
  });
  await listen(app, {
    config: config.listen,
    places: surroundings.secretPlaces,
    clientCa: config.clientAuth.enabled
      ? config.clientAuth.authenticators.clientCertificate?.ca
      : undefined,
    host,
    port,
    log,
    signal,
    connections,
    announce: (url) => announce({ url, store: store.description, upstream }, log),
    threads: threads && shareWith(threads, {
      options,
      maxConnections,
      via: surroundings.via,
      main: {
        app,
        recognize: (header) => {
          const session = auth?.recognize(header) ?? null;
          if (auth === null || session === null) return null;
          const endsMs = Math.min(session.endsMs, Date.now() + auth.recognizedForMs);
          return { ...session, endsMs };
        },
        knownVersions: (path) => service.lists.known(path),
        onSeen: (module) => index?.add(module),
        onAnswered: (answered) => service.answeredByThread(answered),
        decider: policy?.decider ?? null,
      },
      policy: policy?.judge ?? null,
      usage,
      auth,
    }),
  });
  requestLog.flush();
  await index?.drain();
}

function textOf({ path, message }: Fault): string {
  return `${pathText(path)}: ${message}`;
}

/** @throws {ConfigError} when what it serves must not be reachable from other machines */
function checkExposure({ config, host, log }: ServeOptions): void {
  for (const warning of exposureWarnings(config, host)) log.warn(textOf(warning));
  const faults = exposureFaults(config, host);
  if (faults.length === 0) return;
  throw new ConfigError(
    faults.map((fault) => `cannot listen on ${host}: ${textOf(fault)}`).join("\n"),
  );
}

interface Shared {
  readonly options: ServeOptions;
  /** Of each thread. */
  readonly maxConnections: number;
  readonly via: string;
  readonly main: MainParts;
  readonly auth: ClientAuth | null;
  readonly policy: ThreadPolicy | null;
  readonly usage: UsageLog | null;
}

function shareWith(
  threads: Threads,
  { options, maxConnections, via, main, auth, policy, usage }: Shared,
): SharedAddress {
  const { config, env, host, log } = options;
  return {
    start: ({ port }) =>
      threads.start({
        config,
        env,
        logLevel: parseLogLevel(log.level) ?? "info",
        host,
        port,
        via,
        threads: options.threads,
        maxConnections,
        isGuarded: auth !== null,
        policy: policy &&
          { gate: policy.gate, dependsOnIdentity: policy.dependsOnIdentity },
      }, main),
    stop: async () => {
      for (const { count, ...key } of await threads.stop()) usage?.counter.add(key, count);
    },
  };
}

/** @throws {ConfigError} when the store cannot be opened, or violates the contract of a store */
async function openProbedStore(parts: Parts): Promise<ObjectStore> {
  try {
    return await parts.probedStore();
  } catch (cause) {
    throw new ConfigError(`storage: ${describeError(cause)}`, { cause });
  }
}
