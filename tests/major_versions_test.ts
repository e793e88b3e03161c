/**
 * Bots ask for every major version of a module. What one of them is depends on its own source
 * alone, and one that a repository does not have costs no more than the list of its refs.
 */
import assert from "node:assert/strict";
import { NotFoundError, UpstreamError } from "../lib/errors.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseQuery } from "../lib/module/version.ts";
import { GitServer } from "./fakes/git_server.ts";
import { canServeGit, testWith } from "./support/requirements.ts";
import { TestGitSource } from "./worlds/git_source.ts";

const SIGNAL = new AbortController().signal;
const ROOT = "vanity.example.com/lib";
const MISSING = canServeGit() ? null : "no git http-backend; install git with its server programs";

testWith(
  MISSING,
  "a major version whose repository fails does not affect the others",
  async (t) => {
    await using server = await GitServer.start({
      misbehave: ({ repo }) => repo === "three" ? new Response("no\n", { status: 500 }) : null,
    });
    const repo = await server.createRepo("lib");
    await repo.commit({ "go.mod": `module ${ROOT}\n` }, { tag: "v1.0.0" });
    await repo.commit({ "go.mod": `module ${ROOT}/v2\n` }, { tag: "v2.0.0" });
    await using git = await TestGitSource.start({
      // The page of /v3 names a repository of its own.
      page: (path) => {
        const [root, name] = path === `${ROOT}/v3` ? [path, "three"] : [ROOT, "lib"];
        return `<meta name="go-import" content="${root} git https://git.example.com/${name}">`;
      },
      serve: (url) => server.urlOf(url.replace("https://git.example.com/", "")),
    });
    const list = async (path: string) =>
      (await git.source.list(parseModulePath(path), SIGNAL)).versions;
    const resolve = (path: string, query: string) =>
      git.source.resolve({ path: parseModulePath(path), query: parseQuery(query) }, SIGNAL);

    await t.step("all of them, at the same time", async () => {
      const asked = await Promise.allSettled(
        ["", "/v2", "/v3", "/v4", "/v5"].map((major) => list(ROOT + major)),
      );
      const answers = asked.map((one) => one.status === "fulfilled" ? one.value : one.reason);
      assert.deepEqual(answers.slice(0, 2), [["v1.0.0"], ["v2.0.0"]]);
      assert.ok(answers[2] instanceof UpstreamError);
      assert.deepEqual(answers.slice(3), [[], []]);
    });

    await t.step(
      "versions that the repository does not have, by the list of its refs",
      async () => {
        server.requests.length = 0;
        for (const major of [4, 5, 6]) {
          await assert.rejects(resolve(`${ROOT}/v${major}`, `v${major}.0.0`), NotFoundError);
        }
        const files = server.requests.map(({ repo, file }) => `${repo} ${file}`);
        assert.deepEqual(new Set(files), new Set(["lib git-upload-pack"]));
        assert.equal(files.length, 3);
      },
    );

    await t.step("the others while one fails", async () => {
      await assert.rejects(resolve(`${ROOT}/v3`, "v3.0.0"), UpstreamError);
      assert.equal((await resolve(`${ROOT}/v2`, "v2.0.0")).version, "v2.0.0");
      await assert.rejects(git.source.latest(parseModulePath(`${ROOT}/v4`), SIGNAL), NotFoundError);
    });
  },
);
