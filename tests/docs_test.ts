/**
 * The documents: docs/README.md lists them, links lead to files and headings, messages are in the
 * code, commands are those of the program, and typing the README's first commands serves a module.
 *
 * A block of shell commands is checked, unless a comment before it says why that is not possible
 * here:
 *
 * ```text
 * <!-- not run: they need a Google Cloud project -->
 * ```
 */
import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";
import { parse } from "yaml";
import { parseConfig, schema } from "../lib/config/config.ts";
import { withDeadline } from "../lib/async/deadline.ts";
import { exists } from "./support/exists.ts";
import { goAvailable, goCommand, goTest, switchTelemetryOff } from "./support/go_command.ts";
import { denoDir, runProgram } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";
import { runCommand } from "./support/run_command.ts";
import { within } from "./support/eventually.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** Where the program's source is, besides main.ts. */
const FOLDERS = ["cli", "lib", "routes", "server"];
const DOCUMENTS = [
  "README.md",
  "SECURITY.md",
  ...await filesBelow("docs", /\.md$/),
  ...await filesBelow("deploy", /\.md$/),
];

async function filesBelow(folder: string, pattern: RegExp): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    const path = `${folder}/${name}`;
    if (isDirectory) files.push(...await filesBelow(path, pattern));
    else if (pattern.test(name)) files.push(path);
  }
  return files.sort();
}

function read(file: string): Promise<string> {
  return Deno.readTextFile(join(ROOT, file));
}

Deno.test("links in the documents lead to files of the project", async (t) => {
  for (const file of DOCUMENTS) {
    await t.step(file, async () => {
      const text = await read(file);
      const targets = [...text.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm)]
        .map(([, inline, reference]) => inline ?? reference ?? "")
        .filter((target) => !/^(https:|#)/.test(target))
        .map((target) => join(dirname(file), target.replace(/#.*$/, "")));
      for (const target of targets) {
        assert.ok(
          await exists(join(ROOT, target)),
          `${relative(ROOT, join(ROOT, target))} is missing`,
        );
      }
    });
  }
});

Deno.test("docs/README.md lists every document, one line each", async () => {
  const linked = [...(await read("docs/README.md")).matchAll(/^\s*- \[[^\]]+\]\(([^)]+)\): \S/gm)]
    .map(([, target]) => join("docs", target ?? ""));
  const wanted = DOCUMENTS.filter((file) => !/^(docs\/)?README\.md$/.test(file));
  assert.deepEqual(
    linked.filter((file) => file.endsWith(".md")).sort(),
    [
      ...wanted,
      "CHANGELOG.md",
      "CONVENTIONS.md",
    ].sort(),
  );
});

Deno.test("links to headings lead to headings", async (t) => {
  const headings = new Map<string, Set<string>>();
  for (const file of DOCUMENTS) headings.set(file, anchorsOf(await read(file)));
  for (const file of DOCUMENTS) {
    for (const [, target = ""] of (await read(file)).matchAll(/\]\(([^)\s]*#[^)\s]+)\)/g)) {
      if (target.startsWith("https:")) continue;
      const [path = "", anchor = ""] = target.split("#");
      await t.step(`${file}: ${target}`, () => {
        const known = headings.get(path === "" ? file : join(dirname(file), path));
        assert.ok(known?.has(anchor), `there is no heading "${anchor}"`);
      });
    }
  }
});

/** The anchors that GitHub makes from headings. */
function anchorsOf(text: string): Set<string> {
  const prose = text.replaceAll(/^```[^]*?^```$/gm, "");
  return new Set(
    [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
      heading.toLowerCase().replaceAll(/[^a-z0-9 _-]/g, "").replaceAll(" ", "-")
    ),
  );
}

Deno.test("every threat has a defense in the code, and every promise a test", async (t) => {
  const rowsOf = async (file: string, heading: string) =>
    sectionOf(await read(file), heading).split("\n").filter((line) => line.startsWith("| "))
      .slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const threats = await rowsOf("docs/design/threats.md", "Defenses");
  assert.ok(threats.length > 20);
  for (const [number = "", , defense = "", shown = ""] of threats) {
    await t.step(number, () => {
      assert.match(defense, /\]\(\.\.\/\.\.\/[^)]+\.ts\)/);
      assert.match(shown, /^(\[[^\]]+\]\(\.\.\/\.\.\/[^)]+_test\.ts\)(, |$))+$/);
    });
  }
  for (
    const [promise = "", design = "", shown = ""] of await rowsOf("SECURITY.md", "What is promised")
  ) {
    await t.step(promise, () => {
      assert.match(design, /\.md(#[a-z-]+)?\)$/);
      assert.match(shown, /^(\[[^\]]+\]\([^)]+_test\.ts\)(, |$))+$/);
    });
  }
});

Deno.test("every cell of the comparison has its evidence", async () => {
  const section = sectionOf(await read("docs/comparison.md"), "Features");
  const defined = new Set([...section.matchAll(/^\[([^\]]+)\]: https:/gm)].map(([, name]) => name));
  const rows = section.split("\n").filter((line) => line.startsWith("|")).slice(2)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  assert.ok(rows.length > 10);
  for (const [what = "", ours = "", ...others] of rows) {
    assert.equal(others.length, 4, what);
    for (const part of ours.split("), ")) assert.match(part, /^\[[^\]]+\]\([^)]+\)?$/, what);
    for (const cell of others) {
      const names = [...cell.matchAll(/\]\[([^\]]+)\]/g)].map(([, name]) => name);
      assert.ok(names.length > 0 && names.every((name) => defined.has(name)), `${what}: ${cell}`);
    }
  }
});

Deno.test("messages that the documents explain exist in the program", async (t) => {
  const sources = await Promise.all(
    ["main.ts", ...(await Promise.all(FOLDERS.map((f) => filesBelow(f, /\.ts$/)))).flat()]
      .filter((file) => !file.endsWith("_test.ts"))
      // A message may span several lines.
      .map(async (file) => (await read(file)).replaceAll(/["`] \+\s*["`]/g, "")),
  );
  const table = sectionOf(await read("docs/operating.md"), "Error messages");
  const messages = [...table.matchAll(/^\| `([^`]+)` +\|/gm)].map(([, message]) => message ?? "");
  assert.ok(messages.length > 10);
  for (const message of messages) {
    await t.step(message, () => {
      const parts = message.split("…").map((part) => part.trim()).filter((part) => part !== "");
      assert.ok(
        sources.some((source) =>
          source.split("\n").some((line) => parts.every((part) => line.includes(part)))
        ),
      );
    });
  }
});

/** The text below a heading, up to the next one. */
function sectionOf(text: string, heading: string): string {
  const [, section] = text.split(`\n## ${heading}\n`);
  assert.ok(section !== undefined, `there is no "${heading}"`);
  return section.split("\n## ")[0] ?? "";
}

Deno.test("configurations in the documents can be used", async (t) => {
  const keys = Object.keys(schema.shape);
  let count = 0;
  for (const file of DOCUMENTS) {
    for (const [, yaml = ""] of (await read(file)).matchAll(/^```yaml\n([^]*?)^```$/gm)) {
      const value: unknown = parse(yaml);
      // Others have YAML too: CI systems, bots.
      const isOurs = typeof value === "object" && value !== null &&
        Object.keys(value).some((key) => keys.includes(key));
      if (!isOurs) continue;
      count++;
      await t.step(`${file}: ${yaml.split("\n")[0]}`, () => void parseConfig(yaml));
    }
  }
  assert.ok(count > 3);
});

interface Block {
  readonly file: string;
  readonly text: string;
  /** Why it is not run here, or null. */
  readonly notRun: string | null;
}

async function shellBlocks(file: string): Promise<Block[]> {
  const text = await read(file);
  return [...text.matchAll(/(?:<!-- not run: ([^]*?) -->\s*)?^```(?:sh|bash)\n([^]*?)^```$/gm)]
    .map(([, notRun, block]) => ({ file, text: block ?? "", notRun: notRun ?? null }));
}

/** The lines of a block, without comments; one that is continued is one. */
function commandsIn({ text }: Block): string[] {
  return text.replaceAll("\\\n", " ").split("\n")
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "");
}

/** What follows the program's name in a command, or null where it calls something else. */
function programArguments(command: string): string[] | null {
  const called = /^(?:[A-Z_]+=\S+ +)*(?:npx -y deno@\S+ task start|go-mod-proxy)(?: (.*))?$/.exec(
    command,
  );
  if (called === null) return null;
  return (called[1] ?? "").match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', "")) ?? [];
}

/** Commands that have a test of their own: below, or the one named here. */
const TESTED_ELSEWHERE: readonly { readonly command: RegExp; readonly by: string }[] = [
  { command: /^npx -y deno@\S+ task (test|compile|sbom)$/, by: ".ci/run, tests/bundle_test.ts" },
  { command: /^source <\(go-mod-proxy completion (bash|zsh)\)$/, by: "tests/completion_test.ts" },
];

Deno.test("commands in the documents exist, or are marked as not run", async (t) => {
  for (const file of DOCUMENTS) {
    for (const block of await shellBlocks(file)) {
      if (block.notRun !== null) continue;
      for (const command of commandsIn(block)) {
        await t.step(`${file}: ${command}`, async () => {
          if (TESTED_ELSEWHERE.some((row) => row.command.test(command))) return;
          if (command.startsWith("go env -w ")) return await typeGoEnv(command);
          const args = programArguments(command);
          assert.ok(args !== null, "it is not checked, and not marked as not run");
          // With --help a command does nothing, and yet refuses flags and arguments that it does
          // not know.
          const { code, stderr } = await runProgram([...args, "--help"]);
          assert.equal(code, 0, stderr);
        });
      }
    }
  }
});

/**
 * The `go` command refuses settings that it does not know. Where it is missing, nothing is checked.
 */
async function typeGoEnv(command: string): Promise<void> {
  if (!goAvailable()) return;
  const home = await Deno.makeTempDir({ prefix: "go-env-" });
  try {
    await switchTelemetryOff(home);
    const { code, stderr } = await runCommand("sh", {
      args: ["-c", command],
      clearEnv: true,
      env: { PATH: Deno.env.get("PATH") ?? "", HOME: home, GOENV: `${home}/go.env` },
    });
    assert.equal(code, 0, stderr);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

goTest("typing the README's first commands serves a module", async () => {
  const path = "example.com/hello";
  await using upstream = await startUpstream({
    modules: [{ path, version: "v1.0.0", files: { "go.mod": `module ${path}\n` } }],
  });
  const [start, use] = await shellBlocks("README.md");
  assert.ok(start !== undefined && use !== undefined);
  await using server = await typeStart(commandsIn(start)[0] ?? "", upstream.url);
  await using go = await goCommand({
    proxy: "off",
    files: { "go.mod": `module example.com/main\n\ngo 1.21\n\nrequire ${path} v1.0.0\n` },
    // What "go env -w" writes counts where the environment says nothing.
    env: { GOPROXY: "", GOENV: `${server.home}/go.env` },
  });
  for (const command of [...commandsIn(use), "go mod download"]) {
    const typed = command.replace("http://127.0.0.1:8080", server.url);
    const { code, stderr } = await go.run(typed.split(" ").slice(1));
    assert.equal(code, 0, `${typed}: ${stderr}`);
  }
  assert.ok(upstream.requests.some(({ path: asked }) => asked.endsWith("/v1.0.0.zip")));
});

interface Typed extends AsyncDisposable {
  readonly home: string;
  readonly url: string;
}

/**
 * Types a command that starts the server, in a copy of the project without what a user does not
 * have.
 */
async function typeStart(command: string, upstreamUrl: string): Promise<Typed> {
  const home = await Deno.makeTempDir({ prefix: "readme-" });
  for (const name of ["main.ts", "deno.json", "deno.lock", ...FOLDERS]) {
    await Deno.symlink(join(ROOT, name), `${home}/${name}`);
  }
  // In place of npx, which would fetch from a registry the Deno that runs already.
  await Deno.mkdir(`${home}/bin`);
  await Deno.writeTextFile(
    `${home}/bin/npx`,
    `#!/bin/sh\nshift 2\nexec "${Deno.execPath()}" "$@"\n`,
    {
      mode: 0o755,
    },
  );
  const shell = new Deno.Command("sh", {
    args: ["-c", `exec ${command}`],
    cwd: home,
    clearEnv: true,
    env: {
      PATH: `${home}/bin:${Deno.env.get("PATH")}`,
      HOME: home,
      DENO_DIR: await denoDir(),
      NO_COLOR: "1",
      // Another server of this machine may have the usual port.
      PORT: "0",
      GOPROXY: upstreamUrl,
    },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const log = shell.stderr.pipeThrough(new TextDecoderStream());
  const reader = log.getReader();
  let text = "";
  const url = await withDeadline(async () => {
    for (;;) {
      const { value, done } = await reader.read();
      const found = /"url":"(http:[^"]+)"/.exec(text += value ?? "")?.[1];
      if (found !== undefined) return found;
      if (done) throw new Error(`the server did not start: ${text}`);
    }
  }, { timeoutMs: 60_000, what: "start the server" });
  return {
    home,
    url,
    async [Symbol.asyncDispose]() {
      shell.kill("SIGTERM");
      const drain = async () => {
        while (!(await reader.read()).done);
        await shell.status;
      };
      await within("the server to end", drain());
      await Deno.remove(home, { recursive: true });
    },
  };
}
