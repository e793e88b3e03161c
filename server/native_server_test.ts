import assert from "node:assert/strict";
import { NativeServer } from "./native_server.ts";

Deno.test("NativeServer.isAvailable: this version of Deno has what fast answers need", () => {
  // Where this fails, node_server.ts takes over. See docs/design/serving.md before you update Deno.
  assert.ok(NativeServer.isAvailable);
});
