/**
 * The peak memory of a process that makes a zip of a tree far larger than it. A process of its own,
 * because the peak of this one would be that of all tests; Linux only, because it is read from
 * /proc.
 */
import assert from "node:assert/strict";
import { runCommand } from "../../tests/support/run_command.ts";

const TREE_MIB = 384;

/** Deno with the modules loaded takes 60 MiB; the rest is garbage, the same for 100 MiB and 500. */
const MAX_PEAK_MIB = 256;

const createAndTell = (file: string) => `
  import { Buffer } from "node:buffer";
  import { Readable } from "node:stream";
  import { pack } from "tar-stream";
  import { createZip } from ${JSON.stringify(import.meta.resolve("./create.ts"))};
  const sizeBytes = ${TREE_MIB} * 2 ** 20;
  const chunks = Array(${TREE_MIB} * 16).fill(Buffer.alloc(2 ** 16));
  const tar = pack();
  Readable.from(chunks).pipe(tar.entry({ name: "large", size: sizeBytes }, () => tar.finalize()));
  const commit = {
    listTree: async function* () { yield { kind: "file", path: "large", sizeBytes }; },
    readFile: () => Promise.resolve(null),
    archive: () => Readable.toWeb(tar),
  };
  const { signal } = new AbortController();
  const file = ${JSON.stringify(file)};
  const module = { path: "example.com/m", version: "v1.0.0" };
  await createZip(commit, { module, dir: "", goVersion: null, file, signal });
  const [peak] = /VmHWM.*/.exec(await Deno.readTextFile("/proc/self/status"));
  console.log(parseInt(peak.slice(6)));
`;

Deno.test({
  name: `createZip() takes less than ${MAX_PEAK_MIB} MiB for ${TREE_MIB} MiB`,
  ignore: Deno.build.os !== "linux", // SKIP: no /proc to read the peak from
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const args = ["eval", "--config", config, createAndTell(`${directory}/zip`)];
      const { stdout, stderr } = await runCommand(Deno.execPath(), { args });
      assert.equal(stderr, "");
      const peakKib = Number(stdout);
      assert.ok(0 < peakKib && peakKib < MAX_PEAK_MIB * 1024, `${peakKib} KiB`);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
