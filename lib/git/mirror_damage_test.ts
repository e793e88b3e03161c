/**
 * What happens to a mirror that is lost, damaged, too large, or whose fetch was killed.
 */
import assert from "node:assert/strict";
import type { TestRepo } from "../../tests/worlds/git_repo.ts";
import { GitServer } from "../../tests/fakes/git_server.ts";
import { TestMirrors, type TestMirrorsOptions, testRemote } from "../../tests/worlds/mirrors.ts";
import { DeadlineError } from "../errors.ts";
import { GitError, RepositoryTooLargeError } from "./errors.ts";
import { isHash } from "./refs.ts";
import type { Repository, Snapshot } from "./repository.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { runCommand } from "../../tests/support/run_command.ts";

interface Scene extends AsyncDisposable {
  readonly server: GitServer;
  readonly origin: TestRepo;
  readonly repository: Repository;
  readonly mirrors: TestMirrors;
  /** Where the mirror is. */
  readonly folder: string;
}

async function open(options: TestMirrorsOptions = {}): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await GitServer.start());
  const origin = await server.createRepo("a.git");
  const mirrors = stack.use(await TestMirrors.start(options));
  const lease = stack.use(await mirrors.mirrors.open(testRemote(server.urlOf("a.git"))));
  const [name] = [...Deno.readDirSync(`${mirrors.folder}/mirrors`)].map((entry) => entry.name);
  const all = stack.move();
  return {
    server,
    origin,
    repository: lease.repository,
    mirrors,
    folder: `${mirrors.folder}/mirrors/${name}`,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function snapshotOf(repository: Repository, hash: string): Promise<Snapshot> {
  assert.ok(isHash(hash));
  const snapshot = await repository.snapshot(await repository.refs(), hash);
  assert.ok(snapshot !== null, `no commit ${hash}`);
  return snapshot;
}

async function readText(snapshot: Snapshot, path: string): Promise<string | null> {
  const bytes = await snapshot.readFile(path, { limitBytes: 1 << 20 });
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

/** The packs of a repository, which git writes read-only. */
function packsOf(path: string): string[] {
  const folder = `${path}/objects/pack`;
  return [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)
    .filter((file) => file.endsWith(".pack"));
}

/** Overwrites bytes in the middle of a file. */
function scribble(file: string, offset: number): void {
  using handle = Deno.openSync(file, { write: true });
  handle.seekSync(offset, Deno.SeekMode.Start);
  handle.writeSync(new Uint8Array(64).fill(0x5a));
}

/** What a disk, a cleaner of /tmp or a killed process may do to a repository with one pack. */
const DAMAGES: Record<string, (path: string) => void> = {
  "the repository is gone": (path) => Deno.removeSync(path, { recursive: true }),
  "all folders above it are gone": (path) => Deno.removeSync(`${path}/../..`, { recursive: true }),
  "the pack is cut short": (path) => packsOf(path).forEach((file) => Deno.truncateSync(file, 100)),
  "the pack is gone": (path) => packsOf(path).forEach((file) => Deno.removeSync(file)),
  "the pack has other bytes": (path) => packsOf(path).forEach((file) => scribble(file, 40)),
  "the objects are gone": (path) => Deno.removeSync(`${path}/objects`, { recursive: true }),
  "the refs are gone": (path) => Deno.removeSync(`${path}/refs`, { recursive: true }),
  "our own file is gone": (path) => Deno.removeSync(`${path}/generation`),
  "the configuration is garbage": (path) => Deno.writeTextFileSync(`${path}/config`, "[garbage"),
};

for (const [what, damage] of Object.entries(DAMAGES)) {
  Deno.test(`a mirror is made anew when ${what}`, async () => {
    await using scene = await open();
    const { origin, repository, folder } = scene;
    const first = await origin.commit({ "a": "content\n".repeat(100) }, { tag: "v1.0.0" });
    const snapshot = await snapshotOf(repository, first);
    damage(`${folder}/content.git`);
    assert.equal(await readText(snapshot, "a"), "content\n".repeat(100));

    const second = await origin.commit({ "b": "2" });
    damage(`${folder}/content.git`);
    assert.equal(await readText(await snapshotOf(repository, second), "b"), "2");

    const history = await repository.history(await repository.refs());
    assert.ok(isHash(second));
    damage(`${folder}/history.git`);
    assert.deepEqual(await history.tagsReachableFrom(second), ["v1.0.0"]);
  });
}

Deno.test("a mirror without its objects is made anew for whatever is asked", async (t) => {
  await using scene = await open();
  const { origin, repository, folder } = scene;
  const first = await origin.commit({ "a": "content" }, { tag: "v1.0.0" });
  const second = await origin.commit({ "b": "2" });
  assert.ok(isHash(first) && isHash(second));
  const snapshot = await snapshotOf(repository, first);
  const history = await repository.history(await repository.refs());
  const questions: Record<string, () => Promise<unknown>> = {
    "Snapshot.readFile()": () => readText(snapshot, "a"),
    "Snapshot.listTree()": () => Array.fromAsync(snapshot.listTree("")),
    "Snapshot.archive()": () => new Response(snapshot.archive("")).bytes(),
    "History.resolve()": () => history.resolve(first.slice(0, 7)),
    "History.commit()": () => history.commit(first),
    "History.isAncestor()": () => history.isAncestor(first, second),
  };
  for (const [what, ask] of Object.entries(questions)) {
    await t.step(what, async () => {
      const before = await ask();
      DAMAGES["the pack is gone"]?.(`${folder}/content.git`);
      DAMAGES["the pack is gone"]?.(`${folder}/history.git`);
      assert.deepEqual(await ask(), before);
    });
  }
});

Deno.test("100 readers of a damaged mirror cause one new one", async () => {
  await using scene = await open();
  const hash = await scene.origin.commit({ "a": "1" });
  const snapshot = await snapshotOf(scene.repository, hash);
  DAMAGES["the pack is gone"]?.(`${scene.folder}/content.git`);
  const asked = scene.server.requests.length;
  const texts = await Promise.all(Array.from({ length: 100 }, () => readText(snapshot, "a")));
  assert.ok(texts.every((text) => text === "1"));
  const posts = scene.server.requests.slice(asked).filter(({ method }) => method === "POST");
  assert.equal(posts.length, 2, "a fetch lists the refs and gets a pack");
});

Deno.test("a mirror is kept when the server fails", async () => {
  await using scene = await open();
  const { origin, repository, server, folder } = scene;
  const snapshot = await snapshotOf(repository, await origin.commit({ "a": "1" }));
  const packs = packsOf(`${folder}/content.git`);
  const second = await origin.commit({ "a": "2" });
  assert.ok(isHash(second));
  const refs = await repository.refs();
  server.misbehave = () => new Response("down", { status: 503 });
  await assert.rejects(repository.snapshot(refs, second), GitError);
  assert.deepEqual(packsOf(`${folder}/content.git`), packs);
  assert.equal(await readText(snapshot, "a"), "1");
});

for (const by of ["git", "our own requests"]) {
  Deno.test(`a fetch by ${by} that stalls ends at its deadline, and leaves no trace`, async () => {
    await using scene = await open({ limits: { fetchTimeoutMs: 2000 } });
    const { origin, repository, server, folder } = scene;
    server.protocolV2 = by !== "git";
    const first = await snapshotOf(repository, await origin.commit({ "a": "1" }));
    const second = await origin.commit({ "a": "2" });
    assert.ok(isHash(second));
    const refs = await repository.refs();
    // The refs are listed, the pack never comes.
    let posts = 0;
    server.misbehave = ({ method }) => method === "POST" && ++posts > 0 ? "stall" : null;
    const started = performance.now();
    const fetched = assert.rejects(repository.snapshot(refs, second), DeadlineError);
    await eventually("git to ask for the pack", () => posts > 0);
    const processes = await processesWith(server.url);
    assert.equal(processes.some((line) => line.includes("git-remote-http")), by === "git");
    await fetched;
    assert.ok(performance.now() - started < 5000);
    assert.deepEqual(await processesWith(server.url), []);
    assert.deepEqual(leftoversIn(folder), []);

    server.misbehave = () => null;
    assert.equal(await readText(await snapshotOf(repository, second), "a"), "2");
    assert.equal(await readText(first, "a"), "1");
  });
}

Deno.test("what a killed process left behind does not matter", async () => {
  await using scene = await open();
  const { origin, repository, server, folder } = scene;
  await snapshotOf(repository, await origin.commit({ "a": "1" }));
  const path = `${folder}/content.git`;
  const left = ["shallow.lock", "packed-refs.lock", "objects/pack/tmp_pack_abc123", "fetching"];
  for (const name of left) Deno.writeTextFileSync(`${path}/${name}`, "");
  const second = await origin.commit({ "a": "2" });
  const asked = server.requests.length;
  assert.equal(await readText(await snapshotOf(repository, second), "a"), "2");
  const posts = server.requests.slice(asked).filter(({ method }) => method === "POST");
  assert.equal(posts.length, 3, "refs listed, then listed and got at the same time");
  assert.deepEqual(leftoversIn(folder), []);
});

Deno.test("a repository that is too large is refused while it comes, and its room given back", async () => {
  await using scene = await open({ limits: { maxRepositorySizeBytes: 1 << 20 } });
  const { origin, repository, folder } = scene;
  const noise = () => crypto.getRandomValues(new Uint8Array(65_536));
  const small = await origin.commit({ "a": "1" }, { tag: "v1.0.0" });
  const files = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`f${i}`, noise()]));
  const large = await origin.commit(files);
  await assert.rejects(snapshotOf(repository, large), RepositoryTooLargeError);
  assert.deepEqual(filesIn(folder).filter((name) => name.includes("/objects/")), []);
  assert.equal(await readText(await snapshotOf(repository, small), "a"), "1");
});

Deno.test("versions that are too large together replace each other", async () => {
  await using scene = await open({ limits: { maxRepositorySizeBytes: 100_000 } });
  const { origin, repository } = scene;
  const hashes: string[] = [];
  for (let i = 0; i < 3; i++) {
    const noise = crypto.getRandomValues(new Uint8Array(60_000));
    hashes.push(await origin.commit({ "a": `${i}`, "noise": noise }, { tag: `v1.0.${i}` }));
  }
  for (const [i, hash] of hashes.entries()) {
    assert.equal(await readText(await snapshotOf(repository, hash), "a"), `${i}`);
  }
});

Deno.test("a mirror is tidied when it has many packs, and stays whole", async () => {
  await using scene = await open({ limits: { maxPacks: 4 } });
  const { origin, repository, folder } = scene;
  const hashes: string[] = [];
  for (let i = 0; i < 8; i++) hashes.push(await origin.commit({ "a": `${i}` }));
  const refs = await repository.refs();
  for (const hash of hashes) {
    assert.ok(isHash(hash));
    await repository.snapshot(refs, hash);
  }
  assert.ok(packsOf(`${folder}/content.git`).length <= 4);
  for (const index of [0, 4, 7]) {
    const snapshot = await snapshotOf(repository, hashes[index] ?? "");
    assert.equal(await readText(snapshot, "a"), `${index}`);
  }
});

Deno.test("several processes may share the mirrors", async () => {
  await using scene = await open();
  const { origin, repository, mirrors, server } = scene;
  await using other = await TestMirrors.start({ directory: mirrors.folder });
  await using lease = await other.mirrors.open(testRemote(server.urlOf("a.git")));
  const hashes: string[] = [];
  for (let i = 0; i < 6; i++) hashes.push(await origin.commit({ "a": `${i}` }));
  await Promise.all([repository, lease.repository].flatMap((side) =>
    hashes.map(async (hash, i) => {
      assert.equal(await readText(await snapshotOf(side, hash), "a"), `${i}`);
    })
  ));
});

async function processesWith(text: string): Promise<string[]> {
  const { stdout } = await runCommand("ps", { args: ["axww", "-o", "args="] });
  return stdout.split("\n").filter((line) => line.includes(text));
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}/${name}`) : [`${folder}/${name}`]
  );
}

/**
 * Temporary files, markers and locks of git; but for our own locks, which lie outside of
 * repositories.
 */
function leftoversIn(folder: string): string[] {
  return filesIn(folder).filter((file) =>
    /\.git\/.*(\.lock$|\/tmp_|\/fetching$)/.test(file) || /\.(new|old)-/.test(file)
  );
}
