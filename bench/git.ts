/**
 * `deno task bench git`: modules from git repositories, against `go mod download` with
 * `GOPROXY=direct`.
 *
 * Both fetch from the same git server by smart HTTP. Ours is asked over HTTP for `.info`, `.mod`
 * and `.zip` one after the other, as the `go` command asks a proxy; `go` has the same three files
 * in its module cache, and their modification times say when. (It unpacks the zip besides, after
 * the last of these times.)
 *
 * A first version is one of a repository that neither has ever seen, the second one comes right
 * after it, with what both keep of the first. Several versions at once are asked of a repository
 * that neither has seen. All begin with the newest version, which is the cheapest order for `go`:
 * with an older one it fetches the newest too, to see what is retracted.
 */
import {
  type Contestant,
  type Download,
  GitServerProcess,
  Ours,
  Theirs,
} from "./git_contestants.ts";
import { type Report, Samples } from "./report.ts";
import { LARGE, type Repository, repository, SMALL } from "./repositories.ts";
import type { BenchOptions } from "./suite.ts";

/** The expectations of issue 4: never slower, and three times as fast for the second version. */
const NEVER_SLOWER = 1;
const SECOND_VERSION = 0.33;
const VERSIONS_AT_ONCE = 10;

export async function benchGit({ rounds, say }: BenchOptions): Promise<Report> {
  say("making the repositories");
  const repositories = [await repository(SMALL), await repository(LARGE)];
  const heats = Array.from(
    { length: rounds },
    (_, round) => repositories.map((repository) => heatOf(repository, round)),
  ).flat();
  await using git = await GitServerProcess.start();
  for (const { repository, alone, atOnce } of heats) {
    for (const name of [alone, atOnce]) await git.add(name, repository.path);
  }
  const names = heats.flatMap(({ alone, atOnce }) => [alone, atOnce]);
  await using ours = await Ours.start(git, names);
  const samples = new Samples();
  for (const heat of heats) {
    say(`round ${heat.round + 1} of ${rounds}, ${heat.repository.recipe.name} repository`);
    await using theirs = await Theirs.start(git);
    const contestants = [ours, theirs];
    if (heat.round % 2 === 1) contestants.reverse();
    for (const contestant of contestants) await run(contestant, heat, samples);
  }
  return {
    suite: "git",
    notes: repositories.map(describe),
    rows: samples.rows(),
  };
}

/** One round with one repository. */
interface Heat {
  readonly round: number;
  readonly repository: Repository;
  /** The repository under a name that was not asked for in the rounds before, */
  readonly alone: string;
  /** and under another one. */
  readonly atOnce: string;
}

function heatOf(repository: Repository, round: number): Heat {
  const name = `${repository.recipe.name}-${round}`;
  return { round, repository, alone: name, atOnce: `${name}-at-once` };
}

async function run(contestant: Contestant, { repository, alone, atOnce }: Heat, samples: Samples) {
  const newest = repository.versions.toReversed().slice(0, VERSIONS_AT_ONCE);
  const [first = "", second = ""] = newest;
  const add = (what: string, took: Download, atMost: number) =>
    addDownload(samples, contestant, { what: `${repository.recipe.name}, ${what}`, took, atMost });
  add("first version", await contestant.download(alone, [first]), NEVER_SLOWER);
  add("second version", await contestant.download(alone, [second]), SECOND_VERSION);
  add(`${newest.length} versions at once`, await contestant.download(atOnce, newest), NEVER_SLOWER);
}

function describe({ recipe, packedBytes, treeBytes }: Repository): string {
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  return `${recipe.name}: a repository with ${recipe.commits} commits and ${recipe.releases} tags ` +
    `in ${mb(packedBytes)}; a version has ${recipe.files} source files, and ${
      mb(treeBytes)
    } in all`;
}

function addDownload(
  samples: Samples,
  { name }: Contestant,
  { what, took, atMost }: { what: string; took: Download; atMost: number },
): void {
  const { infoMs, modMs, zipMs, cpuMs } = took;
  const goals = [{ of: ["go mod download"], atMost }];
  for (const [file, ms] of Object.entries({ ".info": infoMs, ".mod": modMs, ".zip": zipMs })) {
    samples.add({ name: `${what}: time to \`${file}\``, unit: "ms", goals }, name, ms);
  }
  samples.add({ name: `${what}: work of all processes`, unit: "CPU ms", goals: [] }, name, cpuMs);
}
