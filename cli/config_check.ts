/**
 * `config check`: validates a configuration without serving it, and reports everything at once.
 *
 * Reads the file, every secret that it names (keys and certificates are parsed too), the upstream
 * list of the environment, and one object of the store. Changes nothing, and contacts no git host,
 * upstream or issuer.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { readConfigFile } from "./load_config.ts";
import { configFileOption } from "./options.ts";
import { plural, printLine } from "./print.ts";
import { resolve } from "node:path";
import { withDeadline } from "../lib/async/deadline.ts";
import { readRevoked } from "../lib/auth/revocations.ts";
import { clientAuthSecretUses } from "../lib/auth/open.ts";
import { type Config, type ConfigReading, findingText } from "../lib/config/config.ts";
import { exposureFaults, exposureWarnings } from "../lib/config/exposure.ts";
import {
  type Certificate,
  readAuthorities,
  readCertificate,
} from "../lib/credentials/certificate.ts";
import { credentialsSecrets } from "../lib/credentials/config.ts";
import { readSecretLine, secretFaults, type SecretUse } from "../lib/credentials/secret.ts";
import { secretsOf } from "../lib/config/secrets.ts";
import { secretFileWarnings } from "../lib/credentials/secret_files.ts";
import { describeError, ProxyError } from "../lib/errors.ts";
import { NO_METRICS } from "../lib/log/metrics.ts";
import { readSumDatabaseKey } from "../lib/open/private_sum_database.ts";
import type { Env } from "../lib/open/environment.ts";
import { openConfiguredStore } from "../lib/open/store.ts";
import { readCaCertificates, secretPlaces } from "../lib/open/surroundings.ts";
import { noUpstreamWarning } from "../lib/open/upstreams.ts";
import type { Path } from "../lib/schema/fault.ts";
import { parseSourceList } from "../lib/source/source_list.ts";
import { redirectOf } from "../lib/store/config.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { PROBE_KEY } from "../lib/store/probe.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .addOption(configFileOption())
    .option("--host <host>", "address that serve is to listen on (default: any)")
    .addHelpText(
      "after",
      `
The file is read, the secrets that it names (keys and certificates are parsed), and one object of the store. Nothing is
changed, and no git host, upstream or issuer is contacted. Each line on standard output is a fault, a warning or a check
that passed; the last line counts them.

Example:
  go-mod-proxy config check --config-file config.yaml`,
    )
    .action(context.action(async ({ configFile, host }: CheckFlags) => {
      const env = context.environment.toObject();
      const isFine = await checkConfig({
        ...await readConfigFile(configFile, env),
        host,
        env,
        print: printLine,
        signal: context.signal,
        now: Date.now,
      });
      return isFine ? 0 : 1;
    }));
}

interface CheckFlags {
  readonly configFile?: string;
  readonly host?: string;
}

const STORE_TIMEOUT_MS = 20_000;
const DAY_MS = 24 * 3_600_000;
/** A certificate that expires sooner gets a warning. */
const CERTIFICATE_WARNING_MS = 14 * DAY_MS;

export interface CheckConfigOptions {
  readonly reading: ConfigReading;
  /** The directory that relative paths in the configuration are resolved against. */
  readonly configDirectory: string;
  /** What `serve` is to listen on. Default: it is not known. */
  readonly host?: string | undefined;
  readonly env: Env;
  /** Receives a line of output. */
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Whether there is no fault; a warning is not one. Secrets, certificate and store are checked if
 * the file has no fault.
 */
export async function checkConfig(options: CheckConfigOptions): Promise<boolean> {
  const { config, faults, warnings } = options.reading;
  const report = new Report(options.reading);
  for (const fault of faults) report.faults.push(findingText(fault));
  for (const warning of warnings) report.warnings.push(findingText(warning));
  if (config !== null) {
    await checkSecrets(config, options, report);
    await checkCertificate(config, options, report);
    checkUpstreams(config, options, report);
    checkExposure(config, options, report);
    await checkStore(config, options, report);
  }
  report.print(options.print);
  return report.faults.length === 0;
}

class Report {
  readonly faults: string[] = [];
  readonly warnings: string[] = [];
  readonly passed: string[] = [];
  readonly #reading: ConfigReading;

  constructor(reading: ConfigReading) {
    this.#reading = reading;
  }

  /** A message with its place in the file. */
  at(path: Path, message: string): string {
    return findingText(this.#reading.locate({ path, message }));
  }

  /** The result of the work, or null: then its error is reported as a fault of this place. */
  async resultOf<T>(path: Path, work: () => T | Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      this.faults.push(this.at(path, describeError(error)));
      return null;
    }
  }

  print(print: (line: string) => void): void {
    for (const text of this.faults) print(`fault    ${text}`);
    for (const text of this.warnings) print(`warning  ${text}`);
    for (const text of this.passed) print(`ok       ${text}`);
    print(`${plural(this.faults.length, "fault")}, ${plural(this.warnings.length, "warning")}`);
  }
}

async function checkSecrets(
  config: Config,
  options: CheckConfigOptions,
  report: Report,
): Promise<void> {
  const { configDirectory, reading: { locate } } = options;
  const { clientAuth, httpProxy: { password }, caFile, privateSumDatabase } = config;
  const uses: SecretUse[] = [
    ...(password === undefined
      ? []
      : [{ path: ["httpProxy", "password"], secret: password, read: readSecretLine }]),
    ...credentialsSecrets(config),
    ...(clientAuth.enabled ? clientAuthSecretUses(clientAuth) : []),
  ];
  for (const fault of await secretFaults(uses, secretPlaces(options))) {
    report.faults.push(findingText(locate(fault)));
  }
  const { revoked } = clientAuth;
  if (clientAuth.enabled && revoked !== undefined) {
    const file = resolve(configDirectory, revoked);
    await report.resultOf(["clientAuth", "revoked"], () => readRevoked(file));
  }
  const ca = clientAuth.authenticators.clientCertificate?.ca;
  if (clientAuth.enabled && ca !== undefined) {
    const path = ["clientAuth", "authenticators", "clientCertificate", "ca"];
    await report.resultOf(path, () => readAuthorities(ca, secretPlaces(options)));
  }
  for (const warning of await secretFileWarnings(secretsOf(config), secretPlaces(options))) {
    report.warnings.push(findingText(locate(warning)));
  }
  if (privateSumDatabase !== undefined) {
    const path = ["privateSumDatabase", "privateKey"];
    const places = secretPlaces(options);
    await report.resultOf(path, () => readSumDatabaseKey(privateSumDatabase, places));
  }
  if (caFile !== undefined) {
    await report.resultOf(["caFile"], () => Deno.readTextFile(resolve(configDirectory, caFile)));
  }
}

async function checkCertificate(
  { listen: { tls } }: Config,
  options: CheckConfigOptions,
  report: Report,
): Promise<void> {
  if (tls === undefined) return;
  const path = ["listen", "tls"];
  const certificate = await report.resultOf(
    path,
    () => readCertificate(tls, secretPlaces(options)),
  );
  if (certificate !== null) judgeCertificate(certificate, options.now(), report);
}

function judgeCertificate({ names, notAfter }: Certificate, nowMs: number, report: Report): void {
  const leftMs = notAfter.getTime() - nowMs;
  const until = notAfter.toISOString();
  const path = ["listen", "tls"];
  if (leftMs < 0) {
    report.faults.push(report.at(path, `the certificate for ${names} expired on ${until}`));
  } else if (leftMs < CERTIFICATE_WARNING_MS) {
    report.warnings.push(report.at(path, `the certificate for ${names} expires soon, on ${until}`));
  } else {
    report.passed.push(`listen.tls: the certificate for ${names} is valid until ${until}`);
  }
}

/** Without a host, what `serve` would refuse on some is a warning. */
function checkExposure(
  config: Config,
  { host, reading: { locate, warnings } }: CheckConfigOptions,
  report: Report,
): void {
  if (host !== undefined) {
    report.faults.push(...exposureFaults(config, host).map(locate).map(findingText));
  }
  const unsaid = (host === undefined ? exposureFaults(config, null) : [])
    .concat(exposureWarnings(config, host ?? null))
    .map(locate)
    // The file's own warning is about the same.
    .filter(({ path }) => !warnings.some((warning) => warning.path === path));
  report.warnings.push(...unsaid.map(findingText));
}

function checkUpstreams(
  config: Config,
  { env }: CheckConfigOptions,
  report: Report,
): void {
  const warning = noUpstreamWarning({ config, env });
  if (warning !== null) report.warnings.push(warning);
  // parentProxy has been checked with the rest of the file.
  if (config.parentProxy !== undefined || !env["GOPROXY"]) return;
  try {
    parseSourceList(env["GOPROXY"]);
  } catch (error) {
    report.faults.push(`GOPROXY: ${describeError(error)}`);
  }
}

/** Reads the marker that `serve` leaves in a store at startup; its absence is not a fault. */
async function checkStore(
  config: Config,
  { configDirectory, env, signal }: CheckConfigOptions,
  report: Report,
): Promise<void> {
  const { storage, caFile } = config;
  if ("disk" in storage && await isAbsent(storage.disk.path)) {
    report.passed.push(`storage: the directory "${storage.disk.path}" will be created`);
    return;
  }
  const certificates = caFile === undefined
    ? {}
    : { SSL_CERT_FILE: resolve(configDirectory, caFile) };
  const store = await report.resultOf(["storage"], async () => {
    const store = await openConfiguredStore({
      config,
      env,
      caCertificates: await readCaCertificates({ ...env, ...certificates }),
      metrics: NO_METRICS,
    });
    const object = await withDeadline((signal) => store.get(PROBE_KEY, { signal }), {
      timeoutMs: STORE_TIMEOUT_MS,
      what: `reach ${store.description}`,
      signal,
    });
    await object?.body.cancel();
    return store;
  });
  if (store === null) return;
  report.passed.push(`storage: ${store.description} can be read`);
  if (redirectOf(storage) !== false) await checkRedirect(store, { config, signal, report });
}

/**
 * Signs a URL of the marker, if it is there. That this is not possible is no fault, because `serve`
 * sends the zips itself then.
 */
async function checkRedirect(
  store: ObjectStore,
  { config: { storage }, signal, report }: {
    readonly config: Config;
    readonly signal: AbortSignal;
    readonly report: Report;
  },
): Promise<void> {
  try {
    const url = await withDeadline(
      async (signal) => await store.signedUrl?.(PROBE_KEY, { lifetimeSeconds: 1, signal }) ?? null,
      { timeoutMs: STORE_TIMEOUT_MS, what: `sign a URL of ${store.description}`, signal },
    );
    if (url === null) return;
    report.passed.push(`storage: URLs of ${store.description} can be signed`);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    const path = ["storage", "gcs" in storage ? "gcs" : "s3", "redirect"];
    report.warnings.push(
      report.at(path, `${describeError(error)}; serve will send the zips itself`),
    );
  }
}

async function isAbsent(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}
