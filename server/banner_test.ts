import assert from "node:assert/strict";
import { banner } from "./banner.ts";

const FACTS = { url: "http://127.0.0.1:8080", store: "gcs modules", upstream: "direct" };

Deno.test("banner() is three lines in two columns", () => {
  assert.equal(
    banner(FACTS, { colors: false }),
    "go-mod-proxy  http://127.0.0.1:8080\nstore         gcs modules\nupstream      direct\n",
  );
});

Deno.test("banner() in colors is the same text", () => {
  const colored = banner(FACTS, { colors: true });
  // deno-lint-ignore no-control-regex -- that is what they are
  assert.equal(colored.replaceAll(/\x1b\[\d+m/g, ""), banner(FACTS, { colors: false }));
  assert.notEqual(colored, banner(FACTS, { colors: false }));
});
