/** Reading and writing open files: one system call may do less than it was asked for. */

/** The next `sizeBytes` bytes of a file, or null where it ends before. */
export async function readExactly(
  file: Deno.FsFile,
  sizeBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const bytes = new Uint8Array(sizeBytes);
  for (let done = 0; done < sizeBytes;) {
    const count = await file.read(bytes.subarray(done));
    if (count === null) return null;
    done += count;
  }
  return bytes;
}

/** Writes all of `bytes` to a file, or to a connection. */
export async function writeAll(
  file: Pick<Deno.FsFile, "write">,
  bytes: Uint8Array,
): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}
