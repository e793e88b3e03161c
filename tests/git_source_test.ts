/**
 * The git source with real git, where repositories change or fail while they are read.
 */
import assert from "node:assert/strict";
import { NotFoundError, UnusableError, UpstreamError } from "../lib/errors.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseVersion } from "../lib/module/version.ts";
import { GitServer, type GitServerOptions } from "./fakes/git_server.ts";
import { TestGitSource } from "./worlds/git_source.ts";
import type { TestRepo } from "./worlds/git_repo.ts";
import { readZip } from "./support/read_zip.ts";
import { canServeGit, testWith } from "./support/requirements.ts";

const SIGNAL = new AbortController().signal;
const PATH = parseModulePath("git.example.com/r.git");
const VERSION = parseVersion(PATH, "v1.0.0");
const MISSING = canServeGit() ? null : "no git http-backend; install git with its server programs";

class Scene implements AsyncDisposable {
  readonly server: GitServer;
  readonly repo: TestRepo;
  readonly git: TestGitSource;
  readonly #directory: string;
  #copies = 0;

  private constructor(server: GitServer, repo: TestRepo, git: TestGitSource, directory: string) {
    this.server = server;
    this.repo = repo;
    this.git = git;
    this.#directory = directory;
  }

  static async start(options: GitServerOptions = {}): Promise<Scene> {
    const server = await GitServer.start(options);
    const repo = await server.createRepo("r");
    const git = await TestGitSource.start({ page: () => null, serve: () => server.urlOf("r") });
    return new Scene(server, repo, git, await Deno.makeTempDir());
  }

  /** A commit that is recognizable by its time, its go.mod and its code. */
  commit(name: string, date: string): Promise<string> {
    const files = { "go.mod": `module ${PATH} // ${name}\n`, "a.go": `package ${name}\n` };
    return this.repo.commit(files, { branch: name, date: new Date(date) });
  }

  fetch() {
    const directory = `${this.#directory}/${this.#copies++}`;
    Deno.mkdirSync(directory);
    return this.git.source.fetch({ path: PATH, version: VERSION }, {
      file: `${directory}/module.zip`,
      signal: SIGNAL,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.git[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await Deno.remove(this.#directory, { recursive: true });
  }
}

testWith(MISSING, "a tag that moves while it is fetched gives one commit's copy", async () => {
  await using scene = await Scene.start();
  const { server, repo, git } = scene;
  const times = { one: "2026-01-01T00:00:00Z", two: "2026-02-02T00:00:00Z" };
  const one = await scene.commit("one", times.one);
  const two = await scene.commit("two", times.two);
  await repo.tag("v1.0.0", one);
  // Each request finds the tag somewhere else than the one before.
  let tagged = one;
  let moves = 0;
  server.misbehave = async () => {
    if (moves++ > 12) return null;
    tagged = tagged === one ? two : one;
    await repo.setRef("refs/tags/v1.0.0", tagged);
    return null;
  };
  const { info, goMod, zip } = await scene.fetch();
  const name = info.origin?.hash === one ? "one" : "two";
  assert.equal(info.origin?.hash, name === "one" ? one : two);
  assert.equal(info.time, times[name]);
  assert.equal(new TextDecoder().decode(goMod), `module ${PATH} // ${name}\n`);
  const files = (await readZip(await Deno.readFile(zip.file)))
    .map(([file, content]) => [file.replace(/.*\//, ""), new TextDecoder().decode(content)]);
  assert.deepEqual(files, [
    ["a.go", `package ${name}\n`],
    ["go.mod", `module ${PATH} // ${name}\n`],
  ]);
  assert.ok(moves > 2);
  assert.equal((await git.source.list(PATH, SIGNAL)).versions.length, 1);
});

testWith(
  MISSING,
  "a repository that is gone has no versions, one that fails is not gone",
  async () => {
    await using scene = await Scene.start();
    const { server, repo, git } = scene;
    await repo.tag("v1.0.0", await scene.commit("one", "2026-01-01T00:00:00Z"));
    await scene.fetch();
    for (const status of [401, 403, 429, 500, 503]) {
      server.misbehave = () => new Response("no", { status });
      await assert.rejects(git.source.list(PATH, SIGNAL), isFailure, `${status}`);
      await assert.rejects(git.source.latest(PATH, SIGNAL), isFailure, `${status}`);
    }
    server.misbehave = () => new Response("no", { status: 404 });
    await assert.rejects(git.source.list(PATH, SIGNAL), NotFoundError);
    await assert.rejects(git.source.latest(PATH, SIGNAL), NotFoundError);
  },
);

testWith(MISSING, "a version that no zip can hold exists and cannot be used", async () => {
  await using scene = await Scene.start();
  await scene.repo.commit({ "a.go": "package a", "A.go": "package a" }, { tag: "v1.0.0" });
  await assert.rejects(
    scene.fetch(),
    (error) => error instanceof UnusableError && /differ only by case/.test(error.message),
  );
});

function isFailure(error: unknown): boolean {
  return error instanceof UpstreamError;
}
