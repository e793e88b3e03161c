import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { UnauthenticatedError } from "../errors.ts";
import { MAX_AUTHORIZATION_LENGTH, parseAuthorization } from "./credentials.ts";

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

const TOKEN = ['{"alg":"HS256"}', '{"iss":"me"}', "signature"]
  .map((part) => Buffer.from(part).toString("base64url")).join(".");

Deno.test("parseAuthorization() reads Basic and Bearer", async (t) => {
  const password = (user: string, password: string) => ({ kind: "password", user, password });
  const token = (user: string | null) => ({
    kind: "token",
    token: TOKEN,
    claimedIssuer: "me",
    user,
  });
  const rows = [
    { input: `Basic ${base64("dev:pass")}`, want: password("dev", "pass") },
    { input: `basic  ${base64("dev:pass")} `, want: password("dev", "pass") },
    { input: `Basic ${base64("dev:a:b:c")}`, want: password("dev", "a:b:c") },
    { input: `Basic ${base64("dev:")}`, want: password("dev", "") },
    { input: `Basic ${base64("jürgen:pässwörd")}`, want: password("jürgen", "pässwörd") },
    { input: `Basic ${base64("dev:pass").replace(/=+$/, "")}`, want: password("dev", "pass") },
    { input: `Basic ${base64("dev:ey.ey")}`, want: password("dev", "ey.ey") },
    { input: `Bearer ${TOKEN}`, want: token(null) },
    { input: `BEARER ${TOKEN}`, want: token(null) },
    { input: `Basic ${base64(`dev:${TOKEN}`)}`, want: token("dev") },
    { input: `Basic ${base64(`:${TOKEN}`)}`, want: token("") },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.deepEqual(parseAuthorization(input), want));
  }
});

Deno.test("parseAuthorization() refuses everything else, and shows nothing of it", async (t) => {
  const rows = [
    "",
    "Basic",
    "Bearer",
    "Digest hunter2",
    "hunter2",
    `Basic ${base64("hunter2")}`, // no colon
    "Basic hunter2:hunter2",
    "Basic aHVudGVyMjpodW50ZXIy_-",
    `Basic ${Buffer.from([0x61, 0x3a, 0xff]).toString("base64")}`, // not UTF-8
    "Bearer hunter2",
    "Bearer ey.ey",
    "Bearer eyhunter2.eyhunter2.",
    `Bearer ${TOKEN} ${TOKEN}`,
    `Basic ${base64("dev:eyhunter2.eyhunter2.")}`,
    `Bearer ${TOKEN}${"A".repeat(MAX_AUTHORIZATION_LENGTH)}`,
  ];
  for (const input of rows) {
    await t.step(input.slice(0, 80), () => {
      assert.throws(() => parseAuthorization(input), (error) => {
        assert.ok(error instanceof UnauthenticatedError);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      });
    });
  }
});

Deno.test("parseAuthorization() throws nothing else", () => {
  fc.assert(fc.property(
    fc.constantFrom("", "Basic ", "Bearer ", "Bearer ey.ey"),
    fc.string({ unit: "binary" }),
    fc.boolean(),
    (scheme, text, encode) => {
      try {
        parseAuthorization(`${scheme}${encode ? base64(text) : text}`);
      } catch (error) {
        assert.ok(error instanceof UnauthenticatedError, String(error));
      }
    },
  ));
});
