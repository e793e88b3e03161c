import assert from "node:assert/strict";
import { ConfigError } from "../errors.ts";
import { faultOf, openTrustedDirectory, type Place } from "./trusted_directory.ts";

/** This process's user in the table. */
const UID = 1000;

Deno.test("faultOf() says who else can write to a directory", async (t) => {
  const rows: { name: string; place: Partial<Place>; uid?: number; want: RegExp | null }[] = [
    { name: "ours alone", place: {}, want: null },
    { name: "ours, and others may read it", place: { mode: 0o755 }, want: null },
    { name: "another user's", place: { uid: 1001 }, want: /belongs to user 1001, and this is/ },
    { name: "another user's, and this is root", place: {}, uid: 0, want: /belongs to user 1000/ },
    { name: "all can write to it", place: { mode: 0o777 }, want: /every user .*mode 777/ },
    { name: "all but its group can", place: { mode: 0o707 }, want: /every user/ },
    { name: "all can, with a sticky bit", place: { mode: 0o1777 }, want: /every user/ },
    { name: "its group can", place: { gid: 50, mode: 0o770 }, want: /group 50 .*mode 770/ },
    { name: "a group of ours alone can", place: { gid: UID, mode: 0o775 }, want: null },
    // OpenShift: any user, of group 0.
    { name: "root's, for group 0", place: { uid: 0, gid: 0, mode: 0o775 }, want: null },
    { name: "ours, for group 0", place: { gid: 0, mode: 0o2770 }, want: null },
    // Kubernetes: fsGroup.
    { name: "root's, for a group", place: { uid: 0, gid: 2000, mode: 0o2775 }, want: null },
    {
      name: "root's, for a group, and this is root",
      place: { uid: 0, gid: 2000, mode: 0o2775 },
      uid: 0,
      want: /group 2000/,
    },
    { name: "root's, for all", place: { uid: 0, gid: 0, mode: 0o777 }, want: /every user/ },
    // Kubernetes, Cloud Run: emptyDir.
    {
      name: "a volume, for all",
      place: { uid: 0, gid: 0, mode: 0o777, isMountPoint: true },
      want: null,
    },
    {
      name: "a volume with a sticky bit, as /tmp may be one",
      place: { uid: 0, gid: 0, mode: 0o1777, isMountPoint: true },
      want: /every user/,
    },
    {
      name: "another user's volume",
      place: { uid: 1001, mode: 0o777, isMountPoint: true },
      want: /belongs to user 1001/,
    },
  ];
  for (const { name, place, uid = UID, want } of rows) {
    await t.step(name, () => {
      const all = { uid: UID, gid: 100, mode: 0o700, isMountPoint: false, ...place };
      const fault = faultOf(all, { uid, isAbove: false });
      if (want === null) assert.equal(fault, null);
      else assert.match(fault ?? "", want);
    });
  }
});

Deno.test("faultOf() says who else can replace a directory, by the one above", async (t) => {
  const rows: { name: string; place: Partial<Place>; want: RegExp | null }[] = [
    { name: "root's", place: { uid: 0, gid: 0, mode: 0o755 }, want: null },
    { name: "/tmp", place: { uid: 0, gid: 0, mode: 0o1777 }, want: null },
    { name: "/tmp without its sticky bit", place: { uid: 0, gid: 0, mode: 0o777 }, want: /every/ },
    { name: "another user's", place: { uid: 1001, mode: 0o755 }, want: /belongs to user 1001/ },
    { name: "a group's", place: { gid: 50, mode: 0o775 }, want: /group 50/ },
    { name: "a group's, sticky", place: { gid: 50, mode: 0o1775 }, want: null },
    { name: "ours, with a group of ours alone", place: { gid: UID, mode: 0o775 }, want: null },
  ];
  for (const { name, place, want } of rows) {
    await t.step(name, () => {
      const all = { uid: UID, gid: 100, mode: 0o700, isMountPoint: false, ...place };
      const fault = faultOf(all, { uid: UID, isAbove: true });
      if (want === null) assert.equal(fault, null);
      else assert.match(fault ?? "", want);
    });
  }
});

const options = { what: "scratch directory", folders: ["git"] };

Deno.test("openTrustedDirectory() makes a directory and resolves links to it", () =>
  inTempDir(async (parent) => {
    const real = await Deno.realPath(parent);
    assert.equal(await openTrustedDirectory(`${parent}/a/b`, options), `${real}/a/b`);
    assert.equal(((await Deno.stat(`${parent}/a/b`)).mode ?? 0) & 0o777, 0o700);
    assert.deepEqual([...Deno.readDirSync(`${parent}/a/b`)], []);
    await Deno.symlink(`${parent}/a`, `${parent}/link`);
    assert.equal(await openTrustedDirectory(`${parent}/link/b`, options), `${real}/a/b`);
  }));

Deno.test("openTrustedDirectory() refuses what others can write to", async (t) => {
  const rows: { name: string; plant: (path: string) => Promise<void>; want: RegExp }[] = [
    { name: "the directory", plant: (path) => Deno.chmod(path, 0o777), want: /every user/ },
    { name: "the one above", plant: (path) => Deno.chmod(`${path}/..`, 0o777), want: /every user/ },
    {
      name: "git mirrors",
      plant: async (path) => {
        await Deno.mkdir(`${path}/git/public`, { recursive: true });
        await Deno.chmod(`${path}/git/public`, 0o777);
      },
      want: /git\/public: every user/,
    },
    {
      name: "mirrors elsewhere",
      plant: (path) => Deno.symlink(`${path}/..`, `${path}/git`),
      want: /git is a symbolic link/,
    },
    {
      name: "the directory behind a link",
      plant: async (path) => {
        await Deno.rename(path, `${path}-elsewhere`);
        await Deno.chmod(`${path}-elsewhere`, 0o777);
        await Deno.symlink(`${path}-elsewhere`, path);
      },
      want: /dir-elsewhere: every user/,
    },
  ];
  for (const { name, plant, want } of rows) {
    await t.step(name, () =>
      inTempDir(async (parent) => {
        const path = `${parent}/dir`;
        await Deno.mkdir(path);
        await plant(path);
        const isRefused = (error: unknown) =>
          error instanceof ConfigError && want.test(error.message);
        await assert.rejects(openTrustedDirectory(path, options), isRefused);
      }));
  }
});

Deno.test({
  name: "openTrustedDirectory() refuses what belongs to another user",
  ignore: Deno.uid() !== 0, // SKIP: only root can give files away.
  fn: async (t) => {
    for (const name of [".", "..", "git", "git/public"]) {
      await t.step(name, () =>
        inTempDir(async (parent) => {
          const path = `${parent}/dir`;
          await Deno.mkdir(`${path}/git/public`, { recursive: true });
          await Deno.chown(`${path}/${name}`, 12345, 12345);
          await assert.rejects(openTrustedDirectory(path, options), /belongs to user 12345/);
          await Deno.chown(`${path}/${name}`, 0, 0);
        }));
    }
  },
});

async function inTempDir(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "trusted-" });
  try {
    await work(directory);
  } finally {
    await Deno.chmod(directory, 0o700);
    await Deno.remove(directory, { recursive: true });
  }
}
