/**
 * A Go module proxy on 127.0.0.1, with modules that tests make in memory.
 *
 * It follows the Go modules reference ("GOPROXY protocol"): `list` is 200 also when empty, 404
 * means that a module or version does not exist, `.info` also answers queries (branches, commits).
 * It is strict with its clients: a method other than GET and HEAD, a query string, or a path that a
 * correct client would not send is answered 400 and noted in `faults`, which a test asserts to be
 * empty. Everything that was asked is in `requests`.
 *
 * It can be made to go away ({@linkcode Upstream.down}) and to lie ({@linkcode Upstream.misbehave},
 * behaviours.ts).
 */

import { type Behaviour, WantedCut } from "./behaviours.ts";
import { Loopback } from "./loopback.ts";
import {
  buildModuleZip,
  h1OfGoMod,
  type ModuleFiles,
  type ModuleHashes,
} from "../support/module_zip.ts";
import { decodedPath, escapeCase, type ModuleRequest, parseModuleRequest } from "./protocol.ts";
import type { Sumdb } from "./sumdb.ts";

/** When a module version was made, where a test does not say: RFC 3339. */
export const DEFAULT_TIME = "2024-01-02T03:04:05Z";

/** More than any test sends. A test that reaches it is in a loop. */
const MAX_REQUESTS = 100_000;

export interface UpstreamModule extends ModuleFiles {
  /** RFC 3339. Default: {@linkcode DEFAULT_TIME}. */
  readonly time?: string;
  /**
   * What `.mod` answers where it shall differ from the go.mod in `files` (default: that; without
   * one, `module <path>`).
   */
  readonly goMod?: string;
  /** Whether `list` names the version. Default: unless it is a pseudo-version. */
  readonly listed?: boolean;
  /** Whether the zip is compressed. Default: true. The h1 is the same. */
  readonly isCompressed?: boolean;
  /** The `Origin` of `.info`. */
  readonly origin?: Readonly<Record<string, string>>;
}

export interface AddedModule extends ModuleHashes {
  readonly zip: Uint8Array<ArrayBuffer>;
}

/** A request that came in. */
export interface SeenRequest {
  readonly method: string;
  /** Without percent escapes and query: `/example.com/!a/@v/list`. */
  readonly path: string;
  readonly headers: Headers;
}

export async function startUpstream(
  { modules = [], sumdb }: { modules?: readonly UpstreamModule[]; sumdb?: Sumdb } = {},
): Promise<Upstream> {
  const upstream = new Upstream();
  for (const module of modules) await upstream.addModule(module);
  if (sumdb !== undefined) upstream.mount(sumdb);
  return upstream;
}

export class Upstream implements AsyncDisposable {
  /** What clients did wrong, one message each. */
  readonly faults: string[] = [];
  readonly requests: SeenRequest[] = [];
  readonly #modules = new Map<string, Module>();
  readonly #resources = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #sumdbs = new Map<string, Sumdb>();
  #rules: readonly Rule[] = [];
  /** How often a file of a version has been served: it decides which copy's turn it is. */
  readonly #turns = new Map<string, number>();
  readonly #server = new Loopback(
    (request) => this.#handle(request),
    (error) => this.#failed(error),
  );

  /** What to put into GOPROXY: `http://127.0.0.1:<port>`. */
  get url(): string {
    return this.#server.url;
  }

  /**
   * Adds a version. Adding one that is there already adds another *copy* of it: from then on each
   * of `.info`, `.mod` and `.zip` is answered from all copies in turn, each of the three at its own
   * turn.
   */
  async addModule(module: UpstreamModule): Promise<AddedModule> {
    const { path, version } = module;
    const { isCompressed = true } = module;
    const zip = await buildModuleZip(module, { isCompressed });
    const goMod = module.goMod ?? module.files["go.mod"] ?? `module ${path}\n`;
    const hashes = { path, version, h1: zip.h1, goModH1: h1OfGoMod(goMod) };
    const known = this.#module(path);
    const copies = known.versions.get(escapeCase(version)) ?? [];
    known.versions.set(escapeCase(version), copies);
    copies.push({
      info: info(version, module),
      mod: toBytes(goMod),
      zip: zip.bytes,
      listed: module.listed ?? !PSEUDO_VERSION.test(version),
      hashes,
    });
    return { ...hashes, zip: zip.bytes };
  }

  /**
   * Lets `.info` of a branch, a commit or any other query answer what `.info` of the version
   * answers.
   */
  addQuery(path: string, query: string, version: string): void {
    this.#module(path).queries.set(escapeCase(query), escapeCase(version));
  }

  /** What `@latest` answers. Without it: the last version that was added. */
  setLatest(path: string, version: string): void {
    this.#module(path).latest = escapeCase(version);
  }

  /**
   * Serves bytes at a path that is not one of a module proxy's, where a redirect can lead. Its
   * query is ignored.
   */
  addResource(path: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.#resources.set(path, bytes);
  }

  /** Serves a checksum database under `/sumdb/<name>/`, in place of one with the same name. */
  mount(sumdb: Sumdb): void {
    this.#sumdbs.set(sumdb.name, sumdb);
  }

  /**
   * The hashes of a version's first copy, for a checksum database that asks when it is asked; null
   * for an unknown one.
   */
  hashesOf(path: string, version: string): ModuleHashes | null {
    const module = this.#modules.get(escapeCase(path));
    return module?.versions.get(escapeCase(version))?.[0]?.hashes ?? null;
  }

  /**
   * Answers requests for a path (or those that a pattern fits) by a behaviour: the next `times`
   * ones, or until the returned handle is disposed of. The youngest rule that fits is applied.
   * Faults are found all the same.
   */
  misbehave(
    path: string | RegExp,
    behaviour: Behaviour,
    { times = Infinity }: { times?: number } = {},
  ): Disposable {
    const rule = { path, behaviour, times };
    this.#rules = [rule, ...this.#rules];
    return {
      [Symbol.dispose]: () => {
        this.#rules = this.#rules.filter((other) => other !== rule);
      },
    };
  }

  /** How many requests there were for a path, or for those that a pattern fits. */
  count(path: string | RegExp): number {
    return this.requests.filter((request) => fits(path, request.path)).length;
  }

  /** Refuses connections and cuts those that are open. */
  down(): Promise<void> {
    return this.#server.down();
  }

  /** Listens again at the same URL. */
  up(): void {
    this.#server.up();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }

  async #handle(request: Request): Promise<Response> {
    const path = decodedPath(request);
    if (path === null) return this.#fault(request, "broken percent escape");
    if (this.requests.length === MAX_REQUESTS) return this.#fault(request, "far too many requests");
    // A copy, because Deno takes the headers away with the request.
    const headers = new Headers(request.headers);
    this.requests.push({ method: request.method, path, headers });
    if (request.method !== "GET" && request.method !== "HEAD") {
      return this.#fault(request, "method");
    }
    const answer = this.#route(request, path);
    if (answer === null) return this.#fault(request, "no path of a module proxy");
    const rule = this.#rules.find((rule) => rule.times > 0 && fits(rule.path, path));
    if (rule !== undefined) rule.times--;
    const response = await (rule?.behaviour(request, answer) ?? answer());
    return request.method === "HEAD" ? await withoutBody(response) : response;
  }

  /** How the request is answered honestly; null for one that no correct client sends. */
  #route(request: Request, path: string): (() => Promise<Response>) | null {
    const resource = this.#resources.get(path);
    if (resource !== undefined) {
      return () => Promise.resolve(content(resource, "application/octet-stream"));
    }
    if (request.url.includes("?")) return null;
    if (path.startsWith("/sumdb/")) return () => this.#sumdb(path.slice("/sumdb/".length));
    const asked = parseModuleRequest(path);
    return asked === null ? null : () => Promise.resolve(this.#answer(asked, path));
  }

  #answer(asked: ModuleRequest, path: string): Response {
    const module = this.#modules.get(asked.path);
    if (module === undefined) return notFound(`no module ${asked.path}`);
    if (asked.what === "list") return text(listOf(module));
    const version = asked.what === "latest"
      ? module.latest ?? [...module.versions.keys()].at(-1)
      : asked.what === "info"
      ? module.queries.get(asked.version) ?? asked.version
      : asked.version;
    const copies = version === undefined ? undefined : module.versions.get(version);
    if (copies === undefined) return notFound(`no version ${asked.version} of ${asked.path}`);
    const turn = this.#turns.get(path) ?? 0;
    this.#turns.set(path, turn + 1);
    const copy = copies[turn % copies.length];
    if (copy === undefined) throw new Error(`${path} has no copy`);
    if (asked.what === "mod") return content(copy.mod, TEXT);
    if (asked.what === "zip") return content(copy.zip, "application/zip");
    return content(copy.info, "application/json");
  }

  async #sumdb(rest: string): Promise<Response> {
    for (const [name, sumdb] of this.#sumdbs) {
      if (rest === `${name}/supported`) return text("");
      if (rest.startsWith(`${name}/`)) return await sumdb.answer(rest.slice(name.length));
    }
    return notFound("no such checksum database");
  }

  #module(path: string): Module {
    const escaped = escapeCase(path);
    const module = this.#modules.get(escaped) ?? { versions: new Map(), queries: new Map() };
    this.#modules.set(escaped, module);
    return module;
  }

  #fault(request: Request, what: string): Response {
    this.faults.push(`${request.method} ${request.url}: ${what}`);
    return text(`fault: ${what}\n`, 400);
  }

  #failed(error: unknown): Response {
    if (!(error instanceof WantedCut)) this.faults.push(`the fake itself failed: ${error}`);
    return text("the fake itself failed\n", 500);
  }
}

interface Module {
  /** By escaped version, in the order of their adding. */
  readonly versions: Map<string, Copy[]>;
  /** Escaped query to escaped version. */
  readonly queries: Map<string, string>;
  latest?: string;
}

interface Copy {
  readonly info: Uint8Array<ArrayBuffer>;
  readonly mod: Uint8Array<ArrayBuffer>;
  readonly zip: Uint8Array<ArrayBuffer>;
  readonly listed: boolean;
  readonly hashes: ModuleHashes;
}

interface Rule {
  readonly path: string | RegExp;
  readonly behaviour: Behaviour;
  times: number;
}

const TEXT = "text/plain; charset=utf-8";
const PSEUDO_VERSION = /\d{14}-[0-9a-f]{12}(\+incompatible)?$/;

function fits(pattern: string | RegExp, path: string): boolean {
  return typeof pattern === "string" ? pattern === path : pattern.test(path);
}

function info(version: string, { time = DEFAULT_TIME, origin }: UpstreamModule) {
  return toBytes(JSON.stringify({ Version: version, Time: time, Origin: origin }));
}

/** In no order: a proxy's `list` has none. */
function listOf(module: Module): string {
  return [...module.versions.values()]
    .map(([copy]) => copy)
    .filter((copy) => copy?.listed)
    .map((copy) => `${copy?.hashes.version}\n`)
    .join("");
}

function content(bytes: Uint8Array<ArrayBuffer>, type: string): Response {
  return new Response(bytes, {
    headers: { "content-type": type, "content-length": String(bytes.length) },
  });
}

function text(body: string, status = 200): Response {
  return new Response(body, { status, headers: { "content-type": TEXT } });
}

function notFound(what: string): Response {
  return text(`not found: ${what}\n`, 404);
}

async function withoutBody(response: Response): Promise<Response> {
  await response.body?.cancel();
  return new Response(null, { status: response.status, headers: response.headers });
}

function toBytes(content: string | Uint8Array): Uint8Array<ArrayBuffer> {
  return typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
}
