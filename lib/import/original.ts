/**
 * A copy, in a directory, of the bucket of the go-mod-proxy that this one follows. Its objects have
 * the paths and versions as they are, without escapes:
 *
 * ```text
 * gomod/example.com/Hello@v1.0.0    go.mod; the commit's time is in the object's metadata,
 *                                   as gomod-commit-time
 * zip/example.com/Hello@v1.0.0
 * concat/example.com/Hello@v1.0.0   all of it, until the two others are there
 * ```
 *
 * A `concat` object is the commit's time in seconds since 1970 and go.mod's size, both as Go's
 * encoding/binary writes varints (signed and unsigned), then go.mod, then the zip.
 *
 * A copy in files has lost the metadata. So the time of a version comes from its `concat` object if
 * that is still there, else from a list of times, else from a pseudo-version; a tagged version
 * without any is refused. In the list a line has an object's name and its time:
 * `gomod/example.com/Hello@v1.0.0 2024-01-02T03:04:05Z`.
 *
 * Where a version has a `concat` object and the two others, those two count: its readers looked
 * there first.
 *
 * Limits: the names of all versions are held in memory.
 */
import { InvalidRequestError } from "../errors.ts";
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";
import { InvalidInfoError, parseInfo } from "../module/info.ts";
import { type ModuleVersion, moduleVersion } from "../module/module_version.ts";
import { quoted } from "../module/quoted.ts";
import { readSmallFile, timeIn, walkFolders } from "./files.ts";
import {
  type FoundFiles,
  type FoundVersion,
  ImportError,
  type ReadOptions,
} from "./import_entry.ts";

type Family = "gomod" | "zip" | "concat";
const FAMILIES: readonly Family[] = ["gomod", "zip", "concat"];

/** A varint of 64 bits has at most ten bytes. */
const MAX_VARINT_BYTES = 10;

/** Times by the names of `gomod` objects. */
export type Times = ReadonlyMap<string, string>;

export async function* original(
  directory: string,
  times: Times = new Map(),
): AsyncGenerator<FoundVersion> {
  const found = new Map<string, Set<Family>>();
  for await (const { path, files } of walkFolders(directory)) {
    const [, top, rest = ""] = /^([a-z]+)(?:\/(.*))?$/s.exec(path) ?? [];
    const family = FAMILIES.find((family) => family === top);
    if (family === undefined) continue;
    for (const file of files) {
      const name = rest === "" ? file : `${rest}/${file}`;
      found.set(name, (found.get(name) ?? new Set()).add(family));
    }
  }
  for (const [name, families] of found) {
    yield {
      name,
      read: (options) => readVersion(directory, { name, families, times, options }),
    };
  }
}

/**
 * Reads a list of times.
 *
 * @throws {InvalidRequestError} when a line is not a name and a time
 */
export function parseTimes(text: string): Times {
  const times = new Map<string, string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const [name = "", time = "", ...more] = line.trim().split(/\s+/);
    try {
      if (more.length > 0) throw new InvalidInfoError("more than a name and a time");
      times.set(name, normalTime(time));
    } catch (cause) {
      if (!(cause instanceof InvalidInfoError)) throw cause;
      const message = `Cannot read line ${index + 1} of the times, ${quoted(line)}`;
      throw new InvalidRequestError(`${message}: it is not a name and a time`, { cause });
    }
  }
  return times;
}

interface ReadVersionOptions {
  readonly name: string;
  readonly families: ReadonlySet<Family>;
  readonly times: Times;
  readonly options: ReadOptions;
}

async function readVersion(
  directory: string,
  { name, families, times, options }: ReadVersionOptions,
): Promise<FoundFiles | null> {
  if (!families.has("zip") && !families.has("concat")) return null;
  const { path, version } = parseName(name);
  const whole = families.has("concat") ? await openConcat(`${directory}/concat/${name}`) : null;
  const time = whole?.time ?? times.get(`gomod/${name}`) ?? timeIn(version);
  if (time === null) {
    throw new ImportError(
      `its time is unknown: it has no concat object, and no list of times names "gomod/${name}"`,
    );
  }
  if (families.has("gomod") && families.has("zip")) {
    const goMod = await readSmallFile(`${directory}/gomod/${name}`, MAX_GO_MOD_SIZE_BYTES);
    return { path, version, time, goMod, zip: { file: `${directory}/zip/${name}`, h1: null } };
  }
  if (whole === null) throw new ImportError("there is no gomod object");
  const file = `${options.directory}/module.zip`;
  await copyFrom(whole, { to: file, signal: options.signal });
  return { path, version, time, goMod: whole.goMod, zip: { file, h1: null } };
}

function parseName(name: string): ModuleVersion {
  const at = name.lastIndexOf("@");
  return moduleVersion(name.slice(0, Math.max(at, 0)), name.slice(at + 1));
}

interface Concat {
  readonly file: string;
  readonly time: string;
  readonly goMod: Uint8Array<ArrayBuffer>;
  /** Where the zip begins. */
  readonly zipOffset: number;
}

/** @throws {ImportError} when the file is not the start of a concat object */
async function openConcat(name: string): Promise<Concat> {
  using file = await Deno.open(name);
  const { size } = await file.stat();
  const head = await readAt(file, { start: 0, end: Math.min(size, 2 * MAX_VARINT_BYTES) });
  const seconds = readVarint(head, 0);
  const length = readVarint(head, seconds.end);
  const zipOffset = length.end + Number(length.value);
  if (length.value > BigInt(MAX_GO_MOD_SIZE_BYTES) || zipOffset > size) {
    throw new ImportError(`its concat object has no go.mod of ${length.value} bytes`);
  }
  return {
    file: name,
    time: timeOf(zigZag(seconds.value)),
    goMod: await readAt(file, { start: length.end, end: zipOffset }),
    zipOffset,
  };
}

async function readAt(
  file: Deno.FsFile,
  { start, end }: { start: number; end: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(end - start);
  await file.seek(start, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) {
    const count = await file.read(bytes.subarray(done));
    if (count === null) throw new ImportError("its concat object ends early");
    done += count;
  }
  return bytes;
}

async function copyFrom(
  { file, zipOffset }: Concat,
  { to, signal }: { to: string; signal: AbortSignal },
): Promise<void> {
  const source = await Deno.open(file);
  await source.seek(zipOffset, Deno.SeekMode.Start);
  const target = await Deno.open(to, { createNew: true, write: true });
  await source.readable.pipeTo(target.writable, { signal });
}

/** Seven bits a byte, lowest first; all but the last have the eighth bit set. */
function readVarint(bytes: Uint8Array, start: number): { value: bigint; end: number } {
  let value = 0n;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  throw new ImportError("its concat object does not begin with two varints");
}

/** Go writes a signed number with its sign in the lowest bit. */
function zigZag(value: bigint): bigint {
  return value & 1n ? -(value >> 1n) - 1n : value >> 1n;
}

/** @throws {ImportError} when it is out of the range of `.info` */
function timeOf(seconds: bigint): string {
  const time = new Date(Number(seconds) * 1000);
  if (Number.isNaN(time.getTime())) {
    throw new ImportError(`its concat object has the time ${seconds}`);
  }
  return normalTime(time.toISOString());
}

/** The time as in `.info`. */
function normalTime(time: string): string {
  const info = JSON.stringify({ Version: "v0.0.0", Time: time });
  return parseInfo(new TextEncoder().encode(info)).time;
}
