import assert from "node:assert/strict";
import { NotFoundError, UpstreamError } from "../errors.ts";
import { parseRemoteUrl } from "../git/remote_url.ts";
import type { Fetch } from "../http/client.ts";
import { parseModulePath } from "../module/path.ts";
import { Discovery, type DiscoveryOptions, type ModuleLocation } from "./discover.ts";

const SIGNAL = new AbortController().signal;

function tag(content: string): string {
  return `<meta name="go-import" content="${content}">`;
}

/** The web: what a URL without its query answers. Others cannot be reached. */
type Web = Readonly<Record<string, string | Response | (() => Response)>>;

/** @returns a fetch and the URLs it was asked for */
function fakeWeb(web: Web): { fetch: Fetch; urls: string[] } {
  const urls: string[] = [];
  const fetch: Fetch = (url) => {
    urls.push(url.href);
    assert.equal(url.search, "?go-get=1");
    const page = web[url.origin + url.pathname];
    if (page === undefined) return Promise.reject(new UpstreamError(`Cannot reach ${url.origin}`));
    if (typeof page === "function") return Promise.resolve(page());
    return Promise.resolve(typeof page === "string" ? new Response(page) : page);
  };
  return { fetch, urls };
}

async function locate(
  path: string,
  web: Web,
  options: Omit<DiscoveryOptions, "fetch"> = {},
): Promise<ModuleLocation> {
  const discovery = new Discovery({ fetch: fakeWeb(web).fetch, ...options });
  return await discovery.locate(parseModulePath(path), SIGNAL);
}

function git(root: string, remote: string, subdir = ""): ModuleLocation {
  const isHttpAllowed = () => true;
  return { kind: "git", root, remote: parseRemoteUrl(remote, { isHttpAllowed }), subdir };
}

const A = tag("x.y/a git https://g.x/a");
const found: readonly { name: string; path: string; web?: Web; want: ModuleLocation }[] = [
  {
    name: "a known host",
    path: "github.com/A/b/c/v2",
    want: git("github.com/A/b", "https://github.com/A/b"),
  },
  { name: "a suffix", path: "g.x/a/b.git/c", want: git("g.x/a/b.git", "https://g.x/a/b") },
  {
    name: "three fields",
    path: "x.y/a",
    web: { "https://x.y/a": A },
    want: git("x.y/a", "https://g.x/a"),
  },
  {
    name: "four fields",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a git https://g.x/m kit") },
    want: git("x.y/a", "https://g.x/m", "kit"),
  },
  {
    name: "a host alone",
    path: "x.y",
    web: { "https://x.y/": tag("x.y git https://g.x/a") },
    want: git("x.y", "https://g.x/a"),
  },
  {
    name: "a status that is not 200",
    path: "x.y/a",
    web: { "https://x.y/a": new Response(A, { status: 404 }) },
    want: git("x.y/a", "https://g.x/a"),
  },
  {
    name: "below the prefix, confirmed",
    path: "x.y/a/b/v2",
    web: { "https://x.y/a/b/v2": A, "https://x.y/a": A },
    want: git("x.y/a", "https://g.x/a"),
  },
  {
    name: "a proxy",
    path: "x.y/a",
    web: { "https://x.y/a": A + tag("x.y/a mod https://p.x/base") },
    want: { kind: "proxy", url: new URL("https://p.x/base") },
  },
  {
    name: "a long page",
    path: "x.y/a",
    web: { "https://x.y/a": A + "x".repeat(4 << 20) },
    want: git("x.y/a", "https://g.x/a"),
  },
];

Deno.test("Discovery.locate()", async (t) => {
  for (const { name, path, web = {}, want } of found) {
    await t.step(name, async () => assert.deepEqual(await locate(path, web), want));
  }
});

const missing: readonly { name: string; path: string; web?: Web; want: RegExp }[] = [
  {
    name: "a known host without such a path",
    path: "github.com/a",
    want: /^invalid github.com import path "github.com\/a"$/,
  },
  {
    name: "404",
    path: "x.y/a",
    web: { "https://x.y/a": new Response("", { status: 404 }) },
    want: /^unrecognized import path "x.y\/a": https:\/\/x.y\/a answered 404$/,
  },
  {
    name: "410",
    path: "x.y/a",
    web: { "https://x.y/a": new Response("", { status: 410 }) },
    want: /answered 410/,
  },
  {
    name: "a page without tags",
    path: "x.y/a",
    web: { "https://x.y/a": "hello" },
    want: /no go-import meta tag at https:\/\/x.y\/a$/,
  },
  {
    name: "tags of other paths",
    path: "x.y/b",
    web: { "https://x.y/b": A },
    want: /no go-import meta tag of its page matches/,
  },
  {
    name: "a tag behind the limit",
    path: "x.y/a",
    web: { "https://x.y/a": "x".repeat(1 << 20) + A },
    want: /no go-import meta tag/,
  },
  {
    name: "the prefix says something else",
    path: "x.y/a/b",
    web: { "https://x.y/a/b": A, "https://x.y/a": tag("x.y/a git https://g.x/evil") },
    want: /disagree about go-import for x.y\/a$/,
  },
  {
    name: "the prefix says another directory",
    path: "x.y/a/b",
    web: { "https://x.y/a/b": A, "https://x.y/a": tag("x.y/a git https://g.x/a kit") },
    want: /disagree/,
  },
  {
    name: "the prefix says nothing",
    path: "x.y/a/b",
    web: { "https://x.y/a/b": A, "https://x.y/a": "" },
    want: /no go-import meta tag/,
  },
  {
    name: "another system",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a hg https://g.x/a") },
    want: /its version control system is "hg", and only git is supported$/,
  },
  { name: "another system by suffix", path: "x.y/a.svn", want: /version control system is "svn"/ },
  {
    name: "ssh",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a git ssh://g.x/a") },
    want: /git may not use the scheme ssh$/,
  },
  {
    name: "another program",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a git ext::sh+-c+date") },
    want: /may not use the scheme ext$/,
  },
  {
    name: "a file",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a git file:///etc") },
    want: /may not use the scheme file$/,
  },
  {
    name: "http",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a git http://127.0.0.1/a") },
    want: /plain http is not allowed for host 127.0.0.1$/,
  },
  {
    name: "an option for a directory",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a git https://g.x/a --x") },
    want: /invalid subdirectory "--x"$/,
  },
  {
    name: "an absolute directory",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a git https://g.x/a /etc") },
    want: /invalid subdirectory "\/etc"$/,
  },
  {
    name: "a proxy by http",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a mod http://p.x") },
    want: /its module proxy has no https URL/,
  },
  {
    name: "a proxy in a file",
    path: "x.y/a",
    web: { "https://x.y/a": tag("x.y/a mod file:///etc") },
    want: /its module proxy has no https URL/,
  },
];

Deno.test("Discovery.locate() knows what does not exist, or not for it", async (t) => {
  for (const { name, path, web = {}, want } of missing) {
    await t.step(name, () => assert.rejects(locate(path, web), notFound(want)));
  }
});

const hidden: readonly { name: string; path: string; web?: Web; want: RegExp }[] = [
  {
    name: "another system",
    path: "x.y/team/a",
    web: { "https://x.y/team/a": tag("x.y/team/a hg https://g.x/a") },
    want: /its version control system is "hg".*set "repository" for "x\.y\/team"/,
  },
  { name: "another system by the path", path: "x.y/team/a.svn/b", want: /"svn"/ },
  {
    name: "ssh",
    path: "x.y/team/a",
    web: { "https://x.y/team/a": tag("x.y/team/a git ssh://g.x/a") },
    want: /scheme ssh/,
  },
  {
    name: "a page without a tag",
    path: "x.y/team/a",
    web: { "https://x.y/team/a": "<title>Sign in</title>", "https://x.y/team": "" },
    want: /no go-import meta tag at https:\/\/x\.y\/team\/a/,
  },
  ...[404, 410].map((status) => ({
    name: `a page with status ${status}`,
    path: "x.y/team/a",
    web: {
      "https://x.y/team/a": () => new Response("", { status }),
      "https://x.y/team": () => new Response("", { status }),
    },
    want: new RegExp(`answered ${status}`),
  })),
  {
    name: "the prefix itself",
    path: "x.y/team",
    web: { "https://x.y/team": () => new Response("", { status: 404 }) },
    want: /answered 404/,
  },
  {
    name: "a tag for another path",
    path: "x.y/team/a",
    web: { "https://x.y/team/a": tag("x.y/team/b git https://g.x/b") },
    want: /no go-import meta tag of its page matches it/,
  },
  {
    name: "a prefix's page without the tag",
    path: "x.y/team/a/b",
    web: {
      "https://x.y/team/a/b": tag("x.y/team/a git https://g.x/a"),
      "https://x.y/team/a": "",
    },
    want: /no go-import meta tag/,
  },
];

Deno.test("Discovery.locate() takes no page's word that a private path does not exist", async (t) => {
  for (const { name, path, web = {}, want } of hidden) {
    await t.step(name, async () => {
      const isUnknown = (error: unknown) =>
        error instanceof UpstreamError && want.test(error.message);
      await assert.rejects(locate(path, web, { privatePrefix: "x.y/team" }), isUnknown);
      await assert.rejects(locate(path, web), NotFoundError);
    });
  }
});

Deno.test("Discovery.locate() knows that a directory of a known private repository is no module", async () => {
  const tagOfA = tag("x.y/team/a git https://g.x/a");
  const web = {
    "https://x.y/team/a": () => new Response(tagOfA),
    "https://x.y/team/a/b": () => new Response("", { status: 404 }),
    "https://x.y/team/a/b/c": "",
  };
  await assert.rejects(locate("x.y/team/a/b/c", web, { privatePrefix: "x.y/team" }), NotFoundError);
});

function notFound(want: RegExp) {
  return (error: unknown) => error instanceof NotFoundError && want.test(error.message);
}

const unknown: readonly { name: string; web: Web }[] = [
  { name: "a host that cannot be reached", web: {} },
  ...[401, 403, 429, 500, 503].map((status) => ({
    name: `status ${status}`,
    web: { "https://x.y/a/b": () => new Response("", { status }) },
  })),
  { name: "the prefix's page fails", web: { "https://x.y/a/b": A } },
  { name: "the connection breaks", web: { "https://x.y/a/b": () => new Response(broken()) } },
];

function broken(): ReadableStream {
  return new ReadableStream({ pull: (controller) => controller.error(new TypeError("reset")) });
}

Deno.test("Discovery.locate() does not take a failure for 'does not exist'", async (t) => {
  for (const { name, web } of unknown) {
    await t.step(name, () => assert.rejects(locate("x.y/a/b", web), UpstreamError));
  }
});

Deno.test("Discovery.locate() asks the configuration first, its longest prefix", async () => {
  const repositories = ["x.y/team", "x.y/team/one", "github.com/team"].map((pathPrefix) => ({
    pathPrefix,
    remote: parseRemoteUrl(`https://g.x/${pathPrefix.length}`),
  }));
  const of = (path: string) => locate(path, {}, { repositories });
  assert.deepEqual(await of("x.y/team/two/v2"), git("x.y/team", "https://g.x/8"));
  assert.deepEqual(await of("x.y/team/one/a"), git("x.y/team/one", "https://g.x/12"));
  assert.deepEqual(await of("github.com/team/a"), git("github.com/team", "https://g.x/15"));
  await assert.rejects(of("x.y/teams"), UpstreamError);
});

Deno.test("Discovery.locate() takes http from hosts that may", async () => {
  const options = { isHttpAllowed: (host: string) => host === "x.y" || host === "g.x:8080" };
  assert.deepEqual(
    await locate("x.y/a", { "http://x.y/a": tag("x.y/a git http://g.x:8080/a") }, options),
    git("x.y/a", "http://g.x:8080/a"),
  );
  assert.deepEqual(await locate("x.y/a.git", {}, options), git("x.y/a.git", "http://x.y/a"));
  await assert.rejects(locate("z.y/a", { "http://z.y/a": A }, options), UpstreamError);
});

Deno.test("Discovery.locate() keeps pages with tags for a minute", async () => {
  let now = 1000;
  const { fetch, urls } = fakeWeb({
    "https://x.y/a": () => new Response(A),
    "https://x.y/a/b": () => new Response(A),
    "https://x.y/c": () => new Response(""),
  });
  const discovery = new Discovery({ fetch, now: () => now });
  const ask = (path: string) => discovery.locate(parseModulePath(path), SIGNAL);
  await Promise.all([ask("x.y/a"), ask("x.y/a"), ask("x.y/a/b")]);
  assert.equal(urls.length, 2);
  now += 59_000;
  await ask("x.y/a/b");
  assert.equal(urls.length, 2);
  now += 2_000;
  await ask("x.y/a/b");
  assert.equal(urls.length, 4);
  for (let i = 0; i < 2; i++) await assert.rejects(ask("x.y/c"), NotFoundError);
  assert.equal(urls.length, 6);
});
