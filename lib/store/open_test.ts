import assert from "node:assert/strict";
import { StorageError } from "../errors.ts";
import { openStore } from "./open.ts";
import { probeStore } from "./probe.ts";

Deno.test("openStore() opens the store that the configuration names", async () => {
  const path = await Deno.makeTempDir();
  try {
    const store = await openStore({ disk: { path: `${path}/new/data` } });
    assert.equal(store.description, `disk ${path}/new/data`);
    await probeStore(store);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("openStore() says that a store cannot be opened", async () => {
  const file = await Deno.makeTempFile();
  try {
    await assert.rejects(openStore({ disk: { path: file } }), StorageError);
  } finally {
    await Deno.remove(file);
  }
});
