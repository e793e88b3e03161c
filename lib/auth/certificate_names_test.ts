import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { createAuthority } from "../../tests/fakes/authority.ts";
import { certificateNames } from "./certificate_names.ts";

const authority = await createAuthority();
const { certificate } = await authority.issue(["ci.example.com", "127.0.0.1"]);
const x509 = new X509Certificate(certificate);
const der = new Uint8Array(x509.raw);

Deno.test("certificateNames() reads the common name, alternative names and the last day", () => {
  assert.deepEqual(certificateNames(der), {
    commonName: /^CN=(.*)$/m.exec(x509.subject)?.[1] ?? null,
    // Addresses are no names.
    alternativeNames: ["DNS:ci.example.com"],
    notAfterMs: Date.parse(x509.validTo),
  });
});

Deno.test("certificateNames() throws for what is not a certificate, and ends", () => {
  for (let size = 0; size < der.length; size++) {
    assert.throws(() => certificateNames(der.subarray(0, size)), Error);
  }
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    assert.throws(() => certificateNames(bytes), Error);
  }));
  fc.assert(fc.property(fc.nat(der.length - 1), fc.nat(255), (at, byte) => {
    const changed = der.slice();
    changed[at] = byte;
    try {
      certificateNames(changed);
    } catch (error) {
      assert.ok(error instanceof Error);
    }
  }));
});
