/**
 * `/healthz`: the process answers. `/readyz`: it is ready, which means that it can read its store
 * and is not shutting down.
 */
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
}

export function healthRoutes({ checkStore, isStopping }: HealthOptions): Route[] {
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
          await checkStore(signal);
          return ok();
        },
      }),
    },
  ];
}

function ok(): Answer {
  return noteAnswer("ok\n", { status: 200 });
}
