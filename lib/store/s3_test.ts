import assert from "node:assert/strict";
import { Loopback } from "../../tests/fakes/loopback.ts";
import { FAST, networkStoreSuite } from "../../tests/suites/network_store_suite.ts";
import { ConfigError, StorageError } from "../errors.ts";
import { probeStore } from "./probe.ts";
import {
  emulatorTests,
  S3_ACCOUNT,
  S3_REGION,
  startS3,
  VERSITYGW,
} from "../../tests/worlds/emulator.ts";
import { signedUrlSuite } from "../../tests/suites/signed_url_suite.ts";
import { storeContract } from "../../tests/suites/store_contract.ts";
import { AwsV4Signer } from "aws4fetch";
import { bytesContent } from "./object_store.ts";
import { S3Store, type S3StoreOptions } from "./s3.ts";

const BUCKET = "modules";
/** The least that the protocol allows for a part which is not the last. */
const PART_SIZE_BYTES = 5 * 1024 * 1024;

emulatorTests(VERSITYGW, (program) => {
  const ways: Record<string, Partial<S3StoreOptions>> = {
    "S3Store": {},
    "S3Store with a prefix, in parts": {
      prefix: "a/b",
      singleRequestLimitBytes: 0,
      partSizeBytes: PART_SIZE_BYTES,
    },
  };
  for (const [name, options] of Object.entries(ways)) {
    storeContract(name, async () => {
      const emulator = await startS3(program, BUCKET);
      const at = (more: Partial<S3StoreOptions> = {}) =>
        open({ endpoint: emulator.url, ...options, ...more });
      return {
        replicas: [at(), at()],
        broken: at({ bucket: "missing" }),
        leftovers: () => uploadsAt(emulator.url),
        [Symbol.asyncDispose]: () => emulator[Symbol.asyncDispose](),
      };
    });
  }

  networkStoreSuite({
    name: "S3Store",
    start: () => startS3(program, BUCKET),
    open: (endpoint) =>
      open({
        endpoint,
        times: FAST,
        singleRequestLimitBytes: PART_SIZE_BYTES,
        partSizeBytes: PART_SIZE_BYTES,
      }),
    partSizeBytes: PART_SIZE_BYTES,
    isCreate: ({ method, headers }) => method === "PUT" && headers.has("If-None-Match"),
    isPart: ({ target }) => target.includes("partNumber=1&"),
    isCompletion: ({ method, headers }) => method === "POST" && headers.has("If-None-Match"),
  });

  for (const prefix of ["", "a/b"]) {
    signedUrlSuite({
      name: prefix === "" ? "S3Store" : "S3Store with a prefix",
      parameters: { signature: "X-Amz-Signature", expires: "X-Amz-Expires" },
      start: async () => {
        const emulator = await startS3(program, BUCKET);
        return {
          open: ({ lateMs }) =>
            open({ endpoint: emulator.url, prefix, date: () => Date.now() - lateMs }),
          secret: S3_ACCOUNT.secretAccessKey,
          [Symbol.asyncDispose]: () => emulator[Symbol.asyncDispose](),
        };
      },
    });
  }

  Deno.test("S3Store aborts an upload that comes to nothing", async (t) => {
    await using emulator = await startS3(program, BUCKET);
    const store = open({ endpoint: emulator.url, partSizeBytes: PART_SIZE_BYTES });
    const part = new Uint8Array(PART_SIZE_BYTES);
    const parts = (next: () => Promise<void>) => ({
      sizeBytes: 2 * part.length,
      open: () =>
        ReadableStream.from((async function* () {
          yield part.slice();
          await next();
          yield part.slice();
        })()),
    });
    const nothing = () => Promise.resolve();

    await t.step("another has been quicker", async () => {
      const [first, second] = await Promise.all([
        store.create("abort/raced", parts(nothing)),
        store.create("abort/raced", parts(nothing)),
      ]);
      assert.deepEqual([first, second].sort(), ["created", "exists"]);
      assert.deepEqual(await uploadsAt(emulator.url), []);
    });
    await t.step("the content fails", async () => {
      let passes = 0;
      const fail = () => passes++ === 0 ? nothing() : Promise.reject(new Error("no more"));
      await assert.rejects(store.create("abort/failed", parts(fail)), /no more/);
      assert.deepEqual(await uploadsAt(emulator.url), []);
    });
    await t.step("the caller leaves", async () => {
      const controller = new AbortController();
      let passes = 0;
      const leave = () => {
        if (passes++ > 0) controller.abort(new Error("gone"));
        return nothing();
      };
      const { signal } = controller;
      await assert.rejects(store.create("abort/left", parts(leave), { signal }), /gone/);
      assert.deepEqual(await uploadsAt(emulator.url), []);
      assert.equal(await store.get("abort/left"), null);
    });
  });

  /** The uploads that are neither completed nor aborted. */
  async function uploadsAt(url: string): Promise<string[]> {
    const signer = new AwsV4Signer({
      url: `${url}/${BUCKET}?uploads=`,
      service: "s3",
      region: S3_REGION,
      ...S3_ACCOUNT,
    });
    const response = await fetch((await signer.sign()).url, await signer.sign());
    assert.equal(response.status, 200);
    const text = await response.text();
    return [...text.matchAll(/<UploadId>([^<]*)</g)].map(([, id = ""]) => id);
  }
});

Deno.test("probeStore() refuses an S3Store whose server ignores the condition", async (t) => {
  for (const way of ["at once", "in parts"] as const) {
    await t.step(way, async () => {
      const server = new UnconditionalS3(way === "in parts");
      await using place = new Loopback((request) => server.handle(request));
      await assert.rejects(probeStore(open({ endpoint: place.url })), {
        message: "Cannot use s3 modules as a store: " +
          "two that create the same key at once are both told that they did",
      });
    });
  }
});

Deno.test("S3Store.signedUrl() has the session token of temporary credentials in it", async () => {
  const store = open({
    endpoint: "http://127.0.0.1",
    credentials: () => Promise.resolve({ ...S3_ACCOUNT, sessionToken: "session/+=" }),
    fetch: () => Promise.resolve(new Response(null)),
    date: () => Date.UTC(2024, 1, 3, 4, 5, 6),
  });
  const url = await store.signedUrl("a/b", { lifetimeSeconds: 300 });
  assert.deepEqual([...url?.searchParams ?? []].filter(([name]) => name !== "X-Amz-Signature"), [
    ["X-Amz-Expires", "300"],
    ["X-Amz-Date", "20240203T040506Z"],
    ["X-Amz-Security-Token", "session/+="],
    ["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
    ["X-Amz-Credential", `tester/20240203/${S3_REGION}/s3/aws4_request`],
    ["X-Amz-SignedHeaders", "host"],
  ]);
});

Deno.test("S3Store.signedUrl() fails as the store does where there are no credentials", async () => {
  const store = open({
    endpoint: "http://127.0.0.1",
    credentials: () => Promise.reject(new Error("nowhere")),
  });
  await assert.rejects(store.signedUrl("a/b", { lifetimeSeconds: 300 }), StorageError);
});

Deno.test("S3Store takes another writer at the same key (409) for a reason to ask again", async () => {
  const statuses = [409, 409, 200];
  const store = open({
    endpoint: "http://127.0.0.1",
    times: FAST,
    fetch: () => Promise.resolve(new Response("", { status: statuses.shift() ?? 500 })),
  });
  assert.equal(await store.create("a/b", bytesContent(new Uint8Array(1))), "created");
  assert.deepEqual(statuses, []);
});

Deno.test("S3Store uploads anew what fails after a completion has begun to be answered", async () => {
  const completions = ["<Error><Code>InternalError</Code></Error>", COMPLETED];
  const uploads: string[] = [];
  const store = open({
    endpoint: "http://127.0.0.1",
    times: FAST,
    fetch: (url, { method }) => {
      if (method === "HEAD") return Promise.resolve(new Response(null, { status: 404 }));
      if (method === "GET") return Promise.resolve(new Response(""));
      if (method === "PUT") return Promise.resolve(new Response("", { headers: { ETag: '"1"' } }));
      if (method === "DELETE") return Promise.resolve(new Response(null, { status: 204 }));
      if (!url.searchParams.has("uploads")) {
        return Promise.resolve(new Response(completions.shift()));
      }
      uploads.push(url.href);
      return Promise.resolve(new Response(`<UploadId>${uploads.length}</UploadId>`));
    },
  });
  const content = bytesContent(new Uint8Array(1));
  assert.equal(await store.create("a/b", content, { inParts: true }), "created");
  assert.equal(uploads.length, 2);
});

Deno.test("S3Store lists what is a key, and takes nothing but a listing for one", async (t) => {
  const contents = (...keys: string[]) =>
    keys.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join("");
  const rows: { name: string; answer: string; want: string[] | null }[] = [
    { name: "nothing", answer: "<ListBucketResult/>", want: [] },
    {
      name: "keys",
      answer: `<?xml version="1.0"?><ListBucketResult><Name>modules</Name>${
        contents("a/b", "a/&#99;")
      }<CommonPrefixes><Prefix>a/d/</Prefix></CommonPrefixes></ListBucketResult>`,
      want: ["b", "c"],
    },
    {
      name: "names that somebody else's objects have",
      answer: `<ListBucketResult>${
        contents("a/b", "a/&#1;", "a/&#x110062;", "a/&#xd800;", "a/&#x10063;", "a/&amp;&lt;", "a/c")
      }</ListBucketResult>`,
      want: ["b", "c"],
    },
    { name: "an empty answer", answer: "", want: null },
    { name: "cut off", answer: `<ListBucketResult>${contents("a/b")}`, want: null },
    { name: "a page of HTML", answer: "<html><body>Log in</body></html>", want: null },
  ];
  for (const { name, answer, want } of rows) {
    await t.step(name, async () => {
      const store = open({
        endpoint: "http://127.0.0.1",
        times: FAST,
        fetch: () => Promise.resolve(new Response(answer)),
      });
      if (want === null) return await assert.rejects(store.list("a"), StorageError);
      assert.deepEqual(await store.list("a"), want);
    });
  }
});

Deno.test("S3Store finds its bucket in the host name or in the path", async (t) => {
  const amazon = "https://modules.s3.eu-central-1.amazonaws.com/";
  const rows: { options: Partial<S3StoreOptions>; want: string | null }[] = [
    { options: {}, want: amazon },
    { options: { forcePathStyle: true }, want: "https://s3.eu-central-1.amazonaws.com/modules/" },
    // A certificate for one name below s3.… does not cover two.
    { options: { bucket: "a.b" }, want: "https://s3.eu-central-1.amazonaws.com/a.b/" },
    { options: { endpoint: "https://s3.example.com" }, want: "https://modules.s3.example.com/" },
    {
      options: { endpoint: "https://s3.example.com:9000/x/", forcePathStyle: true },
      want: "https://s3.example.com:9000/x/modules/",
    },
    // An address has no names below it.
    { options: { endpoint: "https://192.0.2.1" }, want: "https://192.0.2.1/modules/" },
    { options: { endpoint: "https://[2001:db8::1]" }, want: "https://[2001:db8::1]/modules/" },
    { options: { endpoint: "http://127.0.0.1:9000" }, want: "http://127.0.0.1:9000/modules/" },
    { options: { endpoint: "http://s3.example.com" }, want: null },
    {
      options: { endpoint: "http://s3.example.com:9000", insecureHosts: ["s3.example.com:9000"] },
      want: "http://modules.s3.example.com:9000/",
    },
  ];
  for (const { options, want } of rows) {
    await t.step(JSON.stringify(options), async () => {
      const urls: string[] = [];
      const openIt = () =>
        open({
          region: "eu-central-1",
          fetch: (url) => {
            urls.push(url.href);
            return Promise.resolve(new Response("<ListBucketResult></ListBucketResult>"));
          },
          ...options,
        });
      if (want === null) return assert.throws(openIt, ConfigError);
      assert.deepEqual(await openIt().list("a"), []);
      assert.equal(urls[0]?.split("?")[0], want);
    });
  }
});

const COMPLETED = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>";

function open(options: Partial<S3StoreOptions>): S3Store {
  return new S3Store({
    bucket: BUCKET,
    region: S3_REGION,
    credentials: () => Promise.resolve(S3_ACCOUNT),
    ...options,
  });
}

/**
 * As much of an S3 server as the probe uses, without the condition: on any upload, or on those in
 * parts only.
 */
class UnconditionalS3 {
  readonly #objects = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #knowsSimple: boolean;

  constructor(knowsSimple: boolean) {
    this.#knowsSimple = knowsSimple;
  }

  async handle(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const key = pathname.slice(`/${BUCKET}/`.length);
    const body = await request.bytes();
    switch (request.method) {
      case "POST":
        if (searchParams.has("uploads")) return new Response("<UploadId>1</UploadId>");
        this.#objects.set(key, body);
        return new Response(COMPLETED);
      case "PUT":
        if (searchParams.has("partNumber")) return new Response("", { headers: { ETag: '"1"' } });
        if (this.#knowsSimple && this.#objects.has(key)) return new Response("", { status: 412 });
        this.#objects.set(key, body);
        return new Response("");
      case "HEAD":
      case "GET":
        return this.#read(key);
      default:
        return new Response(null, { status: 204 });
    }
  }

  #read(key: string): Response {
    if (key === "") {
      const contents = [...this.#objects.keys()].map((key) =>
        `<Contents><Key>${key}</Key></Contents>`
      );
      return new Response(`<ListBucketResult>${contents.join("")}</ListBucketResult>`);
    }
    const object = this.#objects.get(key);
    if (object !== undefined) return new Response(object);
    return new Response("<Error><Code>NoSuchKey</Code></Error>", { status: 404 });
  }
}
