import assert from "node:assert/strict";
import { Semaphore } from "../async/semaphore.ts";
import { DeadlineError, LimitExceededError, OverloadedError } from "../errors.ts";
import { GitServer } from "../../tests/fakes/git_server.ts";
import { Git, type GitEnvironment } from "./command.ts";
import { GitError } from "./errors.ts";
import { parseRemoteUrl } from "./remote_url.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { runCommand } from "../../tests/support/run_command.ts";

const RUN = { what: "test git", timeoutMs: 30_000, maxOutputBytes: 1 << 20 };

interface Options {
  readonly permits?: number;
  readonly environment?: Partial<GitEnvironment>;
}

/** A git with an empty folder of its own. */
async function startGit(options: Options = {}): Promise<{ git: Git } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "git-home-" });
  const git = new Git({
    environment: { path: Deno.env.get("PATH") ?? "", ...options.environment },
    emptyDirectory: folder,
    processes: new Semaphore({
      what: "start git",
      permits: options.permits ?? 4,
      maxWaiting: 8,
      maxWaitMs: 100,
    }),
  });
  return {
    git,
    async [Symbol.asyncDispose]() {
      await git[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/**
 * The processes whose command line or environment has `text` in it, each as `<pid> <command line>`.
 */
async function processesWith(text: string): Promise<string[]> {
  // ps shows the environment (e) behind the command line; `ww` does not cut it.
  const { stdout } = await runCommand("ps", { args: ["axeww", "-o", "pid=,args="] });
  return stdout.split("\n").filter((line) => line.includes(text) && !line.includes("ps axeww"));
}

Deno.test("Git.run() hands no variable down but the allowed ones", async () => {
  assert.ok(Object.keys(Deno.env.toObject()).length > 2, "we have variables that could leak");
  await using started = await startGit({ environment: { httpsProxy: "http://proxy.example.com" } });
  const { stdout } = await started.git.run(["-c", "alias.env=!env", "env"], RUN);
  const names = new TextDecoder().decode(stdout).trim().split("\n")
    .map((line) => line.slice(0, line.indexOf("=")))
    .filter((name) => !/^GIT_CONFIG_(KEY|VALUE)_\d+$/.test(name));
  // By git for its alias, and by the shell.
  const added = [
    "GIT_EXEC_PATH",
    "GIT_PREFIX",
    "GIT_CONFIG_PARAMETERS",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
  ];
  assert.deepEqual(names.filter((name) => !added.includes(name)).sort(), [
    "GIT_ALLOC_LIMIT",
    "GIT_ALLOW_PROTOCOL",
    "GIT_ASKPASS",
    "GIT_ATTR_NOSYSTEM",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NO_LAZY_FETCH",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OPTIONAL_LOCKS",
    "GIT_TERMINAL_PROMPT",
    "HOME",
    "LC_ALL",
    "PATH",
    "https_proxy",
  ]);
});

Deno.test("Git.run() answers with the exit code where it is expected, else throws", async () => {
  await using started = await startGit();
  const { git } = started;
  const exit3 = ["-c", "alias.x=!echo 'fatal: nothing here' >&2; exit 3", "x"];
  assert.equal((await git.run(exit3, { ...RUN, exitCodes: [0, 3] })).exitCode, 3);
  await assert.rejects(git.run(exit3, RUN), (error) => {
    assert.ok(error instanceof GitError);
    assert.equal(error.exitCode, 3);
    assert.equal(error.stderr, "fatal: nothing here");
    assert.equal(error.message, "Cannot test git: git ended with 3: fatal: nothing here");
    return true;
  });
});

Deno.test("Git.run() passes text on standard input", async () => {
  await using started = await startGit();
  const { stdout } = await started.git.run(["hash-object", "--stdin"], {
    ...RUN,
    input: "hello\n",
  });
  assert.equal(new TextDecoder().decode(stdout), "ce013625030ba8dba906f756967f9e9ca394464a\n");
});

Deno.test("Git.run() survives a git that does not read its input", async () => {
  await using started = await startGit();
  const input = "x".repeat(1 << 20);
  assert.equal((await started.git.run(["version"], { ...RUN, input })).exitCode, 0);
});

Deno.test("Git.run() ends a git that writes too much", async () => {
  await using started = await startGit();
  await assert.rejects(
    started.git.run(["-c", "alias.x=!yes", "x"], { ...RUN, maxOutputBytes: 1000 }),
    LimitExceededError,
  );
});

Deno.test("Git.run() drains standard error, however much there is", async () => {
  await using started = await startGit();
  const flood = "!head -c 1000000 /dev/zero | tr '\\\\0' x >&2; exit 1";
  await assert.rejects(
    started.git.run(["-c", `alias.x=${flood}`, "x"], RUN),
    (error) => error instanceof GitError && error.stderr.length < 2000,
  );
});

Deno.test("Git.run() refuses protocols", async (t) => {
  await using started = await startGit();
  const network = { remote: parseRemoteUrl("https://git.example.com/a") };
  const rows = [
    { input: "ext::sh -c 'echo >&2 pwned'", network },
    { input: "file:///tmp/a", network },
    { input: "ssh://git.example.com/a", network },
    { input: "http://127.0.0.1:1/a", network },
    { input: "https://127.0.0.1:1/a", network: undefined },
  ];
  for (const { input, network } of rows) {
    await t.step(`${input}${network ? "" : " without network"}`, async () => {
      await assert.rejects(
        started.git.run(
          ["ls-remote", "--end-of-options", input],
          network ? { ...RUN, network } : RUN,
        ),
        (error) => error instanceof GitError && /transport '\w+' not allowed/.test(error.stderr),
      );
    });
  }
});

Deno.test("Git.run() kills the whole process group at the deadline", async () => {
  await using server = await GitServer.start({ misbehave: () => "stall" });
  await using started = await startGit();
  const remote = parseRemoteUrl(server.urlOf("a.git"), { isHttpAllowed: () => true });
  const run = started.git.run(["ls-remote", "--end-of-options", remote], {
    ...RUN,
    network: { remote },
    timeoutMs: 700,
  });
  const early = assert.rejects(run, DeadlineError);
  await eventually("a request", () => server.requests.length > 0);
  const helpers = await processesWith(remote);
  assert.ok(helpers.some((line) => line.includes("git-remote-http")), helpers.join("\n"));
  await early;
  assert.deepEqual(await processesWith(remote), []);
});

Deno.test("Git.run() kills the whole process group when its caller goes away", async () => {
  await using server = await GitServer.start({ misbehave: () => "stall" });
  await using started = await startGit();
  const remote = parseRemoteUrl(server.urlOf("a.git"), { isHttpAllowed: () => true });
  const caller = new AbortController();
  const run = started.git.run(["ls-remote", "--end-of-options", remote], {
    ...RUN,
    network: { remote },
    signal: caller.signal,
  });
  const rejected = assert.rejects(run, /client went away/);
  await eventually("a request", () => server.requests.length > 0);
  caller.abort(new Error("client went away"));
  await rejected;
  assert.deepEqual(await processesWith(remote), []);
});

Deno.test("Git.run() kills children that ignore every other signal", async () => {
  await using started = await startGit();
  const stubborn = "!trap '' TERM INT HUP PIPE; sleep 321.5 & sleep 321.5";
  await assert.rejects(
    started.git.run(["-c", `alias.x=${stubborn}`, "x"], { ...RUN, timeoutMs: 300 }),
    DeadlineError,
  );
  assert.deepEqual(await processesWith("sleep 321.5"), []);
});

Deno.test("Git.run() refuses when no turn comes free in time", async () => {
  await using started = await startGit({ permits: 1 });
  const caller = new AbortController();
  const first = started.git.run(["-c", "alias.x=!sleep 60", "x"], {
    ...RUN,
    signal: caller.signal,
  });
  await assert.rejects(started.git.run(["version"], RUN), OverloadedError);
  caller.abort(new Error("enough"));
  await assert.rejects(first, /enough/);
  assert.equal((await started.git.run(["version"], RUN)).exitCode, 0);
});

Deno.test("Git.run() starts nothing for a caller who has gone", async () => {
  await using started = await startGit();
  const signal = AbortSignal.abort(new Error("gone"));
  await assert.rejects(started.git.run(["version"], { ...RUN, signal }), /gone/);
});

Deno.test("Git.stream() gives the output as it comes", async () => {
  await using started = await startGit();
  const stream = started.git.stream(["-c", "alias.x=!printf 'a%.0s' $(seq 200000)", "x"], RUN);
  assert.equal((await new Response(stream).text()).length, 200_000);
});

Deno.test("Git.stream() holds git up until somebody reads", async () => {
  await using started = await startGit();
  const stream = started.git.stream(["-c", "alias.x=!yes", "x"], RUN);
  const reader = stream.getReader();
  const { value } = await reader.read();
  assert.match(new TextDecoder().decode(value), /^y\n/);
  // `yes` never ends; that this test does shows that its output was not collected.
  await reader.cancel();
});

Deno.test("Git.stream() errors when git fails, after what git wrote", async () => {
  await using started = await startGit();
  const stream = started.git.stream(["-c", "alias.x=!echo part; exit 4", "x"], RUN);
  const reader = stream.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "part\n");
  await assert.rejects(reader.read(), (error) => error instanceof GitError && error.exitCode === 4);
});

Deno.test("Git.stream() ends git at the deadline although nobody reads", async () => {
  await using started = await startGit({ permits: 1 });
  const stream = started.git.stream(["-c", "alias.x=!yes", "x"], { ...RUN, timeoutMs: 200 });
  const reader = stream.getReader();
  await reader.read();
  // The turn comes free only when the stalled stream's git has ended.
  await eventually("a turn", async () => {
    try {
      await started.git.run(["version"], RUN);
      return true;
    } catch (error) {
      if (error instanceof OverloadedError) return false;
      throw error;
    }
  });
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  }, DeadlineError);
});

Deno.test("Git.stream() ends git when it is cancelled while waiting for output", async () => {
  await using started = await startGit();
  const stream = started.git.stream(["-c", "alias.x=!sleep 322.5", "x"], RUN);
  const reader = stream.getReader();
  const pending = reader.read();
  await eventually("git to start", async () => (await processesWith("sleep 322.5")).length > 0);
  await reader.cancel();
  assert.equal((await pending).done, true);
  assert.deepEqual(await processesWith("sleep 322.5"), []);
});

Deno.test("Git.stream() ends a git that is alone when its caller goes away", async () => {
  await using server = await GitServer.start();
  const repo = await server.createRepo("large.git");
  await repo.commit({ file: new Uint8Array(1 << 20) });
  await using started = await startGit();
  const caller = new AbortController();
  const stream = started.git.stream(["archive", "--format=tar", "HEAD"], {
    ...RUN,
    gitDir: repo.path,
    signal: caller.signal,
    isAlone: true,
  });
  const reader = stream.getReader();
  await reader.read();
  // More than fits into a pipe: git waits for its reader.
  assert.equal((await processesWith(repo.path)).length, 1);
  caller.abort(new Error("client went away"));
  await eventually("git to end", async () => (await processesWith(repo.path)).length === 0);
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  }, /client went away/);
});

Deno.test("Git disposed of ends what runs and starts nothing more", async () => {
  const started = await startGit();
  const run = assert.rejects(
    started.git.run(["-c", "alias.x=!sleep 323.5", "x"], RUN),
    /shutting down/,
  );
  await eventually("git to start", async () => (await processesWith("sleep 323.5")).length > 0);
  await started.git[Symbol.asyncDispose]();
  await run;
  assert.deepEqual(await processesWith("sleep 323.5"), []);
  await assert.rejects(started.git.run(["version"], RUN), /shutting down/);
  await started[Symbol.asyncDispose]();
});
