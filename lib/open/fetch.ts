/** Outgoing HTTP as the configuration and the environment want it. */
import type { Config } from "../config/config.ts";
import { createFetch, type Fetch } from "../http/client.ts";
import { VERSION } from "./version.ts";

export interface OpenFetchOptions {
  readonly env: Readonly<Record<string, string>>;
  /** The value of `Via` by which this process knows its own requests. */
  readonly via: string;
}

/** @throws {Deno.errors.NotFound} when the file that `SSL_CERT_FILE` names is not there */
export async function openFetch(config: Config, { env, via }: OpenFetchOptions): Promise<Fetch> {
  return createFetch({
    userAgent: `go-mod-proxy/${VERSION}`,
    via,
    caCertificates: await readCaCertificates(env),
    insecureHosts: config.insecureHosts,
  });
}

/**
 * The root certificates, PEM, that count besides the runtime's own.
 *
 * @throws {Deno.errors.NotFound} when the file that `SSL_CERT_FILE` names is not there
 */
export async function readCaCertificates(env: OpenFetchOptions["env"]): Promise<string[]> {
  const file = env["SSL_CERT_FILE"];
  return file === undefined ? [] : [await Deno.readTextFile(file)];
}

/** A value of `Via` that no other process has. */
export function newVia(): string {
  return `1.1 go-mod-proxy-${crypto.randomUUID()}`;
}
