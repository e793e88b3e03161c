import assert from "node:assert/strict";
import fc from "fast-check";
import { InvalidRequestError } from "../errors.ts";
import { parseRemoteUrl } from "./remote_url.ts";

const isHttpAllowed = (host: string) => host === "127.0.0.1:8080" || host === "git.example.com";

Deno.test("parseRemoteUrl() accepts", async (t) => {
  const rows = [
    { input: "https://git.example.com/a/b", want: "https://git.example.com/a/b" },
    { input: "https://git.example.com/a/b.git", want: "https://git.example.com/a/b.git" },
    { input: "HTTPS://GIT.example.com:443/A/b", want: "https://git.example.com/A/b" },
    { input: "https://git.example.com:8443/a", want: "https://git.example.com:8443/a" },
    { input: "http://127.0.0.1:8080/a", want: "http://127.0.0.1:8080/a" },
    { input: "http://git.example.com/a", want: "http://git.example.com/a" },
    { input: "https://git.example.com/a/../b", want: "https://git.example.com/b" },
    { input: "https://git.example.com/-a", want: "https://git.example.com/-a" },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(parseRemoteUrl(input, { isHttpAllowed }), want));
  }
});

Deno.test("parseRemoteUrl() refuses", async (t) => {
  const rows = [
    { input: "", why: /not a URL/ },
    { input: "--upload-pack=date", why: /not a URL/ },
    { input: "ext::sh", why: /scheme ext/ },
    { input: "ext::sh -c date", why: /space/ },
    { input: "git@git.example.com:a/b", why: /not a URL/ },
    { input: "/etc", why: /not a URL/ },
    { input: "file:///etc", why: /scheme file/ },
    { input: "ssh://git.example.com/a", why: /scheme ssh/ },
    { input: "git://git.example.com/a", why: /scheme git/ },
    { input: "https:///", why: /not a URL/ },
    { input: "http://git.example.com:8080/a", why: /plain http/ },
    { input: "https://u:hunter2@git.example.com/a", why: /user or password/ },
    { input: "https://u@git.example.com/a", why: /user or password/ },
    { input: "https:///-", why: /host/ },
    { input: "https://-x.example.com/a", why: /host/ },
    { input: "https://git.example.com/a?b", why: /query/ },
    { input: "https://git.example.com/a#b", why: /fragment/ },
    { input: "https://git.example.com/a\nb", why: /control character/ },
    { input: " https://git.example.com/a", why: /space/ },
    { input: "https://git.example.com\\a", why: /backslash/ },
    { input: "https://git.example.com/\u0000", why: /control character/ },
    { input: `https://git.example.com/${"a".repeat(1024)}`, why: /over 1024 characters/ },
  ];
  for (const { input, why } of rows) {
    await t.step(JSON.stringify(input.slice(0, 60)), () => {
      assert.throws(() => parseRemoteUrl(input, { isHttpAllowed }), (error) => {
        assert.ok(error instanceof InvalidRequestError);
        assert.match(error.message, why);
        assert.ok(!error.message.includes("hunter2"));
        return true;
      });
    });
  }
});

Deno.test("parseRemoteUrl() gives nothing but https and http URLs, and they stay as they are", () => {
  const start = fc.constantFrom("https://", "http://", "https:", "", "-");
  const rest = fc.oneof(fc.webUrl(), fc.string({ unit: "binary" }), fc.webPath());
  fc.assert(fc.property(start, rest, (prefix, suffix) => {
    let remote: string;
    try {
      remote = parseRemoteUrl(prefix + suffix, { isHttpAllowed: () => true });
    } catch (error) {
      assert.ok(error instanceof InvalidRequestError);
      return;
    }
    assert.match(remote, /^https?:\/\/[^-/@\s][^@\s]*/);
    assert.equal(parseRemoteUrl(remote, { isHttpAllowed: () => true }), remote);
  }));
});
