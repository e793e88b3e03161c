/**
 * The module proxy upstream of all contestants, in a process of its own, so that its work is
 * counted to none of them. Serves the files in the folders that are its arguments, the first that
 * has one, and a checksum database about them. Writes `{"url":…,"verifierKey":…}` to standard
 * output, and ends when standard input does.
 *
 * The folders are laid out like `cache/download` of the `go` command's module cache; a `.ziphash`
 * file is what the database knows about a zip. Such a cache lacks most of the versions that its
 * go.mod files require, because the `go` command did not need them, but every real upstream has
 * them. They are made up: with a go.mod file that requires nothing, and without a zip.
 *
 * ```text
 * --delay-ms N        every answer, also of the checksum database, starts so much later
 * --other-records N   the database has long known all modules of the folders, scattered among so
 *                     many records of others; without it, it starts empty and learns what is asked
 * /requests           how many requests there were before
 * /requested          their paths, as a JSON array
 * ```
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseH1 } from "../lib/module/h1.ts";
import { h1OfGoMod, type ModuleHashes, type ModuleVersion } from "../tests/support/module_zip.ts";
import { escapeCase } from "../tests/fakes/protocol.ts";
import { Sumdb } from "../tests/fakes/sumdb.ts";

const TYPES: ReadonlyMap<string, string> = new Map([
  ["info", "application/json"],
  ["zip", "application/zip"],
]);

/** A line of a go.mod file that requires a version; other lines with a version do no harm. */
const REQUIREMENT = /^\s*(?:require\s+)?([^\s()"]+\.[^\s()"]+)\s+(v\d\S*)\s*(?:\/\/.*)?$/gm;

const { values, positionals: folders } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    "delay-ms": { type: "string", default: "0" },
    "other-records": { type: "string", default: "0" },
  },
});
const delayMs = Number(values["delay-ms"]);
const requested: string[] = [];
/** By the path of their files, without the extension. */
const madeUp = new Map<string, ModuleVersion>();
for (const folder of folders) addRequired(folder, "");
const sumdb = new Sumdb({
  resolve: (path, version) => hashesOf(baseOf({ path, version }), { path, version }),
});
if (Number(values["other-records"]) > 0) fillDatabase(Number(values["other-records"]));
const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => {
    const url = `http://127.0.0.1:${port}`;
    console.log(JSON.stringify({ url, verifierKey: sumdb.verifierKey }));
  },
}, async ({ url }) => {
  const path = decodeURIComponent(new URL(url).pathname);
  // No module paths.
  if (path === "/requests") return new Response(String(requested.length));
  if (path === "/requested") return Response.json(requested);
  requested.push(path);
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  const prefix = `/sumdb/${sumdb.name}`;
  if (path === `${prefix}/supported`) return new Response();
  return path.startsWith(prefix) ? sumdb.answer(path.slice(prefix.length)) : serveFile(path);
});
for await (const _ of Deno.stdin.readable);
await server.shutdown();

async function serveFile(path: string): Promise<Response> {
  for (const folder of folders) {
    try {
      // URL has taken ".." away.
      const file = await Deno.open(join(folder, path));
      const { size } = await file.stat();
      const type = TYPES.get(path.slice(path.lastIndexOf(".") + 1)) ?? "text/plain; charset=utf-8";
      return new Response(file.readable, {
        headers: {
          "content-type": type,
          "content-length": String(size),
          // As module proxies say of lists.
          ...path.endsWith("/@v/list") ? { "cache-control": "public, max-age=60" } : {},
        },
      });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return serveMadeUp(path);
}

function serveMadeUp(path: string): Response {
  const dot = path.lastIndexOf(".");
  const module = madeUp.get(path.slice(1, dot));
  switch (module === undefined ? "" : path.slice(dot + 1)) {
    case "info":
      return Response.json({ Version: module?.version, Time: "2024-01-02T03:04:05Z" });
    case "mod":
      return new Response(goModOf(module?.path ?? ""));
    default:
      return new Response("not found\n", { status: 404 });
  }
}

/** Of the files `<base>.ziphash` and `<base>.mod`. Null where they are missing. */
function hashesOf(base: string, { path, version }: ModuleVersion): ModuleHashes | null {
  if (madeUp.has(base)) {
    // Nobody can get the zip.
    return { path, version, h1: h1OfGoMod(base), goModH1: h1OfGoMod(goModOf(path)) };
  }
  const h1 = readFirst(`${base}.ziphash`);
  const goMod = readFirst(`${base}.mod`);
  if (h1 === null || goMod === null) return null;
  return { path, version, h1: parseH1(h1.trim()), goModH1: h1OfGoMod(goMod) };
}

function readFirst(path: string): string | null {
  for (const folder of folders) {
    try {
      return Deno.readTextFileSync(join(folder, path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

function baseOf({ path, version }: ModuleVersion): string {
  return join(escapeCase(path), "@v", escapeCase(version));
}

/** Without requirements behind which a client of today's Go would look. */
function goModOf(path: string): string {
  return `module ${path}\n\ngo 1.17\n`;
}

/** Adds the versions that go.mod files of the folder require and no folder has. */
function addRequired(folder: string, prefix: string): void {
  for (const { name, isDirectory } of Deno.readDirSync(join(folder, prefix))) {
    if (isDirectory) addRequired(folder, join(prefix, name));
    if (!name.endsWith(".mod")) continue;
    const goMod = Deno.readTextFileSync(join(folder, prefix, name));
    for (const [, path = "", version = ""] of goMod.matchAll(REQUIREMENT)) {
      const base = baseOf({ path, version });
      if (!madeUp.has(base) && readFirst(`${base}.mod`) === null) {
        madeUp.set(base, { path, version });
      }
    }
  }
}

/**
 * The modules of the folders at even distances among others, in an order that has nothing to do
 * with their paths, as in a database of all modules: next to no two of them share a tile of leaves.
 */
function fillDatabase(otherRecords: number): void {
  const known = [...madeUp].flatMap(([base, module]) => hashesOf(base, module) ?? []);
  const ours = folders.flatMap((folder) => [...modulesIn(folder, "")]).concat(known)
    .toSorted((a, b) => a.h1.localeCompare(b.h1));
  const distance = Math.max(1, Math.floor(otherRecords / (ours.length + 1)));
  for (let i = 0; i < otherRecords; i++) {
    const hashes = i % distance === 0 ? ours.pop() : undefined;
    if (hashes !== undefined) sumdb.append(hashes);
    const text = `others.example.com/m${i}`;
    const h1 = h1OfGoMod(text);
    sumdb.append({ path: text, version: "v1.0.0", h1, goModH1: h1 });
  }
  for (const hashes of ours) sumdb.append(hashes);
  // The hashes of the tree, which are kept.
  sumdb.latest();
}

function* modulesIn(folder: string, prefix: string): Generator<ModuleHashes> {
  for (const { name, isDirectory } of Deno.readDirSync(join(folder, prefix))) {
    if (isDirectory) yield* modulesIn(folder, join(prefix, name));
    if (!name.endsWith(".ziphash")) continue;
    const version = name.slice(0, -".ziphash".length);
    const found = hashesOf(join(prefix, version), {
      path: unescapeCase(prefix.slice(0, -"/@v".length)),
      version: unescapeCase(version),
    });
    if (found !== null) yield found;
  }
}

function unescapeCase(text: string): string {
  return text.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
