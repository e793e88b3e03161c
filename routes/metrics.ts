/**
 * `/metrics`: the page that Prometheus scrapes. With client authentication, Prometheus needs an
 * identity like any other client.
 */
import { ANY_CLIENT } from "../lib/auth/guard.ts";
import type { Route } from "./app.ts";
import { textAnswer } from "./respond.ts";

/** Renders the current page. */
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
