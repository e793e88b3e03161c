/**
 * `hash-password`: prints the value of `clientAuth.identities[].passwordHash` for a password on
 * standard input.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { PasswordHash } from "../lib/auth/password_hash.ts";
import { InvalidRequestError } from "../lib/errors.ts";
import { readInput } from "./input.ts";
import { printLine } from "./print.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .addHelpText(
      "after",
      `
The hash (scrypt) is not a secret and may stand in the configuration.

Example:
  read -rs PASSWORD; printf %s "$PASSWORD" | go-mod-proxy hash-password`,
    )
    .action(context.action(() => hashPassword(Deno.stdin.readable)));
}

const MAX_PASSWORD_BYTES = 1024;

/** @throws {InvalidRequestError} when there is no password that could be sent in a header */
export async function hashPassword(
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  printLine(await PasswordHash.of(await readPassword(input)));
}

/** One line; trailing newlines are ignored, as in files of secrets. */
export async function readPassword(
  input: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string> {
  const text = await readInput(input, {
    maxBytes: MAX_PASSWORD_BYTES,
    tooLong: () =>
      new InvalidRequestError(`Cannot hash the password: longer than ${MAX_PASSWORD_BYTES} bytes`),
  });
  const password = text.replace(/[\r\n]+$/, "");
  if (password === "") {
    throw new InvalidRequestError("Cannot hash the password: there is none on standard input");
  }
  if (/\p{Cc}/u.test(password)) {
    throw new InvalidRequestError(
      "Cannot hash the password: it has a control character or more than one line",
    );
  }
  return password;
}
