/**
 * The tests of lib/git/credential_server.ts. To Deno a unix socket is network, and no flag allows
 * the sockets of a folder without allowing everything; so lib/git/credential_server_test.ts runs
 * these in a process of their own.
 */
import assert from "node:assert/strict";
import { Semaphore } from "../../lib/async/semaphore.ts";
import { Git } from "../../lib/git/command.ts";
import {
  chunksOf,
  readMessage,
  runCredentialHelper,
  writeMessage,
} from "../../lib/git/credential_helper.ts";
import {
  CredentialServer,
  type Grant,
  type Grants,
  helperPermissions,
} from "../../lib/git/credential_server.ts";
import { GitError } from "../../lib/git/errors.ts";
import { parseRemoteUrl, type RemoteUrl } from "../../lib/git/remote_url.ts";
import { createLogger } from "../../lib/log/log.ts";
import { GitServer } from "../fakes/git_server.ts";
import { eventually } from "../support/eventually.ts";
import { runCommand } from "../support/run_command.ts";

const HELPER = new URL("../processes/credential_helper_main.ts", import.meta.url).pathname;
const PASSWORD = "Hunter2/+%-for-one-repository";
const REMOTE = parseRemoteUrl("https://git.example.com/my-org/my-repo.git");

interface Started extends AsyncDisposable {
  readonly grants: Grants;
  readonly git: Git;
  readonly folder: string;
  readonly logged: string[];
}

async function start(password: string | null = PASSWORD): Promise<Started> {
  const folder = await Deno.makeTempDir({ prefix: "cred-" });
  await Deno.mkdir(`${folder}/home`);
  const logged: string[] = [];
  const server = await CredentialServer.start({
    directory: folder,
    helperCommand: (path) => [
      Deno.execPath(),
      "run",
      "--quiet",
      "--no-lock",
      ...helperPermissions(path),
      HELPER,
    ],
    log: createLogger("trace", { write: (line) => logged.push(line) }),
  });
  const git = new Git({
    environment: { path: Deno.env.get("PATH") ?? "" },
    emptyDirectory: `${folder}/home`,
    processes: new Semaphore({ what: "start git", permits: 4, maxWaiting: 8, maxWaitMs: 9000 }),
  });
  const grants = server.grantsFrom({
    description: "the password of the test",
    credentials: () =>
      Promise.resolve(password === null ? null : { username: "x-access-token", password }),
    accept: () => {},
    forget: () => false,
  });
  return {
    grants,
    git,
    folder,
    logged,
    async [Symbol.asyncDispose]() {
      await git[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function grantOf({ grants }: Started, remote: RemoteUrl = REMOTE): Promise<Grant> {
  const grant = await grants.grant(remote);
  assert.ok(grant !== null);
  return grant;
}

/** Asks as git does, through the helper's function. */
async function ask(grant: Grant, question: string, action = "get"): Promise<string> {
  return await runCredentialHelper({
    args: [action],
    stdin: new Blob([question]).stream(),
    socketPath: grant.environment["GO_MOD_PROXY_CREDENTIAL_SOCKET"],
    nonce: grant.environment["GO_MOD_PROXY_CREDENTIAL_NONCE"],
  });
}

const ANSWER = `username=x-access-token\npassword=${PASSWORD}\n`;

Deno.test("CredentialServer answers git's question", async (t) => {
  await using started = await start();
  using grant = await grantOf(started);
  const https = "protocol=https\nhost=git.example.com\n";
  const rows = [
    { what: "of git 2.39", input: `${https}path=my-org/my-repo.git\n\n` },
    {
      what: "of git 2.47, with attributes we do not know",
      input:
        `capability[]=authtype\ncapability[]=state\n${https}path=my-org/my-repo.git\nwwwauth[]=Basic realm="x=y"\nwwwauth[]=Bearer\n\n`,
    },
    { what: "that ends without an empty line", input: `${https}path=my-org/my-repo.git\n` },
    { what: "without .git", input: `${https}path=my-org/my-repo\n` },
    { what: "with slashes around", input: `${https}path=/my-org/my-repo.git/\n` },
  ];
  for (const { what, input } of rows) {
    await t.step(what, async () => assert.equal(await ask(grant, input), ANSWER));
  }
  assert.deepEqual(started.logged, []);
});

Deno.test("CredentialServer answers nothing to a question for another place", async (t) => {
  await using started = await start();
  using grant = await grantOf(started);
  const rows = [
    { what: "host", input: "protocol=https\nhost=evil.example.com\npath=my-org/my-repo.git\n" },
    { what: "port", input: "protocol=https\nhost=git.example.com:1\npath=my-org/my-repo.git\n" },
    { what: "protocol", input: "protocol=http\nhost=git.example.com\npath=my-org/my-repo.git\n" },
    { what: "repository", input: "protocol=https\nhost=git.example.com\npath=my-org/other.git\n" },
    { what: "folder", input: "protocol=https\nhost=git.example.com\npath=my-org/my-repo.git/x\n" },
    { what: "no path", input: "protocol=https\nhost=git.example.com\n" },
    { what: "nothing", input: "\n" },
    { what: "garbage", input: "\0\0=\n=\nget\n" },
    {
      what: "two hosts",
      input: "host=git.example.com\nprotocol=https\npath=my-org/my-repo.git\nhost=x\n",
    },
  ];
  for (const { what, input } of rows) {
    await t.step(what, async () => assert.equal(await ask(grant, input), ""));
  }
  assert.equal(started.logged.length, rows.length);
  assert.ok(started.logged.every((line) => line.includes("another repository")));
});

Deno.test("CredentialServer compares paths as git decodes them", async () => {
  await using started = await start();
  using grant = await grantOf(started, parseRemoteUrl("https://git.example.com/a%20b/c"));
  const question = "protocol=https\nhost=git.example.com\npath=a b/c\n";
  assert.equal(await ask(grant, question), ANSWER);
});

Deno.test("CredentialServer forgets a grant that is disposed of", async () => {
  await using started = await start();
  const grant = await grantOf(started);
  const other = await grantOf(started);
  grant[Symbol.dispose]();
  const question = "protocol=https\nhost=git.example.com\npath=my-org/my-repo.git\n";
  assert.equal(await ask(grant, question), "");
  assert.equal(await ask(other, question), ANSWER);
});

Deno.test("CredentialServer answers nothing without a nonce, and lives on", async (t) => {
  await using started = await start();
  using grant = await grantOf(started);
  const path = grant.environment["GO_MOD_PROXY_CREDENTIAL_SOCKET"] ?? "";
  const place = "protocol=https\nhost=git.example.com\npath=my-org/my-repo.git\n";
  for (
    const input of [place, `nonce=\n${place}`, `nonce=__proto__\n${place}`, "", "x".repeat(1e6)]
  ) {
    await t.step(JSON.stringify(input.slice(0, 40)), async () => {
      const connection = await Deno.connect({ transport: "unix", path });
      try {
        await writeMessage(connection, input);
        assert.equal(await readMessage(chunksOf(connection)), "");
      } catch (error) {
        // The server hangs up on a message that is too long while we still send it.
        assert.ok(input.length > 1e5 && error instanceof Error);
      } finally {
        connection.close();
      }
    });
  }
  assert.equal(await ask(grant, place), ANSWER);
});

Deno.test("CredentialServer lets nobody else near its socket", async () => {
  await using started = await start();
  using grant = await grantOf(started);
  const path = grant.environment["GO_MOD_PROXY_CREDENTIAL_SOCKET"] ?? "";
  const modeOf = (file: string) => (Deno.statSync(file).mode ?? 0) & 0o777;
  assert.equal(modeOf(path), 0o600);
  assert.equal(modeOf(path.slice(0, path.lastIndexOf("/"))), 0o700);
});

Deno.test("CredentialServer.start() says when the path is too long for a socket", async () => {
  const folder = await Deno.makeTempDir({ prefix: `cred-${"x".repeat(100)}` });
  await assert.rejects(
    CredentialServer.start({
      directory: folder,
      helperCommand: () => [],
      log: createLogger("silent"),
    }),
    /at most 107 bytes/,
  );
  assert.deepEqual([...Deno.readDirSync(folder)], []);
  await Deno.remove(folder);
});

Deno.test("CredentialServer's grant is null where no credential is needed", async () => {
  await using started = await start(null);
  assert.equal(await started.grants.grant(REMOTE), null);
});

Deno.test("runCredentialHelper() is silent on store and erase", async (t) => {
  await using started = await start();
  using grant = await grantOf(started);
  for (const action of ["store", "erase", "capability", ""]) {
    await t.step(action, async () => {
      const told = `protocol=https\nhost=git.example.com\npath=my-org/my-repo.git\n${ANSWER}`;
      assert.equal(await ask(grant, told, action), "");
    });
  }
});

Deno.test("runCredentialHelper() refuses to work outside of a git run", async () => {
  const options = { args: ["get"], stdin: new Blob([]).stream(), nonce: undefined };
  await assert.rejects(runCredentialHelper({ ...options, socketPath: undefined }), /started/);
});

Deno.test("git gets the password through the helper, for its own repository only", async () => {
  await using started = await start();
  const { git, folder, logged } = started;
  await using remoteServer = await GitServer.start({
    authorize: (_repo, user, password) => user === "x-access-token" && password === PASSWORD,
  });
  const repo = await remoteServer.createRepo("my-org/mine.git");
  const hash = await repo.commit({ "go.mod": "module m\n" });
  await remoteServer.createRepo("my-org/other.git");
  const isHttpAllowed = () => true;
  const mine = parseRemoteUrl(remoteServer.urlOf("my-org/mine.git"), { isHttpAllowed });
  const other = parseRemoteUrl(remoteServer.urlOf("my-org/other.git"), { isHttpAllowed });
  using credential = await grantOf(started, mine);
  const run = { what: "list refs", timeoutMs: 20_000, maxOutputBytes: 1 << 20 };

  const { stdout } = await git.run(["ls-remote", "--end-of-options", mine], {
    ...run,
    network: { remote: mine, credential },
  });
  assert.equal(new TextDecoder().decode(stdout), `${hash}\tHEAD\n${hash}\trefs/heads/main\n`);

  await assert.rejects(
    git.run(["ls-remote", "--end-of-options", other], {
      ...run,
      network: { remote: other, credential },
    }),
    (error) => error instanceof GitError && !error.message.includes(PASSWORD),
  );
  assert.ok(!logged.join("").includes(PASSWORD));
  assert.ok(!(await grep(PASSWORD, folder)));
});

Deno.test("git shows a server's error text without the password", async () => {
  await using started = await start();
  await using remoteServer = await GitServer.start({
    authorize: () => true,
    misbehave: ({ authorization }) =>
      authorization === null ? null : new Response(`bad password ${PASSWORD}\n`, {
        status: 403,
        headers: { "Content-Type": "text/plain" },
      }),
  });
  const remote = parseRemoteUrl(remoteServer.urlOf("a.git"), { isHttpAllowed: () => true });
  using credential = await grantOf(started, remote);
  await assert.rejects(
    started.git.run(["ls-remote", "--end-of-options", remote], {
      what: "list refs",
      timeoutMs: 20_000,
      maxOutputBytes: 1 << 20,
      network: { remote, credential },
    }),
    (error) => {
      assert.ok(error instanceof GitError);
      assert.match(error.stderr, /remote: bad password \*\*\*;/);
      assert.ok(!error.message.includes(PASSWORD));
      return true;
    },
  );
});

Deno.test("the password is in no command line and no environment while git uses it", async () => {
  await using started = await start();
  const seen: string[] = [];
  await using remoteServer = await GitServer.start({
    authorize: () => true,
    misbehave: ({ authorization }) => authorization === null ? null : "stall",
  });
  const remote = parseRemoteUrl(remoteServer.urlOf("a.git"), { isHttpAllowed: () => true });
  using credential = await grantOf(started, remote);
  const caller = new AbortController();
  const run = assert.rejects(
    started.git.run(["ls-remote", "--end-of-options", remote], {
      what: "list refs",
      timeoutMs: 20_000,
      maxOutputBytes: 1 << 20,
      network: { remote, credential },
      signal: caller.signal,
    }),
    /seen enough/,
  );
  await eventually("git to send the password", async () => {
    seen.push(await processes());
    return remoteServer.requests.some(({ authorization }) => authorization !== null);
  });
  seen.push(await processes());
  caller.abort(new Error("seen enough"));
  await run;
  const all = seen.join("");
  assert.ok(all.includes("git-remote-http") && all.includes("GO_MOD_PROXY_CREDENTIAL_NONCE="));
  for (
    const secret of [PASSWORD, encodeURIComponent(PASSWORD), btoa(`x-access-token:${PASSWORD}`)]
  ) {
    assert.ok(!all.includes(secret));
  }
});

Deno.test("the permissions of `deno task start` suffice", async () => {
  await using remoteServer = await GitServer.start({
    authorize: (_repo, user, password) => user === "bot" && password === PASSWORD,
  });
  const repo = await remoteServer.createRepo("a.git");
  const hash = await repo.commit({ "go.mod": "module m\n" });
  const scratch = await Deno.makeTempDir({ prefix: "cred-" });
  const { tasks } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  const flags = String(tasks.start).split(" ").filter((word) => word.startsWith("--"));
  const { stdout, stderr } = await runCommand(Deno.execPath(), {
    args: [
      "run",
      ...flags,
      new URL("../processes/private_ls_remote.ts", import.meta.url).pathname,
      remoteServer.urlOf("a.git"),
      scratch,
      "bot",
    ],
    input: PASSWORD,
  });
  await Deno.remove(scratch, { recursive: true });
  assert.equal(stderr, "");
  assert.equal(stdout, `${hash}\tHEAD\n${hash}\trefs/heads/main\n`);
});

/** Command lines and environments of all processes. */
async function processes(): Promise<string> {
  return (await runCommand("ps", { args: ["axeww", "-o", "args="] })).stdout;
}

/** Whether a file below `folder` contains `text`. */
async function grep(text: string, folder: string): Promise<boolean> {
  const args = ["-rqF", "--devices=skip", "--", text, folder];
  const { code } = await runCommand("grep", { args });
  return code === 0;
}
