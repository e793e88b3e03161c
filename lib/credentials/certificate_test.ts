import assert from "node:assert/strict";
import { createAuthority } from "../../tests/fakes/authority.ts";
import { CertificateWatch, readCertificate } from "./certificate.ts";
import { SecretError } from "./secret.ts";

const authority = await createAuthority();
const first = await authority.issue(["proxy.example.com"]);
const second = await authority.issue(["proxy.example.com"]);
const places = { directory: "/", env: () => undefined };

Deno.test("readCertificate() takes a chain and the key to its first certificate", async () => {
  const chain = `${first.certificate}\n${authority.certificate}`;
  const read = await readCertificate({ ...first, certificate: chain }, places);
  assert.equal(read.names, "DNS:proxy.example.com");
  assert.equal(read.privateKey, first.privateKey.trimEnd());
  assert.ok(read.notAfter > new Date());
});

const key = first.privateKey;
const certificate = first.certificate;
const REFUSED: { name: string; certificate: string; privateKey: string; message: RegExp }[] = [
  { name: "a key for a certificate", certificate: key, privateKey: key, message: /not a chain/ },
  { name: "a text", certificate: "text", privateKey: key, message: /not a chain/ },
  {
    name: "a damaged certificate",
    certificate: certificate.replace(/\n.{20}/, "\n"),
    privateKey: key,
    message: /not a chain/,
  },
  {
    name: "a damaged certificate further down",
    certificate: `${certificate}\n${authority.certificate.replace(/\n.{20}/, "\n")}`,
    privateKey: key,
    message: /not a chain/,
  },
  { name: "a certificate for a key", certificate, privateKey: certificate, message: /not a PEM/ },
  {
    name: "another key",
    certificate,
    privateKey: second.privateKey,
    message: /private key: not the key to the certificate in the configuration$/,
  },
  {
    name: "the authority's certificate first",
    certificate: `${authority.certificate}\n${certificate}`,
    privateKey: key,
    message: /not the key/,
  },
];

for (const { name, message, ...config } of REFUSED) {
  Deno.test(`readCertificate() refuses ${name}`, async () => {
    await assert.rejects(readCertificate(config, places), (error: Error) => {
      assert.ok(error instanceof SecretError);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /BEGIN|[A-Za-z0-9+/]{30}/);
      return true;
    });
  });
}

Deno.test("CertificateWatch tells each new certificate once, and no unusable one", async () => {
  const directory = await Deno.makeTempDir({ prefix: "certificate-" });
  try {
    const write = (name: string, text: string) => Deno.writeTextFile(`${directory}/${name}`, text);
    const config = { certificate: { file: "cert.pem" }, privateKey: { file: "key.pem" } };
    await write("cert.pem", first.certificate);
    await write("key.pem", first.privateKey);
    const current = await readCertificate(config, { ...places, directory });
    const watch = new CertificateWatch(current, { config, places: { ...places, directory } });
    assert.equal(await watch.next(), null);
    await write("cert.pem", second.certificate);
    await assert.rejects(watch.next(), /not the key/);
    await write("key.pem", second.privateKey);
    assert.equal((await watch.next())?.certificate, second.certificate.trimEnd());
    assert.equal(await watch.next(), null);
    await Deno.remove(`${directory}/key.pem`);
    await assert.rejects(watch.next(), SecretError);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
