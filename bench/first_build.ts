/**
 * `deno task bench first-build`: what a person waits for, and an upstream is asked, when nobody has
 * built a program before: the clients' caches are empty, and the server's cache too.
 *
 * The upstream, its checksum database and the git server are on this machine, and each of their
 * answers starts some milliseconds later, as behind a network. That is a delay for each request,
 * neither for connections nor for bytes.
 *
 * It takes half an hour, most of it the other servers. `--parts walk,private` measures only some of
 * it, and `--contestants ours,straight` only these:
 *
 * ```text
 * walk       `go list -m all` of 229 modules
 * download   `go mod download all` of them
 * private    `go build ./...` of a program with 60 private modules in 20 repositories
 * clients    50 clients at once
 * zip        the first byte of a zip of 70 MB
 * guesses    the go.mod files that are fetched in vain, of 20 real programs
 * ```
 */
import { benchClients } from "./first_build/clients.ts";
import { benchFirstByte } from "./first_build/first_byte.ts";
import { benchGuesses } from "./first_build/guesses.ts";
import { type Part, waysOf } from "./first_build/part.ts";
import { benchPrivateBuild } from "./first_build/private_build.ts";
import { benchDownload, benchWalk } from "./first_build/walks.ts";
import { type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";

const PARTS: ReadonlyMap<string, Part> = new Map([
  ["walk", benchWalk],
  ["download", benchDownload],
  ["private", benchPrivateBuild],
  ["clients", benchClients],
  ["zip", benchFirstByte],
  ["guesses", benchGuesses],
]);

/** @throws {Error} when there is no part of that name */
export async function benchFirstBuild(
  { parts, contestants, ...options }: BenchOptions,
): Promise<Report> {
  const samples = new Samples();
  const notes = new Set([
    "Ours, goproxy and Athens verify what they fetch by the same checksum database; goproxy.io does not, and straight has a go.sum.",
  ]);
  for (const name of parts.length > 0 ? parts : PARTS.keys()) {
    const part = PARTS.get(name);
    if (part === undefined) {
      throw new Error(`Cannot measure "${name}": the parts are ${[...PARTS.keys()].join(", ")}`);
    }
    for (const note of await part({ ...options, ways: waysOf(contestants), samples })) {
      notes.add(note);
    }
  }
  return { suite: "first-build", notes: [...notes], rows: samples.rows() };
}
