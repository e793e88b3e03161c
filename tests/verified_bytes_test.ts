/**
 * What lies in a disk store is verified on every answer: a damaged zip is never answered completely
 * with 200, and is fetched from its source again; a manifest that somebody has edited is refused.
 * The scratch directory is used only if nobody else can write to it.
 */
import assert from "node:assert/strict";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { runProgram, type Server, startServer } from "./worlds/server.ts";

const PATH = "example.com/hello";
/** A zip of one block, one of several, and one of 3 MiB, each beyond what is kept in memory. */
const SIZES = { "v1.0.0": 200_000, "v1.1.0": 1_000_000, "v1.2.0": 3 * 1024 * 1024 };

interface World {
  readonly upstream: Upstream;
  readonly data: string;
  start(scrub?: string): Promise<Server>;
}

async function withStore(test: (world: World) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "verified-" });
  try {
    await using upstream = await startUpstream({
      modules: Object.entries(SIZES).map(([version, size]) => ({
        path: PATH,
        version,
        files: { "go.mod": `module ${PATH}\n`, "noise.txt": noise(size) },
      })),
    });
    const configFile = `${dir}/config.yaml`;
    const data = `${dir}/store`;
    await test({
      upstream,
      data,
      start: async (scrub = "") => {
        await Deno.writeTextFile(
          configFile,
          `storage: { disk: { path: ${data} ${scrub} } }\n` +
            `parentProxy: { url: "${upstream.url}" }\npublicModules: { sumDatabase: off }\n`,
        );
        return await startServer({ args: ["--config-file", configFile] });
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

type Bytes = Uint8Array<ArrayBuffer>;

const DAMAGES: Record<string, (file: string, bytes: Bytes) => Promise<void>> = {
  "a bit flipped in the first MiB": (file, bytes) =>
    Deno.writeFile(file, flipped(bytes, Math.min(500_000, bytes.length >> 1))),
  "a bit flipped in the last byte": (file, bytes) =>
    Deno.writeFile(file, flipped(bytes, bytes.length - 1)),
  "the last byte cut off": (file, bytes) => Deno.writeFile(file, bytes.slice(0, -1)),
  "a byte too many": (file, bytes) => Deno.writeFile(file, new Uint8Array([...bytes, 0])),
  "a symbolic link in its place": async (file, bytes) => {
    await Deno.remove(file);
    await Deno.writeFile(`${file}-elsewhere`, flipped(bytes, 1000));
    await Deno.symlink(`${file}-elsewhere`, file);
  },
};

for (const [name, damage] of Object.entries(DAMAGES)) {
  Deno.test(`a stored zip with ${name} is never served, and is repaired`, (t) =>
    withStore(async ({ data, start }) => {
      await using server = await start();
      for (const version of Object.keys(SIZES)) {
        await t.step(version, async () => {
          const url = `${server.url}/${PATH}/@v/${version}.zip`;
          const right = await bytesAt(url);
          assert.ok(right !== null);
          const file = await zipOf(data, version);
          await damage(file, right);
          // The zip is right, or the transfer breaks; it breaks once at most for each block.
          const given = await bytesAt(url);
          assert.ok(given === null || equal(given, right), "wrong bytes were served");
          const repaired = await bytesAt(url);
          assert.ok(repaired !== null && equal(repaired, right), "it is not repaired");
          assert.ok(equal(await Deno.readFile(file), right));
          const line = await server.log(({ msg, key }) =>
            /damaged and was set aside/.test(String(msg)) && file.endsWith(String(key))
          );
          assert.equal(line["level"], "error");
        });
      }
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      assert.match(metrics, /^gomodproxy_store_damaged_objects_total 3$/m);
    }));
}

Deno.test("a range of a damaged zip is never wrong", () =>
  withStore(async ({ data, start }) => {
    await using server = await start();
    const url = `${server.url}/${PATH}/@v/v1.2.0.zip`;
    const right = await bytesAt(url);
    assert.ok(right !== null);
    await Deno.writeFile(await zipOf(data, "v1.2.0"), flipped(right, 1_000_000));
    const headers = { Range: "bytes=999999-1000001" };
    const given = await bytesAt(url, { headers });
    assert.ok(given === null || equal(given, right.slice(999_999, 1_000_002)));
    assert.deepEqual(await bytesAt(url, { headers }), right.slice(999_999, 1_000_002));
  }));

Deno.test("a store of an earlier version is verified by the hashes of its zips", (t) =>
  withStore(async ({ data, start }) => {
    const right: Record<string, Bytes | null> = {};
    {
      await using server = await start();
      for (const version of Object.keys(SIZES)) {
        right[version] = await bytesAt(`${server.url}/${PATH}/@v/${version}.zip`);
      }
      assert.equal((await server.kill("SIGTERM")).code, 0);
    }
    for (const version of Object.keys(SIZES)) {
      const file = await zipOf(data, version);
      const slash = file.lastIndexOf("/");
      await Deno.remove(`${file.slice(0, slash)}/.${file.slice(slash + 1)}.sums`)
        .catch(() => {});
      if (version !== "v1.0.0") {
        await Deno.writeFile(file, flipped(await Deno.readFile(file), 100_000));
      }
    }
    await using server = await start();
    for (const version of Object.keys(SIZES)) {
      await t.step(version, async () => {
        const given = await bytesAt(`${server.url}/${PATH}/@v/${version}.zip`);
        const want = right[version] ?? null;
        assert.ok(given !== null && want !== null && equal(given, want));
      });
    }
  }));

Deno.test("an edited time in a manifest is refused", () =>
  withStore(async ({ data, start }) => {
    {
      await using server = await start();
      const response = await fetch(`${server.url}/${PATH}/@v/v1.0.0.info`);
      assert.equal(response.status, 200);
      await response.body?.cancel();
      assert.equal((await server.kill("SIGTERM")).code, 0);
    }
    const file = `${data}/m1/${PATH}/@v/v1.0.0`;
    const text = await Deno.readTextFile(file);
    const edited = text.replace(/"time":"\d{4}/, '"time":"1999');
    assert.notEqual(edited, text);
    await Deno.writeTextFile(file, edited);
    await using server = await start();
    const response = await fetch(`${server.url}/${PATH}/@v/v1.0.0.info`);
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /1999/);
    const line = await server.log(({ level }) => level === "error");
    assert.match(JSON.stringify(line), /contradicts its checksum/);
    // Nothing took its place.
    assert.equal(await Deno.readTextFile(file), edited);
  }));

Deno.test("the scrubber finds damage that nobody asks for, and repairs it", () =>
  withStore(async ({ data, start }) => {
    let right: Bytes | null = null;
    {
      await using server = await start();
      right = await bytesAt(`${server.url}/${PATH}/@v/v1.1.0.zip`);
      assert.ok(right !== null);
      assert.equal((await server.kill("SIGTERM")).code, 0);
    }
    const file = await zipOf(data, "v1.1.0");
    await Deno.writeFile(file, flipped(right, 500_000));
    await using server = await start(", scrub: { mibPerSecond: 100 }");
    const found = await server.log(({ finding }) => finding !== undefined);
    assert.equal(found["finding"], "the zip was damaged, and was fetched again");
    assert.ok(equal(await Deno.readFile(file), right));
    const pass = await server.log(({ msg }) => msg === "the store was scrubbed");
    assert.deepEqual([pass["fault"], pass["repaired"]], [0, 1]);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^gomodproxy_scrub_findings_total\{kind="repaired"\} 1$/m);
    assert.equal((await server.kill("SIGTERM")).code, 0);
  }));

Deno.test("a scratch directory that others can write to is refused", async () => {
  const dir = await Deno.makeTempDir({ prefix: "planted-" });
  try {
    const scratch = `${dir}/scratch`;
    await Deno.mkdir(`${scratch}/git`, { recursive: true });
    await Deno.chmod(scratch, 0o777);
    const { code, stderr } = await runProgram(["serve", "--port", "0", "--scratch-dir", scratch], {
      env: { GOPROXY: "off" },
    });
    assert.notEqual(code, 0);
    assert.match(stderr, /scratch directory .*every user can write to it \(mode 777\)/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a store directory that others can write to is refused", async () => {
  const dir = await Deno.makeTempDir({ prefix: "planted-" });
  try {
    const data = `${dir}/store`;
    await Deno.mkdir(data);
    await Deno.chmod(data, 0o777);
    await Deno.writeTextFile(`${dir}/config.yaml`, `storage: { disk: { path: ${data} } }\n`);
    const args = ["serve", "--port", "0", "--config-file", `${dir}/config.yaml`];
    const { code, stderr } = await runProgram(args, { env: { GOPROXY: "off" } });
    assert.notEqual(code, 0);
    assert.match(stderr, /store directory .*every user can write to it \(mode 777\)/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** The bytes of a complete answer; null for a failure, or a transfer that breaks. */
async function bytesAt(url: string, init: RequestInit = {}): Promise<Bytes | null> {
  const response = await fetch(url, init);
  if (!response.ok) {
    await response.body?.cancel();
    return null;
  }
  try {
    return await response.bytes();
  } catch (error) {
    assert.ok(error instanceof TypeError, String(error));
    return null;
  }
}

async function zipOf(data: string, version: string): Promise<string> {
  const folder = `${data}/z1/${PATH}/@v/${version}`;
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const entry = entries.find(({ name }) => /^[0-9a-f]{64}$/.test(name));
  assert.ok(entry !== undefined);
  return `${folder}/${entry.name}`;
}

function flipped(bytes: Bytes, at: number): Bytes {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

/** As assert.deepEqual, which takes seconds for megabytes. */
function equal(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Text that does not get smaller by compression. */
function noise(sizeBytes: number): string {
  const bytes = new Uint8Array(Math.ceil(sizeBytes * 0.75));
  for (let at = 0; at < bytes.length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes.toBase64();
}
