/** All routes of the server, in the order in which they are asked. */
import type { ClientAuth } from "../auth/client_auth.ts";
import type { Explainer } from "../explain.ts";
import type { IndexReader } from "../index/module_index.ts";
import type { ModuleService } from "../service.ts";
import type { SumDatabases } from "../sumdb/databases.ts";
import type { Route } from "../../routes/app.ts";
import { authRoute } from "../../routes/auth.ts";
import { explainRoute } from "../../routes/explain.ts";
import { type HealthOptions, healthRoutes } from "../../routes/health.ts";
import { homeRoute } from "../../routes/home.ts";
import { indexRoute } from "../../routes/index.ts";
import { type MetricsPage, metricsRoute } from "../../routes/metrics.ts";
import { moduleRoute } from "../../routes/module.ts";
import { sumdbRoute } from "../../routes/sumdb.ts";

/** What the routes answer from. */
export interface RouteParts extends HealthOptions {
  /** Null where nobody is asked who they are. */
  readonly auth: ClientAuth | null;
  readonly metrics: MetricsPage;
  /** Null where the configuration wants none. */
  readonly index: IndexReader | null;
  readonly explainer: Explainer;
  readonly databases: Pick<SumDatabases, "find">;
  readonly service: ModuleService;
}

export function allRoutes(parts: RouteParts): Route[] {
  const { auth, metrics, index, explainer, databases, service } = parts;
  return [
    ...healthRoutes(parts),
    homeRoute(),
    ...auth === null ? [] : [authRoute(auth)],
    metricsRoute(metrics),
    ...index === null ? [] : [indexRoute(index)],
    explainRoute(explainer),
    sumdbRoute(databases),
    moduleRoute(service),
  ];
}
