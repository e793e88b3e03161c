/**
 * A replica that appends to a log, for private_log_race_test.ts.
 *
 * Argument: a {@linkcode Job} as JSON. It appends all of its module versions, some at a time, and
 * says of each, once `append` has answered: `<module version> <number in the log>`. What fails is
 * tried again.
 */
import { ProxyError } from "../../lib/errors.ts";
import type { StorageConfig } from "../../lib/store/config.ts";
import { openStore } from "../../lib/store/open.ts";
import { appendTo, privateLog } from "../worlds/private_log.ts";

export interface Job {
  readonly config: StorageConfig;
  /** Numbers of module versions, in the order in which they are begun. */
  readonly wanted: readonly number[];
  readonly workers: number;
}

async function appendSurely(log: ReturnType<typeof privateLog>, i: number): Promise<number> {
  for (;;) {
    try {
      return await appendTo(log, i);
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
    }
  }
}

if (import.meta.main) {
  const { config, wanted, workers }: Job = JSON.parse(Deno.args[0] ?? "");
  const log = privateLog(await openStore(config, { env: Deno.env.toObject() }));
  const queue = wanted.values();
  await Promise.all(Array.from({ length: workers }, async () => {
    for (const i of queue) {
      const id = await appendSurely(log, i);
      Deno.stdout.writeSync(new TextEncoder().encode(`${i} ${id}\n`));
    }
  }));
}
