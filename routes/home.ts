/**
 * `/`: an introduction for people who open the address in a browser. The `go` command's
 * `GOAUTH=git` requests it too. It shows the name in the request, so it is not cached.
 */
import { ANY_CLIENT } from "../lib/auth/guard.ts";
import type { Route } from "./app.ts";
import { PLAIN_TEXT, textAnswer } from "./respond.ts";

export function homeRoute(): Route {
  return {
    name: "home",
    matches: (path) => path === "",
    read: (request) => ({
      template: "/",
      access: ANY_CLIENT,
      answer: () =>
        textAnswer(
          new TextEncoder().encode(
            `go-mod-proxy: a Go module proxy\nUse it with: go env -w GOPROXY=${request.origin}\n`,
          ),
          { request, contentType: PLAIN_TEXT, cacheControl: "no-store" },
        ),
    }),
  };
}
