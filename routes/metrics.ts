/** `/metrics`: what Prometheus reads. With client authentication, Prometheus is a client like any other. */
import { ANY_CLIENT } from "../lib/auth/guard.ts";
import type { Route } from "./app.ts";
import { textAnswer } from "./respond.ts";

/** The page, as it is now. */
export interface MetricsPage {
  readonly contentType: string;
  render(): Promise<string>;
}

export function metricsRoute(page: MetricsPage): Route {
  return {
    name: "metrics",
    isUnlimited: true,
    matches: (path) => path === "metrics",
    read: (request) => ({
      access: ANY_CLIENT,
      answer: async () =>
        textAnswer(new TextEncoder().encode(await page.render()), {
          request,
          contentType: page.contentType,
          cacheControl: "no-store",
        }),
    }),
  };
}
