/**
 * `fsck` as users start it, on a store that the program has filled and that is then damaged.
 */
import assert from "node:assert/strict";
import { instead } from "./fakes/behaviours.ts";
import { buildModuleZip } from "./support/module_zip.ts";
import { runProgram, startServer } from "./worlds/server.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";

const PATH = "example.com/hello";
const FILES = { "go.mod": `module ${PATH}\n`, "hello.go": "package hello\n" };
const VERSIONS = ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"];

interface Filled {
  readonly upstream: Upstream;
  /** Where objects lie, by their keys. */
  readonly data: string;
  fsck(...flags: string[]): Promise<{ code: number; lines: string[]; stderr: string }>;
  /** The zip's key and file. */
  zipOf(version: string): Promise<{ key: string; file: string }>;
}

async function withFilledStore(test: (filled: Filled) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "fsck-" });
  try {
    await using upstream = await startUpstream({
      modules: VERSIONS.map((version) => ({ path: PATH, version, files: FILES })),
    });
    const data = `${dir}/store`;
    const configFile = `${dir}/config.yaml`;
    await Deno.writeTextFile(
      configFile,
      `storage: { disk: { path: ${data} } }\nparentProxy: { url: "${upstream.url}" }\n` +
        "publicModules: { sumDatabase: off }\n",
    );
    {
      await using server = await startServer({ args: ["--config-file", configFile] });
      for (const version of VERSIONS) {
        const response = await fetch(`${server.url}/${PATH}/@v/${version}.zip`);
        await response.body?.cancel();
        assert.equal(response.status, 200);
      }
      assert.equal((await server.kill("SIGTERM")).code, 0);
    }
    await test({
      upstream,
      data,
      async fsck(...flags) {
        const { code, stdout, stderr } = await runProgram([
          "fsck",
          "--config-file",
          configFile,
          ...flags,
        ]);
        return { code, lines: stdout.trimEnd().split("\n"), stderr };
      },
      async zipOf(version) {
        const folder = `z1/${PATH}/@v/${version}`;
        const entries = await Array.fromAsync(Deno.readDir(`${data}/${folder}`));
        const entry = entries.find(({ name }) => !name.startsWith("."));
        assert.ok(entry !== undefined);
        return { key: `${folder}/${entry.name}`, file: `${data}/${folder}/${entry.name}` };
      },
    });
    assert.deepEqual(upstream.faults, []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("fsck finds what was damaged, and --repair adds what is missing", (t) =>
  withFilledStore(async ({ upstream, data, fsck, zipOf }) => {
    await t.step(
      "a good store has no fault, and nobody sees a bar without a terminal",
      async () => {
        assert.deepEqual(await fsck(), {
          code: 0,
          lines: ["10 objects: 4 manifests, 4 zips; 0 faults, 0 notes, 0 repaired"],
          stderr: "",
        });
      },
    );

    const [manifest, cut, foreign, missing] = [
      { key: `m1/${PATH}/@v/v1.0.0`, file: `${data}/m1/${PATH}/@v/v1.0.0` },
      await zipOf("v1.1.0"),
      await zipOf("v1.2.0"),
      await zipOf("v1.3.0"),
    ];
    await t.step("damage has a line each, and the status says so", async () => {
      await flipByte(manifest.file, -2);
      await Deno.truncate(cut.file, 100);
      const other = await buildModuleZip({
        path: "example.com/a",
        version: "v1.0.0",
        files: FILES,
      });
      await Deno.writeFile(foreign.file, other.bytes);
      await Deno.remove(missing.file);
      const { code, lines, stderr } = await fsck();
      const summary = lines.pop();
      assert.deepEqual(lines.sort().map((line) => line.split(/: ?/, 2)), [
        [`fault    ${manifest.key}`, `Cannot use the manifest of ${PATH}@v1.0.0`],
        [`fault    ${cut.key}`, `Cannot use "${cut.key}"`],
        [`fault    ${foreign.key}`, `Cannot use "${foreign.key}"`],
        [
          `note     ${missing.key}`,
          "the zip is not stored; it is fetched on the first request",
        ],
      ]);
      assert.equal(summary, "9 objects: 4 manifests, 3 zips; 3 faults, 1 note, 0 repaired");
      assert.deepEqual([code, stderr], [1, ""]);
    });

    await t.step("--scrub finds damage by checksums", async () => {
      const { code, lines } = await fsck("--scrub");
      assert.match(lines.pop() ?? "", /^9 objects of \d+ bytes: 3 faults, 0 notes, 0 repaired$/);
      assert.deepEqual(lines.map((line) => line.split(/: ?/, 1)[0]).sort(), [
        `fault    ${manifest.key}`,
        `fault    ${cut.key}`,
        `fault    ${foreign.key}`,
      ]);
      assert.equal(code, 1);
    });

    await t.step("--repair refuses a zip with another hash", async () => {
      const other = await buildModuleZip({
        path: PATH,
        version: "v1.3.0",
        files: { ...FILES, "hello.go": "package evil\n" },
      });
      using _ = upstream.misbehave(/v1\.3\.0\.zip$/, instead(other.bytes));
      const { code, lines } = await fsck("--repair");
      assert.equal(code, 1);
      assert.match(
        lines.find((line) => line.includes(missing.key)) ?? "",
        /^fault .*: its zip has h1:\S+, expected h1:\S+/,
      );
      await assert.rejects(Deno.lstat(missing.file), Deno.errors.NotFound);
      for (const { key } of [cut, foreign]) {
        const line = `repaired ${key}: the zip was missing, and is there again`;
        assert.ok(lines.includes(line), "a damaged one makes way for one with the right hash");
      }
    });

    await t.step(
      "--repair adds a zip, and one that was removed because it was damaged",
      async () => {
        await Deno.remove(cut.file);
        await Deno.remove(foreign.file);
        const { code, lines } = await fsck("--repair");
        // The manifest stays what it is.
        assert.equal(code, 1);
        const summary = lines.pop();
        assert.deepEqual(lines.sort().slice(1), [
          `repaired ${cut.key}: the zip was missing, and is there again`,
          `repaired ${foreign.key}: the zip was missing, and is there again`,
          `repaired ${missing.key}: the zip was missing, and is there again`,
        ]);
        assert.match(summary ?? "", /; 1 fault, 0 notes, 3 repaired$/);
        await flipByte(manifest.file, -2);
        assert.equal((await fsck()).code, 0);
      },
    );
  }));

Deno.test("fsck reports what it cannot do in one line", async () => {
  const { code, stdout, stderr } = await runProgram(["fsck", "--config-file", "missing.yaml"]);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(
    stderr,
    /^error: invalid configuration\ncannot read missing\.yaml: .+\n$/,
  );
});

/** @param at from the end if negative */
async function flipByte(file: string, at: number): Promise<void> {
  const bytes = await Deno.readFile(file);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  await Deno.writeFile(file, bytes);
}
