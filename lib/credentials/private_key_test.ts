import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describeError } from "../errors.ts";
import { readPrivateKey } from "./private_key.ts";
import { SecretError } from "./secret.ts";

const places = { directory: "/", env: () => undefined };
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pkcs1 = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
const pkcs8 = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const modulus = privateKey.export({ format: "jwk" }).n;

Deno.test("readPrivateKey() takes RSA keys", async (t) => {
  const rows = [
    { name: "PKCS#1", pem: pkcs1 },
    { name: "PKCS#8", pem: pkcs8 },
    { name: "with CRLF", pem: pkcs1.replaceAll("\n", "\r\n") },
    { name: "with text around it", pem: `The key of our App\n${pkcs8}\nkeep it well\n` },
  ];
  for (const { name, pem } of rows) {
    await t.step(name, async () => {
      const key = await readPrivateKey(pem, places);
      assert.equal(key.export({ format: "jwk" }).n, modulus);
    });
  }
});

Deno.test("readPrivateKey() refuses everything else, and repeats nothing of it", async (t) => {
  const elliptic = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const pem = { type: "pkcs8", format: "pem" } as const;
  const body = pkcs1.split("\n").slice(1, -2);
  const rows = [
    { name: "nothing", input: "PLANTED", want: /there is no PEM block$/ },
    { name: "a first line only", input: pkcs1.slice(0, 31), want: /there is no PEM block$/ },
    { name: "two keys", input: pkcs1 + pkcs8, want: /there are 2 PEM blocks, not one$/ },
    {
      name: "a public key",
      input: publicKey.export({ type: "spki", format: "pem" }).toString(),
      want: /the PEM block is a "PUBLIC KEY", not an RSA private key$/,
    },
    {
      name: "an encrypted key",
      input: privateKey.export({ ...pem, cipher: "aes-256-cbc", passphrase: "p" }).toString(),
      want: /it is encrypted; store it without a passphrase$/,
    },
    {
      name: "an encrypted PKCS#1 key",
      input: pkcs1.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: X,00\n\n"),
      want: /it is encrypted; store it without a passphrase$/,
    },
    {
      name: "an elliptic curve key",
      input: elliptic.export(pem).toString(),
      want: /it is not an RSA key$/,
    },
    {
      name: "an elliptic curve key, SEC 1",
      input: elliptic.export({ type: "sec1", format: "pem" }).toString(),
      want: /the PEM block is a "EC PRIVATE KEY", not an RSA private key$/,
    },
    {
      name: "a damaged key",
      input: pkcs1.replace(body[3] ?? "", ""),
      want: /the PEM block is damaged$/,
    },
    {
      name: "no key in the block",
      input: "-----BEGIN PRIVATE KEY-----\nUExBTlRFRA==\n-----END PRIVATE KEY-----",
      want: /the PEM block is damaged$/,
    },
  ];
  for (const { name, input, want } of rows) {
    await t.step(name, async () => {
      await assert.rejects(readPrivateKey(input, places), (error) => {
        assert.ok(error instanceof SecretError);
        assert.match(error.message, want);
        for (const secret of [...body, "PLANTED", "UExBTlRFRA"]) {
          assert.equal(describeError(error).includes(secret), false);
        }
        return true;
      });
    });
  }
});
