/**
 * `healthcheck`: for the health check of a container, so that its image needs no other HTTP client.
 *
 * Uses `node:http` instead of `fetch`, which would go through the proxy that `HTTP_PROXY` names.
 * With https any certificate is accepted: it is for other names than that of this machine, and
 * nothing secret is sent.
 */
import { type Command, Option } from "commander";
import type { CommandContext } from "./command.ts";
import { parseUrl } from "./options.ts";
import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { withDeadline } from "../lib/async/deadline.ts";
import { UpstreamError } from "../lib/errors.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .addOption(
      new Option(
        "--url <url>",
        "URL of the server (default: http://127.0.0.1 and the port in PORT)",
      )
        .argParser(parseUrl),
    )
    .addHelpText(
      "after",
      `
For the health checks of containers. If the platform can send HTTP requests itself, use /healthz instead.

Examples:
  go-mod-proxy healthcheck
  go-mod-proxy healthcheck --url http://127.0.0.1:3000`,
    )
    .action(context.action(async ({ url }: { url?: URL }) => {
      const port = context.environment.get("PORT") || 8080;
      await checkHealth(url ?? new URL(`http://127.0.0.1:${port}`));
    }));
}

/** Shorter than the container engine's timeout, so that the reason is reported. */
export const HEALTH_TIMEOUT_MS = 4_000;

/**
 * @param server where it listens: `http://127.0.0.1:8080`
 * @throws {UpstreamError | DeadlineError} when it does not answer that it is healthy
 */
export async function checkHealth(server: URL, timeoutMs = HEALTH_TIMEOUT_MS): Promise<void> {
  const url = new URL("/healthz", server);
  const status = await withDeadline((signal) => statusOf(url, signal), {
    timeoutMs,
    what: `ask ${url}`,
  });
  if (status !== 200) throw new UpstreamError(`Server is unhealthy: ${url} answered ${status}`);
}

function statusOf(url: URL, signal: AbortSignal): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === "https:" ? requestTls : requestPlain;
    request(url, { signal, agent: false, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on(
      "error",
      (cause) => reject(new UpstreamError(`Cannot reach ${url}`, { cause })),
    ).end();
  });
}
