/** `fetch` goes to the address that was checked, by a name that leads somewhere else or nowhere. */
import assert from "node:assert/strict";
import { createAuthority } from "./fakes/authority.ts";

const MAIN = new URL("./processes/egress_fetch_main.ts", import.meta.url).href;
/** git.example.com is looked up once; what is said about it later does not matter. */
const RESULTS = [/^200 git\.example\.com:\d+ \/a$/, /^200 git\.example\.com:\d+ \/b$/];

Deno.test("fetch connects to the one address that was looked up, also where NO_PROXY is for all hosts", async () => {
  const authority = await createAuthority();
  const { certificate: cert, privateKey: key } = await authority.issue(["git.example.com"]);
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, cert, key },
    (request) => new Response(`${new URL(request.url).host} ${new URL(request.url).pathname}`),
  );
  const caFile = await Deno.makeTempFile({ prefix: "egress-", suffix: ".pem" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(caFile));
  await Deno.writeTextFile(caFile, authority.certificate);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-lock",
      "--no-prompt",
      "-NRE",
      "--allow-sys=hostname",
      MAIN,
      String(server.addr.port),
      caFile,
    ],
    env: { NO_PROXY: "*", no_proxy: "*", HTTPS_PROXY: "", HTTP_PROXY: "", ALL_PROXY: "" },
    stdin: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  const decoder = new TextDecoder();
  assert.notEqual(stdout.length, 0, decoder.decode(stderr));
  const { results, lookups, noProxy } = JSON.parse(decoder.decode(stdout));
  for (const [i, want] of RESULTS.entries()) assert.match(results[i], want);
  assert.match(
    results[2],
    /^Cannot reach other\.example\.com: .*127\.0\.0\.9, which is not a public/,
  );
  assert.deepEqual(lookups, ["git.example.com", "other.example.com"]);
  assert.equal(noProxy, "*");
});
