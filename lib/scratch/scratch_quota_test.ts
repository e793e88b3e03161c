import assert from "node:assert/strict";
import { OverloadedError } from "../errors.ts";
import { ScratchQuota } from "./scratch_quota.ts";

Deno.test("ScratchQuota.check() refuses while too much lies in the directory", async () => {
  const directory = await Deno.makeTempDir({ prefix: "quota-" });
  try {
    let now = 0;
    const quota = new ScratchQuota({ directory, maxBytes: 100, now: () => now });
    await quota.check();
    await Deno.mkdir(`${directory}/fetch-1`);
    await Deno.writeFile(`${directory}/fetch-1/module.zip`, new Uint8Array(100));
    // Measured a moment ago.
    await quota.check();
    now += 2_000;
    await assert.rejects(
      quota.check(),
      (error) => error instanceof OverloadedError && /100 of 100 bytes/.test(error.message),
    );
    await Deno.remove(`${directory}/fetch-1`, { recursive: true });
    now += 2_000;
    await quota.check();
    assert.equal(await quota.sizeBytes(), 0);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
