/**
 * The server's own certificate: a chain in PEM (RFC 7468) with the server's first, and its private
 * key, PKCS#8, PKCS#1 or SEC 1, without a passphrase. RSA, ECDSA and Ed25519.
 *
 * A chain that no client trusts, or that has expired, is accepted: clients decide what they trust.
 */
import { X509Certificate } from "node:crypto";
import { importPem } from "./private_key.ts";
import {
  describeSecret,
  readSecret,
  type Secret,
  SecretError,
  type SecretPlaces,
} from "./secret.ts";

export interface CertificateConfig {
  readonly certificate: Secret;
  readonly privateKey: Secret;
}

export interface Certificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly privateKey: string;
  /** The names it is valid for, such as `DNS:proxy.example.com, IP Address:192.0.2.1`. */
  readonly names: string;
  readonly notAfter: Date;
}

/**
 * @throws {SecretError} when there is no certificate or no matching key; the message contains
 *   nothing of the key
 */
export async function readCertificate(
  config: CertificateConfig,
  places: SecretPlaces,
): Promise<Certificate> {
  const certificate = await readSecret(config.certificate, places);
  const privateKey = await readSecret(config.privateKey, places);
  const server = parseChain(certificate);
  if (server === null) {
    throw new SecretError(
      `Cannot use ${describeSecret(config.certificate)} as a certificate: not a chain in PEM`,
    );
  }
  const key = importPem(privateKey);
  const keyFault = key === null
    ? "not a PEM private key without a passphrase"
    : server.checkPrivateKey(key)
    ? null
    : `not the key to ${
      describeSecret(config.certificate).replace(/^the secret/, "the certificate")
    }`;
  if (keyFault !== null) {
    throw new SecretError(
      `Cannot use ${describeSecret(config.privateKey)} as a private key: ${keyFault}`,
    );
  }
  const names = server.subjectAltName ?? server.subject.replaceAll("\n", ", ");
  return { certificate, privateKey, names, notAfter: new Date(server.validTo) };
}

/** Reloads a certificate that is replaced from outside. */
export class CertificateWatch {
  readonly #config: CertificateConfig;
  readonly #places: SecretPlaces;
  #current: Certificate;

  constructor(current: Certificate, { config, places }: {
    readonly config: CertificateConfig;
    readonly places: SecretPlaces;
  }) {
    this.#current = current;
    this.#config = config;
    this.#places = places;
  }

  /**
   * The new certificate, or null if there is none.
   *
   * @throws {SecretError} when the current files cannot be used, as when only one of the two has
   *   been replaced
   */
  async next(): Promise<Certificate | null> {
    const found = await readCertificate(this.#config, this.#places);
    const { certificate, privateKey } = this.#current;
    if (found.certificate === certificate && found.privateKey === privateKey) return null;
    this.#current = found;
    return found;
  }
}

/**
 * The authorities of client certificates, in PEM.
 *
 * @throws {SecretError} when it cannot be read, or is something else
 */
export async function readAuthorities(secret: Secret, places: SecretPlaces): Promise<string> {
  const pem = await readSecret(secret, places);
  if (parseChain(pem) !== null) return pem;
  throw new SecretError(`Cannot use ${describeSecret(secret)}: it is not certificates in PEM`);
}

/** The first certificate; null unless all blocks are certificates. */
function parseChain(pem: string): X509Certificate | null {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block))[0] ?? null;
  } catch {
    // Whatever the reason, a block is not a certificate.
    return null;
  }
}
