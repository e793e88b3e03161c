/**
 * A process that writes to a disk store, for disk_crash_test.ts to race and to kill.
 *
 * Arguments: the store's directory, how many keys, how large a content. It waits for a byte, or the
 * end, of standard input; then it creates the keys `race/0` to `race/<count - 1>` with contents of
 * its own, and says of each, once `create` has answered: `<key> <outcome> <checksum>`. The first
 * 32 bytes of a content are the SHA-256 of the others, so that a reader can tell whether it is
 * complete.
 */
import { createHash } from "node:crypto";
import { DiskStore } from "../../lib/store/disk.ts";
import type { ObjectCheck } from "../../lib/store/object_check.ts";
import type { Content } from "../../lib/store/object_store.ts";

/** Every object is checked when it is read, and judged by the sum at its start. */
export const SELF_CHECK: ObjectCheck = {
  covers: (key) => key.startsWith("race/"),
  findFault: async (_, file) => {
    const bytes = await Deno.readFile(file);
    const sum = createHash("sha256").update(bytes.subarray(32)).digest("hex");
    return bytes.subarray(0, 32).toHex() === sum ? null : "it is torn";
  },
};

/** Written in steps of 4096 bytes, so that there is a middle to be killed in. */
function makeContent(sizeBytes: number): { content: Content; checksum: string } {
  const payload = new Uint8Array(sizeBytes).fill(Math.floor(Math.random() * 256));
  crypto.getRandomValues(payload.subarray(0, 65_536));
  const checksum = createHash("sha256").update(payload).digest();
  const chunks = [new Uint8Array(checksum)];
  for (let at = 0; at < payload.length; at += 4096) chunks.push(payload.slice(at, at + 4096));
  return {
    content: { sizeBytes: 32 + payload.length, open: () => ReadableStream.from(chunks) },
    checksum: checksum.toString("hex"),
  };
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const [path = "", count = "", sizeBytes = ""] = Deno.args;
  const store = await DiskStore.open({ path, check: SELF_CHECK });
  say("ready");
  await Deno.stdin.read(new Uint8Array(1));
  for (let i = 0; i < Number(count); i++) {
    const { content, checksum } = makeContent(Number(sizeBytes));
    say(`${i} ${await store.create(`race/${i}`, content)} ${checksum}`);
  }
}
