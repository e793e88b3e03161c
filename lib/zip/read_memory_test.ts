/**
 * The peak memory of a process that inspects a zip far larger than it. A process of its own, because the peak of this one
 * would be that of all tests; Linux only, because it is read from /proc.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
// @ts-types="npm:@types/yazl@3.3.1"
import { ZipFile } from "yazl";

const MIB = 1024 * 1024;

/** Deno with the modules loaded takes 50 MiB; one of the files in memory would add 128 MiB or more. */
const MAX_PEAK_MIB = 200;

/** One file that is as large in the zip, and one that is small in it and large outside. */
async function writeLargeZip(file: string): Promise<void> {
  const zip = new ZipFile();
  const add = (name: string, options: { mib: number; compress: boolean }) => {
    const chunk = Buffer.alloc(MIB, name);
    const content = Readable.from(Array.from({ length: options.mib }, () => chunk));
    zip.addReadStream(content, `example.com/m@v1.0.0/${name}`, { compress: options.compress });
  };
  add("stored", { mib: 256, compress: false });
  add("deflated", { mib: 128, compress: true });
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(file));
}

const inspectAndTellPeak = (file: string) => `
  import { inspectZip } from ${JSON.stringify(import.meta.resolve("./read.ts"))};
  await inspectZip(${JSON.stringify(file)}, { path: "example.com/m", version: "v1.0.0" });
  await Deno.stdout.write(await Deno.readFile("/proc/self/status"));
`;

Deno.test({
  name: `inspectZip() takes less than ${MAX_PEAK_MIB} MiB for a zip with 384 MiB`,
  ignore: Deno.build.os !== "linux", // SKIP: no /proc to read the peak from
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      const file = `${directory}/large.zip`;
      await writeLargeZip(file);
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const args = ["eval", "--config", config, inspectAndTellPeak(file)];
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args })
        .output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const [, peakKib] = /^VmHWM:\s+(\d+) kB$/m.exec(new TextDecoder().decode(stdout)) ?? [];
      const peakMib = Number(peakKib) / 1024;
      assert.ok(peakMib > 0 && peakMib < MAX_PEAK_MIB, `${peakMib} MiB`);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
