/**
 * govulncheck v1.9.0 against this server: it scans a program with the server's database, with
 * credentials in the URL, and finds in that database what it finds in the original
 * (tests/testdata/advisories).
 *
 * `GOVULNCHECK=FILE` names an executable, which is otherwise built from the upstream of this
 * machine (`go env GOPROXY`). With `VULNDB=FOLDER`, the `data/osv` of a checkout of golang/vulndb,
 * the matcher is compared with it about 2,000 module versions of all entries, too.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { atOnce } from "../../lib/async/pace.ts";
import { parseEntry } from "../../lib/advisories/osv.ts";
import { compileSteps, Matcher } from "../../lib/advisories/table.ts";
import { type FakeEntry, fakeEntry, FakeVulndb } from "../fakes/vulndb.ts";
import { type AskedVersion, chosenPairs } from "../support/advisory_pairs.ts";
import { eventually } from "../support/eventually.ts";
import { type GoCommand, goCommand, goTest } from "../support/go_command.ts";
import { verdictsOf } from "../support/govulncheck.ts";
import { report } from "../support/report.ts";
import { runCommand } from "../support/run_command.ts";
import { type Server, startServer } from "../worlds/server.ts";

const TESTDATA = new URL("../testdata/advisories/", import.meta.url);
const BUILD_TIMEOUT_MS = 900_000;
const ALL_PAIRS = 2_000;

/**
 * About one function of a module that the program calls, as little as OSV demands; and about a
 * private module.
 */
const TEXT = fakeEntry("ORG-2026-0001", {
  database_specific: undefined,
  name: "golang.org/x/text",
  affected: [{
    package: { name: "golang.org/x/text", ecosystem: "Go" },
    ranges: [{ type: "SEMVER", events: [{ introduced: "0" }, { fixed: "0.3.7" }] }],
    ecosystem_specific: { imports: [{ path: "golang.org/x/text/language", symbols: ["Parse"] }] },
  }],
});
const SECRET = fakeEntry("ORG-2026-0002", { name: "corp.example.com/lib" });

const PROGRAM = {
  "go.mod": "module example.com/main\n\ngo 1.21\n\nrequire golang.org/x/text v0.3.5\n",
  "main.go": `package main

import "golang.org/x/text/language"

func main() {
	if _, err := language.Parse("en"); err != nil {
		panic(err)
	}
}
`,
};

interface Verdict extends AskedVersion {
  readonly found: Readonly<Record<string, string>>;
}

async function linesOf(name: string): Promise<unknown[]> {
  const text = await Deno.readTextFile(new URL(name, TESTDATA));
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

async function goEnv(name: string): Promise<string> {
  return (await runCommand("go", { args: ["env", name] })).stdout.trim();
}

async function start(directory: string, entries: readonly FakeEntry[]): Promise<Server> {
  await Deno.writeTextFile(join(directory, "entries.json"), JSON.stringify(entries));
  await Deno.writeTextFile(
    join(directory, "config.yaml"),
    JSON.stringify({
      storage: { disk: { path: join(directory, "store") } },
      privateModules: [{ pathPrefix: "corp.example.com", auth: { none: true } }],
      advisories: { sources: [{ name: "test", file: "entries.json" }] },
      clientAuth: {
        enabled: true,
        acl: [{ access: "deny", modules: ["corp.example.com"], identities: ["dev"] }, {}],
        identities: [{ name: "dev", password: "dev-pass" }, { name: "ops", password: "ops-pass" }],
      },
    }),
  );
  const server = await startServer({
    args: ["--config-file", join(directory, "config.yaml")],
    env: { GOPROXY: "off" },
  });
  await eventually("the source to be read", async () => {
    const response = await fetch(as("dev", server, "/-/vulndb/index/db.json"));
    await response.body?.cancel();
    return response.status === 200;
  });
  return server;
}

/** How this machine reaches the outside. */
function networkEnv(): Record<string, string> {
  const names = ["SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
  const entries = names.map((name) => [name, Deno.env.get(name)] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function as(user: string, { url }: Server, path = ""): string {
  return `${url.replace("//", `//${user}:${user}-pass@`)}${path}`;
}

async function govulncheck(go: GoCommand): Promise<string> {
  const given = Deno.env.get("GOVULNCHECK");
  if (given !== undefined) return given;
  const { code, stderr } = await go.run(
    ["install", "golang.org/x/vuln/cmd/govulncheck@v1.9.0"],
    { env: { GOBIN: go.dir }, deadlineMs: BUILD_TIMEOUT_MS },
  );
  assert.equal(code, 0, stderr);
  return join(go.dir, "govulncheck");
}

goTest("govulncheck works with the database of this server", async (t) => {
  const entries = await linesOf("entries.jsonl") as FakeEntry[];
  const verdicts = await linesOf("verdicts.jsonl") as Verdict[];
  const directory = await Deno.makeTempDir({ prefix: "govulncheck-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const server = stack.use(await start(directory, [...entries, TEXT, SECRET]));
  const go = stack.use(
    await goCommand({
      proxy: await goEnv("GOPROXY"),
      sumdb: await goEnv("GOSUMDB"),
      files: PROGRAM,
      env: networkEnv(),
    }),
  );
  const program = await govulncheck(go);

  await t.step("it finds a call in a program", async () => {
    const tidy = await go.run(["mod", "tidy"]);
    assert.equal(tidy.code, 0, tidy.stderr);
    const run = (database: string) =>
      runCommand(program, {
        args: ["-db", database, "./..."],
        cwd: go.dir,
        clearEnv: true,
        env: {
          PATH: Deno.env.get("PATH") ?? "",
          HOME: directory,
          GOMODCACHE: go.moduleCache,
          GOCACHE: join(directory, "gocache"),
          GOPROXY: "off",
          GOFLAGS: "-mod=mod",
          GOTOOLCHAIN: "local",
          CGO_ENABLED: "0",
        },
        timeoutMs: 300_000,
      });
    const { code, stdout, stderr } = await run(as("dev", server, "/-/vulndb"));
    assert.equal(code, 3, stdout + stderr);
    assert.match(stdout, /ORG-2026-0001/);
    assert.match(stdout, /Fixed in: golang\.org\/x\/text@v0\.3\.7/);
    assert.match(stdout, /main\.go:6:\d+: main\.main calls language\.Parse/);
    // Without credentials it is no database.
    const unknown = await run(`${server.url}/-/vulndb`);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /unrecognized vulndb format/);
  });

  const namesOf = (found: ReadonlyMap<string, string> | undefined) =>
    [...found?.keys() ?? []].sort();

  await t.step("it finds the same as in the original", async () => {
    const found = await verdictsOf(verdicts, { program, database: as("dev", server, "/-/vulndb") });
    for (const { path, version, found: want } of verdicts) {
      const own = path === "golang.org/x/text" ? [TEXT.id] : [];
      const ids = namesOf(found.get(`${path}@${version}`)).filter((id) => !own.includes(id));
      assert.deepEqual(ids, Object.keys(want).sort(), `${path}@${version}`);
    }
  });

  await t.step("it knows of a private module what its client may know", async () => {
    const asked = [{ path: "corp.example.com/lib", version: "v1.0.0" }];
    for (const [user, want] of [["dev", []], ["ops", [SECRET.id]]] as const) {
      const found = await verdictsOf(asked, { program, database: as(user, server, "/-/vulndb") });
      assert.deepEqual(namesOf(found.get("corp.example.com/lib@v1.0.0")), want);
    }
  });

  const folder = Deno.env.get("VULNDB");
  if (folder === undefined) return;
  await t.step("the matcher agrees with it about all entries", async () => {
    const all: FakeEntry[] = [];
    for await (const { name } of Deno.readDir(folder)) {
      all.push(JSON.parse(await Deno.readTextFile(join(folder, name))));
    }
    await using vulndb = new FakeVulndb(all);
    const advisories = all.map((entry) => parseEntry(JSON.stringify(entry)).advisory);
    const table = atOnce(compileSteps([{ source: "go", state: "", advisories }], 1));
    const matcher = new Matcher(table, Date.now);
    const pairs = chosenPairs(all, ALL_PAIRS);
    const found = await verdictsOf(pairs, { program, database: vulndb.url });
    let count = 0;
    for (const { path, version } of pairs) {
      const ids = matcher.match(path, version).map(({ id }) => id).sort();
      assert.deepEqual(ids, namesOf(found.get(`${path}@${version}`)), `${path}@${version}`);
      count += ids.length;
    }
    report(`${all.length} entries, ${pairs.length} module versions, ${count} findings`);
  });
});
