/**
 * The module proxy upstream of all contestants, in a process of its own, so that its work is
 * counted to none of them. Serves the files in the folders that are its arguments, the first that
 * has one, and a checksum database about them. Writes `{"url":…,"verifierKey":…}` to standard
 * output, and ends when standard input does. `/requests` answers how many requests there were
 * before.
 *
 * The folders are laid out like `cache/download` of the `go` command's module cache; a `.ziphash`
 * file is what the database knows about a zip.
 */
import { join } from "node:path";
import { parseH1 } from "../lib/module/h1.ts";
import { h1OfGoMod } from "../tests/support/module_zip.ts";
import { escapeCase } from "../tests/fakes/protocol.ts";
import { Sumdb } from "../tests/fakes/sumdb.ts";

const TYPES: ReadonlyMap<string, string> = new Map([
  ["info", "application/json"],
  ["zip", "application/zip"],
]);

const folders = Deno.args;
let requests = 0;
const sumdb = new Sumdb({
  resolve: (path, version) => {
    const base = join(escapeCase(path), "@v", escapeCase(version));
    const h1 = readFirst(`${base}.ziphash`);
    const goMod = readFirst(`${base}.mod`);
    if (h1 === null || goMod === null) return null;
    return { path, version, h1: parseH1(h1.trim()), goModH1: h1OfGoMod(goMod) };
  },
});
const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => {
    const url = `http://127.0.0.1:${port}`;
    console.log(JSON.stringify({ url, verifierKey: sumdb.verifierKey }));
  },
}, ({ url }) => {
  const path = decodeURIComponent(new URL(url).pathname);
  // No module path.
  if (path === "/requests") return new Response(String(requests));
  requests++;
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
  return new Response("not found\n", { status: 404 });
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
