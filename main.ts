/**
 * go-mod-proxy: a Go module proxy for teams with private code. This file has the subcommands and nothing else; it is the
 * only one that reads the environment.
 *
 * Each subcommand loads what it needs by itself: git waits for `credential-helper`, which needs next to nothing.
 */
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { completionScript, type Shell, SHELLS } from "./cli/completion.ts";
import { VERSION } from "./lib/open/version.ts";
import { ConfigError, describeError, ProxyError } from "./lib/errors.ts";
import type { Config } from "./lib/config/config.ts";
import type { ImportKind } from "./cli/import.ts";
import { type ProviderName, PROVIDERS } from "./lib/client/providers.ts";
import { LOG_LEVELS, type LogLevel, parseLogLevel } from "./lib/log/log_level.ts";

const program = new Command("go-mod-proxy")
  .description("A Go module proxy for teams with private code.")
  .version(VERSION)
  .showHelpAfterError();

const MAX_WORKERS = 64;

/** Of all commands that work with the store or the sources of a configuration. */
interface CommonFlags {
  configFile?: string;
  scratchDir?: string;
  logLevel: LogLevel;
}

interface ServeFlags extends CommonFlags {
  host: string;
  port: number;
  workers: number;
}

program.command("serve", { isDefault: true })
  .description("Answer the GOPROXY protocol over HTTP (the default command).")
  .addOption(configFileOption())
  .option("--host <host>", "address to listen on", "127.0.0.1")
  .addOption(
    new Option("--port <port>", "port to listen on; 0 lets the system choose")
      .env("PORT").default(8080).argParser(parsePort),
  )
  .option(
    "--scratch-dir <dir>",
    "where temporary files and git mirrors go (default: go-mod-proxy in the user's cache)",
  )
  .addOption(
    new Option("--workers <n>", "threads that answer requests; with https one is used")
      .default(defaultWorkers(), "one for each core, at most 4").argParser(parseWorkers),
  )
  .addOption(logLevelOption("info"))
  .addHelpText(
    "after",
    `
Examples:
  go-mod-proxy                                  serve on http://127.0.0.1:8080, keep modules in ./data
  GOPROXY=https://proxy.example.com,direct go-mod-proxy serve --port 3000
  go-mod-proxy serve --host 0.0.0.0 --config-file config.yaml`,
  )
  .action(async (flags: ServeFlags) => {
    const { host, port, workers } = flags;
    const { serve } = await import("./server/server.ts");
    await serve({ ...await openCommand(flags), host, port, threads: workers });
    // What did not finish in time must not keep the process alive.
    Deno.exit(0);
  });

program.command("check-source")
  .description("Say step by step how a module's repository is found and read, and what is wrong.")
  .argument("<module>", "module path, such as github.com/my-org/lib")
  .addOption(configFileOption())
  .option("--scratch-dir <dir>", "as for serve")
  .addOption(logLevelOption("warn"))
  .addHelpText(
    "after",
    `
Example:
  go-mod-proxy check-source --config-file config.yaml github.com/my-org/lib`,
  )
  .action(async (module: string, flags: CommonFlags) => {
    const { checkSource } = await import("./cli/check_source.ts");
    const { printLine } = await import("./cli/print.ts");
    const isFine = await checkSource({ ...await openCommand(flags), module, print: printLine });
    Deno.exit(isFine ? 0 : 1);
  });

interface ExplainFlags extends CommonFlags {
  json: boolean;
}

program.command("explain")
  .description("Say what is published of a version, what its sources say now, and who may read it.")
  .argument("<module@version>", "such as github.com/my-org/lib@v1.2.3")
  .addOption(configFileOption())
  .option("--json", "for machines", false)
  .option("--scratch-dir <dir>", "as for serve")
  .addOption(logLevelOption("error"))
  .addHelpText(
    "after",
    `
Nothing is published by it. A running server answers the same at /explain/<module>@<version>.

Examples:
  go-mod-proxy explain --config-file config.yaml github.com/my-org/lib@v1.2.3
  go-mod-proxy explain --json golang.org/x/mod@v0.20.0`,
  )
  .action(async (module: string, flags: ExplainFlags) => {
    const { runExplain } = await import("./cli/explain.ts");
    const { explanationText } = await import("./lib/service/explain_text.ts");
    const { printLine } = await import("./cli/print.ts");
    const command = await openCommand(flags);
    const explanation = await runExplain({ ...command, module })
      .catch((error) => endIfTold(command.signal, error));
    const text = flags.json ? JSON.stringify(explanation, null, 2) : explanationText(explanation);
    printLine(text.trimEnd());
    Deno.exit(0);
  });

interface FsckFlags extends CommonFlags {
  repair: boolean;
}

program.command("fsck")
  .description("Look through the store for what is damaged or missing; status 1 if anything is.")
  .addOption(configFileOption())
  .option(
    "--repair",
    "add missing zips from their sources, and missing entries of the index; nothing is replaced",
    false,
  )
  .option("--scratch-dir <dir>", "as for serve")
  .addOption(logLevelOption("error"))
  .addHelpText(
    "after",
    `
Each line on standard output is a fault, a note or a repair, with the object's key; the last is a summary.
With --repair, zips that nobody has asked for yet are fetched too.

Examples:
  go-mod-proxy fsck --config-file config.yaml
  go-mod-proxy fsck --config-file config.yaml --repair`,
  )
  .action(async (flags: FsckFlags) => {
    const { runFsck } = await import("./cli/fsck.ts");
    const command = await openCommand(flags);
    const isFine = await runFsck({ ...command, repair: flags.repair })
      .catch((error) => endIfTold(command.signal, error));
    Deno.exit(isFine ? 0 : 1);
  });

interface ImportFlags extends CommonFlags {
  times?: string;
}

program.command("import")
  .description("Bring what others have kept into the store; status 1 if anything is refused.")
  .addArgument(
    new Argument("<kind>", "what the directory is").choices(["gomodcache", "athens", "original"]),
  )
  .argument("<directory>", "GOMODCACHE/cache/download, Athens's disk storage, or a bucket's copy")
  .addOption(configFileOption())
  .option("--times <file>", 'original only: lines "gomod/<module>@<version> <RFC 3339 time>"')
  .option("--scratch-dir <dir>", "as for serve")
  .addOption(logLevelOption("error"))
  .addHelpText(
    "after",
    `
Everything is verified on its way in, and what is there stays. Each line on standard output is a version that is
refused, and why; the last is a summary. A second run changes nothing.

Examples:
  go-mod-proxy import gomodcache "$(go env GOMODCACHE)/cache/download"
  go-mod-proxy import athens /var/lib/athens --config-file config.yaml
  go-mod-proxy import original ./bucket --times times.txt --config-file config.yaml`,
  )
  .action(
    async (kind: ImportKind, directory: string, flags: ImportFlags) => {
      const { runImport } = await import("./cli/import.ts");
      const command = await openCommand(flags);
      const isFine = await runImport({ ...command, kind, directory, timesFile: flags.times })
        .catch((error) => endIfTold(command.signal, error));
      Deno.exit(isFine ? 0 : 1);
    },
  );

program.command("prefetch")
  .description("Bring all versions that go.sum files name into the store; status 1 if any fails.")
  .argument("<go.sum...>", "go.sum files")
  .addOption(configFileOption())
  .option("--scratch-dir <dir>", "as for serve")
  .addOption(logLevelOption("error"))
  .addHelpText(
    "after",
    `
Nothing is stored that contradicts go.sum or the checksum database. Each line on standard output is a version that
cannot be had, and why; the last is a summary. A second run fetches what is missing.

Examples:
  go-mod-proxy prefetch go.sum
  go-mod-proxy prefetch --config-file config.yaml */go.sum`,
  )
  .action(async (files: string[], flags: CommonFlags) => {
    const { runPrefetch } = await import("./cli/prefetch.ts");
    const command = await openCommand(flags);
    const isFine = await runPrefetch({ ...command, files })
      .catch((error) => endIfTold(command.signal, error));
    Deno.exit(isFine ? 0 : 1);
  });

program.command("export")
  .description("Write what the store has into files, which are a proxy of their own.")
  .argument("<directory>", "where to; it is made when it is missing")
  .addOption(configFileOption())
  .addOption(logLevelOption("error"))
  .addHelpText(
    "after",
    `
The go command reads the directory (GOPROXY=file:///…), any web server can serve it, and "import gomodcache" brings it
into another store. Files that are there already are kept, so that a second run adds what is new.

Examples:
  go-mod-proxy export ./modules
  go-mod-proxy export /mnt/usb/modules --config-file config.yaml`,
  )
  .action(
    async (directory: string, flags: Omit<CommonFlags, "scratchDir">) => {
      const { runExport } = await import("./cli/export.ts");
      const command = await openCommand(flags);
      const isFine = await runExport({ ...command, directory })
        .catch((error) => endIfTold(command.signal, error));
      Deno.exit(isFine ? 0 : 1);
    },
  );

const config = program.command("config")
  .description("Help with the configuration.")
  .helpCommand(false)
  .addHelpText("after", "\nExample:\n  go-mod-proxy config check --config-file config.yaml");

config.command("keygen")
  .description("Make the key pair of privateSumDatabase, and say where its halves go.")
  .argument("<name>", "the database's name: a host, perhaps with a path")
  .option("--key-file <file>", "a new file for the secret half (default: it is printed)")
  .option("--url <url>", "where clients reach the server", "https://proxy.example.com")
  .addHelpText(
    "after",
    `
Examples:
  go-mod-proxy config keygen sum.example.com
  go-mod-proxy config keygen sum.example.com --key-file sumdb-key --url https://proxy.example.com`,
  )
  .action(async (name: string, { keyFile, url }: { keyFile?: string; url: string }) => {
    const { keygen } = await import("./cli/config_keygen.ts");
    const { printLine } = await import("./cli/print.ts");
    await keygen({ name, keyFile: keyFile ?? null, url, print: printLine });
  });

config.command("check")
  .description("Say everything that is wrong with a configuration; status 1 if anything is.")
  .addOption(configFileOption())
  .addHelpText(
    "after",
    `
It reads the file, the secrets that the file names (keys and certificates are parsed), and one object of the store. It
changes nothing and asks no git host, upstream or issuer. Each line on standard output is a fault, a warning, or what is
well; the last counts them.

Example:
  go-mod-proxy config check --config-file config.yaml`,
  )
  .action(async ({ configFile }: { configFile?: string }) => {
    const { checkConfig } = await import("./cli/config_check.ts");
    const { printLine } = await import("./cli/print.ts");
    const isFine = await checkConfig({
      ...await readConfig(configFile),
      env: Deno.env.toObject(),
      print: printLine,
      signal: untilToldToEnd(),
      now: Date.now,
    });
    Deno.exit(isFine ? 0 : 1);
  });

config.command("explain")
  .description("Say what applies to a module: where it comes from, with what, and who may read it.")
  .argument("<module>", "module path, such as github.com/my-org/lib")
  .addOption(configFileOption())
  .option("--identity <name>", "one identity in place of all of them")
  .addHelpText(
    "after",
    `
Nobody is asked, and no secret is read. Status 1 if the identity, or without one every identity, may not read the module.

Example:
  go-mod-proxy config explain --config-file config.yaml --identity ci github.com/my-org/lib`,
  )
  .action(async (module: string, flags: { configFile?: string; identity?: string }) => {
    const { explainConfig } = await import("./cli/config_explain.ts");
    const { printLine } = await import("./cli/print.ts");
    const { config } = await loadConfig(flags.configFile);
    const mayRead = explainConfig({
      config,
      module,
      identity: flags.identity ?? null,
      env: Deno.env.toObject(),
      print: printLine,
    });
    Deno.exit(mayRead ? 0 : 1);
  });

interface IdentityFlags {
  provider?: ProviderName;
  audience?: string;
  tokenEnv?: string;
  tokenFile?: string;
}

withIdentityOptions(
  program.command("goauth")
    .description("Log the go command in at a server; for GOAUTH, with Go 1.24 or newer.")
    .argument("<server>", "the server, as in GOPROXY", parseUrl)
    .argument("[url]", "what go adds when a request was refused", parseUrl),
)
  .option("--cache-dir <dir>", "where access tokens are kept (default: in the user's cache)")
  .addHelpText(
    "after",
    `
Without --provider the first of these is used: an identity token in a variable (env), of GitHub Actions (github), or in a
file (file); a password in netrc (netrc); the identity token of Google's metadata server (gce); a password that git knows
(git). It is exchanged for an access token, which is kept until it expires. Status 1, and nothing on standard output, when
that fails; go shows the reason with -x.

Examples:
  go env -w GOAUTH="go-mod-proxy goauth https://proxy.example.com"
  go-mod-proxy goauth https://proxy.example.com --provider github --audience proxy`,
  )
  .action(
    async (
      server: URL,
      asked: URL | undefined,
      { cacheDir, ...flags }: IdentityFlags & { cacheDir?: string },
    ) => {
      const { goauth } = await import("./cli/goauth.ts");
      const env = Deno.env.toObject();
      await goauth({
        ...identityOptions(flags),
        server,
        asked: asked ?? null,
        cacheDirectory: cacheDir ?? `${defaultScratchDir(env)}/goauth`,
        env,
      });
    },
  );

interface ForwardFlags extends IdentityFlags {
  serverUrl: URL;
  user?: string;
  passwordFile?: string;
  passwordEnv?: string;
  port: number;
  logLevel: LogLevel;
}

withIdentityOptions(
  program.command("client-forward-proxy")
    .description("Pass on what an old go command on this machine asks, logged in at a server.")
    .addOption(
      new Option("--server-url <url>", "the server").makeOptionMandatory().argParser(parseUrl),
    )
    .option("--user <user>", "log in with a password, from one of the next two")
    .option("--password-file <file>", "file of the password")
    .option("--password-env <name>", "variable of the password")
    .addOption(
      // The original's. Without it, the message about an unknown option would repeat what follows it.
      new Option("--password <password>").hideHelp(),
    )
    .addOption(
      new Option("--port <port>", "port to listen on, of 127.0.0.1; 0 lets the system choose")
        .default(8081).argParser(parsePort),
    ),
)
  .addOption(logLevelOption("info"))
  .addHelpText(
    "after",
    `
Without --user the identity is found as by goauth. Everybody on this machine who can reach the port has the rights of that
identity at the server, as long as this runs. Go 1.24 and newer need it no more: see goauth.

Example:
  go-mod-proxy client-forward-proxy --server-url https://proxy.example.com --user dev --password-file ~/.proxy-password
  GOPROXY=http://127.0.0.1:8081 go mod download`,
  )
  .action(
    async (
      { serverUrl, user, passwordFile, passwordEnv, port, logLevel, ...flags }: ForwardFlags,
      command: Command,
    ) => {
      if (command.getOptionValue("password") !== undefined) {
        fail("others can see a password in an argument: use --password-file or --password-env");
      }
      const password = passwordFile !== undefined
        ? { file: passwordFile }
        : passwordEnv !== undefined
        ? { envVar: passwordEnv }
        : null;
      if ((user === undefined) !== (password === null) || (passwordFile && passwordEnv)) {
        command.error("error: --user needs one of --password-file and --password-env");
      }
      const { clientForwardProxy } = await import("./cli/client_forward_proxy.ts");
      const { createLogger } = await import("./lib/log/log.ts");
      await clientForwardProxy({
        ...identityOptions(flags),
        server: serverUrl,
        port,
        user: user === undefined || password === null ? null : { name: user, password },
        env: Deno.env.toObject(),
        log: createLogger(logLevel),
        signal: untilToldToEnd(),
      });
      Deno.exit(0);
    },
  );

program.command("hash-password")
  .description("Print the hash of a password on standard input, for clientAuth.identities.")
  .addHelpText(
    "after",
    `
The hash (scrypt) is no secret: it may stand in the configuration.

Example:
  read -rs PASSWORD; printf %s "$PASSWORD" | go-mod-proxy hash-password`,
  )
  .action(async () => {
    const { hashPassword } = await import("./cli/hash_password.ts");
    await hashPassword(Deno.stdin.readable);
  });

program.command("healthcheck")
  .description("Ask the server on this machine whether it is well; status 1 if it is not.")
  .addOption(
    new Option("--url <url>", "where it listens (default: http://127.0.0.1 and the port in PORT)")
      .argParser(parseUrl),
  )
  .addHelpText(
    "after",
    `
It is for the health checks of containers; where something can ask by HTTP, let it ask for /healthz.

Examples:
  go-mod-proxy healthcheck
  go-mod-proxy healthcheck --url http://127.0.0.1:3000`,
  )
  .action(async ({ url }: { url?: URL }) => {
    const { checkHealth } = await import("./cli/health_check.ts");
    await checkHealth(url ?? new URL(`http://127.0.0.1:${Deno.env.get("PORT") || 8080}`));
  });

program.command("completion")
  .description("Print a script that completes this program's command lines in a shell.")
  .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
  .addHelpText(
    "after",
    `
Examples:
  source <(go-mod-proxy completion bash)           now; in ~/.bashrc, always
  source <(go-mod-proxy completion zsh)            now; in ~/.zshrc, after compinit, always
  go-mod-proxy completion fish | source            now; in ~/.config/fish/config.fish, always`,
  )
  .action(async (shell: Shell) => {
    const { printLine } = await import("./cli/print.ts");
    printLine(completionScript(shell, program).trimEnd());
  });

program.command("credential-helper", { hidden: true })
  .description("What git runs to get at a credential; the server tells it to.")
  .argument("<operation>")
  .action(async (operation: string) => {
    const { credentialHelper } = await import("./cli/credential_helper.ts");
    await credentialHelper(operation, (name) => Deno.env.get(name));
  });

/** What commands are given that work with the store or the sources of a configuration. */
async function openCommand({ configFile, scratchDir, logLevel }: CommonFlags) {
  const { createLogger } = await import("./lib/log/log.ts");
  // It sets variables of the environment.
  const loaded = await loadConfig(configFile);
  const env = Deno.env.toObject();
  return {
    ...loaded,
    env,
    scratchDir: scratchDir ?? defaultScratchDir(env),
    program: thisProgram(),
    log: createLogger(logLevel),
    signal: untilToldToEnd(),
  };
}

async function loadConfig(file: string | undefined) {
  const { parseConfig } = await import("./lib/config/config.ts");
  const { yaml, configDirectory } = await readConfig(file);
  const config = parseConfig(yaml);
  await setOutboundVariables(config, configDirectory);
  return { config, configDirectory };
}

/**
 * What the configuration says about outgoing connections goes where the runtime, its libraries and git look for it: all of
 * them read the variables, and not all of them can be told otherwise.
 */
async function setOutboundVariables(config: Config, directory: string): Promise<void> {
  const { proxyVariables } = await import("./lib/config/http_proxy.ts");
  const { resolve } = await import("node:path");
  const env = (name: string) => Deno.env.get(name);
  const variables = await proxyVariables(config.httpProxy, { directory, env });
  if (variables !== "as they are") {
    for (const name of ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY"]) {
      Deno.env.delete(name);
      Deno.env.delete(name.toLowerCase());
    }
    for (const [name, value] of Object.entries(variables === "none" ? {} : variables)) {
      Deno.env.set(name, value);
    }
  }
  if (config.caFile !== undefined) Deno.env.set("SSL_CERT_FILE", resolve(directory, config.caFile));
}

/** @throws {ConfigError} when the file cannot be read */
async function readConfig(file: string | undefined) {
  const { dirname } = await import("node:path");
  if (file === undefined) return { yaml: "", configDirectory: "." };
  try {
    return { yaml: await Deno.readTextFile(file), configDirectory: dirname(file) };
  } catch (cause) {
    throw new ConfigError(`cannot read ${file}: ${describeError(cause)}`, { cause });
  }
}

function withIdentityOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--provider <provider>", "where the identity comes from (default: see below)")
        .choices(PROVIDERS),
    )
    .option("--audience <audience>", "what identity tokens are for (default: the server's origin)")
    .option("--token-env <name>", "variable of the identity token (default: GO_MOD_PROXY_ID_TOKEN)")
    .option(
      "--token-file <file>",
      "file of the identity token (default: /var/run/secrets/go-mod-proxy/token)",
    );
}

function identityOptions({ provider, audience, tokenEnv, tokenFile }: IdentityFlags) {
  return { provider, audience, tokenVariable: tokenEnv, tokenFile };
}

function logLevelOption(level: LogLevel): Option {
  // The choices are for the help and for completion; the parser takes spellings of the original, too.
  return new Option("--log-level <level>", "least urgent lines to write")
    .env("LOG_LEVEL").default(level).choices(LOG_LEVELS).argParser((text) => {
      const parsed = parseLogLevel(text);
      if (parsed !== null) return parsed;
      throw new InvalidArgumentError(`It must be one of ${LOG_LEVELS.join(", ")}.`);
    });
}

function configFileOption(): Option {
  const what = "YAML configuration of the server; without it everything is at its default";
  return new Option("--config-file <file>", what).env("CONFIG_FILE");
}

/** Each takes 25 MB, so not as many as a large machine has cores. A compiled binary has only the module it begins with. */
function defaultWorkers(): number {
  return Deno.build.standalone ? 1 : Math.min(navigator.hardwareConcurrency, 4);
}

function parseWorkers(text: string): number {
  const workers = Number(text);
  if (/^\d+$/.test(text) && workers >= 1 && workers <= MAX_WORKERS) return workers;
  throw new InvalidArgumentError(`It must be a number from 1 to ${MAX_WORKERS}.`);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new InvalidArgumentError("It must be a number from 0 to 65535.");
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new InvalidArgumentError("It must be an http or https URL.");
}

/** In the user's own cache, where nobody else can put things; a container without one has its temporary directory. */
function defaultScratchDir(env: Readonly<Record<string, string>>): string {
  const home = env["HOME"];
  const cache = env["XDG_CACHE_HOME"] ?? (home === undefined ? undefined : `${home}/.cache`);
  return `${cache ?? env["TMPDIR"] ?? "/tmp"}/go-mod-proxy`;
}

/** How git is to call us back. */
function thisProgram() {
  const module = Deno.build.standalone ? null : import.meta.filename ?? null;
  return { executable: Deno.execPath(), module };
}

function untilToldToEnd(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => controller.abort());
  }
  return controller.signal;
}

/** Ends with the status that shells give to an interrupted command; any other failure goes on. */
function endIfTold(signal: AbortSignal, error: unknown): never {
  if (signal.aborted) Deno.exit(130);
  throw error;
}

/** Says what is wrong, without the help that a wrong flag is answered with. */
function fail(message: string): never {
  return program.showHelpAfterError(false).error(`error: ${message}`);
}

try {
  await program.parseAsync(Deno.args, { from: "user" });
} catch (error) {
  if (error instanceof ConfigError) fail(`the configuration cannot be used\n${error.message}`);
  if (error instanceof ProxyError) fail(describeError(error));
  throw error;
}
