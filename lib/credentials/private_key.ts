/**
 * The private key of a GitHub App: RSA in PEM (RFC 7468), as PKCS#1 ("RSA PRIVATE KEY", GitHub's
 * format) or PKCS#8 ("PRIVATE KEY"). Exactly one PEM block; text around it, as openssl writes it,
 * is allowed.
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import {
  describeSecret,
  readSecret,
  type Secret,
  SecretError,
  type SecretPlaces,
} from "./secret.ts";

/**
 * @throws {SecretError} when there is no such key; the message contains nothing of it, nor
 *   openssl's error
 */
export async function readPrivateKey(secret: Secret, places: SecretPlaces): Promise<KeyObject> {
  const pem = await readSecret(secret, places);
  const fault = (text: string) =>
    new SecretError(`Cannot use ${describeSecret(secret)} as a private key: ${text}`);
  const blocks = [...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----/gs)];
  const [block] = blocks;
  if (block === undefined) throw fault("there is no PEM block");
  if (blocks.length > 1) throw fault(`there are ${blocks.length} PEM blocks, not one`);
  const [text, label] = block;
  if (label === "ENCRYPTED PRIVATE KEY" || text.includes("Proc-Type: 4,ENCRYPTED")) {
    throw fault("it is encrypted; store it without a passphrase");
  }
  if (label !== "RSA PRIVATE KEY" && label !== "PRIVATE KEY") {
    throw fault(`the PEM block is a "${label}", not an RSA private key`);
  }
  const key = importPem(text);
  if (key === null) throw fault("the PEM block is damaged");
  if (key.asymmetricKeyType !== "rsa") throw fault("it is not an RSA key");
  return key;
}

/** The key of a PEM block, or null if it is not a key. */
export function importPem(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    // Whatever the reason, the block is not a key. The reason is dropped: it might quote the block.
    return null;
  }
}
