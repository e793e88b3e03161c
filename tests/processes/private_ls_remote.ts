/**
 * `git ls-remote` of a private repository, for the test that this needs no other permissions than
 * those of `deno task start`. Arguments: the remote, a scratch folder, the user. The password is on
 * standard input.
 */
import { Semaphore } from "../../lib/async/semaphore.ts";
import { Git } from "../../lib/git/command.ts";
import { CredentialServer, helperPermissions } from "../../lib/git/credential_server.ts";
import { parseRemoteUrl } from "../../lib/git/remote_url.ts";
import { createLogger } from "../../lib/log/log.ts";

const [url = "", scratch = "", username = ""] = Deno.args;
const password = await new Response(Deno.stdin.readable).text();
const remote = parseRemoteUrl(url, { isHttpAllowed: () => true });
const helper = new URL("credential_helper_main.ts", import.meta.url).pathname;
const emptyDirectory = `${scratch}/home`;
await Deno.mkdir(emptyDirectory);

await using server = await CredentialServer.start({
  directory: scratch,
  helperCommand: (path) => [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-lock",
    "--cached-only",
    ...helperPermissions(path),
    helper,
  ],
  log: createLogger("warn"),
});
await using git = new Git({
  environment: { path: Deno.env.get("PATH") ?? "" },
  emptyDirectory,
  processes: new Semaphore({ what: "start git", permits: 1, maxWaiting: 1, maxWaitMs: 10_000 }),
});
const grants = server.grantsFrom({
  description: "the password on standard input",
  credentials: () => Promise.resolve({ username, password }),
  accept: () => {},
  forget: () => false,
});
using credential = await grants.grant(remote);
const { stdout } = await git.run(["ls-remote", "--end-of-options", remote], {
  what: "list refs",
  network: { remote, credential },
  timeoutMs: 30_000,
  maxOutputBytes: 1 << 20,
});
await Deno.stdout.write(stdout);
