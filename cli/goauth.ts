/**
 * `goauth <server>`: the program that `GOAUTH` names. It logs the `go` command in to a server with
 * credentials that the machine or user already has. See lib/client/goauth.ts for what it reads and
 * writes.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { readInput } from "./input.ts";
import { defaultScratchDir } from "./load_config.ts";
import { addIdentityOptions, type IdentityFlags, identityOptions, parseUrl } from "./options.ts";
import { authorizationFor, NO_TOKENS } from "../lib/client/authorization.ts";
import { formatHeaders, isBelow, MAX_HEAD_BYTES, parseStatus } from "../lib/client/goauth.ts";
import { findIdentity } from "../lib/client/identity.ts";
import type { ProviderName } from "../lib/client/providers.ts";
import { TokenCache } from "../lib/client/token_cache.ts";
import { InvalidRequestError, UpstreamError } from "../lib/errors.ts";
import { isLoopback } from "../lib/http/client.ts";
import { type Env, openMachine, openPost } from "./client_machine.ts";
import { readCaCertificates } from "../lib/open/surroundings.ts";

export function define(command: Command, context: CommandContext): void {
  addIdentityOptions(
    command
      .argument("<server>", "URL of the server, as in GOPROXY", parseUrl)
      .argument("[url]", "URL that was rejected; the go command adds it", parseUrl),
  )
    .option("--cache-dir <dir>", "directory for access tokens (default: in the user's cache)")
    .addHelpText(
      "after",
      `
Without --provider, the first of these that is available is used: an identity token in an environment variable (env), of
GitHub Actions (github), or in a file (file); a password in netrc (netrc); the identity token of Google's metadata server
(gce); a password from git's credential helpers (git). It is exchanged for an access token, which is cached until it
expires. On failure nothing is printed on standard output and the exit status is 1; go shows the reason with -x.

Examples:
  go env -w GOAUTH="go-mod-proxy goauth https://proxy.example.com"
  go-mod-proxy goauth https://proxy.example.com --provider github --audience proxy`,
    )
    .action(
      context.action(
        async (
          server: URL,
          asked: URL | undefined,
          { cacheDir, ...flags }: IdentityFlags & { readonly cacheDir?: string },
        ) => {
          const env = context.environment.toObject();
          const cache = defaultScratchDir(env);
          await goauth({
            ...identityOptions(flags),
            server,
            asked: asked ?? null,
            cacheDirectory: cacheDir ?? (cache === null ? null : `${cache}/goauth`),
            env,
          });
        },
      ),
    );
}

export interface GoauthOptions {
  /** The server, optionally with a path on it. */
  readonly server: URL;
  /** The URL that the server answered with 4xx; null before the first request. */
  readonly asked: URL | null;
  readonly provider?: ProviderName | undefined;
  readonly audience?: string | undefined;
  readonly tokenVariable?: string | undefined;
  readonly tokenFile?: string | undefined;
  /** Null: tokens are not cached. */
  readonly cacheDirectory: string | null;
  readonly env: Env;
}

export async function goauth(options: GoauthOptions): Promise<void> {
  const { server, asked, env, cacheDirectory } = options;
  checkServer(server);
  if (asked !== null && !isBelow(asked, server)) return;
  const isRefused = asked !== null && parseStatus(await readHead()) === 401;
  using client = Deno.createHttpClient({ caCerts: await readCaCertificates(env) });
  const identity = await findIdentity(
    { ...options, audience: options.audience ?? server.origin },
    openMachine(env, client),
  );
  const authorization = await authorizationFor({
    identity,
    server,
    isRefused,
    tokens: cacheDirectory === null ? NO_TOKENS : new TokenCache(cacheDirectory),
    post: openPost(client),
    now: Date.now,
  });
  await Deno.stdout.write(new TextEncoder().encode(formatHeaders(server, authorization)));
}

/**
 * @throws {InvalidRequestError} when a password would be sent unencrypted, or is part of the URL
 */
export function checkServer(server: URL): void {
  if (server.protocol !== "https:" && !isLoopback(server.hostname)) {
    throw new InvalidRequestError(`Cannot log in at ${server.origin}: only https is allowed`);
  }
  if (server.username !== "" || server.password !== "") {
    throw new InvalidRequestError(
      `Cannot log in at ${server.origin}: its URL may not have a user or password`,
    );
  }
}

async function readHead(): Promise<string> {
  return await readInput(Deno.stdin.readable, {
    maxBytes: MAX_HEAD_BYTES,
    tooLong: () => new UpstreamError("Cannot read the response that go received: too long"),
  });
}
