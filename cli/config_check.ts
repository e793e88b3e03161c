/**
 * `config check`: everything that can be said of a configuration without serving with it, in one go.
 *
 * It reads the file, every secret that the file names (keys and certificates are parsed, too), the upstream list as the
 * environment has it, and one object of the store. It changes nothing, and asks no git host, upstream or issuer.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { readConfig } from "./load_config.ts";
import { configFileOption } from "./options.ts";
import { plural, printLine } from "./print.ts";
import { checkClientAuthSecrets, clientAuthWarnings } from "../lib/auth/open.ts";
import { type Config, parseConfig } from "../lib/config/config.ts";
import { type Certificate, readCertificate } from "../lib/credentials/certificate.ts";
import { checkCredentialsSecrets, credentialsWarnings } from "../lib/credentials/open.ts";
import { secretWarnings } from "../lib/credentials/secret.ts";
import { ConfigError, describeError } from "../lib/errors.ts";
import { withDeadline } from "../lib/async/deadline.ts";
import { parseSourceList } from "../lib/source/source_list.ts";
import { NO_METRICS } from "../lib/log/metrics.ts";
import { PROBE_KEY } from "../lib/store/probe.ts";
import { readSumDatabaseKey, sumDatabaseKeyWarnings } from "../lib/open/private_sum_database.ts";
import type { Env } from "../lib/open/environment.ts";
import { openConfiguredStore } from "../lib/open/store.ts";
import { readCaCertificates, secretPlaces } from "../lib/open/surroundings.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .addOption(configFileOption())
    .addHelpText(
      "after",
      `
The file is read, the secrets that it names (keys and certificates are parsed), and one object of the store. Nothing is
changed, and no git host, upstream or issuer is contacted. Each line on standard output is a fault, a warning or a check
that passed; the last line counts them.

Example:
  go-mod-proxy config check --config-file config.yaml`,
    )
    .action(context.action(async ({ configFile }: { configFile?: string }) => {
      const isFine = await checkConfig({
        ...await readConfig(configFile),
        env: context.environment.toObject(),
        print: printLine,
        signal: context.signal,
        now: Date.now,
      });
      return isFine ? 0 : 1;
    }));
}

const STORE_TIMEOUT_MS = 20_000;
const DAY_MS = 24 * 3_600_000;
/** A certificate that ends sooner is worth a word. */
const CERTIFICATE_WARNING_MS = 14 * DAY_MS;

export interface CheckConfigOptions {
  readonly yaml: string;
  /** Where relative paths in the configuration begin. */
  readonly configDirectory: string;
  readonly env: Env;
  /** Takes a line for a person. */
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Whether there is no fault; warnings are none. */
export async function checkConfig(options: CheckConfigOptions): Promise<boolean> {
  const report = new Report(options.print);
  const config = await report.faultsOf(() => parseConfig(options.yaml));
  if (config !== null) {
    await checkSecrets(config, options, report);
    await checkUpstreams(config, options, report);
    await checkStore(config, options, report);
  }
  report.end();
  return report.isFine;
}

class Report {
  readonly #print: (line: string) => void;
  #faults = 0;
  #warnings = 0;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  get isFine(): boolean {
    return this.#faults === 0;
  }

  fault(text: string): void {
    this.#faults += 1;
    this.#print(`fault    ${text}`);
  }

  warn(text: string): void {
    this.#warnings += 1;
    this.#print(`warning  ${text}`);
  }

  fine(text: string): void {
    this.#print(`ok       ${text}`);
  }

  /** The result of the work, or null: then each line of its error is a fault. */
  async faultsOf<T>(work: () => T | Promise<T>, key?: string): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      // A message of more lines has its causes inside.
      const text = error instanceof ConfigError && key === undefined
        ? error.message
        : describeError(error);
      for (const line of text.split("\n").filter((line) => line !== "")) {
        this.fault(key === undefined ? line : `${key}: ${line}`);
      }
      return null;
    }
  }

  end(): void {
    this.#print(`${plural(this.#faults, "fault")}, ${plural(this.#warnings, "warning")}`);
  }
}

async function checkSecrets(
  config: Config,
  options: CheckConfigOptions,
  report: Report,
): Promise<void> {
  const { configDirectory, env, now } = options;
  const places = secretPlaces({ configDirectory, env });
  await report.faultsOf(() => checkCredentialsSecrets(config, places));
  for (const warning of credentialsWarnings(config)) report.warn(warning);
  const { clientAuth, listen: { tls }, privateSumDatabase } = config;
  if (clientAuth.enabled) {
    await report.faultsOf(() => checkClientAuthSecrets(clientAuth, places));
    for (const warning of clientAuthWarnings(clientAuth)) report.warn(warning);
  }
  if (privateSumDatabase !== undefined) {
    await report.faultsOf(() => readSumDatabaseKey(privateSumDatabase, places));
    for (const warning of sumDatabaseKeyWarnings(privateSumDatabase)) report.warn(warning);
  }
  if (tls === undefined) return;
  const certificate = await report.faultsOf(() => readCertificate(tls, places), "listen.tls");
  const keyWarnings = secretWarnings([{ key: "listen.tls.privateKey", secret: tls.privateKey }]);
  for (const warning of keyWarnings) report.warn(warning);
  if (certificate !== null) judgeCertificate(certificate, now(), report);
}

function judgeCertificate({ names, notAfter }: Certificate, nowMs: number, report: Report): void {
  const leftMs = notAfter.getTime() - nowMs;
  const text = `listen.tls: the certificate for ${names} ends on ${notAfter.toISOString()}`;
  if (leftMs < 0) report.fault(`${text}: its time is over`);
  else if (leftMs < CERTIFICATE_WARNING_MS) report.warn(`${text}: soon`);
  else report.fine(text);
}

async function checkUpstreams(
  { parentProxy }: Config,
  { env }: CheckConfigOptions,
  report: Report,
): Promise<void> {
  // parentProxy has been looked at with the rest of the file.
  if (parentProxy !== undefined || !env["GOPROXY"]) return;
  await report.faultsOf(() => parseSourceList(env["GOPROXY"] ?? ""), "GOPROXY");
}

/** Reads what `serve` leaves in a store at start; that it is not there yet is no fault. */
async function checkStore(
  config: Config,
  { env, signal }: CheckConfigOptions,
  report: Report,
): Promise<void> {
  if ("disk" in config.storage && await isAbsent(config.storage.disk.path)) {
    report.fine(`storage: the directory "${config.storage.disk.path}" will be made`);
    return;
  }
  const store = await report.faultsOf(async () => {
    const store = await openConfiguredStore({
      config,
      env,
      caCertificates: await readCaCertificates(env),
      metrics: NO_METRICS,
    });
    const object = await withDeadline((signal) => store.get(PROBE_KEY, { signal }), {
      timeoutMs: STORE_TIMEOUT_MS,
      what: `reach ${store.description}`,
      signal,
    });
    await object?.body.cancel();
    return store;
  }, "storage");
  if (store !== null) report.fine(`storage: ${store.description} can be read`);
}

async function isAbsent(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
