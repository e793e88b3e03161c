/** Does for tests what `main.ts credential-helper` does: the program that git runs. */
import {
  NONCE_VARIABLE,
  runCredentialHelper,
  SOCKET_VARIABLE,
} from "../../lib/git/credential_helper.ts";

const answer = await runCredentialHelper({
  args: Deno.args,
  stdin: Deno.stdin.readable,
  socketPath: Deno.env.get(SOCKET_VARIABLE),
  nonce: Deno.env.get(NONCE_VARIABLE),
});
await Deno.stdout.write(new TextEncoder().encode(answer));
