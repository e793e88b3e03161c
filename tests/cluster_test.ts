/**
 * Several processes on one directory, against an upstream that keeps changing its content. Every
 * process serves the same copy of a version in all three files, even when one of them is killed
 * halfway.
 */
import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { type Files, h1OfFiles } from "./support/module_zip.ts";
import { type Server, startServer } from "./worlds/server.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { readZip } from "./support/read_zip.ts";

const REPLICAS = 3;
const VERSIONS = Array.from({ length: 20 }, (_, i) => `v1.${i}.0`);
const PATH = "example.com/m";
/** Of each version, from each replica, all three files, and some again: 200 requests and more. */
const FILES = ["info", "mod", "zip", "zip"] as const;

/**
 * Two copies of each version. Every other version's copies differ in go.mod too, so that mixed
 * downloads are refused.
 */
async function addTwoCopies(upstream: Upstream): Promise<void> {
  for (const [i, version] of VERSIONS.entries()) {
    for (const copy of ["one", "other"]) {
      const goMod = `module ${PATH}\n${i % 2 === 0 ? "" : `// ${copy}\n`}`;
      const files: Files = { "go.mod": goMod, "m.go": `package m // ${copy} ${version}\n` };
      const time = copy === "one" ? "2024-01-01T00:00:00Z" : "2024-02-02T00:00:00Z";
      await upstream.addModule({ path: PATH, version, files, time });
    }
  }
}

/** A version's three files from one replica; null for a file that it could not get. */
interface Seen {
  readonly version: string;
  readonly file: string;
  /** For a zip its h1, which names the copy; else the text. */
  readonly content: string;
}

async function ask(server: Server, version: string, file: string): Promise<Seen | null> {
  try {
    const response = await fetch(`${server.url}/${PATH}/@v/${version}.${file}`);
    const bytes = await response.bytes();
    if (response.status !== 200) {
      // A mixed download is refused; a client tries again.
      assert.equal(response.status, 502, new TextDecoder().decode(bytes));
      return null;
    }
    const content = file === "zip"
      ? h1OfFiles(await readZip(bytes))
      : new TextDecoder().decode(bytes);
    assert.ok(file === "zip" || isUtf8(bytes));
    return { version, file, content };
  } catch (error) {
    // The replica was killed while it answered.
    if (error instanceof TypeError) return null;
    throw error;
  }
}

function everything(): { version: string; file: (typeof FILES)[number] }[] {
  return VERSIONS.flatMap((version) => FILES.map((file) => ({ version, file })));
}

/** The one content of each file, or an assertion's failure. */
function assertOneCopy(seen: readonly (Seen | null)[]): Map<string, string> {
  const contents = new Map<string, string>();
  for (const answer of seen) {
    if (answer === null) continue;
    const name = `${answer.version}.${answer.file}`;
    const known = contents.get(name) ?? answer.content;
    assert.equal(answer.content, known, `${name} has two copies`);
    contents.set(name, known);
  }
  return contents;
}

/**
 * Each file of each version from each replica, asked for until it is there. The upstream's `.mod`
 * and `.zip` may have got out of step, so that each try meets one of either copy; asking it for one
 * `.mod` more brings them back into step.
 */
async function askUntilThere(servers: readonly Server[], upstream: Upstream): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (const server of servers) {
    for (const { version, file } of everything()) {
      let answer: Seen | null = null;
      for (let tries = 0; answer === null && tries < 20; tries++) {
        answer = await ask(server, version, file);
        if (answer === null) {
          await fetch(`${upstream.url}/${PATH}/@v/${version}.mod`).then((r) => r.body?.cancel());
        }
      }
      assert.ok(answer !== null, `${version}.${file} cannot be had`);
      seen.push(answer);
    }
  }
  return seen;
}

async function withCluster(
  test: (
    servers: Server[],
    world: { upstream: Upstream; start(): Promise<Server> },
  ) => Promise<void>,
): Promise<void> {
  await using upstream = await startUpstream();
  await addTwoCopies(upstream);
  const directory = await Deno.makeTempDir({ prefix: "cluster-" });
  await using servers = new AsyncDisposableStack();
  servers.defer(() => Deno.remove(directory, { recursive: true }));
  const config = `${directory}/config.yaml`;
  await Deno.writeTextFile(config, `storage: { disk: { path: ${directory}/data } }\n`);
  const start = async () =>
    servers.use(
      await startServer({
        args: ["--config-file", config],
        env: { GOPROXY: upstream.url },
      }),
    );
  await test(await Promise.all(Array.from({ length: REPLICAS }, start)), { upstream, start });
  assert.deepEqual(upstream.faults, []);
}

Deno.test("three processes on one directory serve one copy of each version", () =>
  withCluster(async (servers, { upstream }) => {
    const first = await Promise.all(
      everything().flatMap(({ version, file }) =>
        servers.map((server) => ask(server, version, file))
      ),
    );
    assert.ok(first.length >= 200);
    const later = await askUntilThere(servers, upstream);
    const contents = assertOneCopy([...first, ...later]);
    assert.equal(contents.size, VERSIONS.length * 3);
    for (const server of servers) {
      const list = await (await fetch(`${server.url}/${PATH}/@v/list`)).text();
      assert.deepEqual(list.trim().split("\n").sort(), [...VERSIONS].sort());
    }
  }));

Deno.test("a process killed in the middle leaves one copy of each version", () =>
  withCluster(async (servers, { upstream, start }) => {
    const [victim, ...survivors] = servers;
    assert.ok(victim !== undefined);
    const answers = everything().flatMap(({ version, file }) =>
      servers.map((server) => ask(server, version, file))
    );
    // It dies as soon as it has answered anything, with all the rest under way.
    await Promise.any(
      everything().map(async ({ version, file }) => {
        if (await ask(victim, version, file) === null) throw new Error("not yet");
      }),
    );
    const { signal } = await victim.kill("SIGKILL");
    assert.equal(signal, "SIGKILL");
    const first = await Promise.all(answers);
    const later = await askUntilThere([...survivors, await start()], upstream);
    assert.equal(assertOneCopy([...first, ...later]).size, VERSIONS.length * 3);
  }));
