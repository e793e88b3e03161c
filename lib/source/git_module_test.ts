import assert from "node:assert/strict";
import { MemoryRepository } from "../../tests/fakes/memory_repository.ts";
import { NotFoundError } from "../errors.ts";
import type { Hash } from "../git/refs.ts";
import type { Origin } from "../module/info.ts";
import { parseModulePath } from "../module/path.ts";
import { type FoundVersion, GitModule } from "./git_module.ts";
import { layoutOf } from "./layout.ts";

const SIGNAL = new AbortController().signal;
const MODULE = { "go.mod": "module x.y/r\n" };

async function moduleOf(repository: MemoryRepository, path = "x.y/r"): Promise<GitModule> {
  const layout = layoutOf(parseModulePath(path), { root: "x.y/r", subdir: "" });
  const refs = await repository.refs();
  repository.calls.length = 0;
  return new GitModule({ layout, repository, refs, signal: SIGNAL });
}

/** One commit after the other on main, each with its tags. */
function history(
  ...commits: { tags?: string[]; files?: Readonly<Record<string, string>> }[]
): MemoryRepository {
  const repository = new MemoryRepository();
  let parents: Hash[] = [];
  for (const { tags = [], files = MODULE } of commits) {
    const refs = ["HEAD", "heads/main", ...tags.map((tag) => `tags/${tag}`)];
    parents = [repository.commit({ files, parents, refs })];
  }
  return repository;
}

const lists: readonly {
  name: string;
  repository: MemoryRepository;
  path?: string;
  want: string[];
}[] = [
  { name: "no tags", repository: history({}), want: [] },
  { name: "nothing at all", repository: history(), want: [] },
  {
    name: "in ascending order, whatever is not a version left out",
    repository: history({ tags: ["v1.10.0", "v1.9.0", "v1", "v1.9.0-rc.1", "x", "kit/v1.0.0"] }),
    want: ["v1.9.0-rc.1", "v1.9.0", "v1.10.0"],
  },
  {
    name: "v2 after v1 with go.mod",
    repository: history({ tags: ["v1.0.0"] }, { tags: ["v2.0.0"], files: {} }),
    want: ["v1.0.0"],
  },
  {
    name: "v2 after a pre-release with go.mod",
    repository: history({ tags: ["v1.0.0"], files: {} }, { tags: ["v1.1.0-rc.1"] }, {
      tags: ["v2.0.0"],
      files: {},
    }),
    want: ["v1.0.0", "v1.1.0-rc.1"],
  },
  {
    name: "v2 without any v1",
    repository: history({ tags: ["v2.0.0", "v2.1.0"], files: {} }),
    want: ["v2.0.0+incompatible", "v2.1.0+incompatible"],
  },
  {
    name: "v2 that ends with a go.mod, v3 that does not",
    repository: history(
      { tags: ["v1.0.0", "v2.0.0"], files: {} },
      { tags: ["v2.1.0", "v3.0.0"] },
      { tags: ["v3.1.0", "v10.0.0"], files: {} },
    ),
    want: ["v1.0.0", "v3.0.0+incompatible", "v3.1.0+incompatible", "v10.0.0+incompatible"],
  },
  {
    name: "v2 tags of a directory",
    repository: history({ tags: ["kit/v1.0.0", "kit/v2.0.0"], files: {} }),
    path: "x.y/r/kit",
    want: ["v1.0.0"],
  },
  {
    name: "v2 tags of /v2",
    repository: history({ tags: ["v1.0.0", "v2.0.0", "v3.0.0"], files: {} }),
    path: "x.y/r/v2",
    want: ["v2.0.0"],
  },
];

Deno.test("GitModule.list()", async (t) => {
  for (const { name, repository, path, want } of lists) {
    await t.step(name, async () => {
      assert.deepEqual(await (await moduleOf(repository, path)).list(), want);
    });
  }
});

Deno.test("GitModule.list() reads no commit without v2 tags", async () => {
  const repository = history({ tags: ["v1.0.0", "v1.1.0"] });
  await (await moduleOf(repository)).list();
  assert.deepEqual(repository.calls, []);
});

function retracting(...lines: string[]): Readonly<Record<string, string>> {
  return { "go.mod": `module x.y/r\n${lines.map((line) => `retract ${line}\n`).join("")}` };
}

const latest: readonly { name: string; repository: MemoryRepository; want: string | RegExp }[] = [
  {
    name: "the highest release",
    repository: history({ tags: ["v1.0.0", "v1.1.0-rc.1", "v0.9.0"] }, {}),
    want: "v1.0.0",
  },
  { name: "a pre-release", repository: history({ tags: ["v1.0.0-rc.1"] }), want: "v1.0.0-rc.1" },
  { name: "HEAD", repository: history({}), want: /^v0\.0\.0-20260102030405-[0-9a-f]{12}$/ },
  {
    name: "one that is not retracted",
    repository: history({ tags: ["v1.0.0"] }, { tags: ["v1.1.0"], files: retracting("v1.1.0") }),
    want: "v1.0.0",
  },
  {
    name: "retracted by a later release",
    repository: history({ tags: ["v0.9.0"], files: {} }, { tags: ["v1.0.0", "v1.1.0"] }, {
      tags: ["v1.2.0"],
      files: retracting("[v1.0.0, v1.2.0]"),
    }),
    want: "v0.9.0",
  },
  {
    name: "retracted by a commit without tag",
    repository: history({ tags: ["v1.0.0"] }, { files: retracting("v1.0.0") }),
    want: "v1.0.0",
  },
  {
    name: "HEAD, as all are retracted",
    repository: history({ tags: ["v1.0.0"], files: retracting("v1.0.0") }, {}),
    want: /^v0\.0\.0-20260102030405-/,
  },
  {
    name: "+incompatible",
    repository: history({ tags: ["v1.0.0", "v2.0.0"], files: {} }),
    want: "v2.0.0+incompatible",
  },
];

Deno.test("GitModule.latest()", async (t) => {
  for (const { name, repository, want } of latest) {
    await t.step(name, async () => {
      const { version } = (await (await moduleOf(repository)).latest()).info;
      if (typeof want === "string") assert.equal(version, want);
      else assert.match(version, want);
    });
  }
});

Deno.test("GitModule.latest() of a repository without commits", async () => {
  await assert.rejects(
    (await moduleOf(new MemoryRepository())).latest(),
    (error) => error instanceof NotFoundError && error.message === "no commits",
  );
});

const PREFIXED = history(
  { tags: ["v1.2.0-rc.1", "v1.2.0", "v1.2.9", "v1.10.0"] },
  { tags: ["v1.3.0-rc.1", "v1.11.0"], files: retracting("v1.11.0") },
  { tags: ["v0.5", "v0.6.0+meta"] },
);

const finds: readonly { query: string; want: string | RegExp }[] = [
  { query: "v1", want: "v1.10.0" },
  { query: "v1.2", want: "v1.2.9" },
  { query: "v1.1", want: /^x.y\/r@v1.1: invalid version: unknown revision v1.1$/ },
  { query: "v1.3", want: /unknown revision v1.3$/ }, // v1.3.0-rc.1 comes before v1.3.
  { query: "v1.11", want: /unknown revision v1.11$/ },
  { query: "v0.5", want: "v1.10.1-0.20260102030405-" },
  { query: "v1.2.9+other", want: "v1.2.9" },
  { query: "v0.6.0+meta", want: "v0.6.1-0.20260102030405-" },
  { query: "v0.6.0+other", want: /unknown revision v0.6.0\+other$/ },
  { query: "v9.9.9", want: /^x.y\/r@v9.9.9: invalid version: unknown revision v9.9.9$/ },
  { query: "HEAD", want: "v1.10.1-0.20260102030405-" },
  { query: "main~1", want: /unknown revision main~1$/ },
];

Deno.test("GitModule.find()", async (t) => {
  // v1.11.0 takes itself back, so no pseudo-version comes after it.
  for (const { query, want } of finds) {
    await t.step(query, async () => {
      const found = (await moduleOf(PREFIXED)).find(query);
      if (want instanceof RegExp) {
        await assert.rejects(
          found,
          (error) => error instanceof NotFoundError && want.test(error.message),
        );
      } else {
        assert.ok((await found).info.version.startsWith(want), (await found).info.version);
      }
    });
  }
});

Deno.test("GitModule.find() finds commits by digits, if a ref leads to them", async () => {
  const repository = new MemoryRepository();
  const old = repository.commit({ files: MODULE, hash: "aaaaaaaa1" });
  repository.commit({ files: MODULE, hash: "aaaaaaaa2" }); // As of a pull request.
  const other = repository.commit({ files: MODULE, hash: "bbbbbbbb1", refs: ["heads/other"] });
  repository.commit({ files: MODULE, hash: "bbbbbbbb2", refs: ["heads/main"], parents: [old] });
  const module = await moduleOf(repository);
  const hashOf = ({ snapshot }: FoundVersion) => snapshot.commit.hash;
  assert.equal(hashOf(await module.find("aaaaaaaa")), old);
  assert.equal(hashOf(await module.find(old)), old);
  assert.equal(hashOf(await module.find("bbbbbbbb1")), other);
  await assert.rejects(module.find("aaaaaaaa2"), /unknown revision aaaaaaaa2$/);
  await assert.rejects(module.find("bbbbbbbb"), /ambiguous revision bbbbbbbb$/);
});

Deno.test("GitModule.find() reads no history for a tagged version, and only its commit", async () => {
  const repository = history({ tags: ["v1.0.0"] }, { tags: ["v1.1.0"] });
  const { snapshot } = await (await moduleOf(repository)).find("v1.0.0");
  assert.deepEqual(repository.calls, [`snapshot ${snapshot.commit.hash.slice(0, 7)}`]);
});

Deno.test("GitModule.find() gives the committer's time in UTC", async () => {
  const repository = new MemoryRepository();
  const times = { old: -1, epoch: 0, far: 253402300799 };
  for (const [branch, timeSeconds] of Object.entries(times)) {
    repository.commit({ files: MODULE, timeSeconds, refs: [`heads/${branch}`] });
  }
  repository.commit({ files: MODULE, timeSeconds: 253402300800, refs: ["heads/farther"] });
  repository.commit({ files: MODULE, timeSeconds: -1e15, refs: ["heads/older"] });
  const module = await moduleOf(repository);
  const timeOf = async (query: string) => (await module.find(query)).info.time;
  assert.equal(await timeOf("old"), "1969-12-31T23:59:59Z");
  assert.equal(await timeOf("epoch"), "1970-01-01T00:00:00Z");
  assert.equal(await timeOf("far"), "9999-12-31T23:59:59Z");
  for (const branch of ["farther", "older"]) {
    await assert.rejects(
      module.find(branch),
      /the year of its commit time does not have four digits$/,
    );
  }
});

Deno.test("GitModule.find() says where a version is from", async () => {
  const repository = new MemoryRepository();
  const files = { "kit/go.mod": "module x.y/r/kit\n" };
  const first = repository.commit({ files, refs: ["tags/kit/v1.0.0"] });
  const hash = repository.commit({ files, parents: [first], refs: ["heads/main", "HEAD"] });
  const module = await moduleOf(repository, "x.y/r/kit");
  const common = { vcs: "git", url: "https://git.example.com/r", subdir: "kit" };
  const originOf = async (query: string): Promise<Origin | undefined> =>
    (await module.find(query)).info.origin;

  assert.deepEqual(await originOf("v1.0.0"), {
    ...common,
    hash: first,
    ref: "refs/tags/kit/v1.0.0",
  });
  const { version, origin } = (await module.find("main")).info;
  assert.ok(version.startsWith("v1.0.1-0."));
  const { tagSum, ...rest } = origin ?? {};
  assert.match(tagSum ?? "", /^t1:/);
  assert.deepEqual(rest, { ...common, hash, tagPrefix: "kit/", ref: "refs/heads/main" });
  assert.deepEqual(await originOf(version), { ...common, hash, tagPrefix: "kit/", tagSum });
  assert.deepEqual((await module.head()).info.origin, {
    ...{ ...common, hash, tagPrefix: "kit/", tagSum, ref: "HEAD" },
  });
  // Whether there are tags or not, this version stays what it is.
  const baseless = `v0.0.0-20260102030405-${hash.slice(0, 12)}`;
  assert.deepEqual(await originOf(baseless), { ...common, hash });
});
