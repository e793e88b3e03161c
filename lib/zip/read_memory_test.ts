/**
 * The peak memory of a process that inspects a zip far larger than it. A process of its own,
 * because the peak of this one would be that of all tests; Linux only, because it is read from
 * /proc.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
// @ts-types="npm:@types/yazl@3.3.1"
import { ZipFile } from "yazl";
import { runCommand } from "../../tests/support/run_command.ts";

const MIB = 1024 * 1024;

/**
 * Deno with the modules loaded takes 50 MiB; one of the files in memory would add 128 MiB or more.
 */
const MAX_PEAK_MIB = 200;

interface LargeFile {
  readonly name: string;
  readonly mib: number;
  readonly compress: boolean;
}

async function writeZip(file: string, contents: readonly LargeFile[]): Promise<void> {
  const zip = new ZipFile();
  for (const { name, mib, compress } of contents) {
    const content = Readable.from(Array(mib).fill(Buffer.alloc(MIB)));
    zip.addReadStream(content, `example.com/m@v1.0.0/${name}`, { compress });
  }
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(file));
}

/** Makes the directory of a zip with one file say that the file has one byte. */
async function understate(file: string): Promise<void> {
  const zip = Buffer.from(await Deno.readFile(file));
  zip.writeUInt32LE(1, zip.lastIndexOf("PK\x01\x02") + 24);
  await Deno.writeFile(file, zip);
}

const inspectAndTell = (file: string) => `
  import { inspectZip } from ${JSON.stringify(import.meta.resolve("./read.ts"))};
  const inspected = inspectZip(${
  JSON.stringify(file)
}, { module: { path: "example.com/m", version: "v1.0.0" } });
  const end = await inspected.then(() => "read", (error) => error.message);
  const [peak] = /VmHWM.*/.exec(await Deno.readTextFile("/proc/self/status"));
  console.log(JSON.stringify({ end, peakKib: parseInt(peak.slice(6)) }));
`;

/** How inspecting `file` ended, in a process of its own, and the most memory that this took. */
async function inspectApart(file: string): Promise<{ end: string; peakKib: number }> {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const args = ["eval", "--config", config, inspectAndTell(file)];
  const { stdout, stderr } = await runCommand(Deno.execPath(), { args });
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

Deno.test({
  name: `inspectZip() takes less than ${MAX_PEAK_MIB} MiB`,
  ignore: Deno.build.os !== "linux", // SKIP: no /proc to read the peak from
  fn: async (t) => {
    const directory = await Deno.makeTempDir();
    const file = `${directory}/large.zip`;
    try {
      await t.step("for 384 MiB, of which 256 MiB are stored", async () => {
        await writeZip(file, [
          { name: "stored", mib: 256, compress: false },
          { name: "deflated", mib: 128, compress: true },
        ]);
        const { end, peakKib } = await inspectApart(file);
        assert.equal(end, "read");
        assert.ok(peakKib < MAX_PEAK_MIB * 1024, `${peakKib} KiB`);
      });
      await t.step("for a small entry that inflates to 256 MiB", async () => {
        await writeZip(file, [{ name: "bomb", mib: 256, compress: true }]);
        await understate(file);
        const { end, peakKib } = await inspectApart(file);
        assert.match(end, /"example.com\/m@v1.0.0\/bomb": it is larger than its header says$/);
        assert.ok(peakKib < MAX_PEAK_MIB * 1024, `${peakKib} KiB`);
      });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
