import assert from "node:assert/strict";
import { DeadlineError, LimitExceededError, NotFoundError, UpstreamError } from "../errors.ts";
import { executable, submodule, symlink, type TestRepo } from "../../tests/worlds/git_repo.ts";
import { GitServer, type GitServerOptions } from "../../tests/fakes/git_server.ts";
import { TestMirrors, type TestMirrorsOptions, testRemote } from "../../tests/worlds/mirrors.ts";
import { GitError, RefsMovedError } from "./errors.ts";
import { type Hash, isHash } from "./refs.ts";
import type { Repository, Snapshot, TreeEntry } from "./repository.ts";
import { runCommand } from "../../tests/support/run_command.ts";

interface Scene extends AsyncDisposable {
  readonly server: GitServer;
  /** The repository `a.git` of the server. */
  readonly origin: TestRepo;
  /** Our side of it. */
  readonly repository: Repository;
  readonly mirrors: TestMirrors;
  /** Where the mirror is. */
  readonly folder: string;
}

interface SceneOptions {
  readonly server?: GitServerOptions;
  readonly mirrors?: TestMirrorsOptions;
  readonly objectFormat?: "sha1" | "sha256";
}

/** A server with one repository, and a mirror of it. */
async function open(options: SceneOptions = {}): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await GitServer.start(options.server));
  const format = options.objectFormat;
  const origin = await server.createRepo("a.git", format ? { objectFormat: format } : {});
  const mirrors = stack.use(await TestMirrors.start(options.mirrors));
  const lease = stack.use(await mirrors.mirrors.open(testRemote(server.urlOf("a.git"))));
  const [{ name }] = [...Deno.readDirSync(`${mirrors.folder}/mirrors`)] as [Deno.DirEntry];
  const all = stack.move();
  return {
    server,
    origin,
    repository: lease.repository,
    mirrors,
    folder: `${mirrors.folder}/mirrors/${name}`,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function hashOf(text: string): Hash {
  assert.ok(isHash(text), text);
  return text;
}

/** The snapshot of a commit that must be there. */
async function snapshotOf(repository: Repository, hash: string): Promise<Snapshot> {
  const snapshot = await repository.snapshot(await repository.refs(), hashOf(hash));
  assert.ok(snapshot !== null, `no commit ${hash}`);
  return snapshot;
}

async function readText(snapshot: Snapshot, path: string): Promise<string | null> {
  const bytes = await snapshot.readFile(path, { limitBytes: 1 << 20 });
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

async function pathsOf(entries: AsyncIterable<TreeEntry>): Promise<string[]> {
  return (await Array.fromAsync(entries)).map(({ path }) => path);
}

/** The names of what is in a tar, and the contents of its files. */
async function unpack(archive: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<
  Record<string, string>
> {
  const folder = await Deno.makeTempDir({ prefix: "tar-" });
  const input = await new Response(archive).bytes();
  const { code, stderr } = await runCommand("tar", { args: ["-x", "-C", folder], input });
  assert.equal(code, 0, stderr);
  const files: Record<string, string> = {};
  const walk = async (path: string) => {
    for (const entry of Deno.readDirSync(`${folder}/${path}`)) {
      const name = `${path}${entry.name}`;
      if (entry.isDirectory) await walk(`${name}/`);
      else if (entry.isFile) files[name] = await Deno.readTextFile(`${folder}/${name}`);
    }
  };
  await walk("");
  await Deno.remove(folder, { recursive: true });
  return files;
}

/** Runs git in one of the mirror's repositories. */
async function inspect(path: string, args: readonly string[]): Promise<string> {
  const { stdout } = await runCommand("git", { args: [...args], env: { GIT_DIR: path } });
  return stdout.trim();
}

// Refs.

Deno.test("Repository.refs() has HEAD, branches, and tags with their commits", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  const first = await origin.commit({ "a": "1" }, { tag: "light" });
  const second = await origin.commit({ "a": "2" });
  await origin.tag("annotated", first, { message: "x" });
  await origin.tag("nested", "annotated", { message: "y" });
  await origin.setRef("refs/pull/1/head", first);
  assert.deepEqual(Object.fromEntries(await repository.refs()), {
    "HEAD": second,
    "refs/heads/main": second,
    "refs/tags/light": first,
    "refs/tags/annotated": first,
    "refs/tags/nested": first,
  });
});

Deno.test("Repository.refs() of an empty repository is empty, and so is its history", async () => {
  await using scene = await open();
  const refs = await scene.repository.refs();
  assert.equal(refs.size, 0);
  const history = await scene.repository.history(refs);
  const hash = hashOf("a".repeat(40));
  assert.equal(await history.resolve("aaaaaaa"), null);
  assert.equal(await history.commit(hash), null);
  assert.equal(await history.isAncestor(hash, hash), false);
  assert.deepEqual(await history.tagsReachableFrom(hash), []);
  assert.equal(await scene.repository.snapshot(refs, hash), null);
});

Deno.test("Repository.refs() has no HEAD where it points to a missing branch", async () => {
  await using scene = await open();
  const hash = await scene.origin.commit({ "a": "1" });
  await scene.origin.setHead("refs/heads/gone");
  const refs = await scene.repository.refs();
  assert.deepEqual([...refs.keys()], ["refs/heads/main"]);
  assert.equal((await snapshotOf(scene.repository, hash)).commit.hash, hash);
  const history = await scene.repository.history(refs);
  assert.equal(await history.resolve(hash), hash);
});

Deno.test("Repository.refs() asks once for 100 callers, and again for the next", async () => {
  await using scene = await open();
  await scene.origin.commit({ "a": "1" });
  await Promise.all(Array.from({ length: 100 }, () => scene.repository.refs()));
  const once = scene.server.requests.length;
  assert.ok(once <= 2, `${once} requests`);
  await scene.repository.refs();
  assert.equal(scene.server.requests.length, once + 1, "how to ask is known");
});

Deno.test("Repository.refs() may be as old as the caller allows", async () => {
  await using scene = await open();
  const { repository, mirrors, origin, server } = scene;
  const first = await origin.commit({ "a": "1" });
  await repository.refs();
  const second = await origin.commit({ "a": "2" });
  const asked = server.requests.length;
  mirrors.clock.nowMs += 900;
  assert.equal((await repository.refs({ maxAgeMs: 1000 })).get("HEAD"), first);
  assert.equal(server.requests.length, asked);
  mirrors.clock.nowMs += 100;
  assert.equal((await repository.refs({ maxAgeMs: 1000 })).get("HEAD"), second);
});

Deno.test("Repository.refs() has a limit", async () => {
  await using scene = await open({ mirrors: { limits: { maxRefs: 2 } } });
  await scene.origin.commit({ "a": "1" }, { tag: "v1.0.0" });
  await assert.rejects(scene.repository.refs(), LimitExceededError);
});

Deno.test("Repository.refs() lets one caller leave and answers the others", async () => {
  await using scene = await open();
  const hash = await scene.origin.commit({ "a": "1" });
  const leaver = new AbortController();
  const left = assert.rejects(scene.repository.refs({ signal: leaver.signal }), /gone/);
  const other = scene.repository.refs();
  leaver.abort(new Error("gone"));
  await left;
  assert.equal((await other).get("HEAD"), hash);
});

Deno.test("Repository.refs() says what a failure means", async (t) => {
  const credential = { username: "u", password: "p" };
  const answer = (status: number, headers = {}) => () =>
    new Response("<p>no</p>", { status, headers });
  const challenge = { "WWW-Authenticate": "Basic" };
  const rows: {
    what: string;
    server?: GitServerOptions;
    withCredential?: boolean;
    name?: string;
    want: "not-found" | "bad-upstream" | "timeout";
  }[] = [
    { what: "no such repository", name: "none.git", want: "not-found" },
    { what: "404", server: { misbehave: answer(404) }, want: "not-found" },
    { what: "410", server: { misbehave: answer(410) }, want: "not-found" },
    { what: "500", server: { misbehave: answer(500) }, want: "bad-upstream" },
    { what: "403", server: { misbehave: answer(403) }, want: "bad-upstream" },
    { what: "401", server: { misbehave: answer(401, challenge) }, want: "bad-upstream" },
    {
      what: "a password is wanted and we have none, and there is no page either",
      server: {
        misbehave: ({ file }) =>
          file === ""
            ? new Response("none", { status: 404 })
            : new Response("who?", { status: 401, headers: challenge }),
      },
      want: "not-found",
    },
    {
      what: "a password is wanted and we have none, but there is a page",
      server: {
        misbehave: ({ file }) =>
          file === ""
            ? new Response("hello")
            : new Response("who?", { status: 401, headers: challenge }),
      },
      want: "bad-upstream",
    },
    {
      what: "our password is wrong",
      server: { authorize: () => false },
      withCredential: true,
      want: "bad-upstream",
    },
    {
      // The page is hidden from strangers, which says nothing about the repository.
      what: "our password is wrong, and there is no page",
      server: {
        misbehave: ({ file }) => file === "" ? new Response("none", { status: 404 }) : null,
        authorize: () => false,
      },
      withCredential: true,
      want: "bad-upstream",
    },
    {
      what: "our password is right and there is nothing",
      server: { authorize: (_repo, user, password) => user === "u" && password === "p" },
      withCredential: true,
      name: "none.git",
      want: "not-found",
    },
    {
      what: "garbage",
      server: { misbehave: () => new Response("garbage\n".repeat(1000)) },
      want: "bad-upstream",
    },
    {
      what: "garbage of the right type",
      server: {
        misbehave: () =>
          new Response("zzzzgarbage", {
            headers: { "Content-Type": "application/x-git-upload-pack-advertisement" },
          }),
      },
      want: "bad-upstream",
    },
    { what: "silence", server: { misbehave: () => "stall" }, want: "timeout" },
    {
      what: "a redirect to a place that git may not go",
      server: {
        misbehave: () => new Response(null, { status: 302, headers: { Location: "file:///etc" } }),
      },
      want: "bad-upstream",
    },
  ];
  for (const { what, server: options, withCredential, name = "a.git", want } of rows) {
    await t.step(what, async () => {
      await using server = await GitServer.start(options);
      await server.createRepo("a.git");
      await using mirrors = await TestMirrors.start({
        limits: { refsTimeoutMs: want === "timeout" ? 300 : 20_000 },
        credentialsFor: () => Promise.resolve(withCredential ? credential : null),
      });
      await using lease = await mirrors.mirrors.open(testRemote(server.urlOf(name)));
      await assert.rejects(lease.repository.refs(), { meaning: want });
    });
  }
});

Deno.test("Repository.refs() of a server that is not there is no proof of absence", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using mirrors = await TestMirrors.start();
  await using lease = await mirrors.mirrors.open(testRemote(`http://127.0.0.1:${port}/a.git`));
  await assert.rejects(lease.repository.refs(), GitError);
});

Deno.test("Repository.refs() misses a credential that cannot be had only where it is needed", async (t) => {
  const refusal = new UpstreamError("Cannot mint a token: the app is suspended");
  const rows: { what: string; server: GitServerOptions; want: "refs" | "refusal" | "git" }[] = [
    { what: "the repository is public", server: {}, want: "refs" },
    { what: "it is private", server: { authorize: () => true }, want: "refusal" },
    {
      // Strangers are told that there is nothing; we might have seen something.
      what: "it is hidden from strangers",
      server: { misbehave: () => new Response("none", { status: 404 }) },
      want: "refusal",
    },
    {
      what: "the server is broken",
      server: { misbehave: () => new Response("down", { status: 503 }) },
      want: "git",
    },
  ];
  for (const { what, server, want } of rows) {
    await t.step(what, async () => {
      await using scene = await open({
        server,
        mirrors: { credentialsFor: () => Promise.reject(refusal) },
      });
      await scene.origin.commit({ "a": "1" });
      const refs = scene.repository.refs();
      if (want === "refs") assert.equal((await refs).size, 2);
      else await assert.rejects(refs, want === "git" ? GitError : refusal);
    });
  }
});

Deno.test("Repository.refs() passes on a provider's failure that says more than no", async (t) => {
  const failures = [
    new DeadlineError("Cannot mint a token: no answer"),
    new NotFoundError("Cannot find repository a: the app is not installed there"),
  ];
  for (const failure of failures) {
    await t.step(failure.name, async () => {
      await using scene = await open({
        mirrors: { credentialsFor: () => Promise.reject(failure) },
      });
      await assert.rejects(scene.repository.refs(), failure);
    });
  }
});

// History.

Deno.test("History.resolve() finds what branches, tags and HEAD lead to", async (t) => {
  await using scene = await open();
  const { origin, repository } = scene;
  const first = await origin.commit({ "a": "1" });
  const tagged = await origin.commit({ "a": "2" }, { branch: "old", from: first, tag: "v1" });
  await origin.deleteRef("refs/heads/old");
  const unreachable = await origin.commit({ "a": "3" }, { branch: "forced", from: first });
  await origin.deleteRef("refs/heads/forced");
  const pulled = await origin.commit({ "a": "4" }, { branch: "pr", from: first });
  await origin.setRef("refs/pull/1/head", pulled);
  await origin.deleteRef("refs/heads/pr");
  const detached = await origin.commit({ "a": "5" }, { branch: "d", from: first });
  await origin.git(["update-ref", "--no-deref", "HEAD", detached]);
  await origin.deleteRef("refs/heads/d");
  const tree = await origin.git(["rev-parse", `${first}^{tree}`]);
  await origin.tag("annotated", first, { message: "x" });
  const tag = await origin.git(["rev-parse", "refs/tags/annotated"]);
  const history = await repository.history(await repository.refs());

  const rows: { what: string; input: string; want: string | null }[] = [
    { what: "a commit before the tips", input: first, want: first },
    { what: "only a tag leads to it", input: tagged, want: tagged },
    { what: "only HEAD leads to it", input: detached, want: detached },
    { what: "7 digits", input: first.slice(0, 7), want: first },
    { what: "39 digits", input: first.slice(0, 39), want: first },
    { what: "6 digits", input: first.slice(0, 6), want: null },
    { what: "41 digits", input: `${first}0`, want: null },
    { what: "upper case", input: first.toUpperCase(), want: null },
    { what: "nobody has it", input: "0123456", want: null },
    { what: "nobody has it, 40 digits", input: "0".repeat(40), want: null },
    { what: "unreachable", input: unreachable, want: null },
    { what: "unreachable, abbreviated", input: unreachable.slice(0, 12), want: null },
    { what: "of a pull request", input: pulled, want: null },
    { what: "a tag object", input: tag, want: first },
    { what: "a tag object, abbreviated", input: tag.slice(0, 12), want: first },
    { what: "a tree", input: tree, want: null },
    { what: "a name", input: "main", want: null },
    { what: "an expression", input: `${first}^`, want: null },
    { what: "an option", input: "--all", want: null },
    { what: "nothing", input: "", want: null },
  ];
  for (const { what, input, want } of rows) {
    await t.step(what, async () => assert.equal(await history.resolve(input), want));
  }
});

Deno.test("History.resolve() refuses an abbreviation of two commits", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  // The times of two otherwise equal commits whose hashes have the same first 7 digits, found by
  // trying.
  const [a = "", b = ""] = await Promise.all([13507, 37511].map(async (timeSeconds) => {
    const who = `A <a@example.com> ${timeSeconds} +0000`;
    const text =
      `tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor ${who}\ncommitter ${who}\n\n`;
    return await origin.git(
      ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
      new TextEncoder().encode(text),
    );
  }));
  assert.equal(a.slice(0, 7), b.slice(0, 7));
  await origin.git(["hash-object", "-t", "tree", "-w", "--stdin"], new Uint8Array(0));
  await origin.tag("a", a);
  await origin.tag("b", b);
  const history = await repository.history(await repository.refs());
  assert.equal(await history.resolve(a.slice(0, 7)), null);
  assert.equal(await history.resolve(a), a);
  assert.equal(await history.resolve(b), b);
});

Deno.test("History.commit() tells tree and committer's time", async (t) => {
  const rows: { what: string; date: Date; timeZone: string; wantSeconds: number }[] = [
    { what: "UTC", date: new Date(1e12), timeZone: "+0000", wantSeconds: 1e9 },
    { what: "a negative time zone", date: new Date(1e12), timeZone: "-1130", wantSeconds: 1e9 },
    { what: "1970", date: new Date(0), timeZone: "+0200", wantSeconds: 0 },
    {
      what: "the year 2100",
      date: new Date("2100-01-01Z"),
      timeZone: "+0000",
      wantSeconds: 4102444800,
    },
  ];
  await using scene = await open();
  for (const { what, date, timeZone, wantSeconds } of rows) {
    await t.step(what, async () => {
      const hash = hashOf(await scene.origin.commit({ "a": what }, { date, timeZone }));
      const tree = await scene.origin.git(["rev-parse", `${hash}^{tree}`]);
      const history = await scene.repository.history(await scene.repository.refs());
      assert.deepEqual(await history.commit(hash), { hash, tree, timeSeconds: wantSeconds });
      const snapshot = await snapshotOf(scene.repository, hash);
      assert.deepEqual(snapshot.commit, { hash, tree, timeSeconds: wantSeconds });
    });
  }
});

Deno.test("History knows ancestors and the tags before a commit", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  const root = hashOf(await origin.commit({ "a": "1" }));
  await origin.tag("v1.0.0", root, { message: "annotated" });
  const side = hashOf(
    await origin.commit({ "a": "2" }, { branch: "side", from: root, tag: "side/v1" }),
  );
  const main = hashOf(await origin.commit({ "a": "3" }, { tag: "v1.1.0" }));
  const merge = hashOf(await origin.commit({ "a": "4" }, { merge: [side] }));
  const history = await repository.history(await repository.refs());

  assert.equal(await history.isAncestor(root, merge), true);
  assert.equal(await history.isAncestor(side, merge), true);
  assert.equal(await history.isAncestor(merge, merge), true);
  assert.equal(await history.isAncestor(merge, root), false);
  assert.equal(await history.isAncestor(side, main), false);
  assert.equal(await history.isAncestor(hashOf("a".repeat(40)), main), false);
  assert.deepEqual(await history.tagsReachableFrom(root), ["v1.0.0"]);
  assert.deepEqual(await history.tagsReachableFrom(main), ["v1.0.0", "v1.1.0"]);
  assert.deepEqual(await history.tagsReachableFrom(merge), ["side/v1", "v1.0.0", "v1.1.0"]);
  assert.deepEqual(await history.tagsReachableFrom(hashOf("a".repeat(40))), []);
});

Deno.test("History knows what is reachable although clocks ran wrong", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  // The oldest commits say that they are the youngest, and the other way round.
  const at = (year: number) => ({ date: new Date(Date.UTC(year, 0, 1)) });
  const hashes: Hash[] = [];
  for (let i = 0; i < 30; i++) {
    hashes.push(hashOf(await origin.commit({ "a": `${i}` }, at(2090 - i))));
  }
  const history = await repository.history(await repository.refs());
  for (const hash of [hashes[0], hashes[10], hashes[29]]) {
    assert.ok(hash !== undefined);
    assert.equal(await history.resolve(hash), hash);
  }
});

Deno.test("History copes with tags that lead to no commit", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  const commit = hashOf(await origin.commit({ "key": "secret", "d/f": "x" }, { tag: "v1.0.0" }));
  const blob = hashOf(await origin.git(["rev-parse", `${commit}:key`]));
  const tree = hashOf(await origin.git(["rev-parse", `${commit}:d`]));
  await origin.tag("blob", blob);
  await origin.tag("annotated-blob", blob, { message: "x" });
  await origin.tag("tree", tree);
  const refs = await repository.refs();
  const history = await repository.history(refs);
  assert.deepEqual(await history.tagsReachableFrom(commit), ["v1.0.0"]);
  assert.equal(await history.commit(blob), null);
  assert.equal(await history.commit(tree), null);
  assert.equal(await history.resolve(blob), null);
  assert.equal(await repository.snapshot(refs, blob), null);
  assert.equal(await repository.snapshot(refs, tree), null);
  assert.equal(await readText(await snapshotOf(repository, commit), "key"), "secret");
});

Deno.test("History copes with a tag that leads to the tree of a commit", async () => {
  await using scene = await open();
  const { origin, repository, folder } = scene;
  const commit = hashOf(await origin.commit({ "a": "1", "d/b": "2" }, { tag: "v1.0.0" }));
  await origin.tag("tree", `${commit}^{tree}`);
  const check = async () => {
    const refs = await repository.refs();
    const history = await repository.history(refs);
    assert.deepEqual(await history.tagsReachableFrom(commit), ["v1.0.0"]);
  };
  await check();
  await origin.commit({ "a": "3" });
  await check();
  const kinds = await inspect(`${folder}/history.git`, [
    ...["cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"],
  ]);
  assert.ok(!kinds.includes("blob"));
});

Deno.test("History is fetched without trees and files, once for each state of the refs", async () => {
  await using scene = await open();
  const { origin, repository, server, folder } = scene;
  await origin.commit({ "a": "1", "d/b": "2" });
  const second = hashOf(await origin.commit({ "a": "3" }));
  const refs = await repository.refs();
  await Promise.all(Array.from({ length: 20 }, () => repository.history(refs)));
  const kinds = await inspect(`${folder}/history.git`, [
    "cat-file",
    "--batch-all-objects",
    "--batch-check=%(objecttype)",
  ]);
  assert.deepEqual(kinds.split("\n"), ["commit", "commit"]);

  const asked = server.requests.length;
  const again = await repository.history(new Map([...refs].reverse()));
  assert.equal((await again.commit(second))?.hash, second);
  assert.equal(server.requests.length, asked);
});

Deno.test("History comes whole from a server without filters", async () => {
  await using scene = await open({ server: { allowFilter: false } });
  const { origin, repository } = scene;
  const first = hashOf(await origin.commit({ "a": "1" }, { tag: "v1.0.0" }));
  const second = hashOf(await origin.commit({ "a": "2" }));
  const history = await repository.history(await repository.refs());
  assert.equal(await history.isAncestor(first, second), true);
  assert.equal(await history.resolve(first.slice(0, 12)), first);
});

Deno.test("History follows branches that are moved, removed, or replaced by a folder", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  const first = hashOf(await origin.commit({ "a": "1" }));
  const forced = hashOf(await origin.commit({ "a": "2" }, { branch: "x", from: first }));
  const before = await repository.history(await repository.refs());
  assert.equal(await before.resolve(forced), forced);
  await origin.deleteRef("refs/heads/x");
  const other = hashOf(await origin.commit({ "a": "3" }, { branch: "x/y", from: first }));
  const after = await repository.history(await repository.refs());
  assert.equal(await after.resolve(other), other);
  assert.equal(await after.resolve(forced), null, "no longer reachable");
});

Deno.test("History says when its refs are out of date", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  const base = await origin.commit({ "a": "1" });
  const old = hashOf(await origin.commit({ "a": "2" }));
  const refs = await repository.refs();
  await origin.commit({ "a": "3" }, { from: base });
  const history = await repository.history(refs);
  await assert.rejects(history.commit(old), RefsMovedError);
  await assert.rejects(history.tagsReachableFrom(old), RefsMovedError);
  await assert.rejects(history.isAncestor(hashOf(base), old), RefsMovedError);
});

// Snapshots.

Deno.test("Repository.snapshot() gives what is reachable, however it is named", async (t) => {
  await using scene = await open();
  const { origin, repository } = scene;
  const first = await origin.commit({ "f": "first" });
  const light = await origin.commit({ "f": "light" }, { tag: "v1.0.0" });
  const annotated = await origin.commit({ "f": "annotated" });
  await origin.tag("v1.1.0", annotated, { message: "x" });
  const nested = await origin.commit({ "f": "nested" }, { branch: "n", from: first });
  await origin.tag("inner", nested, { message: "x" });
  await origin.tag("outer", "inner", { message: "x" });
  await origin.deleteRef("refs/tags/inner");
  await origin.deleteRef("refs/heads/n");
  const branch = await origin.commit({ "f": "branch" }, { branch: "b" });
  const detached = await origin.commit({ "f": "detached" }, { branch: "d" });
  await origin.git(["update-ref", "--no-deref", "HEAD", detached]);
  await origin.deleteRef("refs/heads/d");
  for (
    const [what, hash] of Object.entries({ first, light, annotated, nested, branch, detached })
  ) {
    await t.step(what, async () => {
      const snapshot = await snapshotOf(repository, hash);
      assert.equal(snapshot.commit.hash, hash);
      assert.equal(await readText(snapshot, "f"), what);
    });
  }
});

Deno.test("Repository.snapshot() is null for what is not reachable", async (t) => {
  await using scene = await open();
  const { origin, repository } = scene;
  const first = await origin.commit({ "a": "1" });
  const pulled = await origin.commit({ "a": "2" }, { branch: "pr", from: first });
  await origin.setRef("refs/pull/1/head", pulled);
  await origin.deleteRef("refs/heads/pr");
  const forced = await origin.commit({ "a": "3" }, { branch: "x", from: first });
  await snapshotOf(repository, forced);
  await origin.deleteRef("refs/heads/x");
  const refs = await repository.refs();
  const tree = await origin.git(["rev-parse", `${first}^{tree}`]);
  const rows = { pulled, tree, "nowhere": "a".repeat(40), "reachable before, and fetched": forced };
  for (const [what, hash] of Object.entries(rows)) {
    await t.step(what, async () => {
      assert.equal(await repository.snapshot(refs, hashOf(hash)), null);
    });
  }
});

Deno.test("Repository.snapshot() fetches one commit, and only once", async () => {
  await using scene = await open();
  const { origin, repository, server, folder } = scene;
  for (let i = 0; i < 5; i++) await origin.commit({ "a": `${i}` });
  const hash = hashOf(await origin.commit({ "a": "5" }, { tag: "v1.0.0" }));
  const refs = await repository.refs();
  await Promise.all(Array.from({ length: 100 }, () => repository.snapshot(refs, hash)));
  const packs = server.requests.filter(({ file }) => file === "git-upload-pack").length;
  // ls-remote, then the fetch: its refs and its pack.
  assert.ok(packs <= 3, `${packs} requests`);
  const objects = await inspect(`${folder}/content.git`, [
    "cat-file",
    "--batch-all-objects",
    "--batch-check=%(objecttype)",
  ]);
  assert.deepEqual(objects.split("\n").sort(), ["blob", "commit", "tree"]);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
    "content.git",
    "content.lock",
    "lock",
  ]);
});

Deno.test("Repository.snapshot() serves many versions to many callers at once", async () => {
  await using scene = await open({ mirrors: { permits: 4 } });
  const { origin, repository } = scene;
  const hashes: string[] = [];
  for (let i = 0; i < 8; i++) {
    hashes.push(await origin.commit({ "v": `${i}` }, i % 2 === 0 ? { tag: `v1.0.${i}` } : {}));
  }
  const refs = await repository.refs();
  await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const index = i % hashes.length;
    const snapshot = await repository.snapshot(refs, hashOf(hashes[index] ?? ""));
    assert.ok(snapshot !== null);
    assert.equal(await readText(snapshot, "v"), `${index}`);
  }));
});

Deno.test("Repository.snapshot() notices a tag that moved since it was listed", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  const base = await origin.commit({ "a": "0" });
  const old = hashOf(await origin.commit({ "a": "1" }, { branch: "x", from: base, tag: "v1.0.0" }));
  await origin.deleteRef("refs/heads/x");
  const refs = await repository.refs();
  const moved = hashOf(await origin.commit({ "a": "2" }, { tag: "v1.0.0" }));
  await assert.rejects(repository.snapshot(refs, old), RefsMovedError);
  // The mistake is not remembered.
  await assert.rejects(repository.snapshot(refs, old), RefsMovedError);
  assert.equal(await readText(await snapshotOf(repository, moved), "a"), "2");
});

Deno.test("Repository.snapshot() works with SHA-256", async () => {
  await using scene = await open({ objectFormat: "sha256" });
  const { origin, repository } = scene;
  const first = await origin.commit({ "a": "1" });
  const second = await origin.commit({ "a": "2" }, { tag: "v1.0.0" });
  assert.equal(second.length, 64);
  assert.equal(await readText(await snapshotOf(repository, second), "a"), "2");
  assert.equal(await readText(await snapshotOf(repository, first), "a"), "1");
  const history = await repository.history(await repository.refs());
  assert.equal(await history.resolve(first.slice(0, 12)), first);
  assert.deepEqual(await history.tagsReachableFrom(hashOf(second)), ["v1.0.0"]);
});

Deno.test("Repository.snapshot() fetches everything from a server that gives no commit by hash", async () => {
  await using scene = await open({ server: { protocolV2: false } });
  const { origin, repository } = scene;
  const first = await origin.commit({ "a": "1" });
  const tagged = await origin.commit({ "a": "2" }, { tag: "v1.0.0" });
  await origin.commit({ "a": "3" });
  assert.equal(await readText(await snapshotOf(repository, tagged), "a"), "2");
  assert.equal(await readText(await snapshotOf(repository, first), "a"), "1");
});

Deno.test("Repository works with a server of plain files (dumb http)", async (t) => {
  await using scene = await open();
  const { server, origin, repository } = scene;
  const first = await origin.commit({ "a": "1" });
  const second = await origin.commit({ "a": "2" }, { tag: "v1.0.0" });
  server.misbehave = ({ target }) => {
    try {
      return new Response(Deno.readFileSync(server.folder + target.replace(/\?.*/, "")));
    } catch {
      return new Response("none", { status: 404 });
    }
  };
  for (const head of ["refs/heads/main", "refs/heads/gone"]) {
    await t.step(`HEAD points to ${head}`, async () => {
      await origin.setHead(head);
      await origin.git(["update-server-info"]);
      assert.equal(await readText(await snapshotOf(repository, second), "a"), "2");
      assert.equal(await readText(await snapshotOf(repository, first), "a"), "1");
    });
    await Deno.remove(scene.folder, { recursive: true });
  }
});

for (const protocolV2 of [true, false]) {
  const by = protocolV2 ? "our own requests" : "git";

  Deno.test(`Repository.snapshot() fetches all that is waited for in one go, by ${by}`, async () => {
    await using scene = await open();
    const { origin, repository, server } = scene;
    server.protocolV2 = protocolV2;
    const hashes: string[] = [];
    for (let i = 0; i < 5; i++) hashes.push(await origin.commit({ "a": `${i}` }, { tag: `v${i}` }));
    const refs = await repository.refs();
    const asked = server.requests.length;
    const snapshots = await Promise.all(hashes.map(async (hash) => {
      assert.ok(isHash(hash));
      return await repository.snapshot(refs, hash);
    }));
    const requests = server.requests.slice(asked);
    // One by one they would be 10 and 15.
    assert.ok(requests.length <= 3, `${requests.length} requests`);
    for (const [i, snapshot] of snapshots.entries()) {
      assert.ok(snapshot !== null);
      assert.equal(await readText(snapshot, "a"), `${i}`);
    }
  });

  Deno.test(`Repository.snapshot() fetches the others where a tag has gone, by ${by}`, async () => {
    await using scene = await open();
    const { origin, repository, server } = scene;
    server.protocolV2 = protocolV2;
    const hashes: string[] = [];
    for (let i = 0; i < 4; i++) {
      const branch = `b${i}`;
      hashes.push(await origin.commit({ "a": `${i}` }, { branch, tag: `v${i}` }));
    }
    const refs = await repository.refs();
    await origin.deleteRef("refs/tags/v1");
    await origin.deleteRef("refs/heads/b1");
    await origin.setRef("refs/tags/v2", hashes[3] ?? "");
    await origin.setRef("refs/heads/b2", hashes[3] ?? "");
    const outcomes = await Promise.allSettled(hashes.map(async (hash) => {
      assert.ok(isHash(hash));
      return await repository.snapshot(refs, hash);
    }));
    const statuses = outcomes.map(({ status }) => status);
    assert.deepEqual(statuses, ["fulfilled", "rejected", "rejected", "fulfilled"]);
    const [, , moved] = outcomes;
    assert.ok(moved?.status === "rejected" && moved.reason instanceof RefsMovedError);
  });
}

Deno.test("Snapshot.readFile() reads blobs", async (t) => {
  await using scene = await open();
  const hash = await scene.origin.commit({
    "go.mod": "module m\r\n",
    "empty": "",
    "sub/go.mod": "module m/sub\n",
    "run.sh": executable("#!/bin/sh\n"),
    "link": symlink("../../etc/passwd"),
    "module": submodule("a".repeat(40)),
    "[a]*?.txt": "literal",
    "a.txt": "no pattern",
    "-rf": "dash",
    ":(top)x": "magic",
    'with space\n"and" \\ newline': "odd",
    "ünïcödé": "unicode",
    ".gitattributes": "* text eol=crlf\n",
    "crlf": "one\n",
  });
  const snapshot = await snapshotOf(scene.repository, hash);
  const rows: { input: string; want: string | null }[] = [
    { input: "go.mod", want: "module m\r\n" },
    { input: "empty", want: "" },
    { input: "sub/go.mod", want: "module m/sub\n" },
    { input: "run.sh", want: "#!/bin/sh\n" },
    { input: "link", want: "../../etc/passwd" },
    { input: "module", want: null },
    { input: "sub", want: null },
    { input: "none", want: null },
    { input: "sub/none", want: null },
    { input: "go.mod/x", want: null },
    { input: "link/x", want: null },
    { input: "module/x", want: null },
    { input: "[a]*?.txt", want: "literal" },
    { input: "*", want: null },
    { input: "-rf", want: "dash" },
    { input: ":(top)x", want: "magic" },
    { input: 'with space\n"and" \\ newline', want: "odd" },
    { input: "ünïcödé", want: "unicode" },
    { input: "GO.MOD", want: null },
    // Blobs are raw; only archives have line endings converted.
    { input: "crlf", want: "one\n" },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), async () => {
      assert.equal(await readText(snapshot, input), want);
    });
  }
});

Deno.test("Snapshot.readFile() reads no more than the limit", async () => {
  await using scene = await open();
  const hash = await scene.origin.commit({ "go.mod": "x".repeat(100) });
  const snapshot = await snapshotOf(scene.repository, hash);
  assert.equal((await snapshot.readFile("go.mod", { limitBytes: 100 }))?.length, 100);
  await assert.rejects(snapshot.readFile("go.mod", { limitBytes: 99 }), LimitExceededError);
});

Deno.test("Snapshot.listTree() lists everything below a folder", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  const gitlink = "a".repeat(40);
  const hash = await origin.commit({
    "go.mod": "module m\n",
    "a/b/c.go": "package b\n",
    "a.go": "package m\n",
    "a-b/x": executable("x"),
    "link": symlink("/etc"),
    "module": submodule(gitlink),
    "bad\udcff": "not UTF-8",
    "tab\tand\nnewline": "",
  });
  const snapshot = await snapshotOf(repository, hash);
  const blob = (path: string) => origin.git(["rev-parse", `${hash}:${path}`]);
  const entries = await Array.fromAsync(snapshot.listTree(""));
  assert.deepEqual(entries.map(({ path, kind, sizeBytes }) => [path, kind, sizeBytes]), [
    ["a-b/x", "executable", 1],
    ["a.go", "file", 10],
    ["a/b/c.go", "file", 10],
    ["bad\ufffd", "file", 9],
    ["go.mod", "file", 9],
    ["link", "symlink", 4],
    ["module", "submodule", 0],
    ["tab\tand\nnewline", "file", 0],
  ]);
  assert.equal(entries[1]?.hash, await blob("a.go"));
  assert.equal(entries[6]?.hash, gitlink);
  assert.deepEqual(await pathsOf(snapshot.listTree("a")), ["a/b/c.go"]);
  assert.deepEqual(await pathsOf(snapshot.listTree("a/b")), ["a/b/c.go"]);
  for (const none of ["none", "go.mod", "link", "module", "*"]) {
    assert.deepEqual(await pathsOf(snapshot.listTree(none)), [], none);
  }
});

Deno.test("Snapshot.listTree() has a limit, and may be left early", async () => {
  await using scene = await open({ mirrors: { limits: { maxTreeEntries: 999 } } });
  const files = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, ""]));
  const snapshot = await snapshotOf(scene.repository, await scene.origin.commit(files));
  await assert.rejects(Array.fromAsync(snapshot.listTree("")), LimitExceededError);
  for await (const { path } of snapshot.listTree("")) {
    assert.equal(path, "f0");
    break;
  }
});

Deno.test("Snapshot.archive() packs as the go command wants it", async () => {
  await using scene = await open();
  const { origin, repository } = scene;
  const hash = await origin.commit({
    ".gitattributes":
      "*.txt eol=crlf\nignored export-ignore\nsubst export-subst\n*.lfs filter=lfs\n",
    "ignored": "still here",
    "subst": "$Format:%H$",
    "a.txt": "one\ntwo\n",
    "big.lfs": "version https://git-lfs.github.com/spec/v1\n",
    "sub/go.mod": "module m/sub\n",
    "sub/.gitattributes": "*.md ident\n",
    "sub/a.md": "$Id$",
    "-x/y": "dash",
  });
  const snapshot = await snapshotOf(repository, hash);
  const all = await unpack(snapshot.archive(""));
  assert.equal(all["ignored"], "still here");
  assert.equal(all["subst"], "$Format:%H$");
  assert.equal(all["a.txt"], "one\r\ntwo\r\n");
  assert.match(all["big.lfs"] ?? "", /^version/);
  assert.match(all["sub/a.md"] ?? "", /^\$Id: [0-9a-f]{40} \$$/);
  assert.deepEqual(Object.keys(await unpack(snapshot.archive("sub"))).sort(), [
    "sub/.gitattributes",
    "sub/a.md",
    "sub/go.mod",
  ]);
  assert.deepEqual(Object.keys(await unpack(snapshot.archive("-x"))), ["-x/y"]);
  await assert.rejects(new Response(snapshot.archive("none")).bytes(), GitError);
});

Deno.test("Snapshot.archive() ends git when its reader goes away", async () => {
  await using scene = await open({ mirrors: { permits: 1 } });
  const noise = crypto.getRandomValues(new Uint8Array(65_536));
  const files = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`f${i}`, noise]));
  const snapshot = await snapshotOf(scene.repository, await scene.origin.commit(files));
  const reader = snapshot.archive("").getReader();
  await reader.read();
  await reader.cancel();
  // The only permit is free again.
  assert.equal(await readText(snapshot, "none"), null);
  const unread = snapshot.archive("");
  await unread.cancel();
  const early = snapshot.archive("").getReader();
  const first = early.read();
  // The stream has begun to look for its commit then, and git has not started.
  for (let i = 0; i < 5; i++) await Promise.resolve();
  await early.cancel();
  await first;
  // It was in the queue before us, and is out of it now.
  assert.equal(await readText(snapshot, "none"), null);
  assert.equal(await readText(snapshot, "none"), null);
});

Deno.test("Snapshot calls end with their signal", async () => {
  await using scene = await open();
  const snapshot = await snapshotOf(scene.repository, await scene.origin.commit({ "a": "1" }));
  const signal = AbortSignal.abort(new Error("gone"));
  await assert.rejects(snapshot.readFile("a", { limitBytes: 9, signal }), /gone/);
  await assert.rejects(Array.fromAsync(snapshot.listTree("", { signal })), /gone/);
  await assert.rejects(new Response(snapshot.archive("", { signal })).bytes(), /gone/);
  assert.equal(await readText(snapshot, "a"), "1");
});
