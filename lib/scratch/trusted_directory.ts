/**
 * Whether a directory is ours alone. What lies in the scratch directory and in a store is believed:
 * git runs the filters and hooks that a mirror's configuration names. So nobody else may have put
 * something there.
 *
 * The path is resolved first, and then, for the directory and those above it,
 *
 * - the owner must be this process's user, or root;
 * - other users must not be able to write to it. A directory above may be writable for others if
 *   its sticky bit keeps them from renaming what is ours (`/tmp`);
 * - its group must not be able to write to it, unless the group is that of the owner alone (it has
 *   the same number), or 0, or root gave the directory to the group. Containers need the last two:
 *   OpenShift runs them as any user of group 0, and Kubernetes gives a volume to the `fsGroup`.
 *
 * A volume that is mounted there, belongs to root and has no sticky bit may be writable for all:
 * Kubernetes and Cloud Run mount an `emptyDir` so, and nobody but the container can reach it.
 *
 * Limits: the check is made once, at start. ACLs, capabilities and root can do more than modes say.
 * There is no check where files have no owners (Windows).
 */
import { ConfigError, describeError } from "../errors.ts";

/** What of a directory says who may write to it. */
export interface Place {
  readonly uid: number;
  readonly gid: number;
  /** With the sticky bit. */
  readonly mode: number;
  readonly isMountPoint: boolean;
}

export interface OpenOptions {
  /** What it is for, for messages: `scratch directory`. */
  readonly what: string;
  /** Folders in it that must be ours, too, and so must the entries of each, if they are there. */
  readonly folders?: readonly string[];
}

/**
 * Makes a directory if it is missing, and those above it, for their owner only.
 *
 * @returns its path without symbolic links
 * @throws {ConfigError} when it cannot be made or written to, or somebody else can write to it
 */
export async function openTrustedDirectory(
  path: string,
  { what, folders = [] }: OpenOptions,
): Promise<string> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    const real = await Deno.realPath(path);
    const uid = await uidIn(real);
    if (uid === null) return real;
    for (const place of await inspected(real, folders)) {
      const fault = faultOf(place, { uid, isAbove: place.isAbove });
      if (fault === null) continue;
      throw new ConfigError(`cannot use ${what} "${path}": ${place.path}: ${fault}`);
    }
    return real;
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`cannot use ${what} "${path}": ${describeError(cause)}`, { cause });
  }
}

/**
 * Who but us can write to a directory or replace it, in words; null where nobody can.
 *
 * @param uid of this process
 * @param isAbove the directory that we use is somewhere below it
 */
export function faultOf(
  { uid: owner, gid, mode, isMountPoint }: Place,
  { uid, isAbove }: { readonly uid: number; readonly isAbove: boolean },
): string | null {
  if (owner !== uid && owner !== 0) return `it belongs to user ${owner}, and this is user ${uid}`;
  const isSticky = (mode & 0o1000) !== 0;
  if (isAbove && isSticky) return null;
  const shown = (mode & 0o7777).toString(8);
  const isVolume = owner === 0 && isMountPoint && !isSticky;
  if ((mode & 0o002) !== 0 && !isVolume) {
    return `every user can write to it (mode ${shown}); remove that right: chmod go-w`;
  }
  const isGroupFine = gid === 0 || gid === owner || owner === 0 && uid !== 0 || isVolume;
  if ((mode & 0o020) === 0 || isGroupFine) return null;
  return `group ${gid} can write to it (mode ${shown}); remove that right: chmod g-w`;
}

/** The user that files in a directory belong to when this process makes them; null for none. */
async function uidIn(directory: string): Promise<number | null> {
  // Deno.uid() needs a permission, and a network file system may map users.
  const file = await Deno.makeTempFile({ dir: directory, prefix: ".owner-" });
  try {
    return (await Deno.lstat(file)).uid;
  } finally {
    await Deno.remove(file);
  }
}

type InspectedPlace = Place & { readonly path: string; readonly isAbove: boolean };

async function inspected(real: string, folders: readonly string[]): Promise<InspectedPlace[]> {
  const places: InspectedPlace[] = [];
  for (let path = real; path !== "";) {
    const parent = path.slice(0, path.lastIndexOf("/"));
    places.push({ ...await placeOf(path, parent), isAbove: path !== real });
    path = parent;
  }
  for (const folder of folders) {
    const path = `${real}/${folder}`;
    if (!await isThere(path)) continue;
    places.push({ ...await placeOf(path, real), isAbove: false });
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(path)) {
      if (!isDirectory && !isSymlink) continue;
      places.push({ ...await placeOf(`${path}/${name}`, path), isAbove: false });
    }
  }
  return places;
}

async function placeOf(path: string, parent: string): Promise<Place & { readonly path: string }> {
  const { uid, gid, mode, dev, isSymlink } = await Deno.lstat(path);
  if (isSymlink) throw new Error(`${path} is a symbolic link`);
  const above = await Deno.lstat(parent === "" ? "/" : parent);
  return { path, uid: uid ?? 0, gid: gid ?? 0, mode: mode ?? 0, isMountPoint: dev !== above.dev };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
