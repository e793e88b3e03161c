/** `credential-helper`: connects git's standard streams to the server's socket. */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import {
  NONCE_VARIABLE,
  runCredentialHelper,
  SOCKET_VARIABLE,
} from "../lib/git/credential_helper.ts";

export function define(command: Command, { environment, action }: CommandContext): void {
  command
    .argument("<operation>")
    .action(
      action((operation: string) => credentialHelper(operation, (name) => environment.get(name))),
    );
}

export async function credentialHelper(
  operation: string,
  readEnv: (name: string) => string | undefined,
): Promise<void> {
  const answer = await runCredentialHelper({
    args: [operation],
    stdin: Deno.stdin.readable,
    socketPath: readEnv(SOCKET_VARIABLE),
    nonce: readEnv(NONCE_VARIABLE),
  });
  await Deno.stdout.write(new TextEncoder().encode(answer));
}
