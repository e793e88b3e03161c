import assert from "node:assert/strict";
import { defaultScratchDir } from "./load_config.ts";

Deno.test("defaultScratchDir() is in the user's cache, and never in a directory that others share", () => {
  assert.equal(defaultScratchDir({ HOME: "/home/me" }), "/home/me/.cache/go-mod-proxy");
  assert.equal(defaultScratchDir({ XDG_CACHE_HOME: "/cache" }), "/cache/go-mod-proxy");
  assert.equal(defaultScratchDir({ TMPDIR: "/tmp" }), null);
});
