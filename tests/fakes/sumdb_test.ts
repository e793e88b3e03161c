import assert from "node:assert/strict";
import type { H1 } from "../../lib/module/h1.ts";
import { goCommand, goTest } from "../support/go_command.ts";
import { type ModuleFiles, type ModuleHashes, type ModuleVersion } from "../support/module_zip.ts";
import { type Alteration, Sumdb } from "./sumdb.ts";
import { startUpstream } from "./upstream.ts";

goTest("go verifies modules against the database as its log grows", async (t) => {
  await using upstream = await startUpstream({ modules: MODULES });
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  await using server = sumdb.serve();
  upstream.mount(sumdb);
  // The second of each pair has to prove that its tree continues the first one's.
  const rows = [
    { size: 0, module: MODULES[0], gosumdb: sumdb.verifierKey },
    { size: 1, module: MODULES[1], gosumdb: sumdb.verifierKey },
    { size: 255, module: MODULES[2], gosumdb: `${sumdb.verifierKey} ${server.url}` },
    { size: 256, module: MODULES[3], gosumdb: sumdb.verifierKey },
    { size: 700, module: MODULES[4], gosumdb: `${sumdb.verifierKey} ${server.url}` },
    { size: 66_000, module: MODULES[5], gosumdb: sumdb.verifierKey },
  ];
  await using go = await goCommand({ proxy: upstream.url });
  for (const { size, module, gosumdb } of rows) {
    await t.step(`${size} records`, async () => {
      while (sumdb.size < size) sumdb.append(unrelatedRecord(sumdb.size));
      const { code, stderr } = await go.run(download(module), { env: { GOSUMDB: gosumdb } });
      assert.equal(code, 0, stderr);
      assert.equal(sumdb.size, size + 1);
    });
  }
  assert.equal(upstream.count(`/sumdb/${sumdb.name}/supported`), 4);
  assert.deepEqual([upstream.faults, sumdb.faults], [[], []]);
});

goTest("go refuses what the database says wrongly", async (t) => {
  const rows: { name: string; alter: Alteration; want: RegExp }[] = [
    {
      name: "record altered",
      alter: (path, bytes) =>
        path.startsWith("/lookup/") ? replaced(bytes, "/go.mod h1:", "/go.mod h1:A") : bytes,
      want: /cannot authenticate record data/,
    },
    {
      name: "bit flip in a tile",
      alter: (path, bytes) => path.startsWith("/tile/8/0/") ? flipped(bytes, 40) : bytes,
      want: /downloaded inconsistent tile/,
    },
    {
      name: "tree size altered under the signature",
      alter: (path, bytes) =>
        path.startsWith("/lookup/") ? replaced(bytes, "tree\n5\n", "tree\n4\n") : bytes,
      want: /invalid signature/,
    },
    {
      name: "tiles missing",
      alter: (path, bytes) => path.startsWith("/tile/") ? null : bytes,
      want: /404 Not Found/,
    },
  ];
  for (const { name, alter, want } of rows) {
    await t.step(name, async () => {
      await using upstream = await startUpstream({ modules: MODULES });
      const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
      upstream.mount(sumdb);
      while (sumdb.size < 4) sumdb.append(unrelatedRecord(sumdb.size));
      sumdb.alter = alter;
      await using go = await goCommand({ proxy: upstream.url, sumdb: sumdb.verifierKey });
      const { code, stderr } = await go.run(download(MODULES[0]));
      assert.equal(code, 1);
      assert.match(stderr, want);
    });
  }
});

goTest("go refuses a module whose record has another hash", async () => {
  await using upstream = await startUpstream({ modules: MODULES });
  const sumdb = new Sumdb();
  upstream.mount(sumdb);
  sumdb.append({ ...unrelatedRecord(0), path: "example.com/A", version: "v1.0.0" });
  await using go = await goCommand({ proxy: upstream.url, sumdb: sumdb.verifierKey });
  const { code, stderr } = await go.run(download(MODULES[0]));
  assert.equal(code, 1);
  assert.match(stderr, /checksum mismatch[^]*SECURITY ERROR/);
});

goTest("go refuses a database that forks its log", async () => {
  await using upstream = await startUpstream({ modules: MODULES });
  const common = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  common.append(unrelatedRecord(0));
  const shown = common.fork();
  const hidden = common.fork();
  hidden.append(unrelatedRecord(1));
  hidden.append(unrelatedRecord(2));
  await using go = await goCommand({ proxy: upstream.url, sumdb: common.verifierKey });

  upstream.mount(shown);
  const first = await go.run(download(MODULES[0]));
  assert.equal(first.code, 0, first.stderr);
  upstream.mount(hidden);
  const second = await go.run(download(MODULES[1]));
  assert.equal(second.code, 1);
  assert.match(second.stderr, /go\.sum database server misbehavior detected/);
});

goTest("go accepts a fork that continues what it has seen", async () => {
  await using upstream = await startUpstream({ modules: MODULES });
  const sumdb = new Sumdb({ resolve: (path, version) => upstream.hashesOf(path, version) });
  await using go = await goCommand({ proxy: upstream.url, sumdb: sumdb.verifierKey });
  for (const database of [sumdb, sumdb.fork()]) {
    upstream.mount(database);
    const { code, stderr } = await go.run(download(MODULES[0]));
    assert.equal(code, 0, stderr);
  }
});

Deno.test("answer() has status 200, 404 or, with a fault, 400", async (t) => {
  const sumdb = new Sumdb();
  for (let i = 0; i < 300; i++) sumdb.append(unrelatedRecord(i));
  const rows = [
    { path: "/latest", want: 200 },
    { path: "/lookup/example.com/!upper@v1.0.299", want: 200 },
    { path: "/lookup/example.com/!upper@v1.0.300", want: 404 },
    { path: "/tile/8/0/000", want: 200 },
    { path: "/tile/8/0/000.p/255", want: 200 },
    { path: "/tile/8/0/001.p/44", want: 200 },
    { path: "/tile/8/0/001.p/45", want: 404 },
    { path: "/tile/8/0/001", want: 404 },
    { path: "/tile/8/1/000.p/1", want: 200 },
    { path: "/tile/8/1/000.p/2", want: 404 },
    { path: "/tile/8/data/001.p/44", want: 200 },
    { path: "/tile/8/0/x001/000", want: 404 },
    { path: "/supported", want: 400 },
    { path: "/lookup/example.com/Upper@v1.0.0", want: 400 },
    { path: "/lookup/example.com/upper@main", want: 400 },
    { path: "/lookup/example.com/upper@v1.0.0/go.mod", want: 400 },
    { path: "/tile/9/0/000", want: 400 },
    { path: "/tile/8/0/0", want: 400 },
    { path: "/tile/8/0/x000/001", want: 400 },
    { path: "/tile/8/0/000.p/0", want: 400 },
    { path: "/tile/8/0/000.p/256", want: 400 },
    { path: "/tile/8/-1/000", want: 400 },
  ];
  for (const { path, want } of rows) {
    await t.step(path, () => {
      const faults = sumdb.faults.length;
      assert.equal(sumdb.answer(path).status, want);
      assert.equal(sumdb.faults.length - faults, want === 400 ? 1 : 0);
    });
  }
});

Deno.test("answer() has 32 bytes per hash and whole records in tiles", async () => {
  const sumdb = new Sumdb();
  for (let i = 0; i < 3; i++) sumdb.append(unrelatedRecord(i));
  assert.equal((await sumdb.answer("/tile/8/0/000.p/3").bytes()).length, 3 * 32);
  const { h1, goModH1 } = unrelatedRecord(0);
  assert.equal(
    await sumdb.answer("/tile/8/data/000.p/1").text(),
    `example.com/Upper v1.0.0 ${h1}\nexample.com/Upper v1.0.0/go.mod ${goModH1}\n\n`,
  );
});

Deno.test("the database's own server answers GET alone", async () => {
  const sumdb = new Sumdb();
  await using server = sumdb.serve();
  assert.match(await (await fetch(`${server.url}/latest`)).text(), /^go\.sum database tree\n0\n/);
  const post = await fetch(`${server.url}/latest`, { method: "POST" });
  await post.body?.cancel();
  assert.equal(post.status, 400);
  assert.equal(sumdb.faults.length, 1);
});

const MODULES: readonly ModuleFiles[] = ["A", "b", "c", "d", "e", "f"].map((name) => ({
  path: `example.com/${name}`,
  version: "v1.0.0",
  files: { "go.mod": `module example.com/${name}\n` },
}));

function download(module: ModuleVersion | undefined): string[] {
  return ["mod", "download", `${module?.path}@${module?.version}`];
}

function unrelatedRecord(i: number): ModuleHashes {
  const hash = `h1:${String(i).padStart(43, "0")}=` as H1;
  return { path: "example.com/Upper", version: `v1.0.${i}`, h1: hash, goModH1: hash };
}

function replaced(
  bytes: Uint8Array<ArrayBuffer>,
  from: string,
  to: string,
): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder().decode(bytes);
  assert.ok(text.includes(from), `${JSON.stringify(from)} is not in ${text}`);
  return new TextEncoder().encode(text.replace(from, to));
}

function flipped(bytes: Uint8Array<ArrayBuffer>, index: number): Uint8Array<ArrayBuffer> {
  return bytes.with(index, (bytes[index] ?? 0) ^ 1);
}
