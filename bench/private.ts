/**
 * `deno task bench private`: versions of private modules, from git repositories that no client has
 * requested yet.
 *
 * Athens has the `go` command fetch them (`GOPROXY=direct`); `git fetch --depth=1` of the one
 * commit is the least that any of them can do. All fetch by smart HTTP from the same server;
 * goproxy and goproxy.io call the `go` command as Athens does, and are left out. How we fare
 * against the `go` command itself: bench/git.ts.
 */
import { join } from "node:path";
import { GitServer } from "../tests/fakes/git_server.ts";
import { Contestant, get, installed, type Name } from "./contestants.ts";
import { treeCpuMs } from "./process_tree.ts";
import { LARGE, type Repository, repository, SMALL } from "./repositories.ts";
import { type Report, Samples, type Unit } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const OWNER = "github.com/acme";
const AT_ONCE = 64;
const FIRST_GOALS = [{ of: ["athens"], atMost: 0.5 }, { of: ["git fetch"], atMost: 2 }];
const SECOND_GOALS = [{ of: ["athens"], atMost: 0.2 }];
const AT_ONCE_GOALS = [{ of: ["ours, one request"], atMost: 1.3 }];
const ONE_FETCH = [{ of: ["ours, one request"], atMost: 1 }];

/** One round with one repository. */
interface Heat {
  readonly repository: Repository;
  /**
   * The repository under names that nobody has asked for: one after the other, one request, many at
   * once.
   */
  readonly name: string;
  readonly oneName: string;
  readonly manyName: string;
}

export async function benchPrivate({ rounds, say }: BenchOptions): Promise<Report> {
  say("making the repositories");
  const repositories = [await repository(SMALL), await repository(LARGE)];
  const heats = Array.from(
    { length: rounds },
    (_, round) =>
      repositories.map((repository): Heat => {
        const name = `${repository.recipe.name}-${round}`;
        return { repository, name, oneName: `${name}-one`, manyName: `${name}-many` };
      }),
  ).flat();
  await using git = await GitServer.start();
  await Deno.mkdir(join(git.folder, "acme"));
  for (const { repository, name, oneName, manyName } of heats) {
    for (const each of [name, oneName, manyName]) {
      await Deno.symlink(repository.path, join(git.folder, "acme", each));
    }
  }
  await using upstream = await Upstream.start([]);
  await using stack = new AsyncDisposableStack();
  const repositoryUrls = new Map(
    heats.flatMap(({ name, oneName, manyName }) => [name, oneName, manyName])
      .map((name) => [`${OWNER}/${name}`, `${git.url}/acme/${name}`]),
  );
  const contestants: Contestant[] = [];
  for (const name of installed(["ours", "athens"] satisfies Name[])) {
    contestants.push(stack.use(await Contestant.start(name, { upstream, repositoryUrls })));
  }
  const samples = new Samples();
  for (const heat of heats) {
    say(`${heat.repository.recipe.name} repository: ${heat.name}`);
    await benchFetch(heat, { git, samples });
    for (const contestant of contestants) {
      await benchVersions(contestant, heat, samples);
      if (contestant.name === "ours") await benchAtOnce(contestant, heat, { git, samples });
    }
    contestants.reverse();
  }
  return {
    suite: "private",
    notes: repositories.map(({ recipe, packedBytes }) =>
      `${recipe.name}: a repository of ${
        (packedBytes / 1e6).toFixed(1)
      } MB with ${recipe.commits} commits`
    ),
    rows: samples.rows(),
  };
}

async function benchVersions(contestant: Contestant, { repository, name }: Heat, samples: Samples) {
  const [first, second] = repository.versions.toReversed();
  const add = (
    what: string,
    unit: Unit,
    { goals, value }: { goals: typeof FIRST_GOALS; value: number | null },
  ) =>
    samples.add(
      { name: `${repository.recipe.name}, ${what}`, unit, goals },
      contestant.name,
      value,
    );
  const ask = (...files: readonly string[]) => async () => {
    for (const file of files) await get(`${contestant.url}/${OWNER}/${name}/@v/${file}`);
  };
  const filesOf = (version = "") =>
    ["info", "mod", "zip"].map((extension) => `${version}.${extension}`);
  const what = "first version: `.info`, `.mod`, `.zip`";
  const before = await treeCpuMs(contestant.pid);
  add(what, "ms", { goals: FIRST_GOALS, value: await timed(ask(...filesOf(first))) });
  const after = await treeCpuMs(contestant.pid);
  const cpuMs = before === null || after === null ? null : after - before;
  add("first version: work", "CPU ms", { goals: [], value: cpuMs });
  add("second version: `.info`, `.mod`, `.zip`", "ms", {
    goals: SECOND_GOALS,
    value: await timed(ask(...filesOf(second))),
  });
  add("`@v/list` after it", "ms", { goals: SECOND_GOALS, value: await timed(ask("list")) });
}

/** The least: the objects of one commit, from an advertised tag. */
async function benchFetch(
  { repository, name }: Heat,
  { git, samples }: { git: GitServer; samples: Samples },
) {
  const folder = await Deno.makeTempDir({ prefix: "bench-fetch-" });
  const run = async (...args: string[]) => {
    const { success } = await new Deno.Command("git", {
      args,
      cwd: folder,
      stderr: "null",
      stdout: "null",
    }).output();
    if (!success) throw new Error(`git ${args.join(" ")} failed`);
  };
  try {
    await run("init", "--bare");
    const tag = `refs/tags/${repository.versions.at(-1)}`;
    const ms = await timed(() => run("fetch", "--depth=1", `${git.url}/acme/${name}`, tag));
    const what = `${repository.recipe.name}, first version: \`.info\`, \`.mod\`, \`.zip\``;
    samples.add({ name: what, unit: "ms", goals: FIRST_GOALS }, "git fetch", ms);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Each in a repository that was not asked for; the one request stands in the row as a contestant.
 */
async function benchAtOnce(
  { url }: Contestant,
  { repository, oneName, manyName }: Heat,
  { git, samples }: { git: GitServer; samples: Samples },
) {
  const fetches = () =>
    git.requests.filter(({ file, method }) => file === "git-upload-pack" && method === "POST")
      .length;
  const measure = async (name: string, count: number) => {
    const before = fetches();
    const info = `${url}/${OWNER}/${name}/@v/${repository.versions.at(-1)}.info`;
    const ms = await timed(() => Promise.all(Array.from({ length: count }, () => get(info))));
    return { ms, fetches: fetches() - before };
  };
  const one = await measure(oneName, 1);
  const many = await measure(manyName, AT_ONCE);
  const name = `${repository.recipe.name}, ${AT_ONCE} first requests at once`;
  for (const [contestant, took] of Object.entries({ "ours": many, "ours, one request": one })) {
    samples.add({ name, unit: "ms", goals: AT_ONCE_GOALS }, contestant, took.ms);
    samples.add(
      { name: `${name}: requests to git`, unit: "fetches", goals: ONE_FETCH },
      contestant,
      took.fetches,
    );
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}
