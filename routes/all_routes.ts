/** All routes of the server, in the order in which they are matched. */
import type { Advisories } from "../lib/advisories/advisories.ts";
import type { ClientAuth } from "../lib/auth/client_auth.ts";
import type { Explainer } from "../lib/service/explainer.ts";
import type { IndexReader } from "../lib/index/module_index.ts";
import type { CopyNames } from "../lib/service/copy_names.ts";
import type { ModuleAnswers } from "../lib/service/stored_modules.ts";
import type { SumDatabases } from "../lib/sumdb/databases.ts";
import type { Route } from "./app.ts";
import { authRoute } from "./auth.ts";
import { explainRoute } from "./explain.ts";
import { type HealthOptions, healthRoutes } from "./health.ts";
import { homeRoute } from "./home.ts";
import { indexRoute } from "./index.ts";
import { type MetricsPage, metricsRoute } from "./metrics.ts";
import { moduleRoute } from "./module.ts";
import { type PolicyRouteOptions, policyRoutes } from "./policy.ts";
import { sumdbRoute } from "./sumdb.ts";
import { vulndbRoute } from "./vulndb.ts";
import type { ZipDelivery } from "./zip_delivery.ts";

/** What the routes need. */
export interface RouteParts extends HealthOptions {
  /** Null without client authentication. */
  readonly auth: ClientAuth | null;
  readonly metrics: MetricsPage;
  /** Null if the configuration turns it off. */
  readonly index: IndexReader | null;
  /** Null without a policy. */
  readonly policy: PolicyRouteOptions | null;
  /** Null if the configuration has no source of them. */
  readonly advisories: Advisories | null;
  readonly explainer: Explainer;
  readonly databases: Pick<SumDatabases, "find">;
  readonly modules: ModuleAnswers;
  readonly copyNames: CopyNames;
  readonly delivery: ZipDelivery;
}

export function allRoutes(parts: RouteParts): Route[] {
  const {
    auth,
    metrics,
    index,
    advisories,
    policy,
    explainer,
    databases,
    modules,
    copyNames,
    delivery,
  } = parts;
  return [
    ...healthRoutes(parts),
    homeRoute(),
    ...auth === null ? [] : [authRoute(auth)],
    metricsRoute(metrics),
    ...index === null ? [] : [indexRoute({ index, copyNames })],
    ...policy === null ? [] : policyRoutes(policy),
    ...advisories === null ? [] : [vulndbRoute(advisories)],
    explainRoute(explainer),
    sumdbRoute({ databases, copyNames }),
    moduleRoute(modules, delivery),
  ];
}
