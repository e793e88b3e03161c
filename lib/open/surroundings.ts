/**
 * What the composition gets from outside, in one object: the configuration, the environment, and
 * the effects that the parts need (outgoing HTTP, log, metrics). Everything else in this folder is
 * made from it.
 */
import type { Config } from "../config/config.ts";
import type { SecretPlaces } from "../credentials/secret.ts";
import { createFetch, type Fetch } from "../http/client.ts";
import type { CreateClient } from "../http/egress_clients.ts";
import type { Logger } from "../log/log.ts";
import { type Metrics, NO_METRICS } from "../log/metrics.ts";
import type { Env } from "./environment.ts";
import { USER_AGENT } from "./version.ts";

/** The settings that a process was started with. */
export interface ProcessSettings {
  readonly config: Config;
  /** Directory that relative paths in the configuration are resolved against. */
  readonly configDirectory: string;
  readonly env: Env;
  /**
   * Directory for temporary files and git mirrors; it may be shared with other processes of this
   * user and may be lost. Null: a new one in the system's temporary directory.
   */
  readonly scratchDir: string | null;
  /** How git calls this program back. */
  readonly program: Program;
  /** For requests to hosts that strangers name. */
  readonly createClient: CreateClient;
  readonly log: Logger;
}

/** How this program is started again: a compiled binary, or Deno with main.ts. */
export interface Program {
  readonly executable: string;
  /** main.ts, or null for a compiled binary. */
  readonly module: string | null;
}

export interface Surroundings extends ProcessSettings {
  /** For hosts that the configuration names, which may be anywhere. */
  readonly fetch: Fetch;
  /** The value of `Via` by which this process recognizes its own requests. */
  readonly via: string;
  /** PEM root certificates that are trusted in addition to the runtime's own. */
  readonly caCertificates: readonly string[];
  /** Where secrets of the configuration are read. */
  readonly secretPlaces: SecretPlaces;
  readonly metrics: Metrics;
}

/** @throws {Deno.errors.NotFound} when the file that `SSL_CERT_FILE` names does not exist */
export async function openSurroundings(
  settings: ProcessSettings,
  metrics: Metrics = NO_METRICS,
): Promise<Surroundings> {
  const { config, configDirectory, env } = settings;
  const caCertificates = await readCaCertificates(env);
  const via = `1.1 go-mod-proxy-${crypto.randomUUID()}`;
  const { insecureHosts } = config;
  return {
    ...settings,
    via,
    fetch: createFetch({
      userAgent: USER_AGENT,
      via,
      caCertificates,
      insecureHosts,
    }),
    caCertificates,
    secretPlaces: secretPlaces({ configDirectory, env }),
    metrics,
  };
}

export function secretPlaces(
  { configDirectory, env }: Pick<ProcessSettings, "configDirectory" | "env">,
): SecretPlaces {
  return { directory: configDirectory, env: (name) => env[name] };
}

/** @throws {Deno.errors.NotFound} when the file that `SSL_CERT_FILE` names does not exist */
export async function readCaCertificates(env: Env): Promise<string[]> {
  const file = env["SSL_CERT_FILE"];
  return file === undefined ? [] : [await Deno.readTextFile(file)];
}
