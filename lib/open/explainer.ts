/** Opens the explainer of a module version. */
import { AccessList } from "../auth/access_list.ts";
import { Explainer } from "../service/explainer.ts";
import type { Copies } from "../store/copies.ts";
import type { Policy } from "../policy/policy.ts";
import type { SumDatabases } from "../sumdb/databases.ts";
import type { OpenedSources } from "./sources.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenExplainerOptions {
  readonly copies: Copies;
  readonly sources: OpenedSources;
  readonly databases: SumDatabases;
  /** Null without a policy. */
  readonly policy: Policy | null;
}

export function openExplainer(
  { config: { clientAuth }, log }: Surroundings,
  { copies, sources, databases, policy }: OpenExplainerOptions,
): Explainer {
  return new Explainer({
    copies,
    sourcesOf: (path) => sources.sourcesOf(path),
    databaseFor: (path) => databases.databaseFor(path),
    log,
    policy,
    accessList: clientAuth.enabled ? new AccessList(clientAuth.acl) : null,
  });
}
