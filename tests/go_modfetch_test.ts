/**
 * Go's own tests of how git repositories become modules, against ours. Both the repositories and
 * the expected values are read from the Go distribution that is installed:
 *
 * - `cmd/go/testdata/vcstest/{git,go}`: scripts that make repositories, and go-get pages;
 * - `cmd/go/internal/modfetch/coderepo_test.go`, `cmd/go/internal/modload/query_test.go`: tables.
 *
 * The repositories are served over smart HTTP from this machine, under the names that the tables
 * use. Rows about repositories that only the network has are left out, and so are version
 * comparisons (`>=v1.2.0`), which clients do.
 */
import assert from "node:assert/strict";
import { NotFoundError, UnusableError } from "../lib/errors.ts";
import { type ModulePath, parseModulePath } from "../lib/module/path.ts";
import { parseQuery, parseVersion } from "../lib/module/version.ts";
import type { VersionInfo } from "../lib/source/source.ts";
import { GitServer } from "./fakes/git_server.ts";
import { TestGitSource } from "./worlds/git_source.ts";
import { type GoRow, type GoValue, readGoTable } from "./support/go_table.ts";
import { readZip } from "./support/read_zip.ts";
import { canServeGit, exists, goRoot, testWith } from "./support/requirements.ts";
import { parseTxtar, runVcsScript } from "./support/vcs_script.ts";

/** The host that Go's test server stands in for. */
const HOST = "vcs-test.golang.org";
const SIGNAL = new AbortController().signal;
/** The least number of rows: fewer mean that a table was not understood. */
const MIN_ROWS = { codeRepoTests: 25, codeRepoVersionsTests: 4, latestTests: 6, queryTests: 30 };

const GO = `${goRoot() ?? ""}/src/cmd/go`;

testWith(missing(), "a git repository is the versions that Go's own tests say", async (t) => {
  const read = (file: string) => Deno.readTextFile(`${GO}/${file}`);
  const modfetch = await read("internal/modfetch/coderepo_test.go");
  const modload = await read("internal/modload/query_test.go");
  const queryRepo = `${HOST}/git/querytest.git`;
  const names = {
    queryRepo,
    queryRepoV2: `${queryRepo}/v2`,
    queryRepoV3: `${queryRepo}/v3`,
    emptyRepoPath: `${HOST}/git/emptytest.git`,
  };
  const tables = {
    codeRepoTests: readGoTable(modfetch, "codeRepoTests").filter(isServed),
    codeRepoVersionsTests: readGoTable(modfetch, "codeRepoVersionsTests").filter(isServed),
    latestTests: readGoTable(modfetch, "latestTests").filter(isServed),
    queryTests: readGoTable(modload, "queryTests", names).filter(isServed).filter(isAskedOfServers),
  };
  await using server = await GitServer.start();
  await makeRepositories(`${GO}/testdata/vcstest`, server, Object.values(tables).flat());
  await using git = await TestGitSource.start({
    page: await readPages(`${GO}/testdata/vcstest`),
    serve: (url) => `${server.url}/${repositoryOf(url)}`,
  });
  const check: Record<keyof typeof tables, (row: GoRow) => Promise<void>> = {
    codeRepoTests: (row) => checkRevision(git, row),
    codeRepoVersionsTests: (row) => checkList(git, row),
    latestTests: (row) => checkHead(git, row),
    queryTests: (row) => checkQuery(git, row),
  };
  for (
    const table of ["codeRepoTests", "codeRepoVersionsTests", "latestTests", "queryTests"] as const
  ) {
    const rows = tables[table];
    assert.ok(rows.length >= MIN_ROWS[table], `${table} has only ${rows.length} rows for us`);
    for (const row of rows) {
      const { path, rev, prefix, query } = row;
      await t.step(`${table}: ${path} ${rev ?? prefix ?? query ?? ""}`, () => check[table](row));
    }
  }
});

/** `TestCodeRepo`: version, commit, time, go.mod and zip. */
async function checkRevision(git: TestGitSource, row: GoRow): Promise<void> {
  const path = parseModulePath(text(row["path"]));
  const rev = text(row["rev"]);
  const resolving = resolve(git, path, rev);
  if (row["err"] !== undefined) return await checkRefusal(resolving, text(row["err"]));
  const info = await resolving;
  assert.equal(info.version, row["version"]);
  assert.equal(info.origin?.hash, row["name"]);
  assert.deepEqual(new Date(info.time), row["time"]);
  assert.equal(row["gomodErr"] ?? row["zipErr"], undefined);
  if ((row["gomod"] ?? row["zip"] ?? row["zipSum"]) === undefined) return;
  const directory = await Deno.makeTempDir();
  try {
    const version = parseVersion(path, info.version);
    const { goMod, zip } = await git.source.fetch({ path, version }, {
      file: `${directory}/module.zip`,
      signal: SIGNAL,
    });
    if (row["gomod"] !== undefined) {
      assert.equal(new TextDecoder().decode(goMod), row["gomod"]);
    }
    const files = (await readZip(await Deno.readFile(zip.file))).map(([name]) =>
      name.replace(`${path}@${version}/`, "")
    );
    if (row["zip"] !== undefined) assert.deepEqual(files, row["zip"]);
    if (row["zipSum"] !== undefined) assert.equal(zip.h1, row["zipSum"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** `TestCodeRepoVersions`. */
async function checkList(git: TestGitSource, row: GoRow): Promise<void> {
  const { versions } = await git.source.list(parseModulePath(text(row["path"])), SIGNAL);
  const prefix = text(row["prefix"]);
  assert.deepEqual(versions.filter((version) => version.startsWith(prefix)), row["versions"]);
}

/** `TestLatest`, which is about HEAD and not about tags. */
async function checkHead(git: TestGitSource, row: GoRow): Promise<void> {
  const finding = git.head(parseModulePath(text(row["path"])), SIGNAL);
  if (row["err"] !== undefined) return await checkRefusal(finding, text(row["err"]));
  assert.equal((await finding).version, row["version"]);
}

/** `TestQuery`. */
async function checkQuery(git: TestGitSource, row: GoRow): Promise<void> {
  const resolving = resolve(git, parseModulePath(text(row["path"])), text(row["query"]));
  // That nothing matches is the client's own sentence.
  const want = text(row["err"]).replace(/^no matching versions for query .*/, "");
  if (row["err"] !== undefined) return await checkRefusal(resolving, want);
  assert.equal((await resolving).version, row["vers"]);
}

function resolve(git: TestGitSource, path: ModulePath, query: string): Promise<VersionInfo> {
  return query === "latest"
    ? git.source.latest(path, SIGNAL)
    : git.source.resolve({ path, query: parseQuery(query) }, SIGNAL);
}

async function checkRefusal(promise: Promise<unknown>, want: string): Promise<void> {
  await assert.rejects(
    promise,
    (error) => {
      assert.ok(error instanceof NotFoundError || error instanceof UnusableError, String(error));
      assert.ok(error.message.includes(want), `${error.message}\nwant ${want}`);
      return true;
    },
  );
}

/** Whether the row is about a repository that can be made here. */
function isServed({ vcs = "git", path }: GoRow): boolean {
  return vcs === "git" &&
    new RegExp(`^(?:${HOST}|github.com/rsc/(?:vgotest1|empty))(?:/|$)`).test(text(path));
}

function isAskedOfServers({ query, current, allow }: GoRow): boolean {
  return current === undefined && allow === undefined &&
    !/^(?:[<>]|upgrade$|patch$)/.test(text(query));
}

/** Where the server has the repository that has this URL in the tables. */
function repositoryOf(url: string): string {
  const name = url.replace(/^https:\/\/(?:vcs-test\.golang\.org\/git|github\.com\/rsc)\//, "");
  return name === "empty" ? name : `${name}/.git`;
}

async function makeRepositories(
  scripts: string,
  server: GitServer,
  rows: readonly GoRow[],
): Promise<void> {
  await server.createRepo("empty");
  const used = JSON.stringify(rows);
  const making: Promise<void>[] = [];
  for await (const { name: file } of Deno.readDir(`${scripts}/git`)) {
    const name = file.replace(/\.txt$/, "");
    const script = await Deno.readTextFile(`${scripts}/git/${file}`);
    const isUsed = used.includes(`/${name}`) || /^(?:v2repo)$/.test(name);
    if (isUsed && script.includes("handle git\n")) {
      making.push(runVcsScript(script, `${server.folder}/${name}`));
    }
  }
  await Promise.all(making);
}

/** The pages of Go's test server, by path. */
async function readPages(scripts: string): Promise<(path: string) => string | null> {
  const pages = new Map<string, string>();
  for (const folder of ["go", "go/mod"]) {
    for await (const { name, isFile } of Deno.readDir(`${scripts}/${folder}`)) {
      if (!isFile) continue;
      const { files } = parseTxtar(await Deno.readTextFile(`${scripts}/${folder}/${name}`));
      const base = `${HOST}/${folder}/${name.replace(/\.txt$/, "")}`;
      for (const [file, html] of files) {
        pages.set(`${base}/${file}`.replace(/\/index\.html$/, ""), html);
      }
    }
  }
  return (path) => pages.get(path) ?? null;
}

function missing(): string | null {
  if (goRoot() === null) {
    return "no go command in PATH; install Go 1.26 or newer, see go.dev/doc/install";
  }
  if (!exists(`${GO}/testdata/vcstest/git`)) {
    return "no tests in the Go distribution; use one from go.dev/dl";
  }
  return canServeGit() ? null : "no git http-backend; install git with its server programs";
}

function text(value: GoValue | undefined): string {
  return typeof value === "string" ? value : "";
}
