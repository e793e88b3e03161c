/**
 * `/healthz`: the process answers. `/readyz`: it is ready, which means that it can read its store,
 * knows the advisories that its policy asks for, and is not shutting down.
 *
 * Anyone may ask, so the store is read once a second at most, however many do.
 */
import { withDeadline } from "../lib/async/deadline.ts";
import { ANYONE } from "../lib/auth/guard.ts";
import { OverloadedError } from "../lib/errors.ts";
import type { Answer } from "./answer.ts";
import type { Route } from "./app.ts";
import { noteAnswer } from "./respond.ts";

export interface HealthOptions {
  /** @throws when the store cannot be read */
  checkStore(signal: AbortSignal): Promise<void>;
  /** Whether the server is shutting down. */
  isStopping(): boolean;
  /** What the server still waits for before it can answer; null: nothing. Default: null. */
  isWaitingFor?(): string | null;
  /** What is worth knowing although the process is ready, a line each. Default: nothing. */
  notes?(): readonly string[];
  /** Milliseconds since any moment. Default: the clock. */
  now?: () => number;
}

/** For how long what was found about the store counts. */
const REMEMBERED_MS = 1_000;
/** More than the check itself takes. */
const CHECK_TIMEOUT_MS = 60_000;

export function healthRoutes(
  options: HealthOptions,
): Route[] {
  const { checkStore, isStopping, notes = () => [], now = () => performance.now() } = options;
  const check = remembered(checkStore, now);
  return [
    {
      name: "healthz",
      isUnlimited: true,
      matches: (path) => path === "healthz",
      read: () => ({ access: ANYONE, answer: () => ok() }),
    },
    {
      name: "readyz",
      isUnlimited: true,
      matches: (path) => path === "readyz",
      read: ({ signal }) => ({
        access: ANYONE,
        answer: async () => {
          if (isStopping()) {
            throw new OverloadedError("Cannot take requests: the server is stopping");
          }
          const missing = options.isWaitingFor?.() ?? null;
          if (missing !== null) {
            throw new OverloadedError(`Cannot take requests: ${missing}`);
          }
          await withDeadline(check, {
            timeoutMs: CHECK_TIMEOUT_MS,
            what: "check the store",
            signal,
          });
          return ok(notes());
        },
      }),
    },
  ];
}

/** One check at a time, whose outcome is everybody's for a while. */
function remembered(
  checkStore: HealthOptions["checkStore"],
  now: () => number,
): () => Promise<void> {
  let last: Promise<void> | null = null;
  let endedMs = 0;
  return () => {
    if (last !== null && now() < endedMs + REMEMBERED_MS) return last;
    // It is everybody's, so nobody's leaving ends it; it has a deadline of its own.
    last = checkStore(new AbortController().signal).finally(() => endedMs = now());
    endedMs = Infinity;
    // Whoever has asked for it may have left.
    last.catch(() => {});
    return last;
  };
}

function ok(notes: readonly string[] = []): Answer {
  return noteAnswer(["ok", ...notes].map((line) => `${line}\n`).join(""), { status: 200 });
}
