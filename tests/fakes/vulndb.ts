/**
 * A vulnerability database in the protocol of the Go team's, over HTTP or in a directory. Its
 * entries can be changed; the indexes follow, as those of the original do.
 */
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Loopback } from "./loopback.ts";

export interface FakeEntry {
  readonly id: string;
  readonly modified: string;
  readonly affected: readonly {
    readonly package: { readonly ecosystem: string; readonly name: string };
    readonly [key: string]: unknown;
  }[];
  readonly [key: string]: unknown;
}

/** An entry about one module, in all versions before `fixed`. */
export function fakeEntry(
  id: string,
  { name = "example.com/m", modified = "2026-01-01T00:00:00Z", fixed = "1.2.3", ...more }: {
    readonly name?: string;
    readonly modified?: string;
    readonly fixed?: string;
    readonly [key: string]: unknown;
  } = {},
): FakeEntry {
  const events = [{ introduced: "0" }, { fixed }];
  return {
    schema_version: "1.3.1",
    id,
    modified,
    summary: `Summary of ${id}`,
    affected: [{ package: { name, ecosystem: "Go" }, ranges: [{ type: "SEMVER", events }] }],
    database_specific: { review_status: "REVIEWED" },
    ...more,
  };
}

/** The files of a database, by their names. */
export function databaseFiles(entries: readonly FakeEntry[]): Map<string, string> {
  const sorted = entries.toSorted((a, b) => a.id < b.id ? -1 : 1);
  const [latest = "0001-01-01T00:00:00Z"] = entries.map(({ modified }) => modified).sort()
    .reverse();
  const paths = new Set(sorted.flatMap(({ affected }) => affected.map((one) => one.package.name)));
  const modules = [...paths].sort().map((path) => ({
    path,
    vulns: sorted.filter(({ affected }) => affected.some((one) => one.package.name === path))
      .map(({ id, modified }) => ({ id, modified })),
  }));
  return new Map<string, string>([
    ["index/db.json", JSON.stringify({ modified: latest })],
    ["index/modules.json", JSON.stringify(modules)],
    ["index/vulns.json", JSON.stringify(sorted.map(({ id, modified }) => ({ id, modified })))],
    ...sorted.map((entry) => [`ID/${entry.id}.json`, JSON.stringify(entry)] as const),
  ]);
}

/** Writes the files of a database into a directory. */
export async function writeDatabase(
  directory: string,
  entries: readonly FakeEntry[],
): Promise<void> {
  for (const [name, text] of databaseFiles(entries)) {
    await Deno.mkdir(join(directory, name, ".."), { recursive: true });
    await Deno.writeTextFile(join(directory, name), text);
  }
}

export class FakeVulndb implements AsyncDisposable {
  /** The paths of all requests so far. */
  readonly requests: string[] = [];
  /** What it answers in place of its files, by path: `ID/GO-1.json.gz`. */
  readonly misbehaviour = new Map<string, (request: Request) => Response | Promise<Response>>();
  readonly #server: Loopback;
  #files = new Map<string, Uint8Array<ArrayBuffer>>();

  constructor(entries: readonly FakeEntry[]) {
    this.set(entries);
    this.#server = new Loopback((request) => this.#answer(request));
  }

  get url(): string {
    return this.#server.url;
  }

  set(entries: readonly FakeEntry[]): void {
    const files = [...databaseFiles(entries)];
    this.#files = new Map(
      files.map(([name, text]) => [`${name}.gz`, new Uint8Array(gzipSync(text))]),
    );
  }

  /** Files besides, with their ETags. */
  setFile(name: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.#files.set(name, bytes);
  }

  down(): Promise<void> {
    return this.#server.down();
  }

  up(): void {
    this.#server.up();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }

  async #answer(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.slice(1);
    this.requests.push(path);
    const misbehave = this.misbehaviour.get(path);
    if (misbehave !== undefined) return await misbehave(request);
    const bytes = this.#files.get(path);
    if (bytes === undefined) return new Response("not found", { status: 404 });
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    const headers = { "ETag": `"${digest}"` };
    if (request.headers.get("If-None-Match") === headers.ETag) {
      return new Response(null, { status: 304, headers });
    }
    return new Response(bytes, { headers });
  }
}
