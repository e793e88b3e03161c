/**
 * What must not be reachable from other machines: private modules that everybody may read, and
 * passwords that anybody on the way can read. The server refuses to start with either on an address
 * that is not loopback, unless `listen.insecure` says that the network keeps strangers out.
 */
import { isLoopbackHost } from "../http/address.ts";
import type { Fault } from "../schema/fault.ts";
import type { Config } from "./config.ts";

/**
 * Why a server must not listen on this host (`--host`).
 *
 * @param host null: what would be refused on any that is not loopback
 */
export function exposureFaults(config: Config, host: string | null): Fault[] {
  return config.listen.insecure ? [] : exposures(config, host);
}

/** The same where `listen.insecure` allows it. */
export function exposureWarnings(config: Config, host: string | null): Fault[] {
  return config.listen.insecure ? exposures(config, host) : [];
}

function exposures({ clientAuth, listen, privateModules }: Config, host: string | null): Fault[] {
  if (host !== null && isLoopbackHost(host)) return [];
  const faults: Fault[] = [];
  if (privateModules.length > 0 && !clientAuth.enabled) {
    faults.push({
      path: ["privateModules"],
      message: "anyone who reaches the server may read them; set clientAuth, or listen on " +
        `loopback${UNLESS}`,
    });
  }
  const isEncrypted = listen.tls !== undefined || listen.trustedProxies.length > 0;
  const i = clientAuth.identities.findIndex(({ password, passwordHash }) =>
    password !== undefined || passwordHash !== undefined
  );
  if (clientAuth.enabled && i >= 0 && !isEncrypted) {
    faults.push({
      path: ["clientAuth", "identities", i],
      message: "its password comes in plain text; set listen.tls, or name the proxy that has the " +
        `certificate in listen.trustedProxies, or listen on loopback${UNLESS}`,
    });
  }
  return faults;
}

const UNLESS = ", or set listen.insecure: true if the network keeps strangers out";
