/**
 * Clients that have shown a certificate in the TLS handshake (`listen.tls`, mutual TLS). The TLS
 * layer has verified that they have its key, that one of the configured authorities has signed it
 * for clients, and its dates; here only its names count (certificate_names.ts). Of several
 * identities that fit, it is the first in the configuration.
 *
 * A request with the header `Authorization` is judged by that header instead.
 */
import { UnauthenticatedError } from "../errors.ts";
import type { Authenticator, Proof } from "./authenticator.ts";
import { certificateNames } from "./certificate_names.ts";
import { valueMatcher } from "./claims.ts";
import type { Credentials } from "./credentials.ts";

export interface CertificateIdentity {
  readonly name: string;
  /** Globs for the common name, one of which must match. Default: any, and none. */
  readonly subject?: readonly string[] | undefined;
  /** Globs for the alternative names: one must match one of them. Default: any, and none. */
  readonly san?: readonly string[] | undefined;
}

export class ClientCertificates implements Authenticator {
  readonly method = "client-certificate";
  readonly #now: () => number;
  readonly #identities: readonly {
    readonly name: string;
    fits(commonName: string | null, alternativeNames: readonly string[]): boolean;
  }[];

  /** @param now milliseconds since 1970 */
  constructor(identities: readonly CertificateIdentity[], now: () => number) {
    this.#now = now;
    this.#identities = identities.map(({ name, subject, san }) => {
      const matchesSubject = subject === undefined ? () => true : valueMatcher(subject);
      const matchesSan = san === undefined ? () => true : valueMatcher(san);
      return {
        name,
        fits: (commonName, names) => matchesSubject(commonName) && matchesSan(names),
      };
    });
  }

  // deno-lint-ignore require-await -- what it throws is a rejection, as an interface of promises has it
  async authenticate(credentials: Credentials): Promise<Proof | null> {
    if (credentials.kind !== "certificate") return null;
    const { commonName, alternativeNames, notAfterMs } = namesOf(credentials.certificate);
    // A connection may outlive its certificate.
    if (notAfterMs <= this.#now()) {
      throw new UnauthenticatedError("Cannot accept the client certificate: it has expired");
    }
    const identity = this.#identities.find(({ fits }) => fits(commonName, alternativeNames));
    if (identity !== undefined) return { identity: identity.name, expiresMs: notAfterMs };
    throw new UnauthenticatedError(
      "Cannot log in: the names of this client certificate are of no identity here",
    );
  }
}

function namesOf(der: Uint8Array) {
  try {
    return certificateNames(der);
  } catch (cause) {
    throw new UnauthenticatedError("Cannot read the client certificate", { cause });
  }
}
