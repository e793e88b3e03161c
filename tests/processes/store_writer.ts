/**
 * A process with several writers to one store, for store_race_test.ts.
 *
 * Argument: a {@linkcode Job} as JSON. It waits for a byte, or the end, of standard input; then for
 * each key all its writers create at once, each a content of its own, and it says of each, once
 * `create` has answered: `<key> <outcome> <block's SHA-256>`. A content is one random block again
 * and again, so that a reader can tell whether it comes from one writer, and it takes no memory.
 */
import { createHash } from "node:crypto";
import type { Content } from "../../lib/store/object_store.ts";
import type { StorageConfig } from "../../lib/store/config.ts";
import { openStore } from "../../lib/store/open.ts";

export interface Job {
  readonly config: StorageConfig;
  readonly keys: readonly string[];
  readonly writers: number;
  readonly sizeBytes: number;
}

export const BLOCK_SIZE_BYTES = 65_536;

function contentOf(block: Uint8Array<ArrayBuffer>, sizeBytes: number): Content {
  return {
    sizeBytes,
    open() {
      let left = sizeBytes;
      return new ReadableStream({
        pull(controller) {
          const count = Math.min(left, block.length);
          left -= count;
          if (count > 0) controller.enqueue(block.slice(0, count));
          else controller.close();
        },
      });
    },
  };
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const { config, keys, writers, sizeBytes }: Job = JSON.parse(Deno.args[0] ?? "");
  const store = await openStore(config, { env: Deno.env.toObject() });
  say("ready");
  await Deno.stdin.read(new Uint8Array(1));
  for (const key of keys) {
    await Promise.all(Array.from({ length: writers }, async () => {
      const block = crypto.getRandomValues(new Uint8Array(Math.min(sizeBytes, BLOCK_SIZE_BYTES)));
      const outcome = await store.create(key, contentOf(block, sizeBytes));
      say(`${key} ${outcome} ${createHash("sha256").update(block).digest("hex")}`);
    }));
  }
}
