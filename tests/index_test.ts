/**
 * The index as documentation sites use it: two followers, which behave as pkgsite's worker does,
 * while four replicas publish into one directory and one of them is killed. Both end with the same
 * list, and nothing is missing in it.
 */
import assert from "node:assert/strict";
import { runProgram, type Server, startServer } from "./worlds/server.ts";
import { startUpstream } from "./fakes/upstream.ts";

const PATH = "example.com/m";
const REPLICAS = 4;
const VERSIONS = Array.from({ length: 40 }, (_, i) => `v1.${i}.0`);
/** Far more requests than a follower needs until all is written. */
const MAX_POLLS = 20_000;

/**
 * As pkgsite's worker (internal/index and internal/worker of golang/pkgsite): asks from the last
 * time that it has, which it cuts to seconds, and keeps what it does not know yet.
 */
class Follower {
  readonly versions: string[] = [];
  #since = "0001-01-01T00:00:00Z";

  async poll(server: Server): Promise<void> {
    const query = new URLSearchParams({ since: this.#since, limit: "1000" });
    const response = await fetch(`${server.url}/index?${query}`);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    for (const line of text.split("\n").slice(0, -1)) {
      const { Path, Version, Timestamp } = JSON.parse(line);
      assert.equal(Path, PATH);
      this.#since = `${String(Timestamp).slice(0, 19)}Z`;
      if (!this.versions.includes(Version)) this.versions.push(Version);
    }
  }
}

interface World {
  start(index: "all" | "off"): Promise<Server>;
  fsck(...flags: string[]): Promise<string[]>;
}

async function withStore(test: (world: World) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "index-" });
  try {
    await using upstream = await startUpstream({
      modules: VERSIONS.map((version) => ({
        path: PATH,
        version,
        files: { "go.mod": `module ${PATH}\n`, "m.go": "package m\n" },
      })),
    });
    const config = (index: "all" | "off") => `${dir}/${index}.yaml`;
    for (const index of ["all", "off"] as const) {
      await Deno.writeTextFile(
        config(index),
        `storage: { disk: { path: ${dir}/store } }\nparentProxy: { url: "${upstream.url}" }\n` +
          `publicModules: { sumDatabase: off }\nindex: ${index}\n`,
      );
    }
    await test({
      start: (index) => startServer({ args: ["--config-file", config(index)] }),
      async fsck(...flags) {
        const { stdout } = await runProgram(["fsck", "--config-file", config("all"), ...flags]);
        return stdout.trimEnd().split("\n");
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function publish(server: Server, version: string): Promise<void> {
  const response = await fetch(`${server.url}/${PATH}/@v/${version}.info`);
  assert.equal(response.status, 200, await response.text());
}

Deno.test("followers of replicas, of which one is killed, end with the same complete list", () =>
  withStore(async ({ start, fsck }) => {
    await using replicas = new AsyncDisposableStack();
    const servers = await Promise.all(Array.from({ length: REPLICAS }, () => start("all")));
    for (const server of servers) replicas.use(server);
    const [victim, survivor, ...more] = servers;
    assert.ok(victim !== undefined && survivor !== undefined);
    const survivors = [survivor, ...more];
    const [last = ""] = VERSIONS.slice(-1);
    const [one, other] = [new Follower(), new Follower()];
    const work = survivors.map(async (server, i) => {
      // The same versions on all of them, in different orders.
      for (const version of [...VERSIONS.slice(i * 9), ...VERSIONS.slice(0, i * 9)]) {
        if (version !== last) await publish(server, version);
        await one.poll(server);
      }
    });
    // What only the victim has published, and no time to write an entry of.
    await publish(victim, last);
    await victim.kill("SIGKILL");
    await Promise.all(work);
    // The next who reads it on another replica brings it in.
    await publish(survivor, last);
    for (let polls = 0; one.versions.length < VERSIONS.length && polls < MAX_POLLS; polls++) {
      await one.poll(survivor);
    }
    // One that begins only now, and asks each replica in turn.
    for (const server of [...survivors, ...survivors]) await other.poll(server);
    assert.deepEqual(one.versions.toSorted(), VERSIONS.toSorted());
    assert.deepEqual(other.versions, one.versions);
    assert.match((await fsck()).join(), /40 manifests, 40 zips; 0 faults, 0 notes, 0 repaired/);
  }));

Deno.test("a server writes its index entries before it exits; fsck --repair adds missing ones", () =>
  withStore(async ({ start, fsck }) => {
    for (const [index, version] of [["all", "v1.0.0"], ["off", "v1.1.0"]] as const) {
      await using server = await start(index);
      await publish(server, version);
      assert.equal((await fetch(`${server.url}/index`)).status, index === "off" ? 404 : 200);
      assert.equal((await server.kill("SIGTERM")).code, 0);
    }
    const key = `m1/${PATH}/@v/v1.1.0`;
    const [note, summary] = await fsck();
    assert.equal(note, `note     ${key}: it is not in the index; whoever reads it next adds it`);
    assert.match(summary ?? "", /0 faults, 1 note, 0 repaired/);
    assert.equal((await fsck("--repair"))[0], `repaired ${key}: it was not in the index`);
    assert.match((await fsck()).join(), /^8 objects: .* 0 faults, 0 notes, 0 repaired$/);
    await using server = await start("all");
    const follower = new Follower();
    await follower.poll(server);
    assert.deepEqual(follower.versions, ["v1.0.0", "v1.1.0"]);
  }));
