/**
 * `/explain/<module>@<version>`: what is published of a version, what its sources currently have,
 * and which rule allows the client to read it. As text for people, as JSON for machines
 * (`Accept: application/json`). Available to every client that may read the module.
 *
 * It cannot collide with a path of the GOPROXY protocol: those contain a `/@`.
 */
import { parseModuleVersion } from "../lib/module/module_version.ts";
import type { Explainer } from "../lib/service/explainer.ts";
import { explanationText } from "../lib/service/explain_text.ts";
import type { Route } from "./app.ts";
import { PLAIN_TEXT, textAnswer } from "./respond.ts";

const PREFIX = "explain/";

export function explainRoute(explainer: Explainer): Route {
  return {
    name: "explain",
    matches: (path) => path.startsWith(PREFIX),
    read: (request) => {
      const { path, headers, facts, signal } = request;
      const module = parseModuleVersion(path.slice(PREFIX.length));
      facts["module"] = module.path;
      facts["version"] = module.version;
      return {
        template: "/explain/{module}@{version}",
        access: { kind: "module", path: module.path },
        answer: async ({ identity, admitTo }) => {
          const identities = identity === null ? [] : [identity];
          const explanation = await explainer.explain(module, { identities, signal });
          admitTo?.(explanation.names);
          const isForMachines = /\bapplication\/json\b/.test(headers.get("Accept") ?? "");
          const text = isForMachines ? JSON.stringify(explanation) : explanationText(explanation);
          return textAnswer(new TextEncoder().encode(text), {
            request,
            contentType: isForMachines ? "application/json" : PLAIN_TEXT,
            cacheControl: "no-store",
          });
        },
      };
    },
  };
}
