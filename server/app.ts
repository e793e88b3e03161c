/** The HTTP application: all routes over the parts, behind the guard. */
import { advisoryNotes } from "../lib/advisories/advisories.ts";
import { OPEN_GUARD } from "../lib/auth/guard.ts";
import { clientAddressFinder } from "../lib/http/client_address.ts";
import type { IndexReader } from "../lib/index/module_index.ts";
import type { Parts } from "../lib/open/parts.ts";
import { redirectOf } from "../lib/store/config.ts";
import { checkStore } from "../lib/store/probe.ts";
import { allRoutes } from "../routes/all_routes.ts";
import { type App, type AppOptions, createApp, type Route } from "../routes/app.ts";
import type { MetricsPage } from "../routes/metrics.ts";
import { zipDelivery } from "../routes/zip_delivery.ts";

export interface OpenAppOptions extends
  Pick<
    AppOptions,
    "requestLog" | "requests" | "concurrency" | "slowClientTimeoutMs" | "checkHost"
  > {
  /** Whether the process is shutting down: `/readyz` answers 503. */
  readonly isStopping: () => boolean;
  readonly metricsPage: MetricsPage;
  /** Default: the configured index. */
  readonly index?: IndexReader | null;
}

export interface OpenedApp {
  readonly app: App;
  readonly routes: readonly Route[];
}

export async function openApp(
  parts: Parts,
  { isStopping, metricsPage, index, ...options }: OpenAppOptions,
): Promise<OpenedApp> {
  const { config, log, via, metrics } = parts.surroundings;
  const [store, auth, databases, own, advisories] = [
    await parts.store(),
    await parts.auth(),
    await parts.databases(),
    await parts.ownDatabase(),
    await parts.advisories(),
  ];
  const policy = await parts.policy();
  const routes = allRoutes({
    checkStore: (signal) => checkStore(store, signal),
    isStopping,
    auth,
    metrics: metricsPage,
    index: index === undefined ? await parts.index() : index,
    policy: policy && { records: policy, judge: policy.judge, ...config.policy },
    advisories,
    isWaitingFor: () => {
      const unread = policy?.policy.needs("advisories") ? advisories?.unread ?? null : null;
      return unread === null ? null : `advisories of "${unread.name}" were never read`;
    },
    notes: () => advisories === null ? [] : advisoryNotes(advisories.status),
    explainer: await parts.explainer(),
    databases: { find: (name) => name === own?.name ? own : databases.find(name) },
    modules: await parts.modules(),
    copyNames: (await parts.service()).copyNames,
    delivery: zipDelivery({ ...config.listen, redirect: redirectOf(config.storage) }),
  });
  const findClientAddress = clientAddressFinder(config.listen.trustedProxies);
  const app = createApp({
    routes,
    guard: auth ?? OPEN_GUARD,
    checkPath: parts.checkPath,
    log,
    via,
    metrics,
    findClientAddress,
    ...options,
  });
  return { app, routes };
}
