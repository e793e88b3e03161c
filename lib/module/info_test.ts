import assert from "node:assert/strict";
import fc from "fast-check";
import golden from "../../tests/testdata/golden/infos.json" with { type: "json" };
import { unlessRefused } from "../../tests/support/unless_refused.ts";
import {
  formatInfo,
  type Info,
  InvalidInfoError,
  MAX_INFO_SIZE_BYTES,
  type Origin,
  parseInfo,
} from "./info.ts";

function parseText(text: string): Info {
  return parseInfo(new TextEncoder().encode(text));
}

function withOrigin(origin: string): string {
  return `{"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":${origin}}`;
}

Deno.test("formatInfo() writes what Go writes of what parseInfo() has read", async (t) => {
  for (const { input, want, reason } of golden) {
    await t.step(JSON.stringify(input), () => {
      const got = unlessRefused(() => formatInfo(parseText(input)), InvalidInfoError);
      assert.equal(got, want, `Go says: ${reason}`);
    });
  }
});

const REFUSED: { input: string; want: string }[] = [
  { input: "", want: "not JSON" },
  { input: "[]", want: "the .info is not a JSON object" },
  { input: "null", want: "the .info is not a JSON object" }, // Go takes it for an empty one.
  { input: "{}", want: "no Version" }, // Go takes this and the next for the empty version.
  { input: '{"Version":"","Time":"2026-01-02T03:04:05Z"}', want: "no Version" },
  { input: '{"Version":null,"Time":"2026-01-02T03:04:05Z"}', want: "no Version" },
  { input: '{"Version":1,"Time":"2026-01-02T03:04:05Z"}', want: "Version is not a string" },
  { input: '{"Version":"v1.2.3","Time":""}', want: "no Time in the form of RFC 3339" },
  { input: '{"Version":"v1.2.3","Time":0}', want: "Time is not a string" },
  { input: withOrigin("1"), want: "Origin is not a JSON object" },
  { input: withOrigin('{"Hash":[]}'), want: "Hash is not a string" },
  { input: "[".repeat(MAX_INFO_SIZE_BYTES), want: "not JSON" },
  { input: " ".repeat(MAX_INFO_SIZE_BYTES + 1), want: "longer than 131072 bytes" },
];

Deno.test("parseInfo() says why it refuses", async (t) => {
  for (const { input, want } of REFUSED) {
    await t.step(JSON.stringify(input).slice(0, 80), () => {
      assert.throws(() => parseText(input), {
        name: "InvalidInfoError",
        message: `Cannot read .info: ${want}`,
      });
    });
  }
});

const ADDRESSES: { input: string; want: string | undefined }[] = [
  { input: "https://git.example.com/m", want: "https://git.example.com/m" },
  { input: "https://git.example.com", want: "https://git.example.com" },
  { input: "https://git.example.com/@scope/m", want: "https://git.example.com/@scope/m" },
  { input: "https://user:secret@git.example.com/m", want: "https://git.example.com/m" },
  {
    input: "https://secret@git.example.com:8443/m?a=b",
    want: "https://git.example.com:8443/m?a=b",
  },
  { input: "https://:secret@git.example.com/m", want: "https://git.example.com/m" },
  { input: "https://user:se@cret@git.example.com/m", want: "https://git.example.com/m" },
  { input: "HTTPS://user:secret@git.example.com/m", want: "https://git.example.com/m" },
  { input: "https:\\\\user:secret@git.example.com/m", want: "https://git.example.com/m" },
  { input: "ssh://git@git.example.com/m", want: "ssh://git.example.com/m" },
  { input: "git+ssh://git:secret@git.example.com/m", want: "git+ssh://git.example.com/m" },
  { input: "git@git.example.com:m", want: "git.example.com:m" },
  // No URL, but a person may have meant one.
  { input: "https://user:se/cret@git.example.com/m", want: "git.example.com/m" },
  { input: "user:secret@git.example.com/m", want: "git.example.com/m" },
  { input: "//user:secret@git.example.com/m", want: "git.example.com/m" },
  { input: "secret@", want: undefined },
  { input: "../m", want: "../m" },
];

Deno.test("parseInfo() drops what could be a secret from Origin.URL", async (t) => {
  for (const { input, want } of ADDRESSES) {
    await t.step(input, () => {
      assert.equal(parseText(withOrigin(JSON.stringify({ URL: input }))).origin?.url, want);
    });
  }
});

Deno.test("parseInfo() replaces bytes that are not UTF-8, as Go does", () => {
  const bytes = new TextEncoder().encode(withOrigin('{"Subdir":"a?b"}'))
    .map((byte) => byte === 0x3f ? 0xff : byte);
  assert.equal(parseInfo(bytes).origin?.subdir, "a\ufffdb");
});

const text = fc.string({ unit: "binary", minLength: 1, maxLength: 20 })
  .filter((text) => text.isWellFormed());
const origin: fc.Arbitrary<Origin> = fc.record({
  vcs: text,
  subdir: text,
  hash: text,
  tagPrefix: text,
  tagSum: text,
  ref: text,
  repoSum: text,
}, { requiredKeys: [], noNullPrototype: true });
const info: fc.Arbitrary<Info> = fc.record({
  version: text,
  time: fc.constantFrom("2026-01-02T03:04:05Z", "1969-12-31T23:59:59.000000001Z"),
  origin,
}, { requiredKeys: ["version", "time"], noNullPrototype: true });

Deno.test("parseInfo() undoes formatInfo()", () => {
  fc.assert(fc.property(info, (info) => {
    assert.deepEqual(parseText(formatInfo(info)), info);
  }));
});

Deno.test("parseInfo() throws nothing but InvalidInfoError", () => {
  const nearly = fc.tuple(
    fc.constantFrom("Version", "version", "Time", "Origin", "Extra", "__proto__"),
    fc.oneof(fc.jsonValue(), fc.constantFrom("v1.2.3", "2026-01-02T03:04:05Z")),
  );
  const json = fc.array(nearly).map((fields) => JSON.stringify(Object.fromEntries(fields)));
  fc.assert(fc.property(fc.oneof(json, fc.json(), fc.string()), (text) => {
    unlessRefused(() => parseText(text), InvalidInfoError);
  }));
});
