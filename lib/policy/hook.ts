/**
 * A service of one's own that decides about versions which no rule decides about.
 *
 * | kind | request | answer |
 * | --- | --- | --- |
 * | athens | `POST <url>` with `{"Module": …, "Version": …}` | 200 allows, 403 denies: the body is shown |
 * | opa | `POST <url>` with `{"input": {module, version, identity}}` | `{"result": true}`, or `{"result": {"allow": …, "reason": …, "until": …}}` |
 *
 * Any other answer, and none in time, is an unknown fact. So is a missing `result`, which is how
 * Open Policy Agent says that there is no such document.
 *
 * Limits: 64 KiB of an answer; {@linkcode MAX_CALLS} calls at once; one call for each version and
 * identity while its answer is kept.
 */
import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { ReadLimits } from "../async/budget.ts";
import { withDeadline } from "../async/deadline.ts";
import { Semaphore } from "../async/semaphore.ts";
import { SingleFlight } from "../async/single_flight.ts";
import { describeError, type ProxyError, UpstreamError } from "../errors.ts";
import { type Fetch, readBody } from "../http/client.ts";
import type { Logger } from "../log/log.ts";
import { parseJson } from "../module/json.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import { parseDurationMs } from "../schema/duration.ts";
import { HOOK_RULE, type HookConfig } from "./config.ts";
import { UnknownFactError } from "./facts.ts";
import { NO_RULE_APPLIED, type Verdict } from "./verdict.ts";

export const HOOK_LIMITS: ReadLimits = {
  name: "policy hook",
  maxBytes: 64 * 1024,
  timeoutMs: 5_000,
};

const MAX_CALLS = 32;
const MAX_WAITING_CALLS = 1000;
const MAX_KEPT_ANSWERS = 20_000;
/** Of a reason; it is shown in a terminal. */
const MAX_REASON_LENGTH = 200;

export interface HookOptions {
  readonly config: HookConfig;
  readonly isEnforced: boolean;
  readonly fetch: Fetch;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const OPA_RESULT = z.union([
  z.boolean().transform((allow) => ({ allow, reason: undefined, until: undefined })),
  z.object({
    allow: z.boolean(),
    reason: z.string().optional(),
    until: z.iso.datetime().optional(),
  }),
]);
const OPA_ANSWER = z.object({ result: OPA_RESULT });

interface Decided {
  readonly isAllowed: boolean;
  readonly reason: string;
  readonly untilMs: number | null;
}

export class Hook {
  readonly #options: HookOptions;
  readonly #timeoutMs: number;
  readonly #kept: LRUCache<string, Decided>;
  readonly #calls: Semaphore;
  readonly #flights = new SingleFlight<Decided>(MAX_CALLS + MAX_WAITING_CALLS);

  constructor(options: HookOptions) {
    const { config } = options;
    this.#options = options;
    this.#timeoutMs = parseDurationMs(config.timeout);
    this.#kept = new LRUCache({ max: MAX_KEPT_ANSWERS, ttl: parseDurationMs(config.ttl) });
    this.#calls = new Semaphore({
      what: "call the policy hook",
      permits: MAX_CALLS,
      maxWaiting: MAX_WAITING_CALLS,
      maxWaitMs: this.#timeoutMs,
    });
  }

  /** @throws {UnknownFactError} when the hook does not say, unless that allows */
  async decide(
    module: ModuleVersion,
    { identity, signal }: { readonly identity: string | null; readonly signal: AbortSignal },
  ): Promise<Verdict> {
    const { config: { onError, kind }, isEnforced, log } = this.#options;
    const key = kind === "opa" ? `${nameOf(module)} ${identity ?? ""}` : nameOf(module);
    try {
      const { isAllowed, reason, untilMs } = this.#kept.get(key) ??
        await this.#flights.run(key, () => this.#call(key, { module, identity }), signal);
      if (isAllowed) return NO_RULE_APPLIED;
      return {
        action: untilMs === null ? "deny" : "hold",
        isEnforced,
        rule: HOOK_RULE,
        reason,
        untilMs,
        changesAtMs: untilMs,
        exception: null,
      };
    } catch (error) {
      if (signal.aborted) throw error;
      // In audit mode, nothing fails.
      if (onError === "deny" && isEnforced) throw unknownDecision(error);
      log.warn(
        { error: describeError(error), module: nameOf(module) },
        "policy hook failed: allowed",
      );
      return NO_RULE_APPLIED;
    }
  }

  async #call(
    key: string,
    asked: { module: ModuleVersion; identity: string | null },
  ): Promise<Decided> {
    const { kind } = this.#options.config;
    using _permit = await this.#calls.acquire();
    const decided = await withDeadline(
      (signal) => kind === "athens" ? this.#athens(asked, signal) : this.#opa(asked, signal),
      { timeoutMs: this.#timeoutMs, what: "ask the policy hook" },
    );
    const ttl = decided.untilMs === null ? undefined : decided.untilMs - this.#options.now();
    if (ttl === undefined) this.#kept.set(key, decided);
    else if (ttl > 0) this.#kept.set(key, decided, { ttl: Math.min(ttl, this.#kept.ttl) });
    return decided;
  }

  async #athens({ module }: { module: ModuleVersion }, signal: AbortSignal): Promise<Decided> {
    const body = { Module: module.path, Version: module.version };
    const { status, bytes } = await this.#post(body, signal);
    if (status === 200) return { isAllowed: true, reason: "", untilMs: null };
    if (status !== 403) throw new UpstreamError(`it answered with status ${status}`);
    return { isAllowed: false, reason: shown(new TextDecoder().decode(bytes)), untilMs: null };
  }

  async #opa(
    { module: { path, version }, identity }: { module: ModuleVersion; identity: string | null },
    signal: AbortSignal,
  ): Promise<Decided> {
    const input = { module: path, version, identity };
    const { status, bytes } = await this.#post({ input }, signal);
    if (status !== 200) throw new UpstreamError(`it answered with status ${status}`);
    const parsed = OPA_ANSWER.safeParse(parseJson(bytes));
    if (!parsed.success) {
      throw new UpstreamError("its answer has no result that is a boolean or has a boolean allow");
    }
    const { allow, reason = "", until } = parsed.data.result;
    const untilMs = until === undefined ? null : Date.parse(until);
    return { isAllowed: allow, reason: shown(reason), untilMs };
  }

  async #post(
    body: unknown,
    signal: AbortSignal,
  ): Promise<{ status: number; bytes: Uint8Array<ArrayBuffer> }> {
    const { fetch, config } = this.#options;
    const response = await fetch(new URL(config.url), {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    const limits = { ...HOOK_LIMITS, timeoutMs: this.#timeoutMs };
    return {
      status: response.status,
      bytes: await readBody(response, { limits, what: "the answer of the policy hook" }),
    };
  }
}

function unknownDecision(cause: unknown): ProxyError {
  return new UnknownFactError("decision", "the policy hook failed", { cause });
}

/** One line for a terminal. */
function shown(text: string): string {
  const line = text.replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S}]+/gu, " ").trim();
  return line === "" ? "the policy hook denies it" : line.slice(0, MAX_REASON_LENGTH);
}
