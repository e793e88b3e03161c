/**
 * An endless answer to each reader of remote bytes: bytes without end, items without end, and a
 * byte now and then. Each reader ends with an error, in time, after it has read no more than its
 * limit.
 */
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { KeySet } from "../lib/auth/key_set.ts";
import { GitHubApp } from "../lib/credentials/github_app.ts";
import { DeadlineError, describeError, LimitExceededError, ProxyError } from "../lib/errors.ts";
import { DEFAULT_GIT_LIMITS, type GitLimits } from "../lib/git/limits.ts";
import { packet } from "../lib/git/protocol.ts";
import { isHash } from "../lib/git/refs.ts";
import { parseRemoteUrl } from "../lib/git/remote_url.ts";
import { REFS_CONTENT_TYPE, SmartHttp } from "../lib/git/smart_http.ts";
import type { Fetch } from "../lib/http/client.ts";
import { createLogger } from "../lib/log/log.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { parseQuery } from "../lib/module/version.ts";
import { Discovery } from "../lib/source/discover.ts";
import { ProxySource } from "../lib/source/proxy_source.ts";
import { Upstream, UPSTREAM_TIMES } from "../lib/source/upstream.ts";
import { GcsStore } from "../lib/store/gcs.ts";
import { S3Store } from "../lib/store/s3.ts";
import { SumdbWays } from "../lib/sumdb/fetch_order.ts";
import { newKeyPem } from "./fakes/github_api.ts";
import { GitServer } from "./fakes/git_server.ts";
import { TestMirrors, testRemote } from "./worlds/mirrors.ts";

const MIB = 2 ** 20;
/** Of the reader's limit and of what is under way. */
const MAX_READ_BYTES = 80 * MIB;
const MAX_GROWTH_BYTES = 300 * MIB;
const SHORT_MS = 100;
const DRIP_MS = 5;

const PATH = parseModulePath("example.com/m");
const HASH = "a".repeat(40);
const REMOTE = parseRemoteUrl("https://git.example.com/a/b");
const { signal } = new AbortController();
const encode = (text: string) => new TextEncoder().encode(text);

/** What is sent, chunk by chunk: the n-th of an endless body. */
type Chunk = (n: number) => string;

class Sender {
  /** How much was read. */
  sentBytes = 0;
  readonly #start: string;
  readonly #chunk: Chunk;
  readonly #pauseMs: number;

  constructor(chunk: Chunk, { start = "", pauseMs = 0 } = {}) {
    this.#start = start;
    this.#chunk = chunk;
    this.#pauseMs = pauseMs;
  }

  /** @param signal as of the request: it breaks the body off */
  body(signal?: AbortSignal): ReadableStream<Uint8Array<ArrayBuffer>> {
    let n = this.#start === "" ? 0 : -1;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        if (n > 0 && this.#pauseMs > 0) {
          await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
        }
        if (signal?.aborted) return controller.error(signal.reason);
        const bytes = encode(n < 0 ? this.#start : this.#chunk(n));
        n++;
        this.sentBytes += bytes.length;
        try {
          controller.enqueue(bytes);
        } catch {
          // The reader has gone while we paused.
        }
      },
    }, { highWaterMark: 0 });
  }
}

const FLOOD = "x".repeat(64 * 1024);
const flood: Chunk = () => FLOOD;

/** A response that says where it is from. */
function from(
  url: URL,
  sender: Sender,
  { type = "text/plain", status = 200, signal }: {
    readonly type?: string;
    readonly status?: number;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Response {
  const response = new Response(sender.body(signal), { status, headers: { "Content-Type": type } });
  return Object.defineProperty(response, "url", { value: url.href });
}

interface Reader {
  readonly name: string;
  /** Reads what the sender sends to its end. */
  readonly read: (sender: Sender) => Promise<unknown>;
  /** What comes endlessly. Default: bytes. */
  readonly flood?: Chunk;
  readonly start?: string;
  /** What it comes to. Default: a limit. */
  readonly want?: RegExp;
}

const LATE = /no answer within|took longer than/;

function upstream(sender: Sender): Upstream {
  const times = { ...UPSTREAM_TIMES, smallTimeoutMs: SHORT_MS, zipTimeoutMs: SHORT_MS };
  const fetch: Fetch = (url) => Promise.resolve(from(url, sender));
  // A limit is exceeded long before that, and nothing waits.
  const isFlood = sender.sentBytes === 0 && !isDripping.has(sender);
  return new Upstream(
    new URL("https://proxy.example.com"),
    fetch,
    isFlood ? UPSTREAM_TIMES : times,
  );
}

const isDripping = new WeakSet<Sender>();

const proxy = (sender: Sender) => new ProxySource(upstream(sender));

function sumdb(path: string, limitBytes: number) {
  return async (sender: Sender) => {
    let isAsked = false;
    const answering = upstream(sender);
    const ways = new SumdbWays([{
      get: (path, options) => {
        if (isAsked) return answering.get(path, options);
        isAsked = true;
        return Promise.resolve(new Uint8Array());
      },
    }]);
    const way = await ways.through("sum.example.com", signal);
    assert.ok(way !== null);
    return await way(path, { limitBytes, signal });
  };
}

const ADVERTISEMENT = ["version 2", "ls-refs", "fetch=shallow"].map((line) => packet(`${line}\n`))
  .join("") + "0000";

interface GitAnswers {
  /** Default: a server that speaks the protocol. */
  readonly advertises?: boolean;
  readonly limits?: Partial<GitLimits>;
}

/** A git server that sends endlessly after its advertisement, or in it. */
function smartHttp(
  sender: Sender,
  { advertises = true, limits }: GitAnswers = {},
): SmartHttp {
  const isLate = isDripping.has(sender);
  const fetch: Fetch = (url, { signal } = {}) => {
    const isFirst = url.pathname.endsWith("/info/refs");
    const endless = (type: string) => Promise.resolve(from(url, sender, { type, signal }));
    if (!isFirst) return endless("application/x-git-upload-pack-result");
    if (!advertises) return endless(REFS_CONTENT_TYPE);
    const response = new Response(ADVERTISEMENT, {
      headers: { "Content-Type": REFS_CONTENT_TYPE },
    });
    return Promise.resolve(Object.defineProperty(response, "url", { value: url.href }));
  };
  const times = isLate ? { refsTimeoutMs: SHORT_MS, fetchTimeoutMs: SHORT_MS } : {};
  return new SmartHttp(REMOTE, { fetch, limits: { ...DEFAULT_GIT_LIMITS, ...times, ...limits } });
}

function fetchPack(sender: Sender): Promise<unknown> {
  assert.ok(isHash(HASH));
  const http = smartHttp(sender, { limits: { maxRepositorySizeBytes: 4 * MIB } });
  return http.fetch({ wants: [HASH], haves: [], names: [] }, {
    credentials: null,
    work: async ({ pack }) => {
      for await (const _ of pack);
      return true;
    },
  });
}

/** Many packets at once, or the test would take longer than the reader. */
const packets = (line: (i: number) => string): Chunk => (n) =>
  Array.from({ length: 500 }, (_, i) => packet(line(500 * n + i))).join("");

const band = (channel: string, data: string) => packet(channel + data);

const s3 = (sender: Sender) =>
  new S3Store({
    bucket: "b",
    region: "r",
    endpoint: "http://127.0.0.1:1",
    credentials: () => Promise.resolve({ accessKeyId: "a", secretAccessKey: "b" }),
    fetch: (url) => Promise.resolve(from(url, sender, { type: "application/xml" })),
    times: storeTimes(sender),
  });

const storeTimes = (sender: Sender) => ({
  retryPauseMs: 1,
  maxAttempts: 2,
  ...isDripping.has(sender) ? { requestTimeoutMs: SHORT_MS } : {},
});

const KEY = newKeyPem();

const READERS: readonly Reader[] = [
  { name: "version list", read: (sender) => proxy(sender).list(PATH, signal) },
  {
    name: "version list: versions",
    read: (sender) => proxy(sender).list(PATH, signal),
    flood: (n) => Array.from({ length: 2000 }, (_, i) => `v1.${n}.${i}\n`).join(""),
  },
  {
    name: ".info",
    read: (sender) => proxy(sender).resolve({ path: PATH, query: parseQuery("main") }, signal),
  },
  { name: "@latest", read: (sender) => proxy(sender).latest(PATH, signal) },
  { name: ".mod", read: (sender) => get(sender, { name: ".mod", limitBytes: 16 * MIB }) },
  {
    name: "module zip",
    read: async (sender) => {
      const file = await Deno.makeTempFile();
      try {
        await upstream(sender).spool("x.zip", file, { name: "zip", limitBytes: 8 * MIB, signal });
      } finally {
        await Deno.remove(file);
      }
    },
  },
  {
    name: "error of an upstream",
    read: async (sender) => {
      const fetch: Fetch = (url) => Promise.resolve(from(url, sender, { status: 403 }));
      const times = { ...UPSTREAM_TIMES, smallTimeoutMs: SHORT_MS };
      const asked = new Upstream(new URL("https://proxy.example.com"), fetch, times);
      return await asked.get("x", { name: "x", limitBytes: 1, signal });
    },
    want: /the upstream answered status 403$/,
  },
  { name: "sumdb record", read: sumdb("lookup/example.com/m@v1.0.0", 48 * 1024) },
  { name: "sumdb tile", read: sumdb("tile/8/data/000", MIB) },
  { name: "sumdb note", read: sumdb("latest", 32 * 1024) },
  {
    name: "go-get page",
    read: (sender) =>
      new Discovery({
        fetch: (url) => Promise.resolve(from(url, sender, { type: "text/html" })),
        pageTimeoutMs: isDripping.has(sender) ? SHORT_MS : 20_000,
      }).locate(PATH, signal),
    want: /no go-import meta tag/,
  },
  ...["discovery", "keys"].map((what): Reader => ({
    name: `OIDC ${what}`,
    read: async (sender) => {
      const keys = new KeySet({
        issuer: "https://issuer.example.com",
        jwksUri: what === "keys" ? "https://issuer.example.com/keys" : undefined,
        fetch: (url) => Promise.resolve(from(url, sender, { type: "application/json" })),
        now: () => 0,
        timeoutMs: isDripping.has(sender) ? SHORT_MS : 5000,
      });
      return await keys.find({ alg: "RS256" }, { payload: "", signature: "" });
    },
  })),
  {
    name: "GitHub API",
    read: (sender) => {
      const app = new GitHubApp({
        id: 1,
        apiBaseUrl: "https://api.example.com",
        privateKey: () => Promise.resolve(createPrivateKey(KEY)),
        fetch: (url) => Promise.resolve(from(url, sender, { type: "application/json" })),
        now: Date.now,
        log: createLogger("silent", { write: () => {} }),
        ...isDripping.has(sender) ? { requestTimeoutMs: SHORT_MS } : {},
      });
      const context = { protocol: "https", host: "git.example.com", path: "a/b" };
      return app.credentials(context, { signal });
    },
  },
  { name: "bucket listing", read: (sender) => s3(sender).list("m1/x") },
  {
    name: "git capabilities",
    read: (sender) => smartHttp(sender, { advertises: false }).refs(null),
    start: packet("version 2\n"),
    flood: packets((i) => `capability-${i}=x\n`),
  },
  {
    name: "git refs",
    read: (sender) => smartHttp(sender).refs(null),
    flood: packets((i) => `${HASH} refs/tags/v1.0.${i}\n`),
  },
  {
    name: "git refs that do not count",
    read: (sender) => smartHttp(sender, { limits: { maxRefs: 1000 } }).refs(null),
    flood: packets((i) => `${HASH} refs/pull/${i}/head\n`),
  },
  {
    name: "git shallow commits",
    read: fetchPack,
    start: packet("shallow-info\n"),
    flood: packets(() => `shallow ${HASH}\n`),
  },
  {
    name: "git sections without end",
    read: fetchPack,
    flood: () => (packet("shallow-info\n") + "0001").repeat(500),
  },
  {
    name: "git progress",
    read: fetchPack,
    start: packet("packfile\n"),
    flood: () => band("\u0002", "Counting objects\n").repeat(500),
  },
  {
    name: "git pack",
    read: fetchPack,
    start: packet("packfile\n"),
    flood: () => band("\u0001", "x".repeat(60_000)),
  },
];

async function get(
  sender: Sender,
  options: { readonly name: string; readonly limitBytes: number },
): Promise<unknown> {
  return await upstream(sender).get("x", { ...options, signal });
}

/** A refusal with one of these reasons, of itself or of its cause. */
const refused = (...wants: RegExp[]) => (error: unknown) => {
  assert.ok(error instanceof ProxyError, String(error));
  const text = describeError(error);
  assert.ok(wants.some((want) => want.test(text)), text);
  return true;
};

for (const { name, read, want = /limit: /, flood: chunk = flood, start = "" } of READERS) {
  Deno.test(`endless answer: ${name}`, async () => {
    const sender = new Sender(chunk, { start });
    const before = Deno.memoryUsage().rss;
    await assert.rejects(read(sender), refused(want, /there are more than/));
    assert.ok(sender.sentBytes <= MAX_READ_BYTES, `${sender.sentBytes} bytes were read`);
    const growth = Deno.memoryUsage().rss - before;
    assert.ok(growth <= MAX_GROWTH_BYTES, `it took ${growth} bytes of memory`);
  });

  Deno.test(`a byte now and then: ${name}`, async () => {
    const sender = new Sender((n) => chunk(0).charAt(n), { start, pauseMs: DRIP_MS });
    isDripping.add(sender);
    const startedMs = performance.now();
    await assert.rejects(read(sender), refused(LATE, want));
    assert.ok(performance.now() - startedMs < 10_000);
    assert.ok(sender.sentBytes < 10_000);
  });
}

Deno.test("a bucket that has always one more page", async () => {
  let pages = 0;
  const store = new GcsStore({
    bucket: "b",
    token: () => Promise.resolve("t"),
    fetch: () => {
      const items = Array.from({ length: 1000 }, (_, i) => ({ name: `m1/x/${pages}-${i}` }));
      return Promise.resolve(Response.json({ items, nextPageToken: `${pages++}` }));
    },
  });
  await assert.rejects(store.list("m1/x"), /limit: bucket listing/);
  assert.ok(pages <= 1000);
});

Deno.test("a git server of the old protocol whose refs never end takes no more than git may", async () => {
  const sender = new Sender(packets((i) => `${HASH} refs/tags/v1.0.${i}\n`), {
    start: `${packet("# service=git-upload-pack\n")}0000${packet(`${HASH} HEAD\0side-band\n`)}`,
  });
  await using server = await GitServer.start({
    protocolV2: false,
    misbehave: () =>
      new Response(sender.body(), { headers: { "Content-Type": REFS_CONTENT_TYPE } }),
  });
  await using started = await TestMirrors.start({ limits: { refsTimeoutMs: 5000 } });
  await using lease = await started.mirrors.open(testRemote(server.urlOf("a.git")));
  const before = Deno.memoryUsage().rss;
  // Its own memory or the deadline, whichever comes first.
  await assert.rejects(lease.repository.refs(), (error) => {
    assert.ok(error instanceof DeadlineError || error instanceof ProxyError);
    assert.match(describeError(error), /did not end within|[Oo]ut of memory|ended with/);
    return true;
  });
  assert.ok(Deno.memoryUsage().rss - before < MAX_GROWTH_BYTES);
});

Deno.test("LimitExceededError is the upstream's fault, and nothing is asked again for it", async () => {
  let asked = 0;
  const sender = new Sender(flood);
  const fetch: Fetch = (url) => {
    asked++;
    return Promise.resolve(from(url, sender));
  };
  const source = new Upstream(new URL("https://proxy.example.com"), fetch);
  await assert.rejects(
    source.get("x", { name: "x", limitBytes: 1000, signal }),
    LimitExceededError,
  );
  assert.equal(asked, 1);
});
