/**
 * The servers of the soak's attackers: an upstream, and a site with go-import pages and git
 * repositories, which the product reaches through a forward proxy. All three are one server. What
 * it answers is up to the path, `<host>/<kind>/<number>`: each kind is one attack, and the number
 * makes as many modules of it as there are requests.
 */
import type { TestRepo } from "../worlds/git_repo.ts";
import { GitServer } from "../fakes/git_server.ts";

/** Where the module proxy is said to have its modules. */
export const UPSTREAM_HOST = "up.example.com";
/** The site with pages and repositories. */
export const GIT_HOST = "git.example.com";

export const UPSTREAM_KINDS = [
  "endless-list",
  "endless-info",
  "endless-mod",
  "endless-zip",
  "slow-list",
  "slow-zip",
  "busy",
  "many-versions",
  "many-retractions",
] as const;

export const GIT_KINDS = [
  "endless-capabilities",
  "endless-refs",
  "endless-refs-v0",
  "endless-pack",
  "slow-capabilities",
  "slow-refs-v0",
  "slow-pack",
  "internal-page",
  "endless-page",
] as const;

/** Repositories that git itself serves. */
export const REPOSITORY_KINDS = ["bomb", "zeros", "tags"] as const;

/** No answer is longer, so that everything ends. */
const ENDLESS_BYTES = 2 ** 30;
const CHUNK_BYTES = 64 * 1024;
const DRIP_INTERVAL_MS = 200;
const HASH = "1234567890123456789012345678901234567890";
const MANY_VERSIONS = 20_000;
const RETRACTIONS = 10_000;
const TAGS = 3_000;
const ZEROS_BYTES = 300 * 2 ** 20;
const encoder = new TextEncoder();

type Answer = (path: string, request: Request) => Response | Promise<Response>;

export interface HostileServers extends AsyncDisposable {
  readonly url: string;
  /** The paths that the upstream was asked for. */
  readonly asked: Set<string>;
}

/** @param internalUrl a repository that pages name though nobody outside may reach it */
export async function startHostileServers(internalUrl: string): Promise<HostileServers> {
  await using stack = new AsyncDisposableStack();
  const git = stack.use(await GitServer.start());
  await createRepositories(git);
  const asked = new Set<string>();
  const closing = new AbortController();
  const retractions = goModWithRetractions();
  const versions = listOf(MANY_VERSIONS);
  const upstream: Readonly<Record<(typeof UPSTREAM_KINDS)[number], Answer>> = {
    "endless-list": (path) => path.endsWith("/list") ? endless("v1.0.0\n") : notFound(),
    "endless-info": (path) => path.endsWith(".info") ? endless(" ") : notFound(),
    "endless-mod": (path) => path.endsWith(".mod") ? endless("retract v1.0.0\n") : file(path),
    "endless-zip": (path) => path.endsWith(".zip") ? endless("PK\x03\x04") : file(path),
    "slow-list": (path) => path.endsWith("/list") ? slow("v1.0.0\n") : notFound(),
    "slow-zip": (path) => path.endsWith(".zip") ? slow("PK\x03\x04") : file(path),
    busy: () => new Response("busy\n", { status: 429, headers: { "Retry-After": "1" } }),
    "many-versions": (path) => path.endsWith("/list") ? new Response(versions) : file(path),
    "many-retractions": (path) =>
      path.endsWith("/list")
        ? new Response(versions)
        : path.endsWith(".mod")
        ? new Response(`module ${moduleOf(path)}\n${retractions}`)
        : file(path),
  };
  const repositories: Readonly<Record<(typeof GIT_KINDS)[number], Answer>> = {
    "endless-capabilities": (path) => gitAnswer(path, endless(packet("x=y\n"), ADVERTISEMENT)),
    "endless-refs": (path) =>
      gitAnswer(
        path,
        path.endsWith("/info/refs")
          ? new Response(ADVERTISEMENT + CAPABILITIES)
          : endless(packet(`${HASH} refs/tags/v1.0.0\n`)),
      ),
    "endless-refs-v0": (path) =>
      gitAnswer(path, endless(packet(`${HASH} refs/tags/v1.0.0\n`), REFS_V0)),
    "endless-pack": async (path, request) =>
      gitAnswer(path, await packAnswer(path, request, endless)),
    "slow-capabilities": (path) => gitAnswer(path, slow(packet("x=y\n"), ADVERTISEMENT)),
    "slow-refs-v0": (path) => gitAnswer(path, slow(packet(`${HASH} refs/tags/v1.0.0\n`), REFS_V0)),
    "slow-pack": async (path, request) => gitAnswer(path, await packAnswer(path, request, slow)),
    "internal-page": notFound,
    "endless-page": notFound,
  };
  const answer: Answer = async (path, request) => {
    const { hostname, search, searchParams } = new URL(request.url);
    const kind = path.split("/")[2] ?? "";
    if (hostname === "127.0.0.1") {
      asked.add(path);
      const isOurs = path.startsWith(`/${UPSTREAM_HOST}/`);
      return isOurs && has(upstream, kind) ? await upstream[kind](path, request) : notFound();
    }
    if (hostname !== GIT_HOST) return notFound();
    const name = path.split("/").slice(0, 3).join("/");
    const [, first = ""] = path.split("/");
    if (searchParams.has("go-get")) {
      if (first === "endless-page") return endless("<a ");
      const url = first === "internal-page" ? internalUrl : `http://${GIT_HOST}${name}.git`;
      return new Response(`<meta name="go-import" content="${GIT_HOST}${name} git ${url}">`);
    }
    if (has(repositories, first)) return await repositories[first](path, request);
    const rest = path.replace(/^\/(\w+)\/\d+\.git/, "/$1.git");
    return await fetch(`${git.url}${rest}${search}`, request);
  };
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    signal: closing.signal,
    onListen: () => {},
    // Whoever has had enough hangs up.
    onError: () => new Response(null, { status: 500 }),
  }, (request) => answer(decodeURI(new URL(request.url).pathname), request));
  stack.defer(async () => {
    closing.abort();
    await server.finished;
  });
  const all = stack.move();
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    asked,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function has<T extends object>(table: T, key: string): key is Extract<keyof T, string> {
  return Object.hasOwn(table, key);
}

async function createRepositories(git: GitServer): Promise<void> {
  const bomb = await git.createRepo("bomb.git");
  const blob = await bomb.git(["hash-object", "-w", "--stdin"], encoder.encode("x\n"));
  const names = Array.from({ length: 9 }, (_, i) => `${i}${"n".repeat(239)}`);
  let tree = await makeTree(bomb, names.map((name) => `100644 blob ${blob}\t${name}`));
  for (let depth = 1; depth < 6; depth++) {
    const below = tree;
    tree = await makeTree(bomb, names.map((name) => `040000 tree ${below}\t${name}`));
  }
  const commit = await bomb.git(["commit-tree", "-m", "bomb", tree]);
  await bomb.setRef("refs/heads/main", commit);
  await bomb.tag("v1.0.0", commit);

  const zeros = await git.createRepo("zeros.git");
  await zeros.commit({ "zeros.bin": new Uint8Array(ZEROS_BYTES) }, { tag: "v1.0.0" });

  const tags = await git.createRepo("tags.git");
  const goMod = `module ${GIT_HOST}/tags\n${goModWithRetractions()}`;
  const hash = await tags.commit({ "go.mod": goMod });
  const lines = Array.from({ length: TAGS }, (_, i) => `create refs/tags/v1.0.${i} ${hash}\n`);
  await tags.git(["update-ref", "--stdin"], encoder.encode(lines.join("")));
}

async function makeTree(repo: TestRepo, lines: readonly string[]): Promise<string> {
  return await repo.git(["mktree"], encoder.encode(lines.map((line) => `${line}\n`).join("")));
}

function goModWithRetractions(): string {
  return Array.from({ length: RETRACTIONS }, (_, i) => `retract v1.0.${RETRACTIONS - i}\n`).join(
    "",
  );
}

function listOf(count: number): string {
  return Array.from({ length: count }, (_, i) => `v1.0.${i * 7919 % count}\n`).join("");
}

/** `/a/b/@v/v1.0.0.mod` → `a/b`. */
function moduleOf(path: string): string {
  return path.slice(1, path.indexOf("/@"));
}

/** An honest `.info` or `.mod`. */
function file(path: string): Response {
  if (path.endsWith(".mod")) return new Response(`module ${moduleOf(path)}\n`);
  const version = /\/@v\/(.+)\.info$/.exec(path)?.[1];
  if (version === undefined) return notFound();
  return Response.json({ Version: version, Time: "2024-01-02T03:04:05Z" });
}

function notFound(): Response {
  return new Response("not found\n", { status: 404 });
}

function endless(text: string, start = ""): Response {
  const chunk = encoder.encode(text.repeat(Math.ceil(CHUNK_BYTES / text.length)));
  let sentBytes = 0;
  return streamOf((controller) => {
    controller.enqueue(sentBytes === 0 ? encoder.encode(start + text) : chunk);
    sentBytes += chunk.length;
    if (sentBytes >= ENDLESS_BYTES) controller.close();
  });
}

/** One byte at a time. */
function slow(text: string, start = ""): Response {
  const bytes = encoder.encode(text);
  let at = 0;
  return streamOf(async (controller) => {
    if (at > 0) await new Promise((resolve) => setTimeout(resolve, DRIP_INTERVAL_MS));
    const first = encoder.encode(start);
    controller.enqueue(
      at === 0 && start !== "" ? first : bytes.slice(at % bytes.length).slice(0, 1),
    );
    at++;
  });
}

function streamOf(
  pull: (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => unknown,
): Response {
  return new Response(
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        await pull(controller);
      },
    }),
  );
}

function packet(text: string): string {
  return (text.length + 4).toString(16).padStart(4, "0") + text;
}

const SERVICE = `${packet("# service=git-upload-pack\n")}0000`;
const ADVERTISEMENT = `${SERVICE}${packet("version 2\n")}`;
const CAPABILITIES = [
  packet("agent=git/2.40.0\n"),
  packet("ls-refs=unborn\n"),
  packet("fetch=shallow filter\n"),
  packet("object-format=sha1\n"),
  "0000",
].join("");
const REFS_V0 = SERVICE + packet(`${HASH} HEAD\0shallow agent=git/2.40.0\n`);

/** A repository with one tag, whose pack is as `pack` makes it. */
async function packAnswer(
  path: string,
  request: Request,
  pack: (text: string, start: string) => Response,
): Promise<Response> {
  if (path.endsWith("/info/refs")) return new Response(ADVERTISEMENT + CAPABILITIES);
  const asked = await request.text();
  if (asked.includes("command=ls-refs")) {
    return new Response(
      `${packet(`${HASH} HEAD symref-target:refs/heads/main\n`)}${
        packet(`${HASH} refs/heads/main\n`)
      }${packet(`${HASH} refs/tags/v1.0.0\n`)}0000`,
    );
  }
  const header = `\x01PACK\0\0\0\x02\0\0\0\x7f`;
  return pack(packet("\x02still packing\n"), `${packet("packfile\n")}${packet(header)}`);
}

function gitAnswer(path: string, { body }: Response): Response {
  const kind = path.endsWith("/info/refs") ? "advertisement" : "result";
  return new Response(body, {
    headers: { "Content-Type": `application/x-git-upload-pack-${kind}` },
  });
}
