/**
 * Exceptions of the policy, which every replica applies within ten seconds:
 *
 * | request                                          | answer                                        |
 * | ------------------------------------------------ | --------------------------------------------- |
 * | `GET /-/policy/exceptions`                       | those in force, of the file and recorded, JSON |
 * | `POST /-/policy/exceptions`                      | records one; its body has the keys of `policy.exceptions` |
 * | `POST /-/policy/exceptions/<number>/revoke`      | ends a recorded one                           |
 *
 * Any client may read them: they say why a version is allowed. `policy.approvers` may record and
 * revoke. The request is answered once this replica applies it. A body that is not such an object,
 * or larger than {@linkcode MAX_BODY_BYTES}, is answered with 400.
 */
import { z } from "zod";
import { ANY_CLIENT, type Client } from "../lib/auth/guard.ts";
import { ForbiddenError, MalformedBodyError } from "../lib/errors.ts";
import { parseJsonText } from "../lib/module/json.ts";
import { type ExceptionConfig, exceptionSchema } from "../lib/policy/config.ts";
import type { ExceptionRecords } from "../lib/policy/exception_log.ts";
import type { RememberingJudge } from "../lib/policy/judge.ts";
import type { Answer } from "./answer.ts";
import type { Route, RouteRequest } from "./app.ts";
import { auditRoute } from "./audit.ts";
import { readRequestBody } from "./request_body.ts";
import { noteAnswer, textAnswer } from "./respond.ts";

export const MAX_BODY_BYTES = 16 * 1024;

const PATH = "-/policy/exceptions";
const REVOKE = /^-\/policy\/exceptions\/(\d{1,12})\/revoke$/;

export interface PolicyRouteOptions {
  readonly records: ExceptionRecords;
  readonly judge: RememberingJudge;
  /** Of the configuration file. */
  readonly exceptions: readonly ExceptionConfig[];
  readonly approvers: readonly string[];
}

export function policyRoutes(options: PolicyRouteOptions): Route[] {
  return [
    {
      name: "policy",
      methods: ["GET", "HEAD", "POST"],
      matches: (path) => path === PATH,
      read: (request) => ({
        access: ANY_CLIENT,
        answer: (client) =>
          request.method === "POST" ? record(options, { request, client }) : list(options, request),
      }),
    },
    auditRoute(options.judge),
    {
      name: "policy",
      methods: ["POST"],
      matches: (path) => REVOKE.test(path),
      read: (request) => ({
        template: `/${PATH}/{number}/revoke`,
        access: ANY_CLIENT,
        answer: (client) => revoke(options, { request, client }),
      }),
    },
  ];
}

function list({ records, exceptions }: PolicyRouteOptions, request: RouteRequest): Answer {
  const all = [
    ...exceptions.map((exception) => ({ number: null, exception })),
    ...records.current,
  ];
  const bytes = new TextEncoder().encode(`${JSON.stringify(all)}\n`);
  return textAnswer(bytes, {
    request,
    contentType: "application/json",
    cacheControl: "no-store",
  });
}

interface Approving {
  readonly request: RouteRequest;
  readonly client: Client;
}

async function record(options: PolicyRouteOptions, approving: Approving): Promise<Answer> {
  const identity = approverOf(options, approving.client);
  const text = await readRequestBody(approving.request, { maxBytes: MAX_BODY_BYTES });
  const parsed = exceptionSchema.safeParse(parseJsonText(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const place = issue === undefined ? "" : z.core.toDotPath(issue.path);
    throw new MalformedBodyError(
      `Cannot record the exception: ${place === "" ? "" : `${place}: `}${issue?.message}`,
    );
  }
  const recorded = await options.records.record(parsed.data, identity);
  approving.request.facts["exception"] = recorded.number;
  return noteAnswer(`${JSON.stringify(recorded)}\n`, {
    status: 201,
    headers: { "Content-Type": "application/json" },
  });
}

async function revoke(options: PolicyRouteOptions, approving: Approving): Promise<Answer> {
  const identity = approverOf(options, approving.client);
  const number = Number(REVOKE.exec(approving.request.path)?.[1]);
  await options.records.revoke(number, identity);
  approving.request.facts["exception"] = number;
  return noteAnswer("revoked\n", { status: 200 });
}

function approverOf({ approvers }: PolicyRouteOptions, { identity }: Client): string {
  if (identity !== null && approvers.includes(identity)) return identity;
  throw new ForbiddenError(
    "Cannot change exceptions: only the identities of policy.approvers may",
  );
}
