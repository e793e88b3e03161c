/** Flags that several commands have. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type ProviderName, PROVIDERS } from "../lib/client/providers.ts";
import { parseSpanMs } from "../lib/policy/time_text.ts";
import { LOG_LEVELS, type LogLevel, parseLogLevel } from "../lib/log/log_level.ts";

/** Of all commands that use the store or the sources of a configuration. */
export interface CommonFlags {
  readonly configFile?: string;
  readonly scratchDir?: string;
  readonly logLevel: LogLevel;
}

export function configFileOption(): Option {
  const what = "YAML configuration of the server; without it every setting has its default";
  return new Option("--config-file <file>", what).env("CONFIG_FILE");
}

export function scratchDirOption(): Option {
  return new Option(
    "--scratch-dir <dir>",
    "directory for temporary files and git mirrors (default: go-mod-proxy in the user's cache)",
  );
}

export function logLevelOption(level: LogLevel): Option {
  // The choices are for the help and for completion; the parser accepts the original's spellings,
  // too.
  return new Option("--log-level <level>", "least severe level to log")
    .env("LOG_LEVEL").default(level).choices(LOG_LEVELS).argParser((text) => {
      const parsed = parseLogLevel(text);
      if (parsed !== null) return parsed;
      throw new InvalidArgumentError(`It must be one of ${LOG_LEVELS.join(", ")}.`);
    });
}

export function sinceOption(value: string): Option {
  return new Option("--since <span>", "how far back, in hours, days or weeks: 12h, 7d, 2w")
    .default(parseSpanMs(value), value).argParser((text) => {
      try {
        return parseSpanMs(text);
      } catch {
        throw new InvalidArgumentError("It must be a span as in 12h, 7d or 2w.");
      }
    });
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new InvalidArgumentError("It must be a number from 0 to 65535.");
}

export function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new InvalidArgumentError("It must be an http or https URL.");
}

export interface IdentityFlags {
  readonly provider?: ProviderName;
  readonly audience?: string;
  readonly tokenEnv?: string;
  readonly tokenFile?: string;
}

/** The flags that select the source of a client's identity. */
export function addIdentityOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--provider <provider>", "source of the identity (default: see below)")
        .choices(PROVIDERS),
    )
    .option("--audience <audience>", "audience of identity tokens (default: the server's origin)")
    .option(
      "--token-env <name>",
      "environment variable with the identity token (default: GO_MOD_PROXY_ID_TOKEN)",
    )
    .option(
      "--token-file <file>",
      "file with the identity token (default: /var/run/secrets/go-mod-proxy/token)",
    );
}

export function identityOptions({ provider, audience, tokenEnv, tokenFile }: IdentityFlags) {
  return { provider, audience, tokenVariable: tokenEnv, tokenFile };
}
