/** `import` as users start it, and a server with the imported modules. */
import assert from "node:assert/strict";
import { type GoCommand, goCommand, goTest } from "./support/go_command.ts";
import { buildModuleZip } from "./support/module_zip.ts";
import { runProgram, startServer } from "./worlds/server.ts";
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
  { path: HELLO, version: "v1.0.0", files: filesOf(HELLO, `\nrequire ${DEEP} v1.1.0\n`) },
  { path: HELLO, version: "v1.1.0-RC.1", files: filesOf(HELLO) },
  { path: HELLO, version: PSEUDO, files: filesOf(HELLO) },
  { path: `${HELLO}/v2`, version: "v2.3.4", files: filesOf(`${HELLO}/v2`) },
  { path: DEEP, version: "v1.1.0", files: filesOf(DEEP) },
  { path: "example.com/old", version: "v3.0.0+incompatible", files: { "a.go": "package a\n" } },
];
const DOWNLOADED = MODULES.filter(({ path }) => path !== DEEP);

/** A folder with a configuration that keeps modules in it. */
async function withStore(
  test: (store: { dir: string; configFile: string }) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "import-" });
  try {
    const configFile = `${dir}/config.yaml`;
    await Deno.writeTextFile(
      configFile,
      `storage: { disk: { path: ${dir}/store } }\nparentProxy: { url: "off" }\n` +
        "publicModules: { sumDatabase: off }\n",
    );
    await test({ dir, configFile });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function runImport(...args: string[]) {
  const { code, stdout, stderr } = await runProgram(["import", ...args]);
  return { code, lines: stdout.trimEnd().split("\n"), stderr };
}

/** What `go mod download` says of each module, by path and version. */
async function download(go: GoCommand): Promise<Map<string, unknown>> {
  const names = DOWNLOADED.map(({ path, version }) => `${path}@${version}`);
  const { code, stdout, stderr } = await go.run(["mod", "download", "-json", ...names]);
  assert.equal(code, 0, stdout + stderr);
  const modules: { Path: string; Version: string; Sum: string; GoModSum: string }[] = JSON.parse(
    `[${stdout.replaceAll("\n}\n{", "\n},\n{")}]`,
  );
  return new Map(
    modules.map(({ Path, Version, Sum, GoModSum }) => [`${Path}@${Version}`, [Sum, GoModSum]]),
  );
}

goTest(
  "a module cache of the go command is imported, and served without any upstream",
  (t) =>
    withStore(async ({ configFile }) => {
      await using upstream = await startUpstream({ modules: MODULES });
      await using user = await goCommand({ proxy: upstream.url });
      const wanted = await download(user);
      assert.equal(wanted.size, DOWNLOADED.length);
      // A build by go.sum needs go.mod alone of what its packages do not come from.
      await user.writeFile(
        "go.mod",
        filesOf("example.com/main", `\nrequire ${HELLO} v1.0.0\n`)["go.mod"] ?? "",
      );
      assert.equal((await user.run(["mod", "graph"])).code, 0);
      const cache = `${user.moduleCache}/cache/download`;

      await t.step("import", async () => {
        assert.deepEqual(await runImport("gomodcache", cache, "--config-file", configFile), {
          code: 0,
          lines: ["6 versions: 5 imported, 0 known, 1 without a zip, 0 refused"],
          stderr: "",
        });
      });
      await t.step("import again, from the folder above", async () => {
        const { code, lines } = await runImport(
          "gomodcache",
          user.moduleCache,
          "--config-file",
          configFile,
        );
        assert.deepEqual(lines, ["6 versions: 0 imported, 5 known, 1 without a zip, 0 refused"]);
        assert.equal(code, 0);
      });
      await t.step("serve", async () => {
        await upstream.down();
        await using server = await startServer({ args: ["--config-file", configFile] });
        await using other = await goCommand({ proxy: server.url });
        assert.deepEqual(await download(other), wanted);
        const list = await fetch(`${server.url}/example.com/!team/hello/@v/list`);
        assert.equal(await list.text(), "v1.0.0\nv1.1.0-RC.1\n");
      });
      await t.step("a damaged zip is refused, and named", async () => {
        const zip = `${cache}/example.com/deep/@v/v1.1.0.zip`;
        await Deno.writeTextFile(zip, "no zip");
        const { code, lines } = await runImport("gomodcache", cache, "--config-file", configFile);
        assert.match(lines[0] ?? "", /^refused example\.com\/deep\/@v\/v1\.1\.0: /);
        assert.deepEqual(lines.slice(1), [
          "6 versions: 0 imported, 5 known, 0 without a zip, 1 refused",
        ]);
        assert.equal(code, 1);
      });
      assert.deepEqual(upstream.faults, []);
    }),
);

Deno.test("a bucket of the original and a disk of Athens are imported", (t) =>
  withStore(async ({ dir, configFile }) => {
    const version = "v1.0.0";
    const files = filesOf(HELLO);
    const { bytes } = await buildModuleZip({ path: HELLO, version, files });
    const write = async (name: string, content: string | Uint8Array) => {
      await Deno.mkdir(`${dir}/${name.slice(0, name.lastIndexOf("/"))}`, { recursive: true });
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(`${dir}/${name}`, bytes);
    };
    await write(`bucket/gomod/${HELLO}@${version}`, files["go.mod"] ?? "");
    await write(`bucket/zip/${HELLO}@${version}`, bytes);
    await write("times.txt", `gomod/${HELLO}@${version} 2024-01-02T03:04:05Z\n`);
    await write(`athens/${HELLO}/${version}/go.mod`, files["go.mod"] ?? "");
    await write(`athens/${HELLO}/${version}/source.zip`, bytes);
    await write(
      `athens/${HELLO}/${version}/${version}.info`,
      JSON.stringify({ Version: version, Time: "2024-01-02T03:04:05Z" }),
    );
    const config = ["--config-file", configFile];
    const rows = [
      {
        args: ["original", `${dir}/bucket`],
        want: [
          1,
          /^refused \S+hello@v1\.0\.0: its time is unknown.*\n1 version: 0 imported, .* 1 refused$/,
        ],
      },
      {
        args: ["original", `${dir}/bucket`, "--times", `${dir}/times.txt`],
        want: [0, /^1 version: 1 imported/],
      },
      { args: ["athens", `${dir}/athens`], want: [0, /^1 version: 0 imported, 1 known/] },
      { args: ["athens", `${dir}/missing`], want: [1, /^$/] },
      { args: ["original", `${dir}/bucket`, "--times", configFile], want: [1, /^$/] },
      { args: ["athens", `${dir}/athens`, "--times", `${dir}/times.txt`], want: [1, /^$/] },
      { args: ["artifactory", `${dir}/athens`], want: [1, /^$/] },
    ] as const;
    for (const { args, want: [code, output] } of rows) {
      await t.step(args.join(" ").replaceAll(dir, ""), async () => {
        const result = await runImport(...args, ...config);
        assert.match(result.lines.join("\n"), output);
        assert.equal(result.code, code);
        // One line, and no stack trace.
        assert.match(result.stderr, output.source === "^$" ? /^error: .+\n(\n|$)/ : /^$/);
      });
    }
  }));

Deno.test("what the checksum database contradicts is refused", () =>
  withStore(async ({ dir, configFile }) => {
    const good = { path: DEEP, version: "v1.1.0", files: filesOf(DEEP) };
    const lied = { path: HELLO, version: "v1.0.0", files: filesOf(HELLO) };
    const files = { ...lied.files, "a.go": "package evil\n" };
    await using upstream = await startUpstream({ modules: [good, lied] });
    const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
    upstream.mount(sumdb);
    await Deno.writeTextFile(
      configFile,
      JSON.stringify({
        storage: { disk: { path: `${dir}/store` } },
        parentProxy: { url: upstream.url },
        publicModules: {
          sumDatabase: {
            name: sumdb.name,
            publicKey: sumdb.verifierKey.slice(`${sumdb.name}+`.length),
            url: `${upstream.url}/sumdb/${sumdb.name}`,
          },
        },
      }),
    );
    for (const module of [good, { ...lied, files }]) {
      const folder = `${dir}/athens/${module.path}/${module.version}`;
      await Deno.mkdir(folder, { recursive: true });
      await Deno.writeFile(`${folder}/source.zip`, (await buildModuleZip(module)).bytes);
      await Deno.writeTextFile(`${folder}/go.mod`, filesOf(module.path)["go.mod"] ?? "");
      const info = { Version: module.version, Time: "2024-01-02T03:04:05Z" };
      await Deno.writeTextFile(`${folder}/${module.version}.info`, JSON.stringify(info));
    }
    const { code, lines } = await runImport("athens", `${dir}/athens`, "--config-file", configFile);
    assert.match(
      lines[0] ?? "",
      /^refused example\.com\/Team\/hello\/v1\.0\.0: its zip has h1:\S+, and the checksum database h1:/,
    );
    assert.equal(lines[1], "2 versions: 1 imported, 0 known, 0 without a zip, 1 refused");
    assert.equal(code, 1);
    assert.deepEqual([upstream.faults, sumdb.faults], [[], []]);
  }));
