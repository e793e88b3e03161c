import assert from "node:assert/strict";
import { pathText } from "../schema/fault.ts";
import { parseConfig } from "./config.ts";
import { exposureFaults, exposureWarnings } from "./exposure.ts";

const PRIVATE = "privateModules: [{ pathPrefix: a.b, auth: { none: true } }]\n";
const CI = "clientAuth: { enabled: true, acl: [{}], identities: [{ name: ci }] }\n";
const ALICE = "clientAuth: { enabled: true, acl: [{}], identities: [{ name: ci }, " +
  "{ name: alice, password: { file: p } }] }\n";
const TLS = "listen: { tls: { certificate: { file: c }, privateKey: { file: k } } }\n";

const ROWS: { yaml: string; want: string[] }[] = [
  { yaml: "", want: [] },
  { yaml: PRIVATE, want: ["privateModules"] },
  // It says who may read them on loopback, and nothing about other machines.
  { yaml: PRIVATE + "clientAuth: { enabled: false }\n", want: ["privateModules"] },
  { yaml: PRIVATE + TLS, want: ["privateModules"] },
  { yaml: PRIVATE + CI, want: [] },
  { yaml: PRIVATE + ALICE, want: ["clientAuth.identities[1]"] },
  { yaml: ALICE, want: ["clientAuth.identities[1]"] },
  { yaml: ALICE + TLS, want: [] },
  { yaml: ALICE + "listen: { trustedProxies: [10.0.0.0/8] }\n", want: [] },
  { yaml: ALICE.replace("enabled: true", "enabled: false"), want: [] },
];

Deno.test("exposureFaults() finds what strangers could read or take", async (t) => {
  for (const { yaml, want } of ROWS) {
    await t.step(yaml, () => {
      const config = parseConfig(yaml);
      const paths = (host: string | null) =>
        exposureFaults(config, host).map(({ path }) => pathText(path));
      for (const host of ["0.0.0.0", "::", "192.0.2.1", "go.example.com", null]) {
        assert.deepEqual(paths(host), want, String(host));
      }
      for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) {
        assert.deepEqual(paths(host), [], host);
      }
      assert.deepEqual(exposureWarnings(config, "0.0.0.0"), []);
    });
  }
});

Deno.test("exposureWarnings() has what listen.insecure allows", () => {
  const config = parseConfig(`${PRIVATE}listen: { insecure: true }`);
  assert.deepEqual(exposureFaults(config, "0.0.0.0"), []);
  assert.equal(exposureWarnings(config, "0.0.0.0").length, 1);
  assert.deepEqual(exposureWarnings(config, "127.0.0.1"), []);
});
