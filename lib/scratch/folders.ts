/**
 * Folders that others write to at the same time: their size, and their removal.
 */

/**
 * The sizes of all files below a folder, together. What vanishes meanwhile counts nothing; nor does
 * a missing folder.
 */
export async function directorySizeBytes(path: string): Promise<number> {
  let sizeBytes = 0;
  for await (const file of filesBelow(path)) {
    sizeBytes += (await statOrNull(file))?.size ?? 0;
  }
  return sizeBytes;
}

/** The paths of all files below a folder, in no order. */
export async function* filesBelow(path: string): AsyncGenerator<string> {
  const folders = [path];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for await (const entry of Deno.readDir(folder)) {
        const child = `${folder}/${entry.name}`;
        if (entry.isDirectory) folders.push(child);
        else yield child;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** What is known about a file or folder, or null when there is none. */
export async function statOrNull(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Removes a file or a whole folder, even while another process does. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
