import assert from "node:assert/strict";
import { describeError, UpstreamError } from "../errors.ts";
import { EgressError } from "./egress.ts";
import { EgressRoutes, type EgressRoutesOptions, type Route } from "./egress_routes.ts";

/** Routes whose lookups give these answers one after the other, the last one again and again. */
function routesWith(
  answers: readonly (readonly string[])[],
  options: Omit<EgressRoutesOptions, "resolve"> = {},
) {
  const asked: string[] = [];
  const routes = new EgressRoutes({
    ...options,
    resolve: (hostname) => {
      asked.push(hostname);
      return Promise.resolve(answers[Math.min(asked.length, answers.length) - 1] ?? []);
    },
  });
  return { routes, asked };
}

function addressesOf(route: Route): readonly string[] {
  assert.ok(route.kind === "direct");
  return route.addresses;
}

Deno.test("EgressRoutes.find() looks a name up once and gives what it has checked", async () => {
  const clock = { nowMs: 1 };
  const { routes, asked } = routesWith([["8.8.8.8", "2606:4700::1"], ["127.0.0.1"]], {
    now: () => clock.nowMs,
  });
  const url = new URL("https://a.example.com/x");
  const [first, second] = await Promise.all([routes.find(url), routes.find(url)]);
  assert.deepEqual(addressesOf(first), ["8.8.8.8", "2606:4700::1"]);
  assert.deepEqual(second, first);
  assert.deepEqual(await routes.find(new URL("http://a.example.com:8080")), {
    ...first,
    destination: { hostname: "a.example.com", port: 8080 },
  });
  assert.deepEqual(asked, ["a.example.com"]);
  // The name is somebody else's, who now has it lead to us.
  clock.nowMs = 31_000;
  await assert.rejects(routes.find(url), EgressError);
  assert.equal(asked.length, 2);
});

Deno.test("EgressRoutes.find() refuses a name with an address that is not public", async (t) => {
  for (const addresses of [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["fe80::1%eth0"], ["::1"]]) {
    await t.step(addresses.join(" "), async () => {
      const { routes } = routesWith([addresses]);
      await assert.rejects(routes.find(new URL("https://a.example.com")), EgressError);
    });
  }
});

Deno.test("EgressRoutes.find() takes allowed names for what they resolve to, and blocks by address", async () => {
  const allow = ["git.corp", "a.example.com:8443", "10.1.0.0/16"];
  const { routes } = routesWith([["10.1.2.3"]], { allow });
  const other = routesWith([["192.168.0.1"]], { allow }).routes;
  for (const url of ["https://git.corp", "https://a.example.com:8443", "https://b.example.com"]) {
    assert.deepEqual(addressesOf(await routes.find(new URL(url))), ["10.1.2.3"]);
  }
  assert.deepEqual(addressesOf(await other.find(new URL("https://git.corp"))), ["192.168.0.1"]);
  await assert.rejects(other.find(new URL("https://a.example.com")), EgressError);
});

Deno.test("EgressRoutes.find() says that a name cannot be looked up, and why in the cause", async () => {
  const failing = new EgressRoutes({
    resolve: () => Promise.reject(new Error("getaddrinfo ENOTFOUND")),
  });
  for (const routes of [failing, routesWith([[]]).routes]) {
    await assert.rejects(routes.find(new URL("https://a.example.com")), (error) => {
      assert.ok(error instanceof UpstreamError && !(error instanceof EgressError));
      assert.equal(error.message, "Cannot reach a.example.com");
      assert.match(describeError(error), /cannot look up a\.example\.com: /);
      return true;
    });
  }
});

Deno.test("EgressRoutes.find() leaves lookups to a forward proxy, but for what is not public anyway", async () => {
  const env = { HTTPS_PROXY: "http://proxy.example.com:3128", NO_PROXY: "direct.example.com" };
  const { routes, asked } = routesWith([["10.0.0.1"]], { env, allow: ["git.corp"] });
  for (const url of ["https://a.example.com", "https://8.8.8.8", "https://git.corp"]) {
    assert.deepEqual(await routes.find(new URL(url)), {
      kind: "proxy",
      proxy: new URL("http://proxy.example.com:3128"),
    });
  }
  assert.deepEqual(asked, []);
  for (
    const url of [
      "https://127.0.0.1",
      "https://127.1",
      "https://169.254.169.254",
      "https://[::1]",
      "https://localhost",
      "https://intranet",
      "https://db.internal",
      "https://direct.example.com",
    ]
  ) await assert.rejects(routes.find(new URL(url)), EgressError, url);
  assert.deepEqual(asked, ["direct.example.com"]);
});

Deno.test("EgressRoutes.addressesOf() limits how many addresses are tried, and checks all", async () => {
  const many = Array.from({ length: 20 }, (_, i) => `8.8.8.${i}`);
  const destination = { hostname: "a.example.com", port: 443 };
  const { routes } = routesWith([many]);
  assert.equal((await routes.addressesOf(destination)).length, 8);
  const hidden = routesWith([[...many, "127.0.0.1"]]).routes;
  await assert.rejects(hidden.addressesOf(destination), EgressError);
});
