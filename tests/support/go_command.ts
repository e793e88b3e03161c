/**
 * The real `go` command, in an environment of its own: empty caches, no configuration, nothing of
 * the machine but PATH.
 *
 * It decides what is right, and not every machine has it. Tests that need it are registered by
 * {@linkcode goTest}, which says SKIP where it is missing, and fails there with `CI=true`.
 */

import { join } from "node:path";

/** How long one command may take: builds compile the runtime from scratch. */
const DEADLINE_MS = 120_000;

export interface GoOptions {
  /** GOPROXY. */
  readonly proxy: string;
  /** GOSUMDB: a verifier key, perhaps followed by a space and a URL. Default: `off`. */
  readonly sumdb?: string;
  /** The files of the module in whose folder commands run. Default: an empty folder. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Where commands run in place of a folder of their own. */
  readonly cwd?: string;
  /** Other variables; they win over the ones set here. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface GoResult {
  /** The exit code: 0 is success. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Whether there is a `go` command in PATH. */
export function goAvailable(): boolean {
  try {
    return new Deno.Command("go", { args: ["version"], env: { GOTOOLCHAIN: "local" } })
      .outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Registers a test that needs the `go` command. */
export function goTest(name: string, test: (t: Deno.TestContext) => void | Promise<void>): void {
  if (goAvailable()) {
    Deno.test(name, test);
    return;
  }
  const reason = "no go command in PATH; install Go 1.21 or newer, see go.dev/doc/install";
  if (Deno.env.get("CI") === "true") {
    Deno.test(name, () => {
      throw new Error(`Cannot run this test: ${reason}`);
    });
  } else {
    Deno.test.ignore(`${name} (SKIP: ${reason})`, () => {});
  }
}

/** A `go` command with caches of its own, which live until it is disposed of. */
export async function goCommand(options: GoOptions): Promise<GoCommand> {
  const home = await Deno.makeTempDir({ prefix: "go-client-" });
  const go = new GoCommand(home, options);
  for (const [name, content] of Object.entries(options.files ?? {})) {
    await go.writeFile(name, content);
  }
  await Deno.mkdir(go.dir, { recursive: true });
  await switchTelemetryOff(home);
  return go;
}

/**
 * Else the command counts its own use, in a process that may outlive it and write into the home
 * that a test removes.
 */
export async function switchTelemetryOff(home: string): Promise<void> {
  const telemetry = join(home, ".config", "go", "telemetry");
  await Deno.mkdir(telemetry, { recursive: true });
  await Deno.writeTextFile(join(telemetry, "mode"), "off\n");
}

export class GoCommand implements AsyncDisposable {
  /** Where commands run. */
  readonly dir: string;
  /** GOMODCACHE. */
  readonly moduleCache: string;
  readonly #home: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(home: string, { proxy, sumdb = "off", cwd, env }: GoOptions) {
    this.dir = cwd ?? join(home, "main");
    this.moduleCache = join(home, "gopath", "pkg", "mod");
    this.#home = home;
    this.#env = {
      PATH: Deno.env.get("PATH") ?? "",
      HOME: home,
      GOPATH: join(home, "gopath"),
      GOMODCACHE: this.moduleCache,
      GOCACHE: join(home, "gocache"),
      GOTMPDIR: home,
      GOENV: "off",
      // Without this the module cache is read-only and cannot be removed.
      GOFLAGS: "-modcacherw",
      GOTOOLCHAIN: "local",
      GOPROXY: proxy,
      GOSUMDB: sumdb,
      CGO_ENABLED: "0",
      ...env,
    };
  }

  /** Runs `go <args>`. A failure of the command is a result, not an exception. */
  async run(
    args: readonly string[],
    { env = {}, deadlineMs = DEADLINE_MS }: {
      env?: Readonly<Record<string, string>>;
      deadlineMs?: number;
    } = {},
  ): Promise<GoResult> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), deadlineMs);
    try {
      const output = await new Deno.Command("go", {
        args: [...args],
        cwd: this.dir,
        clearEnv: true,
        env: { ...this.#env, ...env },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        signal: deadline.signal,
      }).output();
      const stdout = new TextDecoder().decode(output.stdout);
      const stderr = new TextDecoder().decode(output.stderr);
      if (deadline.signal.aborted) {
        throw new Error(`Cannot end "go ${args.join(" ")}" in ${deadlineMs} ms: ${stderr}`);
      }
      return { code: output.code, stdout, stderr };
    } finally {
      clearTimeout(timer);
    }
  }

  /** The text of a file of the module. */
  async readFile(name: string): Promise<string> {
    return await Deno.readTextFile(join(this.dir, name));
  }

  /** Writes a file of the module, with the folders it needs. */
  async writeFile(name: string, content: string | Uint8Array): Promise<void> {
    const file = join(this.dir, name);
    await Deno.mkdir(join(file, ".."), { recursive: true });
    await Deno.writeFile(
      file,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#home, { recursive: true });
  }
}
