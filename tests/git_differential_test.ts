/**
 * The `go` command with `GOPROXY=direct` against our git source: the same repositories over smart
 * HTTP, the same questions, and both must give the same version, time, origin, go.mod and h1, or no
 * version at all.
 *
 * The repositories are in tests/testdata/git_cases.ts. A round asks one thing of each repository
 * with caches that are empty, because the `go` command answers some questions by what it happens to
 * have fetched before. Without `CI=true` only a part of the cases runs.
 *
 * Nothing leaves this machine: git finds `https://git.example.com/` on loopback (`insteadOf`), and
 * go-get pages come from an HTTP proxy that answers them itself.
 */
import assert from "node:assert/strict";
import { NotFoundError, UnusableError } from "../lib/errors.ts";
import { formatInfo, type Origin, parseInfo } from "../lib/module/info.ts";
import { hasPathPrefix, parseModulePath } from "../lib/module/path.ts";
import { isPseudoVersion } from "../lib/module/pseudo_version.ts";
import { parseQuery } from "../lib/module/version.ts";
import { GIT_CASES, type GitCase } from "./testdata/git_cases.ts";
import { GitServer } from "./fakes/git_server.ts";
import { TestGitSource } from "./worlds/git_source.ts";
import { type GoCommand, goCommand } from "./support/go_command.ts";
import { Loopback } from "./fakes/loopback.ts";
import { canServeGit, goRoot, testWith } from "./support/requirements.ts";

const REMOTES = "https://git.example.com/";
const SIGNAL = new AbortController().signal;
/** How many `go` commands run at once; each asks one thing after the other. */
const MAX_GO_COMMANDS = 2;
/** One command clones all repositories: about a minute of two idle cores with all cases. */
const GO_DEADLINE_MS = 15 * 60_000;
const ALL = Deno.env.get("CI") === "true";

/** What is compared of an answer. */
interface Answer {
  readonly version: string;
  readonly time: string;
  /** Null where the `go` command says nothing: of a list without tags that it did not look at. */
  readonly origin: Origin | null;
  readonly goMod: string;
  readonly h1: string;
}

/** An answer, or the reason why there is none. */
type Outcome = Answer | string;

testWith(
  missing(),
  "a git repository is the same module versions as for the go command",
  async (t) => {
    await using server = await GitServer.start();
    await using pages = new Loopback((request) => pageOf(new URL(request.url)));
    const asked = await Promise.all(
      GIT_CASES.filter(({ isQuick }) => ALL || isQuick).map((row) => makeRepository(server, row)),
    );
    await using git = await TestGitSource.start({
      page: (path) => pageText(path),
      serve: (url) => url.replace(REMOTES, `${server.url}/`),
    });
    const rounds = roundsOf(asked);
    const paths = [...new Set(rounds.flat().map((question) => question.split("@")[0] ?? ""))];
    const [theirs, ours] = await Promise.all([
      inParallel(rounds, (questions) => askGo(questions, { server, pages })),
      inParallel(
        rounds,
        (questions) =>
          inParallel(questions, (question) => askUs(git, question).catch((error: Error) => error)),
      ),
    ]);
    for (const [index, questions] of rounds.entries()) {
      for (const [at, question] of questions.entries()) {
        const want = theirs[index]?.[at];
        const got = ours[index]?.[at];
        await t.step(question, () => assertSame(question, { got, want }));
      }
    }
    const lists = await listByGo(paths, { server, pages });
    for (const path of paths) {
      await t.step(`${path}/@v/list`, async () => {
        const list = git.source.list(parseModulePath(path), SIGNAL);
        assert.deepEqual((await list).versions, lists.get(path));
      });
    }
  },
);

function missing(): string | null {
  if (goRoot() === null) {
    return "no go command in PATH; install Go 1.26 or newer, see go.dev/doc/install";
  }
  return canServeGit() ? null : "no git http-backend; install git with its server programs";
}

/** @returns what is asked of it, in rounds */
async function makeRepository(server: GitServer, row: GitCase): Promise<readonly string[][]> {
  const questions = await row.make(await server.createRepo(row.name, row.options));
  return row.isPlain ? [[...questions]] : questions.map((question) => [question]);
}

/** The first round of all, then the second of all that have one, … */
function roundsOf(asked: readonly (readonly string[][])[]): string[][] {
  const length = Math.max(...asked.map((rounds) => rounds.length));
  return Array.from({ length }, (_, round) => asked.flatMap((rounds) => rounds[round] ?? []));
}

function pageOf(url: URL): Response {
  const text = pageText(`${url.hostname}${url.pathname}`);
  return new Response(text ?? "", { status: text === null ? 404 : 200 });
}

function pageText(path: string): string | null {
  for (const { name, page } of GIT_CASES) {
    if (page === undefined || !hasPathPrefix(path, page.path)) continue;
    const subdir = page.subdir === undefined ? "" : ` ${page.subdir}`;
    return `<meta name="go-import" content="${page.path} git ${REMOTES}${name}${subdir}">`;
  }
  return null;
}

/** The fields that we read of what `go mod download -json` says about a module. */
interface Download {
  readonly Path: string;
  readonly Version: string;
  readonly Query?: string;
  readonly Error?: string;
  readonly Info?: string;
  readonly GoMod?: string;
  readonly Sum?: string;
  readonly Origin?: Record<string, string>;
}

function goDirect({ server, pages }: { server: GitServer; pages: Loopback }): Promise<GoCommand> {
  return goCommand({
    proxy: "direct",
    env: {
      GOINSECURE: "vanity.example.com,gopkg.in",
      HTTP_PROXY: pages.url,
      HTTPS_PROXY: pages.url,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: `url.${server.url}/.insteadOf`,
      GIT_CONFIG_VALUE_0: REMOTES,
    },
  });
}

/** The fields that we read of what `go list -m -versions -json` says about a module. */
interface Listing {
  readonly Path: string;
  readonly Versions?: readonly string[];
}

async function listByGo(
  paths: readonly string[],
  servers: { server: GitServer; pages: Loopback },
): Promise<ReadonlyMap<string, readonly string[]>> {
  await using go = await goDirect(servers);
  const args = ["list", "-m", "-e", "-versions", "-retracted", "-json"];
  const { stdout } = await go.run([...args, ...paths.map((path) => `${path}@latest`)], {
    deadlineMs: GO_DEADLINE_MS,
  });
  const listings = stdout.split(/^(?=\{)/m).map((text): Listing => JSON.parse(text));
  return new Map(listings.map(({ Path, Versions = [] }) => [Path, Versions]));
}

async function askGo(
  questions: readonly string[],
  servers: { server: GitServer; pages: Loopback },
): Promise<Outcome[]> {
  await using go = await goDirect(servers);
  const { stdout, stderr } = await go.run(["mod", "download", "-json", ...questions], {
    deadlineMs: GO_DEADLINE_MS,
  });
  const downloads = stdout.split(/^(?=\{)/m).map((text): Download => JSON.parse(text));
  return await Promise.all(questions.map((question) => {
    const [path, query] = question.split("@");
    const download = downloads.find((d) => d.Path === path && (d.Query ?? d.Version) === query);
    assert.ok(download !== undefined, `no answer about ${question}: ${stderr}`);
    return outcomeOf(download);
  }));
}

async function outcomeOf(download: Download): Promise<Outcome> {
  if (download.Error !== undefined) return download.Error;
  const { Version, Query, Info = "", GoMod = "", Sum = "", Origin } = download;
  const { time } = parseInfo(await Deno.readFile(Info));
  const { origin } = parseInfo(encode(JSON.stringify({ Version, Time: time, Origin })));
  return {
    version: Version,
    time,
    origin: comparable(origin ?? null, { version: Version, query: Query ?? Version }),
    goMod: decode(await Deno.readFile(GoMod)),
    h1: Sum,
  };
}

async function askUs(git: TestGitSource, question: string): Promise<Outcome> {
  const [path = "", query = ""] = question.split("@");
  const module = parseModulePath(path);
  const directory = await Deno.makeTempDir();
  try {
    const info = query === "latest"
      ? await git.source.latest(module, SIGNAL)
      : await git.source.resolve({ path: module, query: parseQuery(query) }, SIGNAL);
    const copy = await git.source.fetch(
      { path: module, version: info.version },
      { file: `${directory}/module.zip`, signal: SIGNAL },
    );
    assert.equal(formatInfo({ ...copy.info, origin: {} }), formatInfo({ ...info, origin: {} }));
    return {
      version: info.version,
      time: info.time,
      origin: comparable(info.origin ?? null, { version: info.version, query }),
      goMod: decode(copy.goMod),
      h1: copy.zip.h1,
    };
  } catch (error) {
    const isKnown = error instanceof NotFoundError || error instanceof UnusableError;
    if (isKnown) return error.message;
    throw error;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function assertSame(
  question: string,
  { got, want }: { got: Outcome | Error | undefined; want: Outcome | undefined },
): void {
  if (got instanceof Error) throw got;
  if (typeof got === "object" && typeof want === "object") {
    return assert.deepEqual(got, want.origin === null ? { ...want, origin: got.origin } : want);
  }
  if (typeof got !== "string" || typeof want !== "string") return assert.deepEqual(got, want);
  // Its own words, where its git source says no; ours are shorter about pseudo-versions that make
  // no sense, and where it trips over a tag of no commit.
  const isExact = want.startsWith(`${question}: invalid `) &&
    !/malformed time|negative patch|lacks base version|unexpected response|: git /.test(want);
  if (isExact) assert.equal(got, want);
}

/**
 * Without the URL, which is another one on loopback, and without the state of the tags where the
 * `go` command adds it only because the query looked at the list of versions. `.info` files have
 * neither.
 */
function comparable(
  origin: Origin | null,
  { version, query }: { version: string; query: string },
): Origin | null {
  if (origin === null) return null;
  const isOfList = !isPseudoVersion(version) &&
    (query === "latest" || /^v\d+(\.\d+)?$/.test(query));
  const { url: _url, tagPrefix, tagSum, ...rest } = origin;
  if (isOfList) return rest;
  return {
    ...rest,
    ...(tagPrefix !== undefined && { tagPrefix }),
    ...(tagSum !== undefined && { tagSum }),
  };
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Any bytes as text, for a message that can be read. */
function decode(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

/** The results of `work`, in the order of the items; so many at once as the machine can do. */
async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  async function next(): Promise<void> {
    for (const [index, item] of queue) results[index] = await work(item);
  }
  await Promise.all(Array.from({ length: MAX_GO_COMMANDS }, next));
  return results;
}
