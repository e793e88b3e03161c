/** A private certificate authority, for https on 127.0.0.1. */
import { createCA, createCert } from "mkcert";
import type { KeyPair } from "../../server/node_server.ts";

/** Certificates are for tests that run now. */
const VALID_DAYS = 2;

export interface Authority {
  /** PEM: what a client must trust. */
  readonly certificate: string;
  /** A new certificate, by default for `127.0.0.1` and `localhost`. */
  issue(names?: readonly string[]): Promise<KeyPair>;
}

export async function createAuthority(): Promise<Authority> {
  const authority = await createCA({
    organization: "go-mod-proxy test",
    countryCode: "XX",
    state: "none",
    locality: "none",
    validity: VALID_DAYS,
  });
  return {
    certificate: authority.cert,
    async issue(names = ["127.0.0.1", "localhost"]) {
      const { cert, key } = await createCert({
        ca: authority,
        domains: [...names],
        validity: VALID_DAYS,
      });
      return { certificate: cert, privateKey: key };
    },
  };
}
