import assert from "node:assert/strict";
import { MemoryRepository } from "../../tests/fakes/memory_repository.ts";
import { NotFoundError, UpstreamError } from "../errors.ts";
import { RefsMovedError } from "../git/errors.ts";
import { moduleVersion } from "../module/module_version.ts";
import { parseModulePath } from "../module/path.ts";
import { parseQuery, parseVersion } from "../module/version.ts";
import type { ModuleLocation } from "./discover.ts";
import { GitSource } from "./git_source.ts";
import type { Source } from "./source.ts";

const SIGNAL = new AbortController().signal;
const PATH = parseModulePath("x.y/r");
const FETCH = { file: "/nonexistent/module.zip", signal: SIGNAL };

interface Fixture {
  readonly source: GitSource;
  readonly repository: MemoryRepository;
  /** The URLs that proxies were opened for. */
  readonly proxies: string[];
  /** How many leases are held. */
  readonly leases: { held: number };
}

function fixture(
  { location, proxy }: { location?: ModuleLocation; proxy?: Partial<Source> } = {},
): Fixture {
  const repository = new MemoryRepository();
  const files = { "go.mod": "module x.y/r\n" };
  repository.commit({ files, refs: ["HEAD", "heads/main", "tags/v1.0.0"] });
  const leases = { held: 0 };
  const proxies: string[] = [];
  const atGit: ModuleLocation = { kind: "git", root: PATH, remote: repository.remote, subdir: "" };
  const source = new GitSource({
    description: "direct",
    mirrors: {
      open(remote) {
        assert.equal(remote, repository.remote);
        leases.held++;
        const close = () => {
          leases.held--;
          return Promise.resolve();
        };
        return Promise.resolve({ repository, [Symbol.asyncDispose]: close });
      },
    },
    locate: () => Promise.resolve(location ?? atGit),
    openProxy(url) {
      proxies.push(url.href);
      return { ...NO_SOURCE, ...proxy };
    },
  });
  return { source, repository, proxies, leases };
}

const NO_SOURCE: Source = {
  description: "none",
  list: () => Promise.reject(new Error("not expected")),
  latest: () => Promise.reject(new Error("not expected")),
  resolve: () => Promise.reject(new Error("not expected")),
  describe: () => Promise.reject(new Error("not expected")),
  fetchZip: () => Promise.reject(new Error("not expected")),
  fetch: () => Promise.reject(new Error("not expected")),
};

Deno.test("GitSource asks the repository", async () => {
  const { source, leases } = fixture();
  const names = ["git.example.com/r"];
  assert.deepEqual(await source.list(PATH, SIGNAL), { versions: ["v1.0.0"], freshMs: 0, names });
  assert.equal((await source.latest(PATH, SIGNAL)).version, "v1.0.0");
  assert.equal(
    (await source.resolve({ path: PATH, query: parseQuery("main") }, SIGNAL)).version,
    "v1.0.0",
  );
  assert.equal(leases.held, 0);
});

Deno.test("GitSource asks the proxy that a page names", async () => {
  const version = parseVersion(PATH, "v1.2.3");
  const info = { version, time: "2026-01-02T03:04:05Z" };
  const { source, proxies } = fixture({
    location: { kind: "proxy", url: new URL("https://proxy.example.com/base") },
    proxy: {
      list: () => Promise.resolve({ versions: [version], freshMs: 5000 }),
      latest: () => Promise.resolve(info),
      resolve: () => Promise.resolve(info),
      fetch: () => Promise.reject(new NotFoundError("gone")),
    },
  });
  assert.deepEqual(await source.list(PATH, SIGNAL), { versions: [version], freshMs: 5000 });
  assert.equal(await source.latest(PATH, SIGNAL), info);
  assert.equal(await source.resolve({ path: PATH, query: parseQuery("main") }, SIGNAL), info);
  await assert.rejects(source.fetch({ path: PATH, version }, FETCH), /gone/);
  assert.deepEqual(proxies, Array(4).fill("https://proxy.example.com/base"));
});

Deno.test("GitSource refuses a repository that cannot have the module", async () => {
  const { source, repository } = fixture();
  await assert.rejects(source.list(parseModulePath("x.y/s"), SIGNAL), NotFoundError);
  assert.deepEqual(repository.calls, []);
});

Deno.test("GitSource starts over when the refs move, not for ever", async () => {
  const { source, repository, leases } = fixture();
  repository.moves = 4;
  assert.equal((await source.latest(PATH, SIGNAL)).version, "v1.0.0");
  repository.moves = 5;
  await assert.rejects(source.latest(PATH, SIGNAL), RefsMovedError);
  assert.equal(leases.held, 0);
});

Deno.test("GitSource.fetch() looks again before it says that a version does not exist", async () => {
  const { source, repository } = fixture();
  await assert.rejects(source.fetch(moduleVersion(PATH, "v1.9.0"), FETCH), NotFoundError);
  assert.deepEqual(repository.calls, ["refs 5000", "refs 0"]);
});

Deno.test("GitSource.resolve() never takes refs that it saw before", async () => {
  const { source, repository } = fixture();
  await assert.rejects(
    source.resolve({ path: PATH, query: parseQuery("other") }, SIGNAL),
    NotFoundError,
  );
  assert.deepEqual(repository.calls, ["refs 0"]);
});

Deno.test("GitSource asks a repository that fails, or is not there, once", async () => {
  for (const failure of [new UpstreamError("broken"), new NotFoundError("no repository")]) {
    const { source, repository, leases } = fixture();
    repository.failure = failure;
    await assert.rejects(source.fetch(moduleVersion(PATH, "v1.0.0"), FETCH), failure);
    assert.equal(repository.calls.length, 1);
    assert.equal(leases.held, 0);
  }
});
