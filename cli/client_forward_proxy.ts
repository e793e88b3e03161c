/**
 * `client-forward-proxy`: a server on this machine that forwards requests to ours, authenticated.
 * See lib/client/forward.ts.
 */
import { type Command, Option } from "commander";
import type { CommandContext } from "./command.ts";
import {
  addIdentityOptions,
  type IdentityFlags,
  identityOptions,
  logLevelOption,
  parsePort,
  parseUrl,
} from "./options.ts";
import { createLogger } from "../lib/log/log.ts";
import type { LogLevel } from "../lib/log/log_level.ts";
import { Semaphore } from "../lib/async/semaphore.ts";
import { forward } from "../lib/client/forward.ts";
import { findIdentity, type Identity } from "../lib/client/identity.ts";
import type { ProviderName } from "../lib/client/providers.ts";
import { Session } from "../lib/client/session.ts";
import { readSecretLine } from "../lib/credentials/secret.ts";
import { describeError, InvalidRequestError } from "../lib/errors.ts";
import { abortableFetch } from "../lib/http/abortable_fetch.ts";
import type { Logger } from "../lib/log/log.ts";
import { NO_METRICS } from "../lib/log/metrics.ts";
import { responseOf } from "../routes/answer.ts";
import { errorAnswer } from "../routes/respond.ts";
import { type Env, openMachine, openPost } from "./client_machine.ts";
import { checkServer } from "./goauth.ts";
import { Connections } from "../server/connections.ts";
import { listen } from "../server/listen.ts";
import { readCaCertificates } from "../lib/open/surroundings.ts";

interface ForwardFlags extends IdentityFlags {
  readonly serverUrl: URL;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
  readonly port: number;
  readonly logLevel: LogLevel;
}

export function define(command: Command, context: CommandContext): void {
  addIdentityOptions(
    command
      .addOption(
        new Option("--server-url <url>", "URL of the server").makeOptionMandatory()
          .argParser(parseUrl),
      )
      .option("--user <user>", "log in with a password, from one of the next two flags")
      .option("--password-file <file>", "file with the password")
      .option("--password-env <name>", "environment variable with the password")
      .addOption(
        // The original's flag. If it were unknown, the error message would repeat the password.
        new Option("--password <password>").hideHelp(),
      )
      .addOption(
        new Option("--port <port>", "port on 127.0.0.1 to listen on; 0 lets the system choose")
          .default(8081).argParser(parsePort),
      ),
  )
    .addOption(logLevelOption("info"))
    .addHelpText(
      "after",
      `
Without --user the identity is found as by goauth. Everyone on this machine who can reach the port has the access rights
of that identity while the command runs. Go 1.24 and newer do not need it: see goauth.

Example:
  go-mod-proxy client-forward-proxy --server-url https://proxy.example.com --user dev --password-file ~/.proxy-password
  GOPROXY=http://127.0.0.1:8081 go mod download`,
    )
    .action(context.action(async (flags: ForwardFlags) => {
      const { serverUrl, user, passwordFile, passwordEnv, port, logLevel, ...identity } = flags;
      if (command.getOptionValue("password") !== undefined) {
        throw new InvalidRequestError(
          "a password in an argument is visible to other users: use --password-file or --password-env",
        );
      }
      const password = passwordFile !== undefined
        ? { file: passwordFile }
        : passwordEnv !== undefined
        ? { envVar: passwordEnv }
        : null;
      if ((user === undefined) !== (password === null) || (passwordFile && passwordEnv)) {
        command.error("error: --user needs one of --password-file and --password-env");
      }
      await clientForwardProxy({
        ...identityOptions(identity),
        server: serverUrl,
        port,
        user: user === undefined || password === null ? null : { name: user, password },
        env: context.environment.toObject(),
        log: createLogger(logLevel),
        signal: context.signal,
      });
    }));
}

/** The `go` command requests a few dozen modules at once. */
const MAX_REQUESTS = 256;
const MAX_WAITING_REQUESTS = 1000;
const MAX_WAIT_MS = 60_000;
/** From programs of this machine: the `go` command opens some for each of its processes. */
const MAX_CONNECTIONS = 500;
const ANSWER_TIMEOUT_MS = 10 * 60_000;

export interface ClientForwardProxyOptions {
  readonly server: URL;
  readonly port: number;
  /** Source of the identity: a user with a password, or null: as for `goauth`. */
  readonly user: UserSecret | null;
  readonly provider?: ProviderName | undefined;
  readonly audience?: string | undefined;
  readonly tokenVariable?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly env: Env;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface UserSecret {
  readonly name: string;
  readonly password: { readonly file: string } | { readonly envVar: string };
}

export async function clientForwardProxy(options: ClientForwardProxyOptions): Promise<void> {
  const { server, port, env, log, signal } = options;
  checkServer(server);
  using client = Deno.createHttpClient({ caCerts: await readCaCertificates(env) });
  const machine = openMachine(env, client);
  const session = new Session({
    server,
    post: openPost(client),
    now: Date.now,
    findIdentity: () =>
      options.user === null
        ? findIdentity({ ...options, audience: options.audience ?? server.origin }, machine)
        : identityOf(options.user, env),
  });
  const forwardOptions = {
    server,
    session,
    requests: new Semaphore({
      what: "forward another request",
      permits: MAX_REQUESTS,
      maxWaiting: MAX_WAITING_REQUESTS,
      maxWaitMs: MAX_WAIT_MS,
    }),
    fetch: (url: URL, init: RequestInit) => abortableFetch(url, { ...init, client }),
    timeoutMs: ANSWER_TIMEOUT_MS,
  };
  using connections = new Connections({ max: MAX_CONNECTIONS, log, metrics: NO_METRICS });
  await listen(async (request) => {
    const requestId = crypto.randomUUID();
    try {
      return await forward(request, forwardOptions);
    } catch (error) {
      log.warn({ id: requestId, error: describeError(error) }, "cannot forward a request");
      const answer = errorAnswer(error, { requestId, head: request.method === "HEAD" });
      return responseOf(answer, { requestId });
    }
  }, {
    config: {},
    places: { directory: ".", env: (name) => env[name] },
    host: "127.0.0.1",
    port,
    log,
    signal,
    connections,
    threads: null,
    announce: (url) => log.info({ url, server: server.origin }, "listening"),
  });
}

/** Read again for each login, so that a new password takes effect without a restart. */
async function identityOf({ name, password }: UserSecret, env: Env): Promise<Identity> {
  const secret = await readSecretLine(password, { directory: ".", env: (name) => env[name] });
  return {
    description: `user ${name}`,
    key: JSON.stringify([name, secret]),
    prove: () => Promise.resolve({ kind: "password", user: name, password: secret }),
  };
}
