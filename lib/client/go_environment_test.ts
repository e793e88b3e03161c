import assert from "node:assert/strict";
import { InvalidRequestError } from "../errors.ts";
import { checkGoEnvironment, parseGoEnvironment, vendorFaults } from "./go_environment.ts";

const PROXY = "https://proxy.example.com";
const GOOD = { GOPROXY: PROXY, GOSUMDB: "sum.golang.org", GONOPROXY: "", GONOSUMDB: "" };

Deno.test("checkGoEnvironment() finds each way around the proxy", async (t) => {
  const rows: { env: Record<string, string>; want: (readonly [string, string, RegExp])[] }[] = [
    { env: {}, want: [] },
    { env: { GOPROXY: "https://user:secret@proxy.example.com/" }, want: [] },
    { env: { GONOPROXY: "none", GONOSUMDB: "none" }, want: [] },
    { env: { GOPROXY: `${PROXY},direct` }, want: [["error", "GOPROXY", /^direct downloads/]] },
    {
      env: { GOPROXY: `${PROXY}|direct` },
      want: [["error", "GOPROXY", /after "\|"/], ["error", "GOPROXY", /^direct/]],
    },
    {
      env: { GOPROXY: "https://other.example.com" },
      want: [
        ["error", "GOPROXY", /another proxy: https:\/\/other\.example\.com/],
        ["error", "GOPROXY", /does not have https:\/\/proxy\.example\.com/],
      ],
    },
    { env: { GONOPROXY: "github.com/my-org" }, want: [["warning", "GONOPROXY", /my-org/]] },
    { env: { GONOPROXY: "*" }, want: [["error", "GONOPROXY", /public ones match/]] },
    { env: { GONOPROXY: "*.com/*" }, want: [["error", "GONOPROXY", /public ones match/]] },
    { env: { GONOPROXY: "git.corp.example" }, want: [["warning", "GONOPROXY", /corp/]] },
    { env: { GONOSUMDB: "github.com/my-org" }, want: [] },
    {
      env: { GOPROXY: `${PROXY},https://user:secret@x.example.com` },
      want: [["error", "GOPROXY", /another proxy: https:\/\/x\.example\.com\/$/]],
    },
    { env: { GONOSUMDB: "github.com" }, want: [["error", "GONOSUMDB", /not verified/]] },
    { env: { GOSUMDB: "off" }, want: [["error", "GOSUMDB", /is off/]] },
    { env: { GOINSECURE: "x.example.com" }, want: [["error", "GOINSECURE", /x\.example\.com/]] },
    { env: { GOFLAGS: "-mod=mod -insecure" }, want: [["error", "GOFLAGS", /-insecure/]] },
  ];
  for (const { env, want } of rows) {
    await t.step(JSON.stringify(env), () => {
      const found = checkGoEnvironment(new Map(Object.entries({ ...GOOD, ...env })), PROXY);
      assert.deepEqual(
        found.map(({ severity, name }) => [severity, name]),
        want.map(([severity, name]) => [severity, name]),
      );
      for (const [i, [, , message]] of want.entries()) {
        assert.match(found[i]?.message ?? "", message);
      }
    });
  }
});

Deno.test("parseGoEnvironment() reads go env -json and nothing else", () => {
  assert.equal(parseGoEnvironment('{"GOPROXY":"off","GOOS":"linux"}').get("GOOS"), "linux");
  for (const text of ["", "[]", "GOPROXY=off", "{}"]) {
    assert.throws(() => parseGoEnvironment(text), InvalidRequestError, text);
  }
});

Deno.test("vendorFaults() finds modules that go.sum does not know", () => {
  const sums = "example.com/a v1.0.0 h1:x=\nexample.com/a v1.0.0/go.mod h1:y=\n" +
    "example.com/fork v1.1.0 h1:z=\n";
  const found = vendorFaults(
    "# example.com/a v1.0.0\n## explicit\nexample.com/a\n# example.com/b v1.0.0\n" +
      "# example.com/c v1.0.0 => example.com/fork v1.1.0\n# example.com/d v1.0.0 => ../d\n",
    sums,
  );
  assert.deepEqual(found.map(({ message }) => message), [
    "vendor/modules.txt has example.com/b@v1.0.0, and go.sum does not",
  ]);
});
