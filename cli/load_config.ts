/**
 * From flags, environment and configuration file to what commands work with.
 *
 * The settings of outgoing connections are written back to the environment: the runtime, its libraries and git look for
 * them there, and not all of them can be configured otherwise.
 */
import { dirname, resolve } from "node:path";
import { parseConfig } from "../lib/config/config.ts";
import { proxyVariables } from "../lib/config/http_proxy.ts";
import { ConfigError, describeError } from "../lib/errors.ts";
import { createLogger } from "../lib/log/log.ts";
import { type Env, userCacheDirectory } from "../lib/open/environment.ts";
import type { ProcessSettings } from "../lib/open/surroundings.ts";
import type { CommandContext, Environment } from "./command.ts";
import type { CommonFlags } from "./options.ts";

/** What the commands are given that use the store or the sources of a configuration. */
export interface Loaded extends ProcessSettings {
  readonly signal: AbortSignal;
}

type LoadedConfig = Pick<ProcessSettings, "config" | "configDirectory">;

/** @throws {ConfigError} */
export async function load(
  { configFile, scratchDir, logLevel }: CommonFlags,
  { environment, program, signal }: CommandContext,
): Promise<Loaded> {
  const loaded = await loadConfig(configFile, environment);
  // After loadConfig, which sets variables.
  const env = environment.toObject();
  return {
    ...loaded,
    env,
    scratchDir: scratchDir ?? defaultScratchDir(env),
    program,
    log: createLogger(logLevel),
    signal,
  };
}

/** @throws {ConfigError} */
export async function loadConfig(
  file: string | undefined,
  environment: Environment,
): Promise<LoadedConfig> {
  const { yaml, configDirectory } = await readConfig(file);
  const config = parseConfig(yaml);
  await setOutboundVariables({ config, configDirectory }, environment);
  return { config, configDirectory };
}

/** @throws {ConfigError} when the file cannot be read */
export async function readConfig(
  file: string | undefined,
): Promise<{ yaml: string; configDirectory: string }> {
  if (file === undefined) return { yaml: "", configDirectory: "." };
  try {
    return { yaml: await Deno.readTextFile(file), configDirectory: dirname(file) };
  } catch (cause) {
    throw new ConfigError(`cannot read ${file}: ${describeError(cause)}`, { cause });
  }
}

async function setOutboundVariables(
  { config, configDirectory: directory }: LoadedConfig,
  environment: Environment,
): Promise<void> {
  const env = (name: string) => environment.get(name);
  const variables = await proxyVariables(config.httpProxy, { directory, env });
  if (variables !== "as they are") {
    for (const name of ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "ALL_PROXY"]) {
      environment.delete(name);
      environment.delete(name.toLowerCase());
    }
    for (const [name, value] of Object.entries(variables === "none" ? {} : variables)) {
      environment.set(name, value);
    }
  }
  if (config.caFile !== undefined) {
    environment.set("SSL_CERT_FILE", resolve(directory, config.caFile));
  }
}

/** In the user's own cache, where nobody else can write; a container without one has its temporary directory. */
export function defaultScratchDir(env: Env): string {
  return `${userCacheDirectory(env) ?? env["TMPDIR"] ?? "/tmp"}/go-mod-proxy`;
}
