/**
 * Turns flags, environment and configuration file into what commands work with.
 *
 * The settings of outgoing connections are written back to the environment: the runtime, its
 * libraries and git read them there, and not all of them can be configured otherwise.
 */
import { dirname, resolve } from "node:path";
import { type ConfigReading, type Finding, findingText, readConfig } from "../lib/config/config.ts";
import { MAX_BYTES } from "../lib/config/yaml_file.ts";
import { ConfigError, describeError } from "../lib/errors.ts";
import type { CreateClient } from "../lib/http/egress_clients.ts";
import { createLogger } from "../lib/log/log.ts";
import { type Env, userCacheDirectory } from "../lib/open/environment.ts";
import { proxyVariables } from "../lib/open/proxy_variables.ts";
import type { ProcessSettings } from "../lib/open/surroundings.ts";
import type { CommandContext, Environment } from "./command.ts";
import type { CommonFlags } from "./options.ts";

/** What commands get that use the store or the sources of a configuration. */
export interface Loaded extends ProcessSettings {
  readonly signal: AbortSignal;
}

interface LoadedConfig extends Pick<ProcessSettings, "config" | "configDirectory"> {
  /** What is valid in the configuration but probably a mistake. */
  readonly warnings: readonly Finding[];
}

/**
 * Logs the warnings.
 *
 * @throws {ConfigError}
 */
export async function load(
  { configFile, scratchDir, logLevel }: CommonFlags,
  { environment, program, signal }: CommandContext,
): Promise<Loaded> {
  const { warnings, ...loaded } = await loadConfig(configFile, environment);
  const log = createLogger(logLevel);
  for (const warning of warnings) log.warn(findingText(warning));
  // After loadConfig, which sets variables.
  const env = environment.toObject();
  return {
    ...loaded,
    env,
    scratchDir: scratchDir ?? defaultScratchDir(env),
    program,
    createClient: clientsWithoutNoProxy(environment),
    log,
    signal,
  };
}

/** @throws {ConfigError} with a line for each fault */
export async function loadConfig(
  file: string | undefined,
  environment: Environment,
): Promise<LoadedConfig> {
  const { reading, configDirectory } = await readConfigFile(file, environment.toObject());
  const { config, faults, warnings } = reading;
  if (config === null) throw new ConfigError(faults.map(findingText).join("\n"));
  await setOutboundVariables({ config, configDirectory }, environment);
  return { config, configDirectory, warnings };
}

/**
 * Reads a configuration file, and the environment's settings of outgoing connections. Without a
 * file every setting has its default.
 *
 * @throws {ConfigError} when the file cannot be read
 */
export async function readConfigFile(
  file: string | undefined,
  env: Env,
): Promise<{ reading: ConfigReading; configDirectory: string }> {
  if (file === undefined) return { reading: readConfig("", { env }), configDirectory: "." };
  return {
    reading: readConfig(await readText(file), { file, env }),
    configDirectory: dirname(file),
  };
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await Deno.stat(file);
    if (size > MAX_BYTES) throw new ConfigError(`it is larger than ${MAX_BYTES} bytes`);
    return await Deno.readTextFile(file);
  } catch (cause) {
    throw new ConfigError(`cannot read ${file}: ${describeError(cause)}`, { cause });
  }
}

async function setOutboundVariables(
  { config, configDirectory: directory }: Omit<LoadedConfig, "warnings">,
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

/**
 * Creates clients while NO_PROXY is not set, which the runtime reads when it creates one, and
 * restores it at once: other clients and libraries need it.
 */
export function clientsWithoutNoProxy(
  environment: Pick<Environment, "get" | "set" | "delete">,
): CreateClient {
  return (options) => {
    const saved = ["NO_PROXY", "no_proxy"].map((name) => [name, environment.get(name)] as const);
    try {
      for (const [name] of saved) environment.delete(name);
      return Deno.createHttpClient(options);
    } finally {
      for (const [name, value] of saved) if (value !== undefined) environment.set(name, value);
    }
  };
}

/** In the user's own cache; null where there is none, as in some containers. */
export function defaultScratchDir(env: Env): string | null {
  const cache = userCacheDirectory(env);
  return cache === null ? null : `${cache}/go-mod-proxy`;
}
