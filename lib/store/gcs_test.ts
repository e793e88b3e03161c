import assert from "node:assert/strict";
import { FaultProxy } from "../../tests/fakes/fault_proxy.ts";
import { FAST, networkStoreSuite } from "../../tests/suites/network_store_suite.ts";
import { ConfigError, StorageError } from "../errors.ts";
import { bytesContent } from "./object_store.ts";
import { probeStore } from "./probe.ts";
import { emulatorTests, FAKE_GCS_SERVER, startGcs } from "../../tests/worlds/emulator.ts";
import { SignedBucket } from "../../tests/fakes/signed_bucket.ts";
import { signedUrlSuite } from "../../tests/suites/signed_url_suite.ts";
import { storeContract } from "../../tests/suites/store_contract.ts";
import { GoogleAuth, JWT } from "google-auth-library";
import { GcsStore, type GcsStoreOptions } from "./gcs.ts";
import { googleUrlSigner } from "./gcs_signed_url.ts";

const BUCKET = "modules";
/** The least that the API takes. */
const PART_SIZE_BYTES = 256 * 1024;

emulatorTests(FAKE_GCS_SERVER, (program) => {
  const ways: Record<string, Partial<GcsStoreOptions>> = {
    "GcsStore": {},
    "GcsStore with a prefix, in parts": {
      prefix: "a/b",
      singleRequestLimitBytes: 0,
      partSizeBytes: PART_SIZE_BYTES,
    },
  };
  for (const [name, options] of Object.entries(ways)) {
    storeContract(name, async () => {
      const emulator = await startGcs(program, BUCKET);
      const open = (more: Partial<GcsStoreOptions> = {}) =>
        new GcsStore({ bucket: BUCKET, apiEndpoint: emulator.url, ...options, ...more });
      return {
        replicas: [open(), open()],
        broken: open({ bucket: "missing" }),
        [Symbol.asyncDispose]: () => emulator[Symbol.asyncDispose](),
      };
    });
  }

  networkStoreSuite({
    name: "GcsStore",
    start: () => startGcs(program, BUCKET),
    open: (apiEndpoint) =>
      new GcsStore({
        bucket: BUCKET,
        apiEndpoint,
        times: FAST,
        singleRequestLimitBytes: PART_SIZE_BYTES,
        partSizeBytes: PART_SIZE_BYTES,
      }),
    partSizeBytes: PART_SIZE_BYTES,
    isCreate: ({ method, target }) => method === "POST" && target.includes("uploadType=multipart"),
    isPart: ({ headers }) => /^bytes 0-/.test(headers.get("Content-Range") ?? ""),
    isCompletion: ({ headers }) => /^bytes [1-9]/.test(headers.get("Content-Range") ?? ""),
  });

  for (const prefix of ["", "a/b"]) {
    signedUrlSuite({
      name: prefix === "" ? "GcsStore" : "GcsStore with a prefix",
      parameters: { signature: "X-Goog-Signature", expires: "X-Goog-Expires" },
      start: async () => {
        const server = new SignedBucket(await startGcs(program, BUCKET));
        const { email, privateKey: key } = server.account;
        // As if it had found the account's file; its options for one print warnings.
        const authClient = new GoogleAuth({ authClient: new JWT({ email, key }) });
        authClient.jsonContent = { client_email: email, private_key: key };
        const signUrl = googleUrlSigner({ bucket: BUCKET, endpoint: server.url, authClient });
        return {
          open: ({ lateMs }) => {
            server.aheadMs = lateMs;
            return new GcsStore({ bucket: BUCKET, apiEndpoint: server.url, prefix, signUrl });
          },
          secret: key,
          [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
        };
      },
    });
  }

  Deno.test("probeStore() refuses a GcsStore whose server ignores the condition", async (t) => {
    const rows = { "uploadType=multipart": "at once", "uploadType=resumable": "in parts" };
    for (const [ignored, way] of Object.entries(rows)) {
      await t.step(way, async () => {
        await using emulator = await startGcs(program, BUCKET);
        await using proxy = new FaultProxy(emulator.url);
        proxy.plan = ({ target }) =>
          target.includes(ignored)
            ? { kind: "redirect", target: target.replace("ifGenerationMatch=0", "") }
            : null;
        const store = new GcsStore({ bucket: BUCKET, apiEndpoint: proxy.url });
        await assert.rejects(probeStore(store), {
          message: "Cannot use gcs modules as a store: " +
            "two that create the same key at once are both told that they did",
        });
      });
    }
  });
});

Deno.test("GcsStore sends on from where the server says that it is", async (t) => {
  const size = PART_SIZE_BYTES + 1000;
  const last = `bytes ${PART_SIZE_BYTES}-${size - 1}/${size}`;
  const first = `bytes 0-${PART_SIZE_BYTES - 1}/${size}`;
  const taken = (end: number) => ({ status: 308, headers: { Range: `bytes=0-${end - 1}` } });
  const rows: { name: string; answers: { status: number; headers?: object }[]; want: string[] }[] =
    [
      { name: "all", answers: [taken(PART_SIZE_BYTES), { status: 200 }], want: [first, last] },
      {
        name: "less than was sent",
        answers: [taken(100), taken(PART_SIZE_BYTES), { status: 201 }],
        want: [first, `bytes 100-${PART_SIZE_BYTES - 1}/${size}`, last],
      },
      {
        name: "nothing of it",
        answers: [{ status: 308 }, taken(PART_SIZE_BYTES), { status: 200 }],
        want: [first, first, last],
      },
      {
        name: "nothing of anything, later",
        answers: [taken(PART_SIZE_BYTES), { status: 308 }, taken(PART_SIZE_BYTES), { status: 200 }],
        want: [first, last, first, last],
      },
      {
        name: "the upload is gone",
        answers: [taken(PART_SIZE_BYTES), { status: 410 }, taken(PART_SIZE_BYTES), { status: 200 }],
        want: [first, last, first, last],
      },
    ];
  for (const { name, answers, want } of rows) {
    await t.step(name, async () => {
      const sent: string[] = [];
      const left = [...answers];
      const store = storeAnsweredBy((method, headers, crc32c) => {
        if (method !== "PUT") return null;
        sent.push(headers.get("Content-Range") ?? "");
        const { status = 500, headers: answer = {} } = left.shift() ?? {};
        const body = status === 308 ? null : JSON.stringify({ crc32c });
        return new Response(body, { status, headers: { ...answer } });
      });
      assert.equal(await store.create("a/b", bytesContent(new Uint8Array(size))), "created");
      assert.deepEqual(sent, want);
    });
  }
});

Deno.test("GcsStore takes an object with another check sum for a failure", async (t) => {
  for (const [way, inParts] of [["at once", false], ["in parts", true]] as const) {
    await t.step(way, async () => {
      const store = storeAnsweredBy((method, headers) => {
        const isUpload = method === "PUT" || /^multipart/.test(headers.get("Content-Type") ?? "");
        return isUpload ? Response.json({ crc32c: "AAAAAA==" }) : null;
      });
      const created = store.create("a/b", bytesContent(new Uint8Array(9)), { inParts });
      await assert.rejects(created, StorageError);
    });
  }
});

Deno.test("GcsStore asks once in a while whether the bucket is there, when an object is not", async () => {
  let nowMs = 0;
  let lists = 0;
  let isBucketThere = true;
  const store = new GcsStore({
    bucket: BUCKET,
    apiEndpoint: "http://127.0.0.1",
    times: FAST,
    now: () => nowMs,
    fetch: ({ pathname }) => {
      if (pathname.endsWith("/o")) lists++;
      const status = isBucketThere && pathname.endsWith("/o") ? 200 : 404;
      return Promise.resolve(Response.json({}, { status }));
    },
  });
  for (let i = 0; i < 3; i++) assert.equal(await store.get(`a/${i}`), null);
  assert.equal(lists, 1);
  nowMs += 30_000;
  isBucketThere = false;
  await assert.rejects(store.get("a/b"), StorageError);
  await assert.rejects(store.get("a/b"), StorageError);
  assert.equal(lists, 3);
});

/**
 * A store whose server has no object, begins every upload, and otherwise answers as a test says.
 */
function storeAnsweredBy(
  answer: (method: string, headers: Headers, crc32c: string) => Response | null,
): GcsStore {
  let crc32c = "";
  return new GcsStore({
    bucket: BUCKET,
    apiEndpoint: "http://127.0.0.1",
    times: FAST,
    singleRequestLimitBytes: PART_SIZE_BYTES,
    partSizeBytes: PART_SIZE_BYTES,
    fetch: (url, { method = "", headers, body }) => {
      const answered = answer(method, new Headers(headers), crc32c);
      if (answered !== null) return Promise.resolve(answered);
      if (method === "POST") {
        crc32c = JSON.parse(String(body)).crc32c;
        return Promise.resolve(new Response("{}", { headers: { Location: "/session?id=1" } }));
      }
      const isObject = url.pathname.endsWith("a%2Fb");
      return Promise.resolve(new Response("{}", { status: isObject ? 404 : 200 }));
    },
  });
}

Deno.test("new GcsStore() takes plain http for this machine only", async (t) => {
  const rows: { options: Partial<GcsStoreOptions>; want: string | null }[] = [
    { options: {}, want: "https://storage.googleapis.com" },
    { options: { apiEndpoint: "https://gcs.example.com/" }, want: "https://gcs.example.com" },
    { options: { apiEndpoint: "https://example.com/gcs/" }, want: "https://example.com/gcs" },
    { options: { apiEndpoint: "http://localhost:1" }, want: "http://localhost:1" },
    { options: { apiEndpoint: "http://gcs.example.com" }, want: null },
    { options: { emulatorHost: "emulator:4443" }, want: "http://emulator:4443" },
    { options: { emulatorHost: "http://127.0.0.1:4443/" }, want: "http://127.0.0.1:4443" },
    {
      options: { emulatorHost: "emulator:4443", apiEndpoint: "https://gcs.example.com" },
      want: "https://gcs.example.com",
    },
  ];
  for (const { options, want } of rows) {
    await t.step(JSON.stringify(options), async () => {
      const requests: { url: string; authorization: string | null }[] = [];
      const open = () =>
        new GcsStore({
          bucket: BUCKET,
          token: () => Promise.resolve("token"),
          fetch: (url, { headers }) => {
            const authorization = new Headers(headers).get("Authorization");
            requests.push({ url: url.href, authorization });
            return Promise.resolve(Response.json({}));
          },
          ...options,
        });
      if (want === null) return assert.throws(open, ConfigError);
      assert.deepEqual(await open().list("a"), []);
      assert.equal(requests[0]?.url.split("?")[0], `${want}/storage/v1/b/modules/o`);
      // A token never travels in the clear.
      const isSecure = want.startsWith("https:");
      assert.equal(requests[0]?.authorization, isSecure ? "Bearer token" : null);
    });
  }
});
