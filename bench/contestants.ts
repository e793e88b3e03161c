/**
 * The servers that are measured, each a process of its own with an empty cache, in the
 * configuration that its own documentation recommends for a cache on disk: this one, goproxy
 * (github.com/goproxy/goproxy), Athens (github.com/gomods/athens), goproxy.io
 * (github.com/goproxyio/goproxy), and nginx as a server of static files.
 *
 * tools/install_peers builds the Go programs; nginx is Debian's package `nginx-light`. One that is
 * missing does not take part. All get the same upstream and verify by its checksum database, except
 * for goproxy.io, which cannot; what they log goes to /dev/null, as much as they log by default.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { denoDir, startTask } from "../tests/worlds/server.ts";
import type { Upstream } from "./upstream.ts";

export type Name = "ours" | "goproxy" | "athens" | "goproxy.io" | "nginx";
/** The servers that do the same work. */
export const PEERS: readonly Name[] = ["goproxy", "athens", "goproxy.io"];

const START_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 5;
const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

/** How a program is started. */
interface Plan {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

interface Place {
  readonly upstream: Upstream;
  /** An empty folder of its own. */
  readonly folder: string;
  readonly port: number;
  readonly denoFlags: readonly string[];
  /** What nginx serves. */
  readonly files: string;
  /** Of private modules, by module path. */
  readonly repositoryUrls: ReadonlyMap<string, string>;
  readonly clientAuth: object;
  readonly policy: object;
  /** When ours fetches zips. */
  readonly zips: "lazy" | "eager";
  readonly listen: object;
  /** Where ours keeps modules, as its configuration says it. */
  readonly storage: object;
  readonly env: Readonly<Record<string, string>>;
}

const PLANS: Readonly<Record<Name, (place: Place) => Promise<Plan> | Plan>> = {
  "ours": async (place) => {
    const { upstream, folder, port, denoFlags, repositoryUrls, clientAuth, policy, zips } = place;
    const { storage, listen, env } = place;
    const privateModules = [...repositoryUrls].map(([pathPrefix, repository]) => (
      { pathPrefix, auth: { none: true }, repository }
    ));
    const config = {
      privateModules,
      clientAuth,
      policy,
      listen,
      storage,
      parentProxy: { url: upstream.url },
      publicModules: {
        zips,
        sumDatabase: {
          name: upstream.sumdbName,
          publicKey: upstream.verifierKey.slice(upstream.sumdbName.length + 1),
          url: upstream.sumdbUrl,
        },
      },
    };
    const file = join(folder, "config.yaml");
    // JSON is YAML too.
    await Deno.writeTextFile(file, JSON.stringify(config));
    const start = await startTask();
    const args = ["run", ...denoFlags, ...start.flags, MAIN]
      .concat(["--port", String(port), "--config-file", file]);
    const variables = { ...start.env, ...env, DENO_DIR: await denoDir() };
    return { program: Deno.execPath(), args, env: variables };
  },
  "goproxy": ({ upstream, folder, port, repositoryUrls }) => ({
    program: toolPath("goproxy"),
    args: ["server", "--address", `127.0.0.1:${port}`, "--cacher-dir", join(folder, "caches")],
    env: { ...goEnv(upstream), ...privateEnv(repositoryUrls) },
  }),
  "athens": async ({ upstream, folder, port, repositoryUrls }) => {
    const storage = join(folder, "storage");
    await Deno.mkdir(storage);
    const env = {
      GO_ENV: "production",
      // It takes a port and no address.
      ATHENS_PORT: `:${port}`,
      ATHENS_STORAGE_TYPE: "disk",
      ATHENS_DISK_STORAGE_ROOT: storage,
      ATHENS_GOGET_DIR: folder,
      ATHENS_GO_BINARY_ENV_VARS: Object.entries({
        ...goEnv(upstream),
        ...privateEnv(repositoryUrls),
      })
        .map(([name, value]) => `${name}=${value}`).join(";"),
    };
    return { program: toolPath("athens"), args: [], env };
  },
  "goproxy.io": ({ upstream, folder, port, repositoryUrls }) => ({
    program: toolPath("goproxyio"),
    args: ["-listen", `127.0.0.1:${port}`, "-cacheDir", folder]
      // Without a proxy, it calls the `go` command.
      .concat(repositoryUrls.size > 0 ? [] : ["-proxy", upstream.url]),
    env: privateEnv(repositoryUrls),
  }),
  "nginx": async ({ folder, port, files }) => {
    const config = join(folder, "nginx.conf");
    await Deno.writeTextFile(config, nginxConfig({ folder, port, files }));
    return { program: "nginx", args: ["-p", folder, "-c", config], env: {} };
  },
};

/** Which of these are installed. */
export function installed(names: readonly Name[]): Name[] {
  return names.filter((name) => versionOf(name) !== null);
}

/** Null where it is not installed. */
export function versionOf(name: Name): string | null {
  try {
    if (name === "ours") return "this checkout";
    if (name === "nginx") {
      const { stderr } = new Deno.Command("nginx", { args: ["-v"] }).outputSync();
      return new TextDecoder().decode(stderr).trim().replace(/^.*\//, "");
    }
    return Deno.readTextFileSync(`${toolPath(name === "goproxy.io" ? "goproxyio" : name)}.version`)
      .trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

export interface StartOptions {
  readonly upstream: Upstream;
  /** What nginx serves. Default: nothing. */
  readonly files?: string;
  /**
   * Of private modules, by module path. All others are then out of reach of goproxy, Athens and
   * goproxy.io, which have the `go` command fetch these. Default: none.
   */
  readonly repositoryUrls?: ReadonlyMap<string, string>;
  /** The section of our configuration. Default: nobody is asked who they are. */
  readonly clientAuth?: object;
  /** The section of our configuration. Default: nothing is denied. */
  readonly policy?: object;
  /** When ours fetches zips. Default: as it does by default. */
  readonly zips?: "lazy" | "eager";
  /** The section of our configuration. Default: empty. */
  readonly listen?: object;
  /** The section of our configuration. Default: a folder of its own. */
  readonly storage?: object;
  /** More variables for ours. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
  /** More flags for `deno run` of ours. Default: none. */
  readonly denoFlags?: readonly string[];
  /**
   * What to ask for to see that it is there. Default: nothing, it is there when it takes
   * connections; ours, which takes one to see that the port is free, when it answers.
   */
  readonly untilAnswers?: string;
}

export class Contestant implements AsyncDisposable {
  readonly name: Name;
  readonly url: string;
  /** From its start to its first answer. */
  readonly startMs: number;
  readonly #process: Deno.ChildProcess;
  readonly #folder: string;

  private constructor(
    name: Name,
    started: { url: string; startMs: number; process: Deno.ChildProcess; folder: string },
  ) {
    this.name = name;
    this.url = started.url;
    this.startMs = started.startMs;
    this.#process = started.process;
    this.#folder = started.folder;
  }

  static async start(name: Name, options: StartOptions) {
    const {
      upstream,
      files = "",
      repositoryUrls = new Map(),
      clientAuth = {},
      policy = {},
      denoFlags = [],
    } = options;
    const { untilAnswers = name === "ours" ? "healthz" : undefined, zips = "lazy" } = options;
    const folder = await Deno.makeTempDir({ prefix: `bench-${name}-` });
    const home = join(folder, "home");
    await Deno.mkdir(home);
    const port = freePort();
    const { program, args, env } = await PLANS[name]({
      upstream,
      folder,
      port,
      files,
      repositoryUrls,
      clientAuth,
      policy,
      denoFlags,
      zips,
      listen: options.listen ?? {},
      storage: options.storage ?? { disk: { path: join(folder, "data") } },
      env: options.env ?? {},
    });
    const startedMs = performance.now();
    const process = new Deno.Command(program, {
      args: [...args],
      cwd: folder,
      clearEnv: true,
      env: { PATH: Deno.env.get("PATH") ?? "", HOME: home, TMPDIR: home, ...env },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const url = `http://127.0.0.1:${port}`;
    const contestant = (startMs: number) => new Contestant(name, { url, startMs, process, folder });
    try {
      const there = untilThere(port, untilAnswers === undefined ? null : `${url}/${untilAnswers}`);
      const ended = process.status.then(({ code }) => {
        throw new Error(`it ended at once, with status ${code}`);
      });
      // It will end, some time.
      ended.catch(() => {});
      await Promise.race([there, ended]);
      return contestant(performance.now() - startedMs);
    } catch (cause) {
      await contestant(NaN)[Symbol.asyncDispose]();
      throw new Error(`Cannot start ${name}`, { cause });
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /**
   * Asks for each of these once, so that they are in the cache. @throws {Error} when an answer is
   * no success
   */
  async warm(paths: readonly string[], headers: Record<string, string> = {}): Promise<void> {
    for (const path of paths) await get(`${this.url}/${path}`, headers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // nginx and our own end their workers when they are told to; nothing else would.
      this.#process.kill("SIGTERM");
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), 5000);
    await this.#process.status;
    clearTimeout(timer);
    await removeReadOnly(this.#folder);
  }
}

/**
 * Reads the answer to its end. @returns its size in bytes. @throws {Error} when it is no success
 */
export async function get(url: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(url, { headers });
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) sizeBytes += chunk.length;
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return sizeBytes;
}

function toolPath(name: string): string {
  return join(Deno.env.get("HOME") ?? "", ".cache/go-mod-proxy-tools/bin", name);
}

/** What tells the `go` command, and goproxy, where modules come from. */
function goEnv(upstream: Upstream): Record<string, string> {
  return {
    GOPROXY: upstream.url,
    GOSUMDB: upstream.sumdb,
    GOFLAGS: "-modcacherw",
    GOTOOLCHAIN: "local",
  };
}

/** Has the `go` command fetch everything by git, and git look elsewhere for it. */
export function privateEnv(repositoryUrls: ReadonlyMap<string, string>): Record<string, string> {
  if (repositoryUrls.size === 0) return {};
  const rewrites = [...repositoryUrls].flatMap(([path, url], i) => [
    [`GIT_CONFIG_KEY_${i}`, `url.${url}.insteadOf`],
    [`GIT_CONFIG_VALUE_${i}`, `https://${path}`],
  ]);
  return {
    GOPROXY: "direct",
    GOSUMDB: "off",
    GIT_CONFIG_COUNT: String(repositoryUrls.size),
    // Nothing but what is rewritten.
    GIT_ALLOW_PROTOCOL: "http",
    ...Object.fromEntries(rewrites),
  };
}

function nginxConfig({ folder, port, files }: { folder: string; port: number; files: string }) {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ");
  return `worker_processes auto; daemon off; pid ${folder}/pid; error_log ${folder}/error.log; user root;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; ${temporary}
  server { listen 127.0.0.1:${port}; root ${files}; }
}
`;
}

export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** @throws {Error} after {@linkcode START_TIMEOUT_MS} */
async function untilThere(port: number, url: string | null): Promise<void> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (true) {
    try {
      if (url === null) (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      else await get(url);
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    }
  }
}

/** The `go` command's cache may be read-only in spite of all. */
async function removeReadOnly(folder: string): Promise<void> {
  await new Deno.Command("chmod", { args: ["-R", "u+w", folder], stderr: "null" }).output();
  await Deno.remove(folder, { recursive: true });
}
