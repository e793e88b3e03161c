/**
 * Listens for requests, by http or, with `listen.tls`, by https, and shuts down gracefully: it
 * stops accepting connections and finishes requests in progress within
 * {@linkcode SHUTDOWN_TIMEOUT_MS}.
 *
 * A replaced certificate is used for new connections, and open ones stay. If the new certificate
 * cannot be used, an error is logged and the old one stays in use.
 */
import type { Config } from "../lib/config/config.ts";
import {
  type Certificate,
  type CertificateConfig,
  CertificateWatch,
  readAuthorities,
  readCertificate,
} from "../lib/credentials/certificate.ts";
import type { Secret, SecretPlaces } from "../lib/credentials/secret.ts";
import { ConfigError, describeError } from "../lib/errors.ts";
import { internalError } from "./internal_error.ts";
import type { Connections } from "./connections.ts";
import { NativeServer } from "./native_server.ts";
import type { NodeServerOptions, TlsVersion } from "./node_server.ts";
import type { Logger } from "../lib/log/log.ts";
import type { ConnectionInfo } from "../routes/app.ts";

/** A large zip on a slow line may take this long to finish. */
export const SHUTDOWN_TIMEOUT_MS = 30_000;
/** How long whoever may listen on our port already may take to accept a connection. */
const PORT_CHECK_TIMEOUT_MS = 2_000;
/** How often the certificate's files are read again. */
const CERTIFICATE_CHECK_MS = 2_000;

export interface ListenOptions {
  readonly config: Pick<Config["listen"], "tls">;
  /** Where the certificate and its key are read from. */
  readonly places: SecretPlaces;
  /** The authorities of client certificates, by https. Default: clients are asked for none. */
  readonly clientCa?: Secret | undefined;
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  readonly log: Logger;
  /** Starts the shutdown. */
  readonly signal: AbortSignal;
  /** Called with the URL as soon as it is known. */
  readonly announce: (url: string) => void;
  /** The connections of this thread. */
  readonly connections: Connections;
  /** Further threads that share the address; null for none, as with https. */
  readonly threads: SharedAddress | null;
}

export interface SharedAddress {
  /** Resolves when they listen, too. */
  start(addr: Deno.NetAddr): Promise<void>;
  /** Resolves when their requests in progress have finished. */
  stop(): Promise<void>;
}

export type Handler = (
  request: Request,
  connection: ConnectionInfo,
) => Response | Promise<Response>;

/**
 * Returns when the server has shut down.
 *
 * @throws {ConfigError} when the address cannot be listened on, or there is no usable certificate
 */
export async function listen(app: Handler, options: ListenOptions): Promise<void> {
  const { config, log, signal, announce } = options;
  const { tls } = config;
  const threads = tls === undefined && NativeServer.isAvailable ? options.threads : null;
  const server = await open(app, { ...options, threads }).catch((cause) => {
    throw cause instanceof ConfigError ? cause : addressFault(cause, options);
  });
  announce(urlOf(server.scheme, server.addr));
  // Not awaited: this thread answers already.
  const started = threads?.start(server.addr);
  await untilAborted(signal);
  log.info({ timeoutMs: SHUTDOWN_TIMEOUT_MS }, "stopping: finishing requests in flight");
  const isDone = await Promise.race([
    finish(server, threads).then(() => true),
    new Promise<false>((resolve) => setTimeout(() => resolve(false), SHUTDOWN_TIMEOUT_MS)),
  ]);
  await started;
  log.info(isDone ? "stopped" : "stopped: some requests did not finish in time");
}

/** The main thread answers the others until they have ended. */
async function finish(server: OpenServer, threads: SharedAddress | null): Promise<void> {
  await Promise.all([server.shutdown(), threads?.stop()]);
}

interface OpenServer {
  readonly scheme: "http" | "https";
  readonly addr: Deno.NetAddr;
  shutdown(): Promise<void>;
}

async function open(app: Handler, options: ListenOptions): Promise<OpenServer> {
  const { config: { tls }, log } = options;
  if (tls !== undefined) return await openTls(app, { ...options, tls });
  if (NativeServer.isAvailable) return await openNative(app, options);
  log.warn("this version of Deno lacks the native HTTP server: falling back to one slower thread");
  const server = await openNode(app, options, null);
  return { scheme: "http", addr: server.addr, shutdown: () => server.shutdown() };
}

async function openNative(app: Handler, options: ListenOptions): Promise<OpenServer> {
  const { host: hostname, port, log, connections, threads } = options;
  const reusePort = threads !== null;
  if (reusePort) await refuseTakenPort({ hostname, port });
  const onError = (error: unknown) => internalError(error, log);
  const server = new NativeServer({ hostname, port, reusePort, connections, onError }, app);
  return { scheme: "http", addr: server.addr, shutdown: () => server.shutdown() };
}

/**
 * With SO_REUSEPORT the system lets two servers of one user listen on a port, each with a part of
 * the connections. So the port is asked first. To listen without it and close again, as was done
 * before, resets the connections that come in between.
 *
 * @throws {Deno.errors.AddrInUse} when somebody listens there
 */
async function refuseTakenPort(
  { hostname, port }: { readonly hostname: string; readonly port: number },
): Promise<void> {
  if (port === 0) return;
  try {
    const signal = AbortSignal.timeout(PORT_CHECK_TIMEOUT_MS);
    using _connection = await Deno.connect({ hostname: ownAddress(hostname), port, signal });
  } catch {
    // Nobody answers. What else there may be, such as an address that is not ours, listen reports.
    return;
  }
  throw new Deno.errors.AddrInUse("Address already in use");
}

/** Where this machine reaches what listens on an address. */
function ownAddress(hostname: string): string {
  return hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
}

/** Its code is loaded on demand. */
async function openNode(app: Handler, options: ListenOptions, tls: NodeServerOptions["tls"]) {
  const { host: hostname, port, log, connections } = options;
  const { NodeServer } = await import("./node_server.ts");
  const onError = (error: unknown) => internalError(error, log);
  return await NodeServer.listen({ hostname, port, tls, connections, onError, log }, app);
}

type TlsConfig = CertificateConfig & { readonly minVersion: TlsVersion };

async function openTls(
  app: Handler,
  options: ListenOptions & { readonly tls: TlsConfig },
): Promise<OpenServer> {
  const { tls, places, log } = options;
  const certificate = await readCertificate(tls, places).catch((cause) => {
    throw new ConfigError(`listen.tls: ${describeError(cause)}`, { cause });
  });
  const { clientCa } = options;
  const authorities = clientCa === undefined
    ? undefined
    : await readAuthorities(clientCa, places).catch((cause) => {
      const message = `clientAuth.authenticators.clientCertificate.ca: ${describeError(cause)}`;
      throw new ConfigError(message, { cause });
    });
  logCertificate(certificate, log);
  const server = await openNode(app, options, {
    keyPair: certificate,
    minVersion: tls.minVersion,
    clientCa: authorities,
  });
  const watch = new CertificateWatch(certificate, { config: tls, places });
  const stopFollowing = follow(watch, { log, use: (next) => server.setKeyPair(next) });
  return {
    scheme: "https",
    addr: server.addr,
    shutdown: async () => {
      stopFollowing();
      await server.shutdown();
    },
  };
}

interface FollowOptions {
  readonly log: Logger;
  readonly use: (certificate: Certificate) => void;
}

/** Checks for a new certificate periodically. Returns the function that ends this. */
function follow(watch: CertificateWatch, { log, use }: FollowOptions): () => void {
  let lastFault = "";
  const check = async () => {
    try {
      const next = await watch.next();
      lastFault = "";
      if (next === null) return;
      use(next);
      logCertificate(next, log);
    } catch (error) {
      const fault = describeError(error);
      if (fault !== lastFault) log.error({ error: fault }, "cannot use the new certificate");
      lastFault = fault;
    }
  };
  const timer = setInterval(check, CERTIFICATE_CHECK_MS);
  return () => clearInterval(timer);
}

function logCertificate({ names, notAfter }: Certificate, log: Logger): void {
  const facts = { names, notAfter: notAfter.toISOString() };
  if (notAfter.getTime() < Date.now()) log.warn(facts, "certificate has expired");
  else log.info(facts, "using a certificate");
}

function addressFault(cause: unknown, { host, port }: ListenOptions): ConfigError {
  return new ConfigError(`cannot listen on ${host}:${port}: ${describeError(cause)}`, { cause });
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function urlOf(scheme: string, { hostname, port }: Deno.NetAddr): string {
  const own = ownAddress(hostname);
  const host = own.includes(":") ? `[${own}]` : own;
  return `${scheme}://${host}:${port}`;
}
