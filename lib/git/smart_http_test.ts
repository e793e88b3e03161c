import assert from "node:assert/strict";
import { DeadlineError, LimitExceededError } from "../errors.ts";
import type { Fetch } from "../http/client.ts";
import { DEFAULT_GIT_LIMITS, type GitLimits } from "./limits.ts";
import { packet } from "./protocol.ts";
import { parseRemoteUrl } from "./remote_url.ts";
import { REFS_CONTENT_TYPE, SmartHttp } from "./smart_http.ts";

const REMOTE = parseRemoteUrl("https://git.example.com/a/b");
const REFS_URL = `${REMOTE}/info/refs?service=git-upload-pack`;
const RESULT = "application/x-git-upload-pack-result";
const HASH = "a".repeat(40);
const USER = { username: "u", password: "p" };

const ADVERTISEMENT = ["version 2", "ls-refs", "fetch=shallow"].map((line) => packet(`${line}\n`))
  .join("") + "0000";
const REFS = `${packet(`${HASH} HEAD\n`)}0000`;

interface Asked {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Answer = (url: string, signal: AbortSignal | undefined) => Response | Promise<Response>;

/** A remote behind a fetch that answers so. */
function open(
  answer: Answer,
  limits: Partial<GitLimits> = {},
): { http: SmartHttp; asked: Asked[] } {
  const asked: Asked[] = [];
  const fetch: Fetch = async (url, { headers = {}, signal } = {}) => {
    asked.push({ url: url.href, headers });
    return await answer(url.href, signal);
  };
  return {
    http: new SmartHttp(REMOTE, { fetch, limits: { ...DEFAULT_GIT_LIMITS, ...limits } }),
    asked,
  };
}

/** A response that says where it is from. */
function from(url: string, body: string, type: string, status = 200): Response {
  const response = new Response(body, { status, headers: { "Content-Type": type } });
  return Object.defineProperty(response, "url", { value: url });
}

const GOOD: Answer = (url) =>
  url.includes("/info/refs")
    ? from(url, ADVERTISEMENT, REFS_CONTENT_TYPE)
    : from(url, REFS, RESULT);

Deno.test("SmartHttp.refs() learns once how to ask", async () => {
  const { http, asked } = open(GOOD);
  for (let i = 0; i < 2; i++) {
    assert.deepEqual([...await http.refs(USER) ?? []], [["HEAD", HASH]]);
  }
  const post = `${REMOTE}/git-upload-pack`;
  assert.deepEqual(asked.map(({ url }) => url), [REFS_URL, post, post]);
  for (const { headers } of asked) {
    assert.equal(headers["Authorization"], "Basic dTpw");
    assert.equal(headers["Git-Protocol"], "version=2");
  }
});

Deno.test("SmartHttp.refs() leaves to git what it does not understand", async (t) => {
  const page = (url: string) => from(url, "<html>", "text/html");
  const rows: Record<string, Answer> = {
    "not found": (url) => from(url, "", "text/plain", 404),
    "who are you?": (url) => from(url, "", REFS_CONTENT_TYPE, 401),
    "a page": page,
    "an older version": (url) => from(url, `${packet(`${HASH} HEAD\0x\n`)}0000`, REFS_CONTENT_TYPE),
    "garbage": (url) => from(url, "zzzz", REFS_CONTENT_TYPE),
    "half an answer": (url) => from(url, ADVERTISEMENT.slice(0, -6), REFS_CONTENT_TYPE),
    "another repository": () =>
      from(REFS_URL.replace("/a/b", "/a/c"), ADVERTISEMENT, REFS_CONTENT_TYPE),
    "another host": () => from(REFS_URL.replace("git.", "evil."), ADVERTISEMENT, REFS_CONTENT_TYPE),
    "refs that are a page": (url) => url.includes("/info/refs") ? GOOD(url, undefined) : page(url),
    "refs that are cut off": (url) =>
      url.includes("/info/refs") ? GOOD(url, undefined) : from(url, REFS.slice(0, -2), RESULT),
    "refs from elsewhere": (url) =>
      url.includes("/info/refs") ? GOOD(url, undefined) : from(`${url}2`, REFS, RESULT),
  };
  for (const [what, answer] of Object.entries(rows)) {
    await t.step(what, async () => {
      const { http, asked } = open(answer);
      assert.equal(await http.refs(USER), null);
      assert.ok(asked.every(({ url }) => url.startsWith(`${REMOTE}/`)), "nobody else is asked");
    });
  }
});

Deno.test("SmartHttp.refs() follows a redirect that adds .git", async () => {
  const { http, asked } = open((url) =>
    url === REFS_URL
      ? from(REFS_URL.replace("/a/b", "/a/b.git"), ADVERTISEMENT, REFS_CONTENT_TYPE)
      : from(url, REFS, RESULT)
  );
  assert.equal((await http.refs(USER))?.size, 1);
  assert.equal(asked.at(-1)?.url, `${REMOTE}.git/git-upload-pack`);
});

Deno.test("SmartHttp.refs() asks anew where the repository is when it has gone", async () => {
  let place = "/a/b";
  const { http } = open((url) =>
    url === REFS_URL
      ? from(REFS_URL.replace("/a/b", place), ADVERTISEMENT, REFS_CONTENT_TYPE)
      : from(url, REFS, RESULT, url.includes(`${place}/`) ? 200 : 404)
  );
  assert.equal((await http.refs(null))?.size, 1);
  place = "/a/b.git";
  assert.equal((await http.refs(null))?.size, 1);
});

Deno.test("SmartHttp.refs() does not ask a server again that speaks an older version", async () => {
  const old = (url: string) => from(url, `${packet(`${HASH} HEAD\0x\n`)}0000`, REFS_CONTENT_TYPE);
  const { http, asked } = open(old);
  assert.deepEqual([await http.refs(null), await http.refs(null)], [null, null]);
  assert.equal(asked.length, 1);
});

Deno.test("SmartHttp.refs() has limits", async () => {
  await assert.rejects(open(GOOD, { maxRefs: 0 }).http.refs(null), LimitExceededError);
  const stalled: Answer = (_url, signal) =>
    new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  await assert.rejects(open(stalled, { refsTimeoutMs: 1 }).http.refs(null), DeadlineError);
});
