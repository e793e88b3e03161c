import assert from "node:assert/strict";
import { Loopback } from "../../tests/fakes/loopback.ts";
import { createLogger } from "../log/log.ts";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { type HookConfig, policy } from "./config.ts";
import { UnknownFactError } from "./facts.ts";
import { Hook } from "./hook.ts";

const path = parseModulePath("example.com/a");
const module = { path, version: parseVersion(path, "v1.0.0") };
const NOW = Date.UTC(2026, 10, 29);

function open(url: string, config: Partial<HookConfig>): Hook {
  const parsed = policy.parse({ hook: { kind: "opa", url, ...config } });
  if (parsed.hook === undefined) throw new Error("no hook");
  return new Hook({
    config: parsed.hook,
    isEnforced: true,
    fetch: (url, init) => fetch(url, init as RequestInit),
    log: createLogger("silent"),
    now: () => NOW,
  });
}

const asking = (identity: string | null = null) => ({
  identity,
  signal: new AbortController().signal,
});

interface Row {
  readonly name: string;
  readonly kind: "athens" | "opa";
  readonly answer: () => Response | Promise<Response>;
  /** Null: allowed; undefined: unknown. */
  readonly reason?: RegExp | null;
}

const json = (value: unknown) => () => Response.json(value);

const ROWS: readonly Row[] = [
  { name: "200", kind: "athens", answer: () => new Response("fine"), reason: null },
  {
    name: "403 with a reason",
    kind: "athens",
    answer: () => new Response("bad\nlicence\u0007", { status: 403 }),
    reason: /^bad licence$/,
  },
  {
    name: "403 without one",
    kind: "athens",
    answer: () => new Response(null, { status: 403 }),
    reason: /^the policy hook denies it$/,
  },
  { name: "404", kind: "athens", answer: () => new Response(null, { status: 404 }) },
  { name: "500", kind: "athens", answer: () => new Response(null, { status: 500 }) },
  { name: "true", kind: "opa", answer: json({ result: true }), reason: null },
  { name: "false", kind: "opa", answer: json({ result: false }), reason: /denies it/ },
  {
    name: "an object",
    kind: "opa",
    answer: json({ result: { allow: false, reason: "no", until: "2026-12-01T00:00:00Z" } }),
    reason: /^no$/,
  },
  { name: "no result", kind: "opa", answer: json({}) },
  { name: "another result", kind: "opa", answer: json({ result: "yes" }) },
  { name: "no JSON", kind: "opa", answer: () => new Response("<html>") },
  { name: "a long answer", kind: "opa", answer: () => new Response("x".repeat(100_000)) },
  {
    name: "a slow answer",
    kind: "opa",
    answer: () => new Promise<Response>(() => {}),
  },
];

Deno.test("the hook decides, and what it does not say is unknown", async (t) => {
  for (const { name, kind, answer, reason } of ROWS) {
    await t.step(`${kind}: ${name}`, async () => {
      await using server = new Loopback(answer, () => new Response(null, { status: 500 }));
      const hook = open(server.url, { kind, timeout: "300ms" });
      const decided = hook.decide(module, asking());
      if (reason === undefined) {
        await assert.rejects(decided, UnknownFactError);
        const tolerant = open(server.url, { kind, timeout: "300ms", onError: "allow" });
        assert.equal((await tolerant.decide(module, asking())).rule, null);
        return;
      }
      const verdict = await decided;
      assert.equal(verdict.rule, reason === null ? null : "hook");
      if (reason !== null) assert.match(verdict.reason, reason);
    });
  }
});

Deno.test("the hook is told what is asked, once for each version", async () => {
  const bodies: unknown[] = [];
  await using server = new Loopback(async (request) => {
    bodies.push(await request.json());
    return Response.json({ result: true });
  });
  const hook = open(server.url, { kind: "opa" });
  await Promise.all([hook.decide(module, asking("ci")), hook.decide(module, asking("ci"))]);
  await hook.decide(module, asking("ci"));
  assert.deepEqual(bodies, [{ input: { module: path, version: "v1.0.0", identity: "ci" } }]);
  const athens = open(server.url, { kind: "athens" });
  await athens.decide(module, asking("ci"));
  assert.deepEqual(bodies[1], { Module: path, Version: "v1.0.0" });
});
