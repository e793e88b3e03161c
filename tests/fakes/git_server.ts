/**
 * A real git server: smart HTTP by `git http-backend`, which runs as a CGI program (RFC 3875)
 * behind `Deno.serve`.
 *
 * It serves the bare repositories of one folder (`<url>/a/b.git` is `<folder>/a/b.git`), can ask
 * for a password, and can be made to misbehave.
 */
import { TestRepo } from "../worlds/git_repo.ts";
import type { RepoOptions } from "../worlds/git_repo.ts";

/** A request as the server saw it. */
export interface SeenRequest {
  readonly method: string;
  /** `a/b.git`. */
  readonly repo: string;
  /** `info/refs`, `git-upload-pack`. */
  readonly file: string;
  /** The whole path and query. */
  readonly target: string;
  readonly authorization: string | null;
}

/**
 * Decides what happens instead of an answer; null: git answers. "stall": nothing, until the server
 * is disposed of.
 */
export type Misbehave = (request: SeenRequest) =>
  | Response
  | "stall"
  | null
  | Promise<Response | "stall" | null>;

/** Whether this user may read this repository (`a/b.git`). */
export type Authorize = (repo: string, user: string, password: string) => boolean;

export interface GitServerOptions {
  readonly authorize?: Authorize;
  readonly misbehave?: Misbehave;
  /** Whether `--filter` is honoured. Default: yes. */
  readonly allowFilter?: boolean;
  /**
   * Whether version 2 of git's protocol is spoken. Without it only tips are given by their hash.
   * Default: yes.
   */
  readonly protocolV2?: boolean;
}

export class GitServer implements AsyncDisposable {
  /** Without a trailing slash. */
  readonly url: string;
  /** The folder with the repositories. */
  readonly folder: string;
  /** What was asked so far. */
  readonly requests: SeenRequest[] = [];
  authorize: Authorize | null;
  misbehave: Misbehave;
  allowFilter: boolean;
  protocolV2: boolean;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #closing = new AbortController();
  readonly #children = new Set<Deno.ChildProcess>();

  private constructor(folder: string, options: GitServerOptions) {
    this.folder = folder;
    this.authorize = options.authorize ?? null;
    this.misbehave = options.misbehave ?? (() => null);
    this.allowFilter = options.allowFilter ?? true;
    this.protocolV2 = options.protocolV2 ?? true;
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      signal: this.#closing.signal,
      onListen: () => {},
    }, (request) => this.#handle(request));
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** A server with an empty folder of its own, on a free port. */
  static async start(options: GitServerOptions = {}): Promise<GitServer> {
    return new GitServer(await Deno.makeTempDir({ prefix: "git-server-" }), options);
  }

  /** A new repository. @param name `a/b.git` */
  async createRepo(name: string, options: RepoOptions = {}): Promise<TestRepo> {
    return await TestRepo.create(`${this.folder}/${name}`, options);
  }

  urlOf(name: string): string {
    return `${this.url}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const child of this.#children) killGroup(child);
    await Promise.all([...this.#children].map((child) => child.status));
    await this.#server.finished;
    await Deno.remove(this.folder, { recursive: true });
  }

  async #handle(request: Request): Promise<Response> {
    const seen = describe(request);
    this.requests.push(seen);
    const instead = await this.misbehave(seen);
    if (instead === "stall") return await this.#untilClosed();
    if (instead !== null) return instead;
    if (this.authorize !== null && !isAuthorized(seen, this.authorize)) {
      const challenge = { "WWW-Authenticate": 'Basic realm="git"' };
      return new Response("who are you?\n", { status: 401, headers: challenge });
    }
    return await this.#runCgi(request);
  }

  #untilClosed(): Promise<Response> {
    return new Promise((resolve) => {
      const onClose = () => resolve(new Response(null, { status: 503 }));
      this.#closing.signal.addEventListener("abort", onClose, { once: true });
    });
  }

  async #runCgi(request: Request): Promise<Response> {
    const child = new Deno.Command("git", {
      args: ["http-backend"],
      clearEnv: true,
      env: this.#cgiEnvironment(request),
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#children.add(child);
    void child.status.then(() => this.#children.delete(child));
    // A client that goes away breaks these pipes; http-backend then ends by itself.
    void (request.body ?? new Blob([]).stream()).pipeTo(child.stdin).catch(() => {});
    return await cgiResponse(child.stdout);
  }

  #cgiEnvironment(request: Request): Record<string, string> {
    const url = new URL(request.url);
    const config = [
      ["uploadpack.allowFilter", String(this.allowFilter)],
      ["safe.directory", "*"],
    ];
    return {
      PATH: Deno.env.get("PATH") ?? "",
      HOME: "/nonexistent",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_COUNT: String(config.length),
      ...Object.fromEntries(config.flatMap(([key, value], i) => [
        [`GIT_CONFIG_KEY_${i}`, key],
        [`GIT_CONFIG_VALUE_${i}`, value],
      ])),
      GIT_PROJECT_ROOT: this.folder,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_PROTOCOL: this.protocolV2 ? request.headers.get("Git-Protocol") ?? "" : "",
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers.get("Content-Type") ?? "",
      HTTP_CONTENT_ENCODING: request.headers.get("Content-Encoding") ?? "",
    };
  }
}

function describe(request: Request): SeenRequest {
  const { pathname, search } = new URL(request.url);
  const file = /\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(pathname)?.[1] ?? "";
  const repo = file === "" ? pathname.slice(1) : pathname.slice(1, -file.length - 1);
  return {
    method: request.method,
    repo,
    file,
    target: pathname + search,
    authorization: request.headers.get("Authorization"),
  };
}

function isAuthorized({ repo, authorization }: SeenRequest, authorize: Authorize): boolean {
  if (authorization === null || !authorization.startsWith("Basic ")) return false;
  const pair = atob(authorization.slice("Basic ".length));
  const colon = pair.indexOf(":");
  return colon > 0 && authorize(repo, pair.slice(0, colon), pair.slice(colon + 1));
}

/** Splits a CGI program's output into header and body. */
async function cgiResponse(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Response> {
  const reader = stdout.getReader();
  let start = new Uint8Array(0);
  let end = -1;
  while (end < 0) {
    const { done, value } = await reader.read();
    if (done) return new Response("http-backend gave no answer\n", { status: 500 });
    start = new Uint8Array([...start, ...value]);
    end = new TextDecoder("latin1").decode(start).indexOf("\r\n\r\n");
  }
  const lines = new TextDecoder().decode(start.subarray(0, end)).split("\r\n");
  const headers = new Headers(lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }));
  const status = Number(headers.get("Status")?.slice(0, 3) ?? 200);
  headers.delete("Status");
  const rest = start.subarray(end + 4);
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      if (rest.length > 0) controller.enqueue(rest);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel(reason) {
      await reader.cancel(reason);
    },
  });
  return new Response(body, { status, headers });
}

function killGroup(child: Deno.ChildProcess): void {
  try {
    Deno.kill(-child.pid, "SIGKILL");
  } catch {
    // It has already ended.
  }
}
