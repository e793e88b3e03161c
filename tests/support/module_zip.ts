/**
 * Module zips built on the spot, and the hashes go.sum has for them.
 *
 * A module zip holds the module's files, each under `<path>@<version>/`. Its `h1` is the base64
 * SHA-256 of one line `<hex SHA-256 of the file>  <name>\n` per file, in the order of the names'
 * bytes; the `h1` of a go.mod is that of a zip with the one file `go.mod` and no prefix.
 * (golang.org/x/mod: zip, sumdb/dirhash.)
 *
 * The hashes here come from the files, not from the zip, and share no code with lib/zip: so one can
 * check the other. Everything is held in memory: for tests' modules of up to some megabytes.
 */

import { createHash } from "node:crypto";
import { Buffer } from "node:buffer";
import { buffer } from "node:stream/consumers";
// @ts-types="npm:@types/yazl@3.3.1"
import { ZipFile } from "yazl";
import type { H1 } from "../../lib/module/h1.ts";

/** Names within the module (`go.mod`, `sub/a.go`) and their contents. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

export interface ModuleVersion {
  readonly path: string;
  readonly version: string;
}

export interface ModuleFiles extends ModuleVersion {
  readonly files: Files;
}

/** What go.sum and a checksum database say about a module version. */
export interface ModuleHashes extends ModuleVersion {
  /** Of the zip: `h1:…`. */
  readonly h1: H1;
  /** Of the go.mod: `h1:…`. */
  readonly goModH1: H1;
}

export interface ModuleZip {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly h1: H1;
}

export interface ZipOptions {
  /** Default: true. The h1 is the same. */
  readonly isCompressed?: boolean;
}

/** The zip of a module: the same files make the same bytes, on any day and in any time zone. */
export async function buildModuleZip(
  { path, version, files }: ModuleFiles,
  options: ZipOptions = {},
): Promise<ModuleZip> {
  const entries = Object.entries(files).map(([name, content]) =>
    [`${path}@${version}/${name}`, content] as const
  );
  return { bytes: await buildZip(entries, options), h1: h1OfFiles(entries) };
}

/** A zip of any entries, in the given order, also such as no module zip may have. */
export async function buildZip(
  entries: Iterable<readonly [name: string, content: string | Uint8Array]>,
  { isCompressed = true }: ZipOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const zip = new ZipFile();
  for (const [name, content] of entries) {
    // A time before 1980 is stored as the first of 1980; any other would be written in the local
    // time zone.
    const mtime = new Date(0);
    const options = { mtime, forceDosTimestamp: true, compress: isCompressed };
    zip.addBuffer(Buffer.from(content), name, options);
  }
  zip.end();
  return new Uint8Array(await buffer(zip.outputStream));
}

/** The `h1` of named files, in whatever order they are given. */
export function h1OfFiles(
  files: Iterable<readonly [name: string, content: string | Uint8Array]>,
): H1 {
  const lines = [...files]
    .map(([name, content]) => [Buffer.from(name), hex(content)] as const)
    .sort(([a], [b]) => Buffer.compare(a, b))
    .map(([name, sum]) => `${sum}  ${name}\n`);
  return `h1:${createHash("sha256").update(lines.join("")).digest("base64")}` as H1;
}

/** The `h1` of a go.mod, as the `/go.mod` lines of go.sum have it. */
export function h1OfGoMod(goMod: string | Uint8Array): H1 {
  return h1OfFiles([["go.mod", goMod]]);
}

function hex(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
