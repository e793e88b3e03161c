/**
 * A real module graph: more than 200 modules of all ages and shapes, among them zips of up to 30
 * MB. They come once through the machine's own GOPROXY and GOSUMDB, some 300 MB, and are kept in
 * the system's temporary directory; benchmarks themselves ask nobody outside.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type GoCommand, goCommand } from "../tests/support/go_command.ts";
import { exists } from "../tests/support/exists.ts";
import { benchFolder } from "./bench_folder.ts";

/** The one that tests/upstream knows. */
const PROGRAM = "github.com/prometheus/prometheus@v0.305.0";
const FILL_TIMEOUT_MS = 900_000;
const DOWNLOAD_TIMEOUT_MS = 600_000;

export interface RealGraph {
  /** `cache/download` of the `go` command: what a static server serves as a module proxy. */
  readonly folder: string;
  /** A main module's, that requires all of it. */
  readonly goMod: string;
  /** With the hashes of all zips and all go.mod files. */
  readonly goSum: string;
}

/** @throws {Error} when it is not there yet and GOPROXY cannot be reached */
export async function realGraph(): Promise<RealGraph> {
  const home = join(benchFolder(), "graph-1");
  if (!await exists(home)) {
    const unfinished = `${home}.${crypto.randomUUID()}`;
    await fill(unfinished);
    await Deno.rename(unfinished, home);
  }
  return {
    folder: join(home, "mod", "cache", "download"),
    goMod: await Deno.readTextFile(join(home, "main", "go.mod")),
    goSum: await Deno.readTextFile(join(home, "main", "go.sum")),
  };
}

/** A client with empty caches whose main module requires the graph. */
export async function graphClient(graph: RealGraph, proxy: string): Promise<GoCommand> {
  return await goCommand({ proxy, files: { "go.mod": graph.goMod, "go.sum": graph.goSum } });
}

/** @throws {Error} when the command fails */
export async function run(go: GoCommand, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await go.run(args, { deadlineMs: DOWNLOAD_TIMEOUT_MS });
  assert.equal(code, 0, `go ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/**
 * By plain `go`, because the network may need more of the environment than
 * tests/support/go_command.ts lets through.
 */
async function fill(home: string): Promise<void> {
  const cwd = join(home, "main");
  await Deno.mkdir(cwd, { recursive: true });
  await Deno.writeTextFile(join(cwd, "go.mod"), "module example.com/main\n\ngo 1.24\n");
  const env = {
    GOMODCACHE: join(home, "mod"),
    GOFLAGS: "-modcacherw",
    GOWORK: "off",
    GOTOOLCHAIN: "local",
  };
  for (const args of [["get", PROGRAM], ["mod", "download", "all"]]) {
    const signal = AbortSignal.timeout(FILL_TIMEOUT_MS);
    const { success, stderr } = await new Deno.Command("go", { args, cwd, env, signal }).output();
    if (!success) {
      const text = new TextDecoder().decode(stderr);
      throw new Error(`Cannot fill ${home}: go ${args.join(" ")}: ${text}`);
    }
  }
  // The unpacked modules and the tiles of the real checksum database are of no use here.
  for await (const { name } of Deno.readDir(join(home, "mod"))) {
    if (name !== "cache") await Deno.remove(join(home, "mod", name), { recursive: true });
  }
}
