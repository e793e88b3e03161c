/**
 * `go build ./...` of a program with 60 private modules in 20 repositories, with empty caches, also
 * that of compiled packages. goproxy, Athens and goproxy.io have the `go` command fetch private
 * modules; straight is GOPROXY=direct.
 */
import { goCommand } from "../../tests/support/go_command.ts";
import { Contestant } from "../contestants.ts";
import { privateEnv } from "../contestants.ts";
import { privateProgram, repositoryUrlsOf, servePrograms } from "../private_program.ts";
import { run } from "../real_graph.ts";
import { Upstream } from "../upstream.ts";
import { DELAY_MS, type PartOptions, STRAIGHT, takeTurns } from "./part.ts";

const THIRD = 0.33;
const GOALS = [{ of: ["athens"], atMost: THIRD }, { of: [STRAIGHT], atMost: THIRD }];

export async function benchPrivateBuild(options: PartOptions): Promise<string[]> {
  const { longRounds: rounds, ways, say, samples } = options;
  say("making the repositories");
  const program = await privateProgram();
  const { files, names } = program;
  await using git = await servePrograms(program, DELAY_MS);
  const repositoryUrls = repositoryUrlsOf(program, git);
  await using upstream = await Upstream.start([]);
  const what = `cold \`go build ./...\`, 60 private modules in ${names.length} repositories, ` +
    `git server at ${DELAY_MS} ms`;
  await takeTurns(what, { rounds, ways, say }, async (way) => {
    await using contestant = way === STRAIGHT
      ? null
      : await Contestant.start(way, { upstream, repositoryUrls });
    await using go = contestant === null
      ? await goCommand({ proxy: "direct", files, env: privateEnv(repositoryUrls) })
      : await goCommand({ proxy: contestant.url, files });
    const before = await git.requests();
    const startMs = performance.now();
    await run(go, "build", "./...");
    const tookMs = performance.now() - startMs;
    samples.add({ name: what, unit: "ms", goals: GOALS }, way, tookMs);
    const requests = { name: `${what}: requests to git`, unit: "requests" as const, goals: [] };
    samples.add(requests, way, await git.requests() - before);
  });
  return [
    "60 private modules: the build cache is empty too, but nothing imports the standard library.",
  ];
}
