/**
 * Signed URLs (C11), on a server that verifies signatures: what a URL gives, and that it gives
 * nothing else and to no one later.
 */
import assert from "node:assert/strict";
import { StorageError } from "../../lib/errors.ts";
import { bytesContent, type ObjectStore, readAll } from "../../lib/store/object_store.ts";

export interface SignedUrlSubject {
  readonly name: string;
  /** The server's state is one for all stores at it. */
  readonly start: () => Promise<SignedUrlPlace>;
  /** Names in the query of a URL: the signature, and for how long it is valid. */
  readonly parameters: { readonly signature: string; readonly expires: string };
}

export interface SignedUrlPlace extends AsyncDisposable {
  /** A store whose clock is behind the server's by so much. */
  open(options: { readonly lateMs: number }): ObjectStore;
  /** What must not be in a URL. */
  readonly secret: string;
}

const KEY = "z1/example.com/!a+b/@v/v1.0.0+incompatible/~x";
const CONTENT = new TextEncoder().encode("the zip of this module");
const LIFETIME_SECONDS = 300;

export function signedUrlSuite({ name, start, parameters }: SignedUrlSubject): void {
  Deno.test(`${name} signs URLs that give one object, for a while`, async (t) => {
    await using place = await start();
    const store = place.open({ lateMs: 0 });
    for (const key of [KEY, `${KEY}-other`]) await store.create(key, bytesContent(CONTENT));
    const url = await signedUrl(store, KEY);

    await t.step("a GET gives the object", async () => {
      assert.deepEqual(await get(url), { status: 200, body: "the zip of this module" });
    });
    await t.step("and a range of it", async () => {
      const range = { headers: { Range: "bytes=4-6" } };
      assert.deepEqual(await get(url, range), { status: 206, body: "zip" });
    });
    await t.step("it says for how long, and no secret", () => {
      assert.equal(url.searchParams.get(parameters.expires), `${LIFETIME_SECONDS}`);
      assert.ok(!decodeURIComponent(url.href).includes(place.secret));
    });
    await t.step("there is none of what is not there", async () => {
      const absent = await store.signedUrl?.("z1/absent", { lifetimeSeconds: LIFETIME_SECONDS });
      assert.equal(absent, null);
    });

    const { signature, expires } = parameters;
    const altered: Record<string, (url: URL) => void> = {
      "another object": (url) => url.pathname += "-other",
      "a longer life": (url) => url.searchParams.set(expires, "3600"),
      "another signature": (url) => url.searchParams.set(signature, "0".repeat(64)),
      "no signature": (url) => url.searchParams.delete(signature),
      "one more parameter": (url) => url.searchParams.set("versionId", "1"),
    };
    for (const [what, alter] of Object.entries(altered)) {
      await t.step(`${what} is refused`, async () => {
        const other = new URL(url);
        alter(other);
        const { status, body } = await get(other);
        assert.ok(status >= 400 && status < 500, `${status}`);
        assert.ok(!body.includes("the zip"), body);
      });
    }
    for (const method of ["PUT", "DELETE"]) {
      await t.step(`${method} is refused`, async () => {
        const { status } = await get(url, { method, ...method === "PUT" ? { body: "mine" } : {} });
        assert.ok(status >= 400 && status < 500, `${status}`);
        const object = await store.get(KEY);
        assert.ok(object !== null);
        assert.deepEqual(await readAll(object), CONTENT);
      });
    }
    await t.step("after its time it is refused", async () => {
      const late = place.open({ lateMs: (LIFETIME_SECONDS + 2) * 1000 });
      const { status, body } = await get(await signedUrl(late, KEY));
      assert.ok(status >= 400 && status < 500, `${status}`);
      assert.ok(!body.includes("the zip"), body);
      const still = place.open({ lateMs: (LIFETIME_SECONDS - 60) * 1000 });
      assert.equal((await get(await signedUrl(still, KEY))).status, 200);
    });
    await t.step("C8 with an aborted signal nothing begins", async () => {
      const signal = AbortSignal.abort(new Error("gone"));
      const signing = store.signedUrl?.(KEY, { lifetimeSeconds: LIFETIME_SECONDS, signal });
      await assert.rejects(signing ?? Promise.resolve(), /gone/);
    });
  });
}

async function signedUrl(store: ObjectStore, key: string): Promise<URL> {
  const url = await store.signedUrl?.(key, { lifetimeSeconds: LIFETIME_SECONDS }) ?? null;
  if (url === null) throw new StorageError("Cannot sign a URL: there is none");
  return url;
}

async function get(url: URL, init?: RequestInit): Promise<{ status: number; body: string }> {
  const response = await fetch(url, init);
  return { status: response.status, body: await response.text() };
}
