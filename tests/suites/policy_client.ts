/**
 * What the `go` command does when a version is withheld: each of its commands that reads modules,
 * with the version named, as the newest one, selected, and only in the graph.
 *
 * The world: `a` from v1.0.0 to v1.3.0, of which rules withhold v1.2.0 and v1.3.0; `b` requires
 * a v1.2.0, and so does `old`, whose go.mod is of Go 1.16. Of `young`, v1.1.0 is held, and all
 * versions of `none` are denied. `d` requires `c` v1.1.0, which is denied, and v1.2.0 is not.
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { startUpstream } from "../fakes/upstream.ts";
import { type GoCommand, goCommand, type GoResult } from "../support/go_command.ts";
import { startServer } from "../worlds/server.ts";

const A = "example.com/a";
const B = "example.com/b";
const OLD = "example.com/old";

const YOUNG = "example.com/young";
const NONE = "example.com/none";
const C = "example.com/c";
const D = "example.com/d";
const DAY_MS = 86_400_000;

const CONFIG = `
index: all
policy:
  contact: "#go-platform"
  rules:
    - { name: broken, modules: [${A}], versions: "1.2.0", action: deny, reason: it loses data }
    - { name: unwanted, modules: [${A}], versions: ">=1.3.0", action: deny }
    - { name: cool-down, modules: [${YOUNG}], versions: ">=1.1.0", minAge: 7d, action: hold }
    - { name: middle, modules: [${C}], versions: "1.1.0", action: deny }
    - { name: none, modules: [${NONE}], action: deny, reason: use something else }
publicModules: { sumDatabase: off }
`;

const library = (path: string, goMod = "") => ({
  "go.mod": `module ${path}\n\ngo 1.20\n${goMod}`,
  "lib.go": `package ${path.split("/").at(-1)}\n\nconst V = 1\n`,
});

export async function policyClientSuite(
  t: Deno.TestContext,
  { env = {} }: { env?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  await using upstream = await startUpstream({
    modules: [
      ...["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"].map((version) => ({
        path: A,
        version,
        files: library(A),
      })),
      ...["v1.0.0", "v1.1.0"].map((version) => ({ path: YOUNG, version, files: library(YOUNG) })),
      { path: NONE, version: "v1.0.0", files: library(NONE) },
      ...["v1.0.0", "v1.1.0", "v1.2.0"].map((version) => ({ path: C, version, files: library(C) })),
      {
        path: D,
        version: "v1.0.0",
        files: {
          "go.mod": `module ${D}\n\ngo 1.20\n\nrequire ${C} v1.1.0\n`,
          "lib.go": `package d\n\nimport "${C}"\n\nconst V = c.V\n`,
        },
      },
      {
        path: B,
        version: "v1.0.0",
        files: {
          "go.mod": `module ${B}\n\ngo 1.20\n\nrequire ${A} v1.2.0\n`,
          "lib.go": `package b\n\nimport "${A}"\n\nconst V = a.V\n`,
        },
      },
      {
        path: OLD,
        version: "v1.0.0",
        files: {
          "go.mod": `module ${OLD}\n\ngo 1.16\n\nrequire ${A} v1.2.0\n`,
          "lib.go": "package old\n\nconst V = 1\n",
          "other/other.go": `package other\n\nimport "${A}"\n\nconst V = a.V\n`,
        },
      },
    ],
  });
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(`${dir}/config.yaml`, CONFIG);
  await using server = await startServer({
    args: ["--config-file", `${dir}/config.yaml`],
    env: { GOPROXY: upstream.url },
  });
  await using commands = new AsyncDisposableStack();
  const newGo = async (goMod: string, code = "") =>
    commands.use(
      await goCommand({
        proxy: server.url,
        env: { GONOSUMDB: "example.com", ...env },
        files: {
          "go.mod": `module example.com/main\n\ngo 1.20\n\n${goMod}`,
          // A library: nothing is linked, and so the runtime is not compiled.
          "lib.go": `package lib\n\n${code}\n`,
        },
      }),
    );
  const useA = `import _ "${A}"\n`;
  const useB = `import _ "${B}"\n`;
  const useOld = `import _ "${OLD}"\n`;

  await t.step("go list -m -versions has what is allowed", async () => {
    const go = await newGo("");
    const { stdout } = await succeed(go, "list", "-m", "-versions", A);
    assert.equal(stdout, `${A} v1.0.0 v1.1.0\n`);
  });

  await t.step("go get takes the newest allowed version", async () => {
    const go = await newGo("");
    await succeed(go, "get", `${A}@latest`);
    assert.equal((await succeed(go, "list", "-m", A)).stdout, `${A} v1.1.0\n`);
  });

  await t.step("go get @latest goes down from a version that is withheld", async () => {
    const go = await newGo(`require ${A} v1.2.0\n`, useA);
    const { stderr } = await succeed(go, "get", `${A}@latest`);
    assert.match(stderr, /downgraded example\.com\/a v1\.2\.0 => v1\.1\.0/);
  });

  await t.step("go get -u takes the newest allowed version", async () => {
    const go = await newGo(`require ${A} v1.0.0\n`, useA);
    await succeed(go, "get", "-u", "./...");
    assert.equal((await succeed(go, "list", "-m", A)).stdout, `${A} v1.1.0\n`);
  });

  await t.step("go get of a withheld version says why, and what to take", async () => {
    const go = await newGo("");
    const before = await go.readFile("go.mod");
    const { code, stderr } = await go.run(["get", `${A}@v1.2.0`]);
    assert.equal(code, 1);
    assertDenial(stderr);
    assert.equal(await go.readFile("go.mod"), before);
  });

  await t.step("go list -m -u all works with a withheld version selected", async () => {
    const go = await newGo(`require ${A} v1.2.0\n`, useA);
    const { stdout } = await succeed(go, "list", "-mod=mod", "-m", "-u", "all");
    assert.match(stdout, /^example\.com\/a v1\.2\.0$/m);
  });

  await t.step("go mod tidy and go mod graph work where the code is not used", async () => {
    const go = await newGo(`require ${OLD} v1.0.0\n`, useOld);
    await succeed(go, "mod", "tidy");
    assert.match((await succeed(go, "mod", "graph")).stdout, /example\.com\/a@v1\.2\.0/);
    await succeed(go, "build", "./...");
  });

  await t.step("go build fails at the import, with the text", async () => {
    const go = await newGo(`require ${B} v1.0.0\n\nrequire ${A} v1.2.0\n`, useB);
    const { code, stderr } = await go.run(["build", "-mod=mod", "./..."]);
    assert.equal(code, 1);
    assertDenial(stderr);
  });

  await t.step("go mod download -json reports it, and downloads the others", async () => {
    const go = await newGo(`require ${B} v1.0.0\n\nrequire ${A} v1.2.0\n`, useB);
    const { code, stdout } = await go.run(["mod", "download", "-json", "all"]);
    assert.equal(code, 1);
    const reports = stdout.split(/^(?=\{)/m).map((text) => JSON.parse(text));
    const byPath = new Map(reports.map((report) => [report.Path, report]));
    assertDenial(byPath.get(A).Error);
    assert.match(byPath.get(B).Sum, /^h1:/);
  });

  await t.step("go mod vendor fails with the text", async () => {
    const unaware = await newGo(`require ${B} v1.0.0\n`, useB);
    const tidied = await unaware.run(["mod", "tidy"], { env: { GOPROXY: upstream.url } });
    assert.equal(tidied.code, 0, tidied.stderr);
    const go = await newGo("", useB);
    for (const name of ["go.mod", "go.sum"]) await go.writeFile(name, await unaware.readFile(name));
    const { code, stderr } = await go.run(["mod", "vendor"]);
    assert.equal(code, 1);
    assertDenial(stderr);
  });

  await t.step("go install of a program fails with the text", async () => {
    const go = await newGo("");
    const { code, stderr } = await go.run(["install", `${A}@v1.2.0`]);
    assert.equal(code, 1);
    assertDenial(stderr);
  });

  await t.step("a hold says until when, as text and as JSON", async () => {
    await (await fetch(`${server.url}/${YOUNG}/@v/v1.1.0.info`)).bytes();
    await eventually(
      "its publication in the index",
      async () => (await (await fetch(`${server.url}/index`)).text()).includes(YOUNG),
    );
    const go = await newGo(`require ${YOUNG} v1.1.0\n`, `import _ "${YOUNG}"\n`);
    for (const text of await denialsOf(go, `${YOUNG}@v1.1.0`)) {
      const lines = linesFrom(text);
      const [, date, time] = /^allowed from (\S+) (\S+) UTC$/.exec(lines[2] ?? "") ?? [];
      const untilMs = Date.parse(`${date}T${time}:00Z`);
      assert.ok(Math.abs(untilMs - Date.now() - 7 * DAY_MS) < DAY_MS / 24, text);
      assert.deepEqual(lines, [
        `${YOUNG}@v1.1.0 is not allowed by policy rule "cool-down"`,
        lines[1],
        `allowed from ${date} ${time} UTC`,
        `newest allowed version: go get ${YOUNG}@v1.0.0`,
        "questions: #go-platform",
      ], text);
      assert.match(
        lines[1] ?? "",
        /^it is known for \d+ minutes, and 7 days are required \(first published here on [-\d]+\)$/,
      );
    }
  });

  await t.step("a denial says that nothing is allowed, as text and as JSON", async () => {
    const go = await newGo(`require ${NONE} v1.0.0\n`, `import _ "${NONE}"\n`);
    for (const text of await denialsOf(go, `${NONE}@v1.0.0`)) {
      assert.deepEqual(linesFrom(text), [
        `${NONE}@v1.0.0 is not allowed by policy rule "none"`,
        "use something else",
        "no version of this module is allowed",
        "questions: #go-platform",
      ], text);
    }
    const { code, stderr } = await go.run(["get", `${NONE}@latest`]);
    assert.equal(code, 1);
    assert.match(stderr, /no version of this module is allowed/);
  });

  await t.step("excluding the version, as the denial says, takes the next higher one", async () => {
    const go = await newGo(`require ${D} v1.0.0\n`, `import _ "${D}"\n`);
    const { code, stderr } = await go.run(["mod", "tidy"]);
    assert.equal(code, 1);
    const [, remedy = ""] = /^\s*if a dependency requires it: go (mod edit .+)$/m.exec(stderr) ??
      [];
    assert.equal(remedy, `mod edit -exclude=${C}@v1.1.0`, stderr);
    await succeed(go, ...remedy.split(" "));
    await succeed(go, "mod", "tidy");
    assert.equal((await succeed(go, "list", "-m", C)).stdout, `${C} v1.2.0\n`);
    await succeed(go, "build", "./...");
  });

  await t.step("with gate: all, all commands fail that read the module graph", async () => {
    const strict = CONFIG.replace("policy:", "policy:\n  gate: all");
    await Deno.writeTextFile(`${dir}/strict.yaml`, strict);
    await using server = await startServer({
      args: ["--config-file", `${dir}/strict.yaml`],
      env: { GOPROXY: upstream.url },
    });
    const through = { env: { GOPROXY: server.url } };
    const direct = await newGo(`require ${A} v1.2.0\n`, useA);
    const listed = await direct.run(["list", "-mod=mod", "-m", "-u", "all"], through);
    assert.equal(listed.code, 1);
    assertDenial(listed.stderr);
    const indirect = await newGo(`require ${OLD} v1.0.0\n`, useOld);
    const tidied = await indirect.run(["mod", "tidy"], through);
    assert.equal(tidied.code, 1);
    assertDenial(tidied.stderr);
  });

  await t.step("what is in the client's module cache is not asked for", async () => {
    const go = await newGo(`require ${A} v1.2.0\n`, useA);
    const direct = await go.run(["mod", "download", A], { env: { GOPROXY: upstream.url } });
    assert.equal(direct.code, 0, direct.stderr);
    await succeed(go, "build", "-mod=mod", "./...");
  });
  await Deno.remove(dir, { recursive: true });
}

/** What `go get` and `go mod download -json` show of the denial of a version. */
async function denialsOf(go: GoCommand, version: string): Promise<string[]> {
  const got = await go.run(["get", version]);
  const downloaded = await go.run(["mod", "download", "-json", version]);
  assert.deepEqual([got.code, downloaded.code], [1, 1]);
  return [got.stderr, JSON.parse(downloaded.stdout).Error];
}

/** The lines of a denial, without the last, which names the request. */
function linesFrom(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  const start = lines.findIndex((line) => line.includes("is not allowed by policy rule"));
  const end = lines.findIndex((line, i) => i > start && line.startsWith("request id: "));
  assert.ok(start >= 0 && end > start, text);
  return lines.slice(start, end);
}

function assertDenial(text: string): void {
  assert.deepEqual(linesFrom(text), [
    `${A}@v1.2.0 is not allowed by policy rule "broken"`,
    "it loses data",
    `newest allowed version: go get ${A}@v1.1.0`,
    "questions: #go-platform",
  ], text);
}

async function succeed(go: GoCommand, ...args: string[]): Promise<GoResult> {
  const result = await go.run(args);
  assert.equal(result.code, 0, `go ${args.join(" ")}: ${result.stderr}`);
  return result;
}
