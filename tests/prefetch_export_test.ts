/**
 * `prefetch` and `export` as users start them: from a go.sum to a store, to files, to the `go`
 * command and to another store.
 */
import assert from "node:assert/strict";
import { goCommand, goTest } from "./support/go_command.ts";
import { runProgram } from "./worlds/server.ts";
import { Sumdb } from "./fakes/sumdb.ts";
import { startUpstream } from "./fakes/upstream.ts";

const HELLO = "example.com/Team/hello";
const DEEP = "example.com/deep";
const PSEUDO = "v0.0.0-20240102030405-0123456789ab";

/** Of Go 1.16: of later ones the command does not read what their requirements require. */
function filesOf(path: string, requires = ""): Record<string, string> {
  return { "go.mod": `module ${path}\n\ngo 1.16\n${requires}`, "a.go": "package a\n" };
}

const MODULES = [
  { path: HELLO, version: "v1.0.0", files: filesOf(HELLO, `\nrequire ${DEEP} v1.0.0\n`) },
  { path: DEEP, version: "v1.0.0", files: filesOf(DEEP) },
  { path: DEEP, version: "v1.1.0", files: filesOf(DEEP) },
  { path: "example.com/untagged", version: PSEUDO, files: filesOf("example.com/untagged") },
];
const MAIN = {
  "go.mod":
    `module example.com/main\n\ngo 1.16\n\nrequire (\n\t${HELLO} v1.0.0\n\t${DEEP} v1.1.0\n` +
    `\texample.com/untagged ${PSEUDO}\n)\n`,
  "main.go": `package main\n\nimport (\n\t_ "${HELLO}"\n\t_ "${DEEP}"\n` +
    '\t_ "example.com/untagged"\n)\n\nfunc main() {}\n',
};

interface World {
  readonly dir: string;
  readonly sums: string;
  run(...args: string[]): Promise<{ code: number; lines: string[]; stderr: string }>;
}

/** A main module with its go.sum, an upstream, and a configuration. */
async function withWorld(
  { sumDatabase }: { sumDatabase: boolean },
  test: (world: World) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "prefetch-" });
  try {
    await using upstream = await startUpstream({ modules: MODULES });
    const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
    upstream.mount(sumdb);
    await using go = await goCommand({ proxy: upstream.url, files: MAIN });
    const { code, stderr } = await go.run(["mod", "tidy"]);
    assert.equal(code, 0, stderr);
    const sums = await go.readFile("go.sum");
    await Deno.writeTextFile(`${dir}/go.sum`, sums);
    const publicKey = sumdb.verifierKey.slice(`${sumdb.name}+`.length);
    const url = `${upstream.url}/sumdb/${sumdb.name}`;
    await Deno.writeTextFile(
      `${dir}/config.yaml`,
      JSON.stringify({
        storage: { disk: { path: `${dir}/store` } },
        parentProxy: { url: upstream.url },
        publicModules: { sumDatabase: sumDatabase ? { name: sumdb.name, publicKey, url } : "off" },
      }),
    );
    const config = ["--config-file", `${dir}/config.yaml`];
    await test({
      dir,
      sums,
      async run(...args) {
        const { code, stdout, stderr } = await runProgram([...args, ...config]);
        return { code, lines: stdout.trimEnd().split("\n"), stderr };
      },
    });
    assert.deepEqual(upstream.faults, []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

goTest(
  "what go.sum names is fetched, exported, built from files, and imported elsewhere",
  (t) =>
    withWorld({ sumDatabase: true }, async ({ dir, run }) => {
      await t.step("prefetch", async () => {
        assert.deepEqual(await run("prefetch", `${dir}/go.sum`), {
          code: 0,
          lines: ["4 versions: 4 fetched, 0 known, 0 failed"],
          stderr: "",
        });
      });
      await t.step("prefetch again", async () => {
        const { lines } = await run("prefetch", `${dir}/go.sum`, `${dir}/go.sum`);
        assert.deepEqual(lines, ["4 versions: 0 fetched, 4 known, 0 failed"]);
      });
      const want = {
        code: 0,
        // Of one version the build needs go.mod alone.
        lines: ["4 versions: 3 with a zip, 1 without, 0 failed"],
        stderr: "",
      };
      await t.step("export", async () => {
        assert.deepEqual(await run("export", `${dir}/files`), want);
        const folder = `${dir}/files/example.com/deep`;
        assert.equal(await Deno.readTextFile(`${folder}/@v/list`), "v1.0.0\nv1.1.0\n");
        assert.match(await Deno.readTextFile(`${folder}/@latest`), /"Version":"v1\.1\.0"/);
        assert.deepEqual(unfinished(`${dir}/files`), []);
      });
      await t.step("export again: what is there stays", async () => {
        const zip = `${dir}/files/example.com/deep/@v/v1.1.0.zip`;
        const before = (await Deno.stat(zip)).ino;
        assert.deepEqual(await run("export", `${dir}/files`), want);
        assert.equal((await Deno.stat(zip)).ino, before);
      });
      await t.step("the go command builds from the files", async () => {
        await using go = await goCommand({ proxy: `file://${dir}/files`, files: MAIN });
        const tidy = await go.run(["mod", "tidy"]);
        assert.equal(tidy.code, 0, tidy.stderr);
        assert.equal(await go.readFile("go.sum"), await Deno.readTextFile(`${dir}/go.sum`));
        const latest = await go.run(["list", "-m", "example.com/untagged@latest"]);
        assert.equal(latest.stdout, `example.com/untagged ${PSEUDO}\n`, latest.stderr);
      });
      await t.step("another store imports the files", async () => {
        await Deno.rename(`${dir}/store`, `${dir}/old`);
        const { code, lines } = await run("import", "gomodcache", `${dir}/files`);
        assert.deepEqual([code, lines], [0, [
          "4 versions: 3 imported, 0 known, 1 without a zip, 0 refused",
        ]]);
      });
    }),
);

for (const sumDatabase of [true, false]) {
  goTest(
    `what contradicts go.sum fails and is not stored, ${
      sumDatabase ? "with" : "without"
    } a checksum database`,
    () =>
      withWorld({ sumDatabase }, async ({ dir, sums, run }) => {
        const wrong = sums.replace(/(deep v1\.1\.0 h1:)./, (_, line) => `${line}_`).replace(
          "_",
          "0",
        );
        assert.notEqual(wrong, sums);
        await Deno.writeTextFile(`${dir}/go.sum`, wrong);
        const { code, lines } = await run("prefetch", `${dir}/go.sum`);
        assert.match(lines[0] ?? "", /^failed example\.com\/deep@v1\.1\.0: .*its zip has h1:/);
        assert.deepEqual(lines.slice(1), ["4 versions: 3 fetched, 0 known, 1 failed"]);
        assert.equal(code, 1);
        const stored = [...Deno.readDirSync(`${dir}/store/m1/${DEEP}/@v`)].map(({ name }) => name);
        assert.deepEqual(stored, ["v1.0.0"]);
        // What is published is compared too.
        await Deno.writeTextFile(`${dir}/go.sum`, sums);
        assert.equal((await run("prefetch", `${dir}/go.sum`)).code, 0);
        await Deno.writeTextFile(`${dir}/go.sum`, wrong);
        const again = await run("prefetch", `${dir}/go.sum`);
        assert.match(again.lines[0] ?? "", /^failed \S+: its zip has h1:\S+, and go\.sum h1:\S+$/);
        assert.equal(again.code, 1);
      }),
  );
}

Deno.test("prefetch of a file that is not a go.sum says so in one line", async () => {
  for (const file of ["missing.sum", "/dev/null/x", new URL(import.meta.url).pathname]) {
    const { code, stdout, stderr } = await runProgram(["prefetch", file]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^error: Cannot .+\n(\n|$)/);
  }
});

function unfinished(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? unfinished(`${folder}/${name}`) : name.endsWith(".tmp") ? [name] : []
  );
}
