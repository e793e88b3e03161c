/**
 * `POST /-/audit`: the verdicts of the policy about the versions of a file, for CI: the `go`
 * command does not ask a proxy about what is in its module cache.
 *
 * | body | versions |
 * | --- | --- |
 * | a go.sum file | those with the hash of a zip |
 * | CycloneDX in JSON | components with a `pkg:golang/…` package URL |
 *
 * ```json
 * {"verdicts":[{"module":"example.com/a","version":"v1.0.0","action":"deny","isEnforced":true,
 *   "rule":"malware","reason":"MAL-2026-1: …","until":null,"exception":null}], "unreadable":0}
 * ```
 *
 * `unreadable` counts versions that the client may not read, about which nothing is said. A body
 * that cannot be read, or is larger than {@linkcode MAX_BODY_BYTES}, is answered with 400.
 */
import { ANY_CLIENT, type Client } from "../lib/auth/guard.ts";
import { InvalidRequestError, MalformedBodyError } from "../lib/errors.ts";
import type { ModuleVersion } from "../lib/module/module_version.ts";
import { audit, modulesOf } from "../lib/policy/audit.ts";
import type { RememberingJudge } from "../lib/policy/judge.ts";
import type { Answer } from "./answer.ts";
import type { Route, RouteRequest } from "./app.ts";
import { readRequestBody } from "./request_body.ts";
import { noteAnswer } from "./respond.ts";

export const MAX_BODY_BYTES = 8 * 1024 * 1024;
const BODY_TIMEOUT_MS = 30_000;

export function auditRoute(judge: RememberingJudge): Route {
  return {
    name: "audit",
    methods: ["POST"],
    matches: (path) => path === "-/audit",
    read: (request) => ({
      access: ANY_CLIENT,
      answer: (client) => answerAudit(judge, { request, client }),
    }),
  };
}

async function answerAudit(
  judge: RememberingJudge,
  { request, client }: { request: RouteRequest; client: Client },
): Promise<Answer> {
  const text = await readRequestBody(request, {
    maxBytes: MAX_BODY_BYTES,
    timeoutMs: BODY_TIMEOUT_MS,
  });
  const modules = await readModules(text, request.signal);
  const readable = modules.filter(({ path }) => client.mayRead(path));
  const verdicts = await audit(readable, {
    identity: client.identity,
    signal: request.signal,
    decide: (module, asking) => judge.judge(module, asking),
  });
  request.facts["versions"] = modules.length;
  const answer = { verdicts, unreadable: modules.length - readable.length };
  return noteAnswer(`${JSON.stringify(answer)}\n`, {
    status: 200,
    headers: { "Content-Type": "application/json" },
  });
}

async function readModules(text: string, signal: AbortSignal): Promise<ModuleVersion[]> {
  try {
    return await modulesOf(text, signal);
  } catch (error) {
    // For a path of the protocol it would be a 404.
    if (error instanceof InvalidRequestError) throw new MalformedBodyError(error.message);
    throw error;
  }
}
