/**
 * The contestants of `deno task bench git`, and the git server that both fetch from.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type GoCommand, goCommand } from "../tests/support/go_command.ts";
import { type Server, startServer } from "../tests/worlds/server.ts";
import { cpuTime } from "./process_cpu.ts";
import { within } from "../tests/support/eventually.ts";

/** Where modules are: the `go` command knows this host's repositories without asking anybody. */
const HOST = "https://github.com/";
const OWNER = "github.com/acme";

/** What a contestant needed, all from the start. */
export interface Download {
  /** To the last `.info`, and so on, where several versions were asked for at once. */
  readonly infoMs: number;
  readonly modMs: number;
  readonly zipMs: number;
  /** Of all processes, to the end. Null where the system does not say. */
  readonly cpuMs: number | null;
}

export interface Contestant {
  readonly name: "ours" | "go mod download";
  /** Downloads versions of the module `github.com/acme/<name>`, all at once. */
  download(name: string, versions: readonly string[]): Promise<Download>;
}

/** The product as users start it, asked over HTTP. */
export class Ours implements Contestant, AsyncDisposable {
  readonly name = "ours";
  readonly #server: Server;
  readonly #configFolder: string;

  private constructor(server: Server, configFolder: string) {
    this.#server = server;
    this.#configFolder = configFolder;
  }

  static async start(git: GitServerProcess, names: readonly string[]): Promise<Ours> {
    const folder = await Deno.makeTempDir({ prefix: "bench-" });
    const file = join(folder, "config.yaml");
    const privateModules = names.map((name) => ({
      pathPrefix: `${OWNER}/${name}`,
      auth: { none: true },
      repository: `${git.url}/acme/${name}`,
    }));
    // JSON is YAML too.
    await Deno.writeTextFile(file, JSON.stringify({ privateModules }));
    const args = ["--config-file", file];
    return new Ours(await startServer({ args, env: { GOPROXY: "off" } }), folder);
  }

  async download(name: string, versions: readonly string[]): Promise<Download> {
    const before = await cpuTime(this.#server.pid);
    const startMs = performance.now();
    const times = await Promise.all(versions.map(async (version) => {
      const times = [];
      for (const extension of ["info", "mod", "zip"]) {
        await this.#get(`${OWNER}/${name}/@v/${version}.${extension}`);
        times.push(Math.round(performance.now() - startMs));
      }
      return times;
    }));
    const after = await cpuTime(this.#server.pid);
    const cpuMs = before === null || after === null
      ? null
      : after.ownMs + after.childrenMs - before.ownMs - before.childrenMs;
    return { ...lastOf(times), cpuMs };
  }

  async #get(path: string): Promise<void> {
    const response = await fetch(`${this.#server.url}/${path}`);
    let sizeBytes = 0;
    for await (const chunk of response.body ?? []) sizeBytes += chunk.length;
    assert.equal(response.status, 200, path);
    assert.ok(sizeBytes > 0, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await Deno.remove(this.#configFolder, { recursive: true });
  }
}

/** `go mod download`, with a module cache of its own. */
export class Theirs implements Contestant, AsyncDisposable {
  readonly name = "go mod download";
  readonly #go: GoCommand;

  private constructor(go: GoCommand) {
    this.#go = go;
  }

  static async start(git: GitServerProcess): Promise<Theirs> {
    const env = {
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: `url.${git.url}/.insteadOf`,
      GIT_CONFIG_VALUE_0: HOST,
      // Nothing but what is rewritten.
      GIT_ALLOW_PROTOCOL: "http",
    };
    return new Theirs(await goCommand({ proxy: "direct", env }));
  }

  async download(name: string, versions: readonly string[]): Promise<Download> {
    const path = `${OWNER}/${name}`;
    const before = await cpuTime();
    const startMs = Date.now();
    const { code, stderr } = await this.#go.run(
      ["mod", "download", ...versions.map((version) => `${path}@${version}`)],
    );
    assert.equal(code, 0, stderr);
    const after = await cpuTime();
    const folder = join(this.#go.moduleCache, "cache", "download", path, "@v");
    const times = await Promise.all(
      versions.map((version) =>
        Promise.all(["info", "mod", "zip"].map(async (extension) => {
          const { mtime } = await Deno.stat(join(folder, `${version}.${extension}`));
          assert.ok(mtime !== null);
          return mtime.getTime() - startMs;
        }))
      ),
    );
    // No other child of this process ends meanwhile.
    const cpuMs = before === null || after === null ? null : after.childrenMs - before.childrenMs;
    return { ...lastOf(times), cpuMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#go[Symbol.asyncDispose]();
  }
}

function lastOf(times: readonly (readonly number[])[]): Omit<Download, "cpuMs"> {
  const last = (index: number) => Math.max(...times.map((row) => row[index] ?? NaN));
  return { infoMs: last(0), modMs: last(1), zipMs: last(2) };
}

/** tests/fakes/git_server.ts in a process of its own, so that its CPU time is nobody's. */
export class GitServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly #folder: string;
  readonly #process: Deno.ChildProcess;

  private constructor(
    process: Deno.ChildProcess,
    { url, folder }: { url: string; folder: string },
  ) {
    this.#process = process;
    this.url = url;
    this.#folder = folder;
  }

  /** @param delayMs by how much every answer starts later */
  static async start(delayMs = 0): Promise<GitServerProcess> {
    const main = join(import.meta.dirname ?? "", "git_server_main.ts");
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--allow-all", main, String(delayMs)],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await within("the git server to start", output.read());
    return new GitServerProcess(process, JSON.parse(value ?? ""));
  }

  /** Serves the bare repository at a path as `<url>/acme/<name>`. */
  async add(name: string, path: string): Promise<void> {
    await Deno.mkdir(join(this.#folder, "acme"), { recursive: true });
    await Deno.symlink(path, join(this.#folder, "acme", name));
  }

  /** How many requests there were so far. */
  async requests(): Promise<number> {
    return Number(await (await fetch(`${this.url}/requests`)).text());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close();
    await this.#process.status;
  }
}
