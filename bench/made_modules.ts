/**
 * Modules that are made for the benchmarks: a hundred small ones, and zips of given sizes. They lie
 * in a folder as `go mod download` lays out its cache (`<path>/@v/<version>.info` and so on), so
 * that any static file server is a module proxy.
 *
 * They are the same wherever they are made, and are kept in the system's temporary directory from
 * one run to the next. The content of the large ones cannot be compressed: with what compresses, a
 * zip of 500 MB would be larger unpacked than the 500 MiB that the `go` command takes.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
// @ts-types="npm:@types/yazl@3.3.1"
import { ZipFile } from "yazl";
import { exists } from "../tests/support/exists.ts";
import { benchFolder } from "./bench_folder.ts";

export interface MadeModule {
  readonly path: string;
  readonly version: string;
}

/** To be raised when other modules come out of the same sizes. */
const EDITION = 1;
const VERSION = "v1.19.0";
const SMALL_COUNT = 100;
const SMALL_BYTES = 10_000;
const FILE_BYTES = 1_000_000;

export const SMALL_MODULES: readonly MadeModule[] = Array.from(
  { length: SMALL_COUNT },
  (_, i) => ({ path: `bench.example.com/small/m${i}`, version: VERSION }),
);

/** By the size of the zip in bytes. */
export function largeModule(sizeBytes: number): MadeModule {
  return { path: `bench.example.com/large/b${sizeBytes}`, version: VERSION };
}

/** `<path>/@v/<version>.<extension>`; nothing in these paths needs escaping. */
export function fileOf({ path, version }: MadeModule, extension: "info" | "mod" | "zip"): string {
  return `${path}/@v/${version}.${extension}`;
}

export function listOf({ path }: MadeModule): string {
  return `${path}/@v/list`;
}

/**
 * The folder with the small modules and large ones of these sizes, which are made if they are not
 * there.
 */
export async function madeModules(sizesBytes: readonly number[]): Promise<string> {
  const folder = join(benchFolder(), `made-${EDITION}`);
  for (const module of SMALL_MODULES) await make(folder, module, SMALL_BYTES);
  for (const sizeBytes of sizesBytes) await make(folder, largeModule(sizeBytes), sizeBytes);
  return folder;
}

/** The `.ziphash` comes last: where it is, so is the rest. */
async function make(folder: string, module: MadeModule, sizeBytes: number): Promise<void> {
  const { path, version } = module;
  const base = join(folder, path, "@v", version);
  if (await exists(`${base}.ziphash`)) return;
  await Deno.mkdir(dirname(base), { recursive: true });
  const goMod = `module ${path}\n\ngo 1.24\n`;
  const versions = Array.from({ length: 20 }, (_, i) => `v1.${i}.0\n`);
  await Deno.writeTextFile(join(folder, listOf(module)), versions.join(""));
  const info = JSON.stringify({ Version: version, Time: "2024-01-02T03:04:05Z" });
  await Deno.writeTextFile(`${base}.info`, info);
  await Deno.writeTextFile(`${base}.mod`, goMod);
  await Deno.writeTextFile(
    `${base}.ziphash`,
    await writeZip(`${base}.zip`, { module, goMod, sizeBytes }),
  );
}

interface ZipContent {
  readonly module: MadeModule;
  readonly goMod: string;
  readonly sizeBytes: number;
}

/**
 * Writes a zip of that size, but for some hundred bytes a file. @returns its `h1`
 * (golang.org/x/mod/sumdb/dirhash)
 */
async function writeZip(file: string, { module, goMod, sizeBytes }: ZipContent): Promise<string> {
  const zip = new ZipFile();
  const written = pipeline(zip.outputStream, createWriteStream(file));
  // In the order of their names, as the hash wants them.
  const lines: string[] = [];
  for (const [name, bytes] of filesOf(goMod, sizeBytes)) {
    const fullName = `${module.path}@${module.version}/${name}`;
    lines.push(`${createHash("sha256").update(bytes).digest("hex")}  ${fullName}\n`);
    zip.addReadStreamLazy(
      fullName,
      { mtime: new Date(0), forceDosTimestamp: true, compress: false, size: bytes.length },
      (give) => give(null, Readable.from([bytes])),
    );
  }
  zip.end();
  await written;
  return `h1:${createHash("sha256").update(lines.join("")).digest("base64")}`;
}

function* filesOf(goMod: string, sizeBytes: number): Generator<[string, Buffer]> {
  yield ["go.mod", Buffer.from(goMod)];
  const key = Buffer.alloc(16, "go-mod-proxy");
  const random = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  for (let at = 0, i = 0; at < sizeBytes; at += FILE_BYTES, i++) {
    const bytes = random.update(Buffer.alloc(Math.min(FILE_BYTES, sizeBytes - at)));
    yield [`testdata/${String(i).padStart(3, "0")}.bin`, bytes];
  }
}
