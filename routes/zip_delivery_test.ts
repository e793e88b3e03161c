import assert from "node:assert/strict";
import { zipDelivery, type ZipDeliveryOptions, type ZipRequest } from "./zip_delivery.ts";

const URL_OF_ZIP = "https://bucket.example.com/z1/x?signature=1";
const FILE = "z1/example.com/!a/@v/v1.0.0/0a";
const ZIP = {
  url: () => Promise.resolve(new URL(URL_OF_ZIP)),
  file: () => Promise.resolve(FILE),
};
const BLOB = { contentType: "application/zip", etag: '"h1:x="' };

function requestOf(
  { headers = {}, ...rest }: Partial<Omit<ZipRequest, "headers">> & {
    headers?: Record<string, string>;
  } = {},
): ZipRequest {
  return {
    method: "GET",
    headers: new Headers(headers),
    origin: "https://go.example.com",
    address: "10.1.2.3",
    peer: "10.0.0.1",
    facts: {},
    ...rest,
  };
}

function open(options: Partial<ZipDeliveryOptions>) {
  return zipDelivery({ redirect: false, trustedProxies: [], ...options });
}

Deno.test("zipDelivery() redirects the clients that it is to", async (t) => {
  const rows: {
    name: string;
    redirect: ZipDeliveryOptions["redirect"];
    request: ZipRequest;
    want: boolean;
  }[] = [
    { name: "nobody", redirect: false, request: requestOf(), want: false },
    { name: "everybody", redirect: true, request: requestOf(), want: true },
    {
      name: "a request without an address",
      redirect: true,
      request: requestOf({ address: null }),
      want: true,
    },
    {
      name: "a client in the network",
      redirect: { networks: ["10.0.0.0/8"] },
      request: requestOf(),
      want: true,
    },
    {
      name: "another client",
      redirect: { networks: ["192.0.2.0/24"] },
      request: requestOf(),
      want: false,
    },
    {
      name: "a client behind a proxy in the network",
      redirect: { networks: ["10.0.0.0/8"] },
      request: requestOf({ address: "203.0.113.1" }),
      want: false,
    },
    {
      name: "one whose address is not known",
      redirect: { networks: ["0.0.0.0/0", "::/0"] },
      request: requestOf({ address: null }),
      want: false,
    },
    { name: "HEAD", redirect: true, request: requestOf({ method: "HEAD" }), want: false },
    {
      name: "a range",
      redirect: true,
      request: requestOf({ headers: { Range: "bytes=0-1" } }),
      want: true,
    },
    {
      name: "who has the zip",
      redirect: true,
      request: requestOf({ headers: { "If-None-Match": BLOB.etag } }),
      want: false,
    },
    {
      name: "who has another one",
      redirect: true,
      request: requestOf({ headers: { "If-None-Match": '"h1:y="' } }),
      want: true,
    },
  ];
  for (const { name, redirect, request, want } of rows) {
    await t.step(name, async () => {
      const answer = await open({ redirect }).answer(ZIP, { ...BLOB, request });
      assert.deepEqual(
        answer,
        want
          ? {
            status: 302,
            headers: { "Location": URL_OF_ZIP, "Cache-Control": "no-store" },
            body: null,
            sizeBytes: 0,
          }
          : null,
      );
      assert.deepEqual(request.facts, want ? { sentBy: "bucket" } : {});
    });
  }
  await t.step("what the bucket does not have", async () => {
    const nothing = { ...ZIP, url: () => Promise.resolve(null) };
    const request = requestOf();
    assert.equal(await open({ redirect: true }).answer(nothing, { ...BLOB, request }), null);
  });
});

Deno.test("zipDelivery() sends no credentials to the bucket", async (t) => {
  const rows = [
    { origin: "https://go.example.com", bucket: "bucket.example.com", want: true },
    { origin: "https://example.com", bucket: "bucket.example.com", want: false },
    { origin: "https://bucket.example.com:8443", bucket: "bucket.example.com", want: false },
    { origin: "https://t.example.com", bucket: "bucket.example.com", want: true },
    { origin: "http://192.0.2.1:8080", bucket: "192.0.2.1:9000", want: false },
    { origin: "http://127.0.0.1:8080", bucket: "127.0.0.1:9000", want: true },
  ];
  for (const { origin, bucket, want } of rows) {
    await t.step(`${origin}, ${bucket}`, async () => {
      const zip = { ...ZIP, url: () => Promise.resolve(new URL(`http://${bucket}/z1`)) };
      const delivery = open({ redirect: true });
      const headers = { Authorization: "Basic eA==" };
      const answer = await delivery.answer(zip, {
        ...BLOB,
        request: requestOf({ origin, headers }),
      });
      assert.equal(answer?.status === 302, want);
      const other = await delivery.answer(zip, { ...BLOB, request: requestOf({ origin }) });
      assert.equal(other?.status, 302, "without credentials");
    });
  }
});

Deno.test("zipDelivery() has nginx send the file, where nginx asks", async (t) => {
  const options = { accelRedirect: "/internal/zips", trustedProxies: ["10.0.0.0/24"] };
  const rows: { name: string; request: ZipRequest; want: boolean }[] = [
    { name: "nginx", request: requestOf(), want: true },
    { name: "HEAD", request: requestOf({ method: "HEAD" }), want: true },
    { name: "another peer", request: requestOf({ peer: "10.0.1.1" }), want: false },
    { name: "no peer", request: requestOf({ peer: null }), want: false },
    {
      name: "a client of another proxy, with an address of nginx",
      request: requestOf({ peer: "10.0.1.1", address: "10.0.0.1" }),
      want: false,
    },
    {
      name: "who has the zip",
      request: requestOf({ headers: { "If-None-Match": BLOB.etag } }),
      want: false,
    },
  ];
  for (const { name, request, want } of rows) {
    await t.step(name, async () => {
      const answer = await open(options).answer(ZIP, { ...BLOB, request });
      assert.deepEqual(
        answer,
        want
          ? {
            status: 200,
            headers: {
              "X-Accel-Redirect": `/internal/zips/${FILE}`,
              "Content-Type": "application/zip",
              "Cache-Control": "public, max-age=31536000, immutable",
              "ETag": BLOB.etag,
            },
            body: null,
          }
          : null,
      );
      assert.deepEqual(request.facts, want ? { sentBy: "nginx" } : {});
    });
  }
  await t.step("no file", async () => {
    const nothing = { ...ZIP, file: () => Promise.resolve(null) };
    const request = requestOf();
    assert.equal(await open(options).answer(nothing, { ...BLOB, request }), null);
  });
  await t.step("no trusted proxy", async () => {
    const delivery = open({ accelRedirect: "/internal/zips" });
    assert.equal(await delivery.answer(ZIP, { ...BLOB, request: requestOf() }), null);
  });
});
