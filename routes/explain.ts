/**
 * `/explain/<module>@<version>`: what is published of a version, what its sources say now, and by which rule the client may
 * read it. For people as text, for machines (`Accept: application/json`) as JSON. Whoever may read the module may ask.
 *
 * No path of the GOPROXY protocol looks like it: those have a `/@` in them.
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
        answer: async ({ identity }) => {
          const identities = identity === null ? [] : [identity];
          const explanation = await explainer.explain(module, { identities, signal });
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
