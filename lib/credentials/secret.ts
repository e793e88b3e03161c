/**
 * Secrets of the configuration. The configuration says where a secret is (lib/schema/secret.ts);
 * the secret itself is read each time it is needed, so that a new value takes effect without a
 * restart.
 *
 * ```yaml
 * token: { file: gitlab-token }      # relative to the configuration file; a mounted secret
 * token: { envVar: GITLAB_TOKEN }
 * token: glpat-…                     # in the configuration itself; warned about at start
 * ```
 *
 * Limits: a regular file, UTF-8, at most {@linkcode MAX_SECRET_BYTES}; trailing newlines are
 * ignored.
 */
import { resolve } from "node:path";
import { ConfigError, describeError } from "../errors.ts";
import { type Fault, pathText } from "../schema/fault.ts";
import type { NamedSecret, Secret } from "../schema/secret.ts";

export type { Secret };

/** What secrets are read from. */
export interface SecretPlaces {
  /** The directory of the configuration file. */
  readonly directory: string;
  /** One variable of the environment. */
  readonly env: (name: string) => string | undefined;
}

/** A secret cannot be read or used. The message names its place, never its content. */
export class SecretError extends ConfigError {
  override readonly name: string = "SecretError";
}

/** Much larger than a private key or a netrc file. */
export const MAX_SECRET_BYTES = 256 * 1024;

/** @throws {SecretError} when it is missing, empty, too large or not text */
export async function readSecret(secret: Secret, places: SecretPlaces): Promise<string> {
  const text = (await readRaw(secret, places)).replace(/[\r\n]+$/, "");
  if (text === "") throw new SecretError(`Cannot use ${describeSecret(secret)}: it is empty`);
  return text;
}

/**
 * A secret for one line of a protocol, such as a password.
 *
 * @throws {SecretError} also when it contains a control character
 */
export async function readSecretLine(secret: Secret, places: SecretPlaces): Promise<string> {
  const text = await readSecret(secret, places);
  // deno-lint-ignore no-control-regex -- a newline or NUL would end the value early in git's credential protocol
  if (/[\x00-\x1f\x7f]/.test(text)) {
    throw new SecretError(
      `Cannot use ${describeSecret(secret)}: it has a control character or more than one line`,
    );
  }
  return text;
}

/** Where the secret is, for messages: `the secret in file "key.pem"`. */
export function describeSecret(secret: Secret): string {
  if (typeof secret === "string") return "the secret in the configuration";
  return "file" in secret
    ? `the secret in file "${secret.file}"`
    : `the secret in environment variable "${secret.envVar}"`;
}

/** A secret, and what it must be. */
export interface SecretUse extends NamedSecret {
  /** @throws {SecretError} when it cannot be read, or is something else */
  readonly read: (secret: Secret, places: SecretPlaces) => Promise<unknown>;
}

/** One for each secret that cannot be used. */
export async function secretFaults(
  uses: readonly SecretUse[],
  places: SecretPlaces,
): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const { path, secret, read } of uses) {
    try {
      await read(secret, places);
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
      faults.push({ path, message: describeError(error) });
    }
  }
  return faults;
}

/** @throws {SecretError} with a line for each secret that cannot be used, which names its key */
export async function checkSecrets(
  uses: readonly SecretUse[],
  places: SecretPlaces,
): Promise<void> {
  const faults = await secretFaults(uses, places);
  if (faults.length === 0) return;
  throw new SecretError(
    faults.map(({ path, message }) => `${pathText(path)}: ${message}`).join("\n"),
  );
}

async function readRaw(secret: Secret, { directory, env }: SecretPlaces): Promise<string> {
  if (typeof secret === "string") return secret;
  if ("file" in secret) return await readFile(secret, directory);
  const value = env(secret.envVar);
  if (value === undefined) {
    throw new SecretError(`Cannot read ${describeSecret(secret)}: the variable is not set`);
  }
  return value;
}

async function readFile(secret: { readonly file: string }, directory: string): Promise<string> {
  const path = resolve(directory, secret.file);
  let bytes;
  try {
    // Not only for the size: reading a pipe or a device might never end.
    const { isFile, size } = await Deno.stat(path);
    if (!isFile) throw new SecretError(`Cannot read ${describeSecret(secret)}: not a regular file`);
    if (size > MAX_SECRET_BYTES) {
      throw new SecretError(
        `Cannot read ${describeSecret(secret)}: larger than ${MAX_SECRET_BYTES} bytes`,
      );
    }
    bytes = await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof SecretError) throw cause;
    throw new SecretError(`Cannot read ${describeSecret(secret)}`, { cause });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    // The decoder's own error does not reveal the content.
    throw new SecretError(`Cannot read ${describeSecret(secret)}: it is not UTF-8 text`, { cause });
  }
}
