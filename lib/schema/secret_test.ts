import assert from "node:assert/strict";
import { type Secret, secretWarnings } from "./secret.ts";

Deno.test("secretWarnings() are about secrets in the configuration only, and do not repeat them", () => {
  const warningsOf = (secret: Secret) => secretWarnings([{ path: ["a", 0, "token"], secret }]);
  assert.deepEqual(warningsOf({ file: "token" }), []);
  assert.deepEqual(warningsOf({ envVar: "TOKEN" }), []);
  const [warning] = warningsOf("PLANTED");
  assert.deepEqual(warning?.path, ["a", 0, "token"]);
  assert.match(warning?.message ?? "", /^the secret is written in the configuration: /);
  assert.doesNotMatch(warning?.message ?? "", /PLANTED/);
});
