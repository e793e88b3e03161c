/** `/metrics`: what Prometheus reads. With client authentication, Prometheus is a client like any other. */
import { ANY_CLIENT } from "../lib/auth/guard.ts";
import type { Route } from "./app.ts";

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
    read: () => ({
      access: ANY_CLIENT,
      answer: async () =>
        new Response(await page.render(), {
          headers: { "Content-Type": page.contentType, "Cache-Control": "no-store" },
        }),
    }),
  };
}
