/**
 * Takes all files that this process may have, tries to start git, to use a store on the disk and to
 * fetch from a server of its own,
 * gives the files back, and tries again. Prints what came of it as JSON: for each trial the meaning
 * of its failure, or "ok".
 */
import { clientsWithoutNoProxy } from "../../cli/load_config.ts";
import { Semaphore } from "../../lib/async/semaphore.ts";
import { describeError, meaningOf } from "../../lib/errors.ts";
import { Git } from "../../lib/git/command.ts";
import { createFetch, type Fetch } from "../../lib/http/client.ts";
import { EgressClients } from "../../lib/http/egress_clients.ts";
import { EgressRoutes } from "../../lib/http/egress_routes.ts";
import { ProxySource } from "../../lib/source/proxy_source.ts";
import { Upstream, UPSTREAM_TIMES } from "../../lib/source/upstream.ts";
import { parseModulePath } from "../../lib/module/path.ts";
import { DiskStore } from "../../lib/store/disk.ts";
import { bytesContent } from "../../lib/store/object_store.ts";

// As the server does at its start. The first use of signals needs files, and without them the
// runtime panics (Deno 2.9.6).
Deno.addSignalListener("SIGTERM", () => Deno.exit(1));

const [directory = ""] = Deno.args;
const KEY = "m1/example.com/m/@v/v1.0.0";

await using git = new Git({
  environment: { path: Deno.env.get("PATH") ?? "" },
  emptyDirectory: directory,
  processes: new Semaphore({ what: "start git", permits: 1, maxWaiting: 9, maxWaitMs: 10_000 }),
});
const store = await DiskStore.open({ path: `${directory}/store` });
await store.create(KEY, bytesContent(new TextEncoder().encode("object")));

await using server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen() {} },
  () => new Response("v1.0.0\n"),
);
const url = new URL(`http://127.0.0.1:${server.addr.port}`);
const identity = { userAgent: "test", via: "1.1 test" };
const fetchTrusted = createFetch(identity);
const routes = new EgressRoutes({
  allow: [url.host, "git.example.com"],
  // As the system's resolver, which cannot open its files then, and says that the name is unknown.
  resolve: async () => {
    using _file = await Deno.open(directory).catch(() => {
      throw new Error("Name or service not known");
    });
    return ["127.0.0.1"];
  },
});
using clients = new EgressClients({
  routes,
  createClient: clientsWithoutNoProxy(Deno.env),
  caCertificates: [],
});
const fetchStrange = createFetch({
  ...identity,
  clientFor: (url) => clients.clientFor(url),
});

async function fetchText(fetch: Fetch, from: URL): Promise<void> {
  await (await fetch(from)).text();
}

const upstream = new Upstream(url, fetchTrusted, { ...UPSTREAM_TIMES, retryPauseMs: 1 });
const { signal } = new AbortController();

const TRIALS: Readonly<Record<string, () => Promise<unknown>>> = {
  git: () => git.run(["--version"], { what: "ask git", timeoutMs: 10_000, maxOutputBytes: 1000 }),
  get: async () => await (await store.get(KEY))?.body.cancel(),
  create: () => store.create(`${KEY}-next`, bytesContent(new TextEncoder().encode("object"))),
  list: () => store.list("m1/example.com/m/@v"),
  fetch: () => fetchText(fetchTrusted, url),
  upstream: () => new ProxySource(upstream).list(parseModulePath("example.com/m"), signal),
  stranger: () => fetchText(fetchStrange, url),
  name: () => routes.find(new URL("https://git.example.com")),
};

async function tryAll(): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const [name, trial] of Object.entries(TRIALS)) {
    outcomes[name] = await trial().then(() => "ok", (error) => {
      console.error(name, describeError(error));
      return meaningOf(error);
    });
  }
  return outcomes;
}

function takeAllFiles(): Disposable {
  const files: Deno.FsFile[] = [];
  try {
    for (;;) files.push(Deno.openSync(`${directory}/store/${KEY}`));
  } catch {
    // There are none left.
  }
  return { [Symbol.dispose]: () => files.forEach((file) => file.close()) };
}

async function tryWithoutFiles(): Promise<Record<string, string>> {
  using _files = takeAllFiles();
  return await tryAll();
}

console.log(JSON.stringify({ without: await tryWithoutFiles(), after: await tryAll() }));
Deno.exit();
