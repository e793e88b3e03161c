import assert from "node:assert/strict";
import { TooManyRequestsError } from "../errors.ts";
import { FailedLogins, FORGIVE_EVERY_MS, MAX_FAILURES } from "./failed_logins.ts";

class World {
  nowMs = 0;
  readonly logins = new FailedLogins(() => this.nowMs);

  try(user: string, address: string, outcome: "right" | "wrong" | "unknown"): void {
    this.logins.begin({ user, address }).end(outcome);
  }

  fail(count: number, user: (i: number) => string, address: (i: number) => string): void {
    for (let i = 0; i < count; i++) this.try(user(i), address(i), "wrong");
  }

  isLimited(user: string, address: string): boolean {
    try {
      this.try(user, address, "unknown");
      return false;
    } catch (error) {
      assert.ok(error instanceof TooManyRequestsError);
      return true;
    }
  }
}

Deno.test("FailedLogins limits guesses at one identity from many addresses", () => {
  const world = new World();
  world.fail(MAX_FAILURES, () => "dev", (i) => `192.0.2.${i}`);
  assert.ok(world.isLimited("dev", "198.51.100.1"), "also the right password");
  assert.ok(!world.isLimited("ops", "198.51.100.1"));
});

Deno.test("FailedLogins limits guesses at many identities from one address", () => {
  const world = new World();
  world.fail(MAX_FAILURES, (i) => `user${i}`, () => "192.0.2.1");
  assert.ok(world.isLimited("dev", "192.0.2.1"));
  assert.ok(!world.isLimited("dev", "192.0.2.2"));
});

Deno.test("FailedLogins forgives one after the other, and says when to come back", () => {
  const world = new World();
  world.fail(MAX_FAILURES, () => "dev", (i) => `192.0.2.${i}`);
  assert.throws(() => world.try("dev", "198.51.100.1", "wrong"), {
    name: "TooManyRequestsError",
    retryAfterSeconds: FORGIVE_EVERY_MS / 1000,
  });
  world.nowMs = FORGIVE_EVERY_MS - 1;
  assert.ok(world.isLimited("dev", "198.51.100.1"));
  world.nowMs = FORGIVE_EVERY_MS;
  world.try("dev", "198.51.100.1", "wrong");
  assert.ok(world.isLimited("dev", "198.51.100.1"));
});

Deno.test("FailedLogins: nobody locks out a pair that has logged in before", () => {
  const world = new World();
  world.try("dev", "203.0.113.1", "right");
  world.fail(MAX_FAILURES, () => "dev", (i) => `192.0.2.${i}`);
  world.fail(MAX_FAILURES, (i) => `user${i}`, () => "203.0.113.1");
  assert.ok(!world.isLimited("dev", "203.0.113.1"));
  // It is limited by what it does itself.
  world.fail(MAX_FAILURES, () => "dev", () => "203.0.113.1");
  assert.ok(world.isLimited("dev", "203.0.113.1"));
});

Deno.test("FailedLogins does not let who knows one password forgive guesses at others", () => {
  const world = new World();
  world.fail(MAX_FAILURES - 1, (i) => `user${i}`, () => "192.0.2.1");
  world.try("mallory", "192.0.2.1", "right");
  world.fail(1, () => "dev", () => "192.0.2.1");
  assert.ok(world.isLimited("dev", "192.0.2.1"));
});

Deno.test("FailedLogins counts attempts at one identity while they are under way", () => {
  const world = new World();
  const begin = () => world.logins.begin({ user: "dev", address: "192.0.2.1" });
  const attempts = Array.from({ length: MAX_FAILURES }, begin);
  assert.throws(begin, TooManyRequestsError);
  for (const attempt of attempts) attempt.end("unknown");
  begin();
});

Deno.test("FailedLogins lets many log in at once from one address", () => {
  const world = new World();
  const attempts = Array.from(
    { length: 10 * MAX_FAILURES },
    (_, i) => world.logins.begin({ user: `dev${i}`, address: "192.0.2.1" }),
  );
  for (const attempt of attempts) attempt.end("right");
  assert.ok(!world.isLimited("dev", "192.0.2.1"));
});

Deno.test("FailedLogins counts an IPv6 network as one address", () => {
  const world = new World();
  world.fail(MAX_FAILURES, (i) => `user${i}`, (i) => `2001:db8:0:1::${i}`);
  assert.ok(world.isLimited("dev", "2001:db8:0:1:ffff::1"));
  assert.ok(!world.isLimited("dev", "2001:db8:0:2::1"));
});
