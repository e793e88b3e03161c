/**
 * A further thread of the server, started by threads.ts: listens on the main thread's port, and
 * answers `.info`, `.mod` and `.zip` of versions that are in the store, and lists while the
 * source's last answer is fresh. Every other request goes to the main thread unchanged, including
 * those of clients that are not admitted; they are counted and logged there.
 *
 * Nothing here fetches, publishes or starts a process, so that single flight, mirrors and
 * credentials exist once. But this thread inspects the zips that the main thread has fetched,
 * because inflating and hashing is most of the work of publishing one.
 */
/// <reference lib="deno.worker" />
import { internalError } from "../internal_error.ts";
import { Peer } from "./rpc.ts";
import { AccessList } from "../../lib/auth/access_list.ts";
import { type Client, type Guard, OPEN_GUARD } from "../../lib/auth/guard.ts";
import { type Session, Sessions } from "../../lib/auth/sessions.ts";
import { clientAddressFinder, networkMatcher } from "../../lib/http/client_address.ts";
import { createLogger, type Logger } from "../../lib/log/log.ts";
import type { ModuleVersion } from "../../lib/module/module_version.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import { PrivatePrefixes } from "../../lib/module/private_prefixes.ts";
import { atProgramEnd } from "../../lib/log/at_exit.ts";
import { type Decider, RememberingJudge, UndecidedError } from "../../lib/policy/judge.ts";
import { GovernedModules } from "../../lib/service/governed_modules.ts";
import { StoredModules } from "../../lib/service/stored_modules.ts";
import { redirectOf } from "../../lib/store/config.ts";
import { Copies } from "../../lib/store/copies.ts";
import { UsageCounter } from "../../lib/usage/usage_counter.ts";
import type { UsageKey } from "../../lib/usage/usage_row.ts";
import { inspectZip, ZipError } from "../../lib/zip/read.ts";
import { createApp, type HttpRequest } from "../../routes/app.ts";
import { ConcurrencyLimit } from "../../routes/concurrency_limit.ts";
import { hostCheck } from "../../routes/host_check.ts";
import { moduleRoute } from "../../routes/module.ts";
import { zipDelivery } from "../../routes/zip_delivery.ts";
import { RequestLog } from "../../routes/request_log.ts";
import { RequestsUnderWay } from "../../routes/requests_under_way.ts";
import { openConfiguredStore } from "../../lib/open/store.ts";
import { readCaCertificates } from "../../lib/open/surroundings.ts";
import { Connections } from "../connections.ts";
import { EventLoopWatch } from "../event_loop_watch.ts";
import { NativeServer } from "../native_server.ts";
import { Prometheus } from "../prometheus.ts";
import { VERSION } from "../../lib/open/version.ts";
import type { MainMethods, ThreadMethods, ThreadStart } from "./protocol.ts";

const metrics = new Prometheus({ version: VERSION });
let usage: UsageCounter | null = null;
let serving: Serving | null = null;

interface Serving {
  readonly server: NativeServer;
  readonly requestLog: RequestLog;
  readonly log: Logger;
  /** Null without a policy. */
  readonly judge: RememberingJudge | null;
}

const methods: ThreadMethods = {
  start: async (start) => {
    serving = await serve(start);
    return { value: null };
  },
  inspectZip: async ({ file, module }, signal) => {
    try {
      return { value: { summary: await inspectZip(file, { module, signal }) } };
    } catch (error) {
      if (!(error instanceof ZipError)) throw error;
      return { value: { fault: error.message } };
    }
  },
  usage: () => {
    serving?.requestLog.flush();
    return { value: usage?.take() ?? [] };
  },
  policyChanged: () => {
    serving?.judge?.forget();
    return { value: null };
  },
  stop: async () => {
    await serving?.server.shutdown();
    // The main thread then terminates this one.
    serving?.requestLog.flush();
    serving?.log.flush();
    return { value: usage?.take() ?? [] };
  },
  metrics: async () => {
    serving?.requestLog.flush();
    return { value: await metrics.registry.getMetricsAsJSON() };
  },
};

const main = new Peer<MainMethods>(self, { ...methods });

async function serve(start: ThreadStart): Promise<Serving> {
  const { config, env, host, port, via } = start;
  const log = createLogger(start.logLevel);
  const caCertificates = await readCaCertificates(env);
  const store = await openConfiguredStore({ config, env, caCertificates, metrics, log }, {
    cacheLog: log,
  });
  const onSeen = ({ path, version }: ModuleVersion) =>
    void main.call("seen", { value: { path, version } });
  const copies = new Copies(store, { threads: start.threads, onSeen, log });
  const stored = new StoredModules({
    copies,
    threads: start.threads,
    knownVersions: (path) => main.call("knownVersions", { value: path }),
    ...config.fetch.ahead === "on" && {
      onAnswered: (answered) => void main.call("answered", { value: answered }),
    },
  });
  const judge = start.policy === null ? null : new RememberingJudge({
    ...start.policy,
    contact: undefined,
    decider: MAIN_THREAD,
    now: Date.now,
  });
  const counter = usage = new UsageCounter(config.usage);
  const onUsage = config.usage === "off" ? undefined : (key: UsageKey) => counter.add(key);
  const requestLog = new RequestLog({ log, metrics, gathers: true, onUsage });
  atProgramEnd(() => requestLog.flush());
  const requests = new RequestsUnderWay();
  new EventLoopWatch({ log, metrics, requests, thread: "further" });
  const app = createApp({
    routes: [
      moduleRoute(
        judge === null
          ? stored
          : new GovernedModules({ modules: stored, judge, explains: false, metrics }),
        zipDelivery({ ...config.listen, redirect: redirectOf(config.storage) }),
      ),
    ],
    guard: guardOf(start),
    checkPath: new PrivatePrefixes(config.privateModules).checkPath,
    log,
    via,
    metrics,
    requestLog,
    requests,
    checkHost: hostCheck({ host, hosts: config.listen.hosts }),
    findClientAddress: clientAddressFinder(config.listen.trustedProxies),
    concurrency: new ConcurrencyLimit(config.limits, metrics),
    slowClientTimeoutMs: config.limits.slowClientTimeoutSeconds * 1000,
    fallback: handOver,
  });
  const connections = new Connections({
    max: start.maxConnections,
    log,
    metrics,
    isProxy: networkMatcher(config.listen.trustedProxies),
  });
  const onError = (error: unknown) => internalError(error, log);
  const server = new NativeServer(
    { hostname: host, port, reusePort: true, connections, onError },
    app,
  );
  return { server, requestLog, log, judge };
}

/** Decides by the policy. What cannot be determined here is answered there, with the reason. */
const MAIN_THREAD: Decider = {
  decide: async (module, { identity, signal }) => {
    const { path, version } = module;
    const value = { module: { path, version }, identity };
    const verdict = await main.call("judge", { value }, signal);
    if (verdict === null) throw new UndecidedError("the main thread must answer");
    return verdict;
  },
  filter: async (path, { versions, identity, signal }) => {
    const list = await main.call("filterList", { value: { path, versions, identity } }, signal);
    if (list === null) throw new UndecidedError("the main thread must answer");
    return list;
  },
};

/**
 * Admits clients that the main thread has authenticated recently, to what the access list allows.
 * All others go to the main thread, which verifies credentials, counts wrong passwords, and gives
 * the reason of a denial.
 */
function guardOf({ isGuarded, config }: ThreadStart): Guard {
  if (!isGuarded) return OPEN_GUARD;
  const sessions = new Sessions(Date.now);
  const accessList = new AccessList(config.clientAuth.acl);
  const clientOf = ({ identity }: Session, path: ModulePath): Client | null => {
    const { decision, dependsOnRepository } = accessList.judge(identity, path);
    if (!decision.isAllowed) return null;
    return {
      identity,
      mayRead: (asked, names) => accessList.decide(identity, asked, names).isAllowed,
      dependsOnRepository: (asked) => accessList.judge(identity, asked).dependsOnRepository,
      admitTo: dependsOnRepository
        ? (names) => accessList.decide(identity, path, names).isAllowed
        : null,
    };
  };
  return {
    answersDiffer: true,
    admit({ headers }, access) {
      const header = headers.get("Authorization");
      if (access.kind !== "module" || header === null) return null;
      const key = sessions.keyOf(header);
      const known = sessions.find(key);
      if (known !== null) return clientOf(known, access.path);
      return main.call("recognize", { value: header }).then((session) => {
        if (session === null) return null;
        sessions.add(key, session);
        return clientOf(session, access.path);
      });
    },
  };
}

async function handOver(
  { method, url, headers, body, signal }: HttpRequest,
  { id, address }: { id: string; address: string | null },
): Promise<Response> {
  const entries = [...headers].filter(([name]) => name !== "x-request-id");
  const response = await main.call("answer", {
    value: { method, url, headers: [...entries, ["X-Request-Id", id]], body, address },
    transfer: body === null ? [] : [body],
  }, signal);
  return new Response(response.body, {
    status: response.status,
    headers: response.headers.map(([name, value]): [string, string] => [name, value]),
  });
}
