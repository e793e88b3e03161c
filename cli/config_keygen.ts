/**
 * `config keygen <name>`: makes the key pair of our own checksum database, and prints where its
 * halves belong.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { printLine } from "./print.ts";
import { ConfigError } from "../lib/errors.ts";
import { isDatabaseName } from "../lib/sumdb/config.ts";
import { SignerKey } from "../lib/sumdb/signer.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .argument("<name>", "the database's name: a host name, optionally with a path")
    .option("--key-file <file>", "new file for the signer key (default: it is printed)")
    .option("--url <url>", "URL at which clients reach the server", "https://proxy.example.com")
    .addHelpText(
      "after",
      `
Prints the signer key, the configuration of the server and the setting for clients.

Examples:
  go-mod-proxy config keygen sum.example.com
  go-mod-proxy config keygen sum.example.com --key-file sumdb-key --url https://proxy.example.com`,
    )
    .action(
      context.action((name: string, { keyFile, url }: { keyFile?: string; url: string }) =>
        keygen({ name, keyFile: keyFile ?? null, url, print: printLine })
      ),
    );
}

export interface KeygenOptions {
  /** The database's name. */
  readonly name: string;
  /** The file that the secret is written to; null: it is printed with the rest. */
  readonly keyFile: string | null;
  /** The URL at which clients reach this server. */
  readonly url: string;
  readonly print: (line: string) => void;
}

/** @throws {ConfigError} when the name is invalid, or the file exists */
export async function keygen({ name, keyFile, url, print }: KeygenOptions): Promise<void> {
  if (!isDatabaseName(name)) {
    throw new ConfigError(`"${name}" is not a host with an optional path, as in "sum.example.com"`);
  }
  const key = SignerKey.generate(name);
  if (keyFile === null) {
    print("# Signer key: a secret of the server, for privateSumDatabase.privateKey.");
    print(key.toSecret());
  } else {
    await writeNew(keyFile, `${key.toSecret()}\n`);
  }
  print("# In the configuration of the server:");
  print("privateSumDatabase:");
  print(`  name: ${name}`);
  print(`  privateKey: { file: ${keyFile ?? "sumdb-key"} }`);
  print("# On each client:");
  print(`go env -w GOSUMDB="${key.verifierKey} ${url.replace(/\/$/, "")}/sumdb/${name}"`);
}

/** Readable by the owner only. An existing file is not replaced: it may hold a key in use. */
async function writeNew(file: string, text: string): Promise<void> {
  try {
    await Deno.writeTextFile(file, text, { createNew: true, mode: 0o600 });
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AlreadyExists)) throw cause;
    throw new ConfigError(`"${file}" already exists and is not replaced`, { cause });
  }
}
