import assert from "node:assert/strict";
import { describeError } from "../errors.ts";
import { destinationOf, EgressError, EgressPolicy, parseEgressRule } from "./egress.ts";

/** What a policy says of a URL's host before it is looked up. */
function check(url: string, allow: readonly string[] = []): "refused" | "allowed" | "to look up" {
  try {
    const isAllowed = new EgressPolicy(allow).checkHost(destinationOf(new URL(url)));
    return isAllowed ? "allowed" : "to look up";
  } catch (error) {
    if (!(error instanceof EgressError)) throw error;
    return "refused";
  }
}

Deno.test("EgressPolicy.checkHost() refuses what is not public whatever it resolves to", async (t) => {
  const refused = [
    "https://127.0.0.1",
    "https://127.1",
    "https://0",
    "https://2130706433",
    "https://0x7f.0.0.1",
    "https://0177.0.0.1",
    "https://169.254.169.254",
    "https://[::1]",
    "https://[::ffff:10.0.0.1]",
    "https://[::]",
    "https://[fd00::1]",
    "https://localhost",
    "https://LOCALHOST",
    "https://localhost.",
    "https://a.localhost",
    "https://printer",
    "https://printer.local",
    "https://metadata.google.internal",
    "https://nas.home.arpa",
    "https://example.com.",
    "https://a..b",
    "https://-a.example.com",
    "https://a_.example.com.",
    "https://a,b.example.com",
    "https://a:1@b;c.example.com",
  ];
  for (const url of refused) await t.step(url, () => assert.equal(check(url), "refused"));
});

Deno.test("EgressPolicy.checkHost() leaves public names to the lookup, and takes public addresses", async (t) => {
  const urls = [
    "https://example.com",
    "https://EXAMPLE.com:8443",
    "https://bücher.example",
    "https://_git.example.com",
    "https://8.8.8.8",
    "https://[2606:4700::1]:8443",
  ];
  for (const url of urls) await t.step(url, () => assert.equal(check(url), "to look up"));
});

Deno.test("egress.allow lists names, addresses and blocks, each also for one port", async (t) => {
  const rows: { url: string; allow: string; want: ReturnType<typeof check> }[] = [
    { url: "https://git.corp", allow: "git.corp", want: "allowed" },
    { url: "https://git.corp", allow: "GIT.corp:443", want: "allowed" },
    { url: "http://git.corp", allow: "git.corp:443", want: "refused" },
    { url: "http://git.corp", allow: "git.corp:80", want: "allowed" },
    { url: "https://a.git.corp", allow: "git.corp", want: "refused" },
    { url: "https://git.corp.", allow: "git.corp", want: "refused" },
    { url: "https://bücher.internal", allow: "bücher.internal", want: "allowed" },
    { url: "https://10.1.2.3", allow: "10.0.0.0/8", want: "to look up" },
    { url: "https://10.1.2.3", allow: "10.1.2.3", want: "to look up" },
    { url: "https://10.1.2.3:8443", allow: "10.1.2.3:8443", want: "to look up" },
    { url: "https://10.1.2.3", allow: "10.1.2.3:8443", want: "refused" },
    { url: "https://[fd00::1]", allow: "fd00::/8", want: "to look up" },
    { url: "https://[fd00::1]:8443", allow: "[fd00::1]:8443", want: "to look up" },
    { url: "https://[::ffff:10.0.0.1]", allow: "10.0.0.0/8", want: "refused" },
    // Not by name: an address is one of a block.
    { url: "https://10.1.2.3", allow: "10.1.2.4", want: "refused" },
  ];
  for (const { url, allow, want } of rows) {
    await t.step(`${url} by ${allow}`, () => assert.equal(check(url, [allow]), want));
  }
});

Deno.test("EgressPolicy.checkAddresses() wants every address to be public or allowed", () => {
  const destination = { hostname: "a.example.com", port: 443 };
  const policy = new EgressPolicy(["10.1.0.0/16"]);
  policy.checkAddresses(["8.8.8.8", "2606:4700::1", "10.1.2.3"], destination);
  for (const address of ["127.0.0.1", "10.2.0.1", "::1", "fe80::1%eth0", "nonsense"]) {
    assert.throws(
      () => policy.checkAddresses(["8.8.8.8", address], destination),
      (error) => {
        assert.ok(error instanceof EgressError);
        assert.equal(error.message, "Cannot reach a.example.com");
        assert.ok(describeError(error).includes(`"a.example.com" resolves to ${address}, which`));
        return true;
      },
    );
  }
});

Deno.test("parseEgressRule() refuses what would allow nothing, or more than it seems to", async (t) => {
  const faults = [
    "",
    "*",
    "*.example.com",
    "https://example.com",
    "example.com/x",
    "example.com.",
    "example.com:",
    "example.com:0",
    "example.com:65536",
    "a b",
    "127.1",
    "2130706433",
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0.0/8:443",
    "user@example.com",
  ];
  for (const text of faults) {
    await t.step(`"${text}"`, () => assert.throws(() => parseEgressRule(text), /is not a host/));
  }
});
