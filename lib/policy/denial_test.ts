import assert from "node:assert/strict";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { denial } from "./denial.ts";
import { NO_RULE_APPLIED } from "./verdict.ts";

const path = parseModulePath("example.com/a");
const versions = (...texts: string[]) => texts.map((text) => parseVersion(path, text));
const module = { path, version: parseVersion(path, "v1.2.0") };
const verdict = {
  ...NO_RULE_APPLIED,
  action: "hold",
  rule: "cool-down",
  reason: "it is new",
} as const;

Deno.test("denial() says what, why, until when, what to take, and where to ask", () => {
  const { message } = denial(module, {
    verdict: { ...verdict, untilMs: Date.UTC(2026, 11, 4, 10) },
    allowed: versions("v1.1.0", "v1.3.0", "v1.4.0-rc.1"),
    contact: "#platform",
  });
  assert.deepEqual(message.split("\n"), [
    'example.com/a@v1.2.0 is not allowed by policy rule "cool-down"',
    "it is new",
    "allowed from 2026-12-04 10:00 UTC",
    "newest allowed version: go get example.com/a@v1.3.0",
    "if a dependency requires it: go mod edit -exclude=example.com/a@v1.2.0",
    "questions: #platform",
  ]);
});

Deno.test("denial() offers to exclude a version only where a higher one is allowed", () => {
  const { message } = denial(module, { verdict, allowed: versions("v1.1.0"), contact: undefined });
  assert.ok(!message.includes("exclude"), message);
});

Deno.test("denial() says that nothing is allowed, and is silent where that is not known", () => {
  const none = denial(module, { verdict, allowed: [], contact: undefined });
  assert.match(none.message, /no version of this module is allowed/);
  const unknown = denial(module, { verdict, allowed: null, contact: undefined });
  assert.equal(unknown.message.split("\n").length, 2);
});

Deno.test("denial() has at most seven lines and 560 characters", () => {
  const long = { path: parseModulePath(`example.com/${"a".repeat(60)}`), version: module.version };
  const { message } = denial(long, {
    verdict: { ...verdict, reason: "x".repeat(1000), untilMs: 0 },
    allowed: versions("v1.3.0"),
    contact: "y".repeat(70),
  });
  assert.ok(message.split("\n").length <= 7);
  assert.ok(message.length <= 560, String(message.length));
});
