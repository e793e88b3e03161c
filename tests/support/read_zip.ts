/** The entries of a zip in memory, by yauzl and without any rule of ours. */
import { Buffer } from "node:buffer";
import { buffer } from "node:stream/consumers";
// @ts-types="npm:@types/yauzl@3.4.0"
import { fromBufferPromise } from "yauzl";

export async function readZip(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<[name: string, content: Uint8Array][]> {
  const zip = await fromBufferPromise(Buffer.from(bytes));
  const entries: [string, Uint8Array][] = [];
  for await (const entry of zip.eachEntry()) {
    entries.push([entry.fileName, await buffer(await zip.openReadStreamPromise(entry))]);
  }
  return entries;
}
