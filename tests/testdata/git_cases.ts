/**
 * Repositories for the comparison with the `go` command, one for each thing that repositories can
 * have or do. This file says what they contain and what to ask; the expected answers come from the
 * `go` command.
 */
import type { RepoOptions, TestRepo } from "../worlds/git_repo.ts";
import { executable, type Files, submodule, symlink } from "../worlds/git_repo.ts";

export interface GitCase {
  /** The repository is `https://git.example.com/<name>`. */
  readonly name: string;
  /** Compared by default; the others with `CI=true` only. */
  readonly isQuick?: boolean;
  readonly options?: RepoOptions;
  /** The go-get page of a path, if the case has one: the repository's directory that it names. */
  readonly page?: { readonly path: string; readonly subdir?: string };
  /** Its versions have nothing to do with each other: all may be asked with the same caches. */
  readonly isPlain?: boolean;
  /** Fills the repository. Returns what is asked: `path@query`. */
  make(repo: TestRepo): Promise<readonly string[]>;
}

const HOST = "git.example.com";

function goMod(path: string, rest = ""): string {
  return `module ${path}\n${rest}`;
}

function asks(path: string, ...queries: readonly string[]): string[] {
  return queries.map((query) => `${path}@${query}`);
}

/** A pseudo-version of a commit; `start` is all before the time: `v0.0.0-`, `v1.2.4-0.`. */
async function pseudo(repo: TestRepo, hash: string, start: string): Promise<string> {
  const seconds = Number(await repo.git(["show", "-s", "--format=%ct", hash]));
  const time = new Date(seconds * 1000).toISOString().slice(0, 19).replace(/[-T:]/g, "");
  return `${start}${time}-${hash.slice(0, 12)}`;
}

/** Where a module lies in its repository. */
interface Place {
  readonly name: string;
  readonly path: string;
  readonly dir: string;
  /** Before the version in tags. */
  readonly tags: string;
  readonly major: "v1" | "v2";
  readonly page?: GitCase["page"];
  /** Everything is asked here, elsewhere a part. */
  readonly isWhole?: boolean;
  readonly isQuick?: boolean;
}

const PLACES: readonly Place[] = [
  { name: "root", path: `${HOST}/root.git`, dir: "", tags: "", major: "v1", isWhole: true },
  { name: "kit", path: `${HOST}/kit.git/a/b`, dir: "a/b", tags: "a/b/", major: "v1" },
  { name: "branch2", path: `${HOST}/branch2.git/v2`, dir: "", tags: "", major: "v2" },
  { name: "dir2", path: `${HOST}/dir2.git/v2`, dir: "v2", tags: "", major: "v2" },
  { name: "kit2", path: `${HOST}/kit2.git/a/v2`, dir: "a/v2", tags: "a/", major: "v2" },
  {
    name: "gopkg",
    path: "gopkg.in/gopkg.v2",
    dir: "",
    tags: "",
    major: "v2",
    page: { path: "gopkg.in/gopkg.v2" },
  },
  {
    name: "vanity",
    path: "vanity.example.com/vanity",
    dir: "",
    tags: "",
    major: "v1",
    page: { path: "vanity.example.com/vanity" },
  },
  {
    name: "mono",
    path: "vanity.example.com/mono/v2",
    dir: "go/mono/v2",
    tags: "go/mono/",
    major: "v2",
    page: { path: "vanity.example.com/mono", subdir: "go/mono" },
    isQuick: true,
  },
];

/** What any module's repository may look like, at a place. */
function usual({ name, path, dir, tags, major, page, isWhole, isQuick = false }: Place): GitCase {
  async function make(repo: TestRepo): Promise<string[]> {
    const inDir = (file: string) => dir === "" ? file : `${dir}/${file}`;
    const mod = (rest = "") => ({ [inDir("go.mod")]: goMod(path, rest) });
    const code = (n: number) => ({ [inDir("a.go")]: `package a // ${n}\n` });
    const tag = (version: string) => `${tags}${major}.${version}`;
    await repo.commit({ "README.md": "first\n", "LICENSE": "MIT\n" });
    const first = await repo.commit({ ...mod(), ...code(1) }, { tag: tag("0.0") });
    const second = await repo.commit(code(2));
    await repo.tag(tag("1.0"), second, { message: "annotated" });
    await repo.tag("stable", second);
    await repo.commit(code(3), { tag: tag("2.0+meta") });
    const twice = await repo.commit(code(4), { tag: tag("3.0") });
    await repo.tag(tag("3.1"), twice);
    const after = await repo.commit(code(5));
    await repo.commit(mod(`retract ${major}.9.0\n`), { tag: tag("9.0") });
    const head = await repo.commit(code(6));
    await repo.commit(code(7), { branch: "dev", from: second, tag: tag("5.0-rc.1") });
    const beside = await repo.commit(code(8), { branch: "dev" });
    await repo.commit(code(9), { branch: `${major}.7.7`, from: second });
    await repo.tag("both", first);
    await repo.setRef("refs/heads/both", second);
    const v = (version: string) => `${major}.${version}`;
    const some = asks(
      path,
      ...["latest", "main", "both", v("1.0"), v("9.0"), v("2.0+meta"), v("7.7"), v("3")],
      ...[twice.slice(0, 12), beside],
      await pseudo(repo, after, v("1.1-0.")),
      await pseudo(repo, beside, v("3.2-0.")),
      await pseudo(repo, head, `${major}.0.0-`),
    );
    if (!isWhole) return some;
    return [
      ...some,
      ...asks(path, "dev", "stable", "HEAD", major, v("5"), v("9"), head.slice(0, 7)),
      ...asks(path, v("0.0"), v("3.0"), v("5.0-rc.1"), v("2.0"), v("8.8"), v("3.0+other")),
      ...asks(path, await pseudo(repo, head, v("3.2-0.")), await pseudo(repo, head, "v0.0.0-")),
      ...asks(path, await pseudo(repo, after, v("2.1-0."))),
      ...asks(path, await pseudo(repo, beside, v("5.0-rc.1.0."))),
      ...asks(path, await pseudo(repo, twice, v("3.1-0."))),
    ];
  }
  return { name, make, isQuick, ...(page !== undefined && { page }) };
}

/** A repository whose versions have nothing in common: v1.0.0, v1.1.0, … with these files. */
function versions(
  name: string,
  files: readonly Files[],
  { dir = "", isQuick = false } = {},
): GitCase {
  const path = dir === "" ? `${HOST}/${name}.git` : `${HOST}/${name}.git/${dir}`;
  async function make(repo: TestRepo): Promise<string[]> {
    for (const [minor, tree] of files.entries()) {
      const tag = `${dir === "" ? "" : `${dir}/`}v1.${minor}.0`;
      await repo.commit(tree, { branch: `b${minor}`, tag });
    }
    return asks(path, ...files.map((_, minor) => `v1.${minor}.0`));
  }
  return { name, make, isQuick, isPlain: true };
}

const CRLF = "a\nb\r\nc\n";
const NOT_UTF_8 = "\udcff.go";

const CONTENTS: readonly Files[] = [
  // Nested modules.
  {
    "go.mod": goMod("x.y/r"),
    "a.go": "a",
    "sub/go.mod": "",
    "sub/a.go": "a",
    "sub/deep/a.go": "a",
  },
  { "go.mod": goMod("x.y/r"), "sub/GO.MOD": "", "sub/a.go": "a", "subway/a.go": "a" },
  { "go.mod": goMod("x.y/r"), "sub/go.mod": symlink("../go.mod"), "sub/a.go": "a" },
  { "go.mod": goMod("x.y/r"), "sub/go.mod/x.go": "a", "sub/a.go": "a" },
  // Files of other kinds.
  {
    "go.mod": goMod("x.y/r"),
    "link": symlink("go.mod"),
    "out": symlink("/etc/passwd"),
    "run.sh": executable("#!"),
  },
  {
    "go.mod": goMod("x.y/r"),
    "dep": submodule("1".repeat(40)),
    "a.go": "a",
    ".gitmodules": '[submodule "dep"]\n\tpath = dep\n\turl = ext::date\n',
  },
  {
    "go.mod": goMod("x.y/r"),
    ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    "a.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
  },
  // Attributes.
  {
    "go.mod": goMod("x.y/r"),
    ".gitattributes": "v.go export-subst\nsecret export-ignore\n",
    "v.go": "$Format:%H$",
    "secret": "s",
  },
  {
    "go.mod": goMod("x.y/r"),
    ".gitattributes": "*.txt eol=crlf\n*.raw -text\n*.auto text=auto\n",
    "a.txt": CRLF,
    "a.raw": CRLF,
    "a.auto": CRLF,
    "a.go": CRLF,
  },
  { "go.mod": goMod("x.y/r"), ".gitattributes": "go.mod text eol=crlf\n", "a.go": "a" },
  {
    "go.mod": goMod("x.y/r"),
    ".gitattributes": "*.go ident\n*.txt working-tree-encoding=UTF-16LE\n",
    "a.go": "// $Id$\n",
    "a.txt": "über\n",
  },
  {
    "go.mod": goMod("x.y/r"),
    "sub/.gitattributes": "*.txt eol=crlf\n",
    "sub/a.txt": CRLF,
    "a.txt": CRLF,
  },
  // Vendored packages, by the module's language version.
  ...["", "go 1.23\n", "go 1.24\n", "go 1.24rc1\n", "go 1.25.1\n", "go banana\n"].map((
    line,
  ): Files => ({
    "go.mod": goMod("x.y/r", line),
    "vendor/modules.txt": "#",
    "vendor/x.y/a.go": "a",
    "a/vendor/x.y/a.go": "a",
    "a/vendor/b.go": "b",
    "a/vendor/modules.txt": "#",
    "longer/vendor/x.go": "b",
    "longer/vendor/x/y/z.go": "b",
    "vendors/x.y/a.go": "a",
  })),
  // Names.
  { "go.mod": goMod("x.y/r"), "a.go": "a", "A.go": "A" },
  { "go.mod": goMod("x.y/r"), "a": "a", "A/b": "A" },
  { "go.mod": goMod("x.y/r"), "stra\u00dfe/k.go": "a", "STRASSE/K.go": "b", "\u212a.go": "kelvin" },
  { "go.mod": goMod("x.y/r"), "k.go": "a", "\u212a.go": "kelvin" },
  { "go.mod": goMod("x.y/r"), "a:b": "a" },
  { "go.mod": goMod("x.y/r"), "aux.go": "a" },
  { "go.mod": goMod("x.y/r"), "dir./a": "a" },
  {
    "go.mod": goMod("x.y/r"),
    "with space & [more] \u00fc.txt": "a",
    "~1": "a",
    "-x": "a",
    ".hidden": "a",
  },
  { "go.mod": goMod("x.y/r"), "bell\u0007": "a" },
  { "go.mod": goMod("x.y/r"), [NOT_UTF_8]: "a" },
  { "go.mod": goMod("x.y/r"), "sub/go.mod": "", [`sub/${NOT_UTF_8}`]: "a" },
  {
    "go.mod": goMod("x.y/r"),
    "link:": symlink("a"),
    ".hg_archival.txt": "x",
    "a/.hg_archival.txt": "x",
  },
  { "go.mod": goMod("x.y/r"), "LICENSE/a": "a", "license": "b" },
  // Without go.mod, and almost without.
  { "a.go": "a", "sub/a.go": "a" },
  { "GO.MOD": goMod("x.y/r"), "a.go": "a" },
  { "go.mod": goMod("x.y/r"), "empty": "" },
];

const GO_MODS: readonly string[] = [
  goMod("another.example.com/fork"),
  goMod("another.example.com/fork/v2"),
  goMod("x.y/r/v1"),
  goMod("gopkg.in/r.v3"),
  "",
  "go 1.24\n",
  "module\n",
  'module "x.y/r"\n',
  "module `x.y/r`\n",
  'module "x.y/r\n',
  "module x.y/r // comment\n",
  "// module x.y/wrong\nmodule x.y/r/v2\n",
  "module (\n\tx.y/r/v2\n)\n",
  "module x.y/r/v2 extra\n",
  "modulex.y/r\nmodule x.y/r\n",
  "\ufeffmodule x.y/r\n",
  "require (\n\tmodule v1.0.0\n)\nmodule x.y/r/v2\n",
  "module x.y/r\r\n\r\ngo 1.24\r\n",
  "module x.y/r\nmodule x.y/s\n",
  "module x.y/r\nunknown thing\n((\n",
];

const LICENSES: readonly Files[] = [
  { LICENSE: "root", "sub/go.mod": goMod("x.y/r/sub"), "sub/a.go": "a" },
  { LICENSE: "root", "sub/LICENSE": "own", "sub/go.mod": goMod("x.y/r/sub") },
  { LICENSE: "root", "sub/LICENSE": symlink("../LICENSE"), "sub/go.mod": goMod("x.y/r/sub") },
  { LICENSE: symlink("COPYING"), COPYING: "root", "sub/go.mod": goMod("x.y/r/sub") },
  { "LICENSE.txt": "root", "sub/go.mod": goMod("x.y/r/sub") },
  { "LICENSE/a": "root", "sub/go.mod": goMod("x.y/r/sub") },
  { LICENSE: "root", "sub/license": "own", "sub/go.mod": goMod("x.y/r/sub") },
  { LICENSE: "root", ".gitattributes": "LICENSE eol=crlf\n", "sub/go.mod": goMod("x.y/r/sub") },
  {
    LICENSE: "root\n",
    ".gitattributes": "* eol=crlf\n",
    "sub/go.mod": goMod("x.y/r/sub"),
    "sub/a": "a\n",
  },
  { LICENSE: "root", "sub/a.go": "a" },
  { LICENSE: "root", sub: symlink("other"), "other/go.mod": goMod("x.y/r/sub") },
];

const SPECIAL: readonly GitCase[] = [
  versions("contents", CONTENTS, { isQuick: true }),
  versions("gomods", GO_MODS.map((text) => ({ "go.mod": text, "a.go": "a" }))),
  versions("gomodkinds", [
    { "go.mod": symlink("other"), "other": goMod("x.y/r") },
    { "go.mod": symlink("module x.y/r") },
    { "go.mod": submodule("1".repeat(40)), "a.go": "a" },
    { "go.mod": executable(goMod("x.y/r")) },
  ]),
  versions("licenses", LICENSES, { dir: "sub" }),
  {
    name: "incompatible",
    async make(repo) {
      const path = `${HOST}/incompatible.git`;
      await repo.commit({ "a.go": "1" }, { tag: "v1.0.0" });
      const tagged = await repo.commit({ "a.go": "2" }, { tag: "v2.0.0" });
      const after = await repo.commit({ "a.go": "3" });
      await repo.commit({ "a.go": "4" }, { tag: "v3.0.0-rc.1" });
      return [
        ...asks(path, "latest", "main", "v1", "v2", "v2.0", "v3", "v2.0.0", "v2.0.0+incompatible"),
        ...asks(path, "v1.0.0+incompatible", "v3.0.0-rc.1", after.slice(0, 12)),
        ...asks(path, `${await pseudo(repo, after, "v2.0.1-0.")}+incompatible`),
        ...asks(path, await pseudo(repo, after, "v2.0.1-0.")),
        ...asks(path, await pseudo(repo, after, "v1.0.1-0.")),
        ...asks(path, await pseudo(repo, tagged, "v1.0.1-0.")),
        ...asks(path, `${await pseudo(repo, after, "v1.0.1-0.")}+incompatible`),
        ...asks(path, `${await pseudo(repo, after, "v2.0.0-")}+incompatible`),
        ...asks(path, await pseudo(repo, after, "v2.0.0-")),
        ...asks(`${path}/v2`, "v2.0.0", "latest"),
      ];
    },
  },
  {
    name: "migrated",
    async make(repo) {
      const path = `${HOST}/migrated.git`;
      await repo.commit({ "a.go": "1" }, { tag: "v1.0.0" });
      await repo.commit({ "a.go": "2" }, { tag: "v2.0.0" });
      await repo.commit({ "go.mod": goMod(path) }, { tag: "v1.1.0" });
      await repo.commit({ "a.go": "3" }, { tag: "v2.1.0" });
      await repo.commit({ "go.mod": goMod(`${path}/v3`) }, { tag: "v3.0.0" });
      const head = await repo.commit({ "a.go": "4" });
      return [
        ...asks(path, "latest", "main", "v2.0.0", "v2.1.0", "v2.1.0+incompatible", "v3.0.0"),
        ...asks(path, await pseudo(repo, head, "v1.1.1-0.")),
        ...asks(`${path}/v2`, "v2.0.0", "v2.1.0", "latest", "main"),
        ...asks(`${path}/v3`, "v3.0.0", "latest", "main"),
        ...asks(`${path}/v3`, await pseudo(repo, head, "v3.0.1-0.")),
        ...asks(`${path}/v3`, await pseudo(repo, head, "v3.0.0-")),
      ];
    },
  },
  {
    name: "twomajors",
    async make(repo) {
      const path = `${HOST}/twomajors.git`;
      const both = { "go.mod": goMod(path), "v2/go.mod": goMod(`${path}/v2`), "v2/a.go": "a" };
      await repo.commit({ ...both, "a.go": "a" }, { tag: "v1.0.0" });
      await repo.commit({ "a.go": "b" }, { tag: "v2.0.0" });
      await repo.commit({ "go.mod": null }, { tag: "v2.1.0" });
      await repo.commit({ "go.mod": goMod(`${path}/v2`) }, { tag: "v2.2.0" });
      await repo.commit({ "v2/go.mod": goMod(path) }, { tag: "v2.3.0" });
      await repo.commit({ "v2/go.mod": "go 1.24\n" }, { tag: "v2.4.0" });
      await repo.commit({ "v2/go.mod": null }, { tag: "v2.5.0" });
      const queries = ["v2.0.0", "v2.1.0", "v2.2.0", "v2.3.0", "v2.4.0", "v2.5.0", "main"];
      return [
        ...asks(path, "v1.0.0", ...queries, "v2.1.0+incompatible"),
        ...asks(`${path}/v2`, ...queries, "latest"),
        ...asks(`${path}/v2/v2`, "v2.0.0"),
        ...asks(`${path}/v3`, "main", "latest"),
      ];
    },
  },
  {
    name: "retracted",
    async make(repo) {
      const path = `${HOST}/retracted.git`;
      const mod = (rest: string) => ({ "go.mod": goMod(path, rest) });
      await repo.commit({ ...mod(""), "a.go": "1" }, { tag: "v1.0.0" });
      await repo.commit({ "a.go": "2" }, { tag: "v1.1.0" });
      const middle = await repo.commit({ "a.go": "3" });
      await repo.commit(mod("retract (\n\tv1.1.0 // why\n\t[v1.2.0, v1.4.0]\n)\n"), {
        tag: "v1.2.0",
      });
      const head = await repo.commit({ "a.go": "4" });
      await repo.commit(mod("retract v1.0.0\n"), {
        branch: "next",
        from: head,
        tag: "v1.3.0-rc.1",
      });
      return [
        ...asks(path, "latest", "main", "next", "v1", "v1.1", "v1.1.0", "v1.2.0"),
        ...asks(path, middle.slice(0, 10), await pseudo(repo, middle, "v1.1.1-0.")),
        ...asks(path, await pseudo(repo, middle, "v1.0.1-0.")),
      ];
    },
  },
  {
    name: "allretracted",
    async make(repo) {
      const path = `${HOST}/allretracted.git`;
      await repo.commit({ "go.mod": goMod(path, "retract [v0.0.0, v1.9.9]\n") }, { tag: "v1.0.0" });
      await repo.commit({ "a.go": "1" });
      return asks(path, "latest", "main", "v1", "v1.0.0");
    },
  },
  {
    name: "metadata",
    async make(repo) {
      const path = `${HOST}/metadata.git`;
      const base = await repo.commit({ "go.mod": goMod(path) });
      await repo.commit({ "a.go": "1" }, { tag: "v1.2.3+a" });
      const second = await repo.commit({ "a.go": "2" }, { tag: "v1.2.3+b" });
      await repo.tag("v1.2.3+c", second);
      const head = await repo.commit({ "a.go": "3" });
      await repo.commit({ "a.go": "4" }, { branch: "one", from: base, tag: "v1.5.0+x" });
      await repo.commit({ "a.go": "5" }, { branch: "two", from: base, tag: "v2.0.0+incompatible" });
      return [
        ...asks(path, "latest", "main", "one", "two", "v1.2.3", "v1.2.3+a", "v1.2.3+b", "v1.2.3+c"),
        ...asks(path, "v1.5.0", "v1.5.0+x", "v1.5.0+y", "v2.0.0+incompatible", "v2.0.0", "v1"),
        ...asks(
          path,
          await pseudo(repo, second, "v1.2.4-0."),
          await pseudo(repo, head, "v1.2.4-0."),
        ),
        ...asks(path, await pseudo(repo, base, "v1.2.4-0.")),
      ];
    },
  },
  {
    name: "metadataafter",
    // A tag with metadata on a commit that comes after a higher version.
    async make(repo) {
      const path = `${HOST}/metadataafter.git`;
      await repo.commit({ "go.mod": goMod(path) }, { tag: "v1.5.0" });
      const tagged = await repo.commit({ "a.go": "1" }, { tag: "v1.2.3+meta" });
      // What the commit is by another name depends on the version of git, which may or may not
      // bring the tag along.
      return asks(path, "v1.2.3+meta", "latest", await pseudo(repo, tagged, "v1.5.1-0."));
    },
  },
  {
    name: "pseudotags",
    async make(repo) {
      const path = `${HOST}/pseudotags.git`;
      const first = await repo.commit({
        "go.mod": goMod(path),
        "kit/go.mod": goMod(`${path}/kit`),
      });
      const shaped = await pseudo(repo, first, "v0.0.0-");
      const second = await repo.commit({ "a.go": "1" }, { tag: shaped });
      await repo.tag(`kit/${shaped}`, second);
      await repo.tag("v1.0.0-20200101000000-abcdefabcdef", second);
      await repo.commit({ "a.go": "2" });
      return [
        ...asks(path, shaped, "main", "latest", second, "v1.0.0-20200101000000-abcdefabcdef"),
        // What comes after the tag kit/v0.0.0-… has that for its base by the go command, and
        // nothing by us.
        ...asks(`${path}/kit`, shaped),
      ];
    },
  },
  {
    name: "pseudos",
    isQuick: true,
    // Pseudo-versions that are not quite right.
    async make(repo) {
      const path = `${HOST}/pseudos.git`;
      await repo.commit({ "go.mod": goMod(path) }, { tag: "v1.0.0" });
      const commit = await repo.commit({ "a.go": "1" }, { tag: "x" });
      await repo.commit({ "a.go": "2" }, { tag: "v1.1.0" });
      const right = await pseudo(repo, commit, "v1.0.1-0.");
      const time = right.slice("v1.0.1-0.".length, -13);
      const hash = commit.slice(0, 12);
      return asks(
        path,
        right,
        await pseudo(repo, commit, "v0.0.0-"),
        await pseudo(repo, commit, "v1.0.0-"),
        await pseudo(repo, commit, "v1.0.0-0."),
        await pseudo(repo, commit, "v1.1.1-0."),
        await pseudo(repo, commit, "v1.0.2-0."),
        await pseudo(repo, commit, "v1.0.1-pre.0."),
        await pseudo(repo, commit, "v2.0.0-"),
        await pseudo(repo, commit, "v2.0.1-0."),
        `v1.0.1-0.${time}-${commit.slice(0, 11)}`,
        `v1.0.1-0.${time}-${commit.slice(0, 13)}`,
        `v1.0.1-0.${time}-${commit}`,
        `v1.0.1-0.${time}-${hash.toUpperCase()}`,
        `v1.0.1-0.20200101000000-${hash}`,
        `v1.0.1-0.20209999999999-${hash}`,
        `v1.0.1-0.${time}-abcdefabcdef`,
        `${right}+incompatible`,
        `${right}+meta`,
        `v0.0.0-${time}-${hash}+meta`,
      );
    },
  },
  {
    name: "roottag",
    async make(repo) {
      const path = `${HOST}/roottag.git/kit`;
      await repo.commit({ "kit/go.mod": goMod(path) }, { tag: "kit/v0.1.0" });
      const commit = await repo.commit({ "kit/a.go": "1" }, { tag: "v0.1.0" });
      return asks(path, "main", await pseudo(repo, commit, "v0.1.1-0."));
    },
  },
  {
    name: "unreachable",
    isQuick: true,
    async make(repo) {
      const path = `${HOST}/unreachable.git`;
      const first = await repo.commit({ "go.mod": goMod(path) });
      const lost = await repo.commit({ "a.go": "lost" });
      await repo.setRef("refs/heads/main", first); // A force push.
      const pull = await repo.commit({ "a.go": "pull" }, { branch: "temporary", from: first });
      await repo.setRef("refs/pull/1/head", pull);
      await repo.deleteRef("refs/heads/temporary");
      return [
        ...asks(path, "main", lost, lost.slice(0, 12), await pseudo(repo, lost, "v0.0.0-")),
        ...asks(path, pull, pull.slice(0, 7), await pseudo(repo, pull, "v0.0.0-")),
        ...asks(path, "1".repeat(40), "1234567"),
      ];
    },
  },
  {
    name: "hashes",
    async make(repo) {
      const path = `${HOST}/hashes.git`;
      const first = await repo.commit({ "go.mod": goMod(path) });
      const second = await repo.commit({ "a.go": "1" });
      await repo.commit({ "a.go": "2" });
      await repo.tag("annotated", second, { message: "m" });
      const tagObject = await repo.git(["rev-parse", "refs/tags/annotated"]);
      await repo.tag("nested", tagObject, { message: "a tag of a tag" });
      await repo.commit({ "b.go": "1" }, { branch: "abcdef12", from: first });
      return [
        ...asks(path, ...[6, 7, 12, 39, 40].map((digits) => first.slice(0, digits))),
        ...asks(path, first.toUpperCase(), `${first}0`, second, "annotated", "nested", "abcdef12"),
        ...asks(path, tagObject, "main~1", "main^", "tags~annotated"),
      ];
    },
  },
  {
    name: "othertags",
    // Tags that lead to no commit.
    async make(repo) {
      const path = `${HOST}/othertags.git`;
      const first = await repo.commit({ "go.mod": goMod(path) });
      await repo.commit({ "a.go": "1" });
      const tree = await repo.git(["rev-parse", "main^{tree}"]);
      await repo.tag("tree", tree);
      await repo.tag("v1.0.0", tree);
      await repo.tag("v1.1.0", "main:a.go", { message: "annotated" });
      return [
        ...asks(path, "main", first, tree, "tree", "v1.0.0", "v1.1.0", "latest"),
        ...asks(path, await pseudo(repo, first, "v0.0.0-"), await pseudo(repo, first, "v1.0.1-0.")),
      ];
    },
  },
  {
    name: "sha256",
    options: { objectFormat: "sha256" },
    async make(repo) {
      const path = `${HOST}/sha256.git`;
      const first = await repo.commit({ "go.mod": goMod(path) }, { tag: "v1.0.0" });
      const second = await repo.commit({ "a.go": "1" });
      await repo.commit({ "a.go": "2" });
      return [
        ...asks(path, "latest", "main", "v1.0.0", first, first.slice(0, 40), second.slice(0, 12)),
        ...asks(path, second.slice(0, 63), await pseudo(repo, second, "v1.0.1-0.")),
      ];
    },
  },
  {
    name: "empty",
    make: () => Promise.resolve(asks(`${HOST}/empty.git`, "latest", "main", "v1.0.0", "1234567")),
  },
  {
    name: "headless",
    // HEAD points to a branch that is not there.
    async make(repo) {
      const path = `${HOST}/headless.git`;
      await repo.commit({ "go.mod": goMod(path) }, { branch: "other" });
      return asks(path, "latest", "other", "main", "HEAD", "v1.0.0");
    },
  },
  {
    name: "headlesstagged",
    async make(repo) {
      const path = `${HOST}/headlesstagged.git`;
      await repo.commit({ "go.mod": goMod(path) }, { branch: "other", tag: "v1.0.0" });
      await repo.deleteRef("refs/heads/other");
      return asks(path, "latest", "v1.0.0", "v1");
    },
  },
  {
    name: "merged",
    async make(repo) {
      const path = `${HOST}/merged.git`;
      const first = await repo.commit({ "go.mod": goMod(path) }, { tag: "v1.0.0" });
      const side = await repo.commit({ "b.go": "1" }, {
        branch: "side",
        from: first,
        tag: "v1.3.0",
      });
      await repo.commit({ "a.go": "1" }, { tag: "v1.1.0" });
      const before = await repo.commit({ "a.go": "2" });
      const merge = await repo.commit({ "b.go": "1" }, { merge: [side] });
      return [
        ...asks(path, "main", before, merge, await pseudo(repo, before, "v1.1.1-0.")),
        ...asks(path, await pseudo(repo, before, "v1.3.1-0.")),
        ...asks(
          path,
          await pseudo(repo, merge, "v1.3.1-0."),
          await pseudo(repo, merge, "v1.1.1-0."),
        ),
      ];
    },
  },
  {
    name: "times",
    async make(repo) {
      const path = `${HOST}/times.git`;
      const dates = [
        { date: new Date("2030-06-01T12:00:00Z"), timeZone: "-1130" },
        { date: new Date("2001-09-09T01:46:40Z"), timeZone: "+1400" }, // Before its parent.
        { date: new Date("2106-02-07T06:28:17Z") },
        { date: new Date("1970-01-01T00:00:00Z") },
      ];
      const hashes: string[] = [];
      for (const [n, date] of dates.entries()) {
        hashes.push(await repo.commit({ "go.mod": goMod(path), "a.go": `${n}` }, date));
      }
      await repo.tag("v1.0.0", hashes[0] ?? "");
      return asks(path, "v1.0.0", "latest", ...hashes);
    },
  },
  {
    name: "names",
    async make(repo) {
      const path = `${HOST}/names.git`;
      const first = await repo.commit({ "go.mod": goMod(path) }, { tag: "v0.1.0" });
      const second = await repo.commit({ "a.go": "1" });
      await repo.commit({ "a.go": "2" });
      await repo.setRef("refs/heads/latest", first);
      await repo.setRef("refs/heads/HEAD", first);
      await repo.setRef("refs/heads/v1", first);
      await repo.setRef("refs/tags/v0", second);
      await repo.setRef("refs/tags/v0.2", second);
      await repo.setRef("refs/tags/main", first);
      await repo.setRef(`refs/tags/${second.slice(0, 7)}`, first);
      await repo.setRef("refs/heads/-x", first);
      return asks(path, "latest", "HEAD", "v0.1", "main", second.slice(0, 7), second.slice(0, 8));
    },
  },
  {
    name: "packages",
    async make(repo) {
      const path = `${HOST}/packages.git`;
      await repo.commit({ "go.mod": goMod(path), "sub/a.go": "a" }, { tag: "v1.0.0" });
      await repo.tag("sub/v1.0.0", "v1.0.0");
      return [
        ...asks(path, "v1.0.0"),
        ...asks(`${path}/sub`, "v1.0.0", "latest", "main"),
        ...asks(`${path}/nothing`, "v1.0.0", "latest", "main"),
        ...asks(`${path}/sub/v2`, "v2.0.0", "main"),
      ];
    },
  },
  {
    name: "gopkg1",
    page: { path: "gopkg.in/gopkg1.v1" },
    async make(repo) {
      const path = "gopkg.in/gopkg1.v1";
      const first = await repo.commit({ "a.go": "1" });
      await repo.commit({ "a.go": "2" }, { tag: "v1.0.0" });
      const head = await repo.commit({ "a.go": "3" });
      return [
        ...asks(path, "latest", "main", "v1.0.0", "v0.0.0", first.slice(0, 12)),
        ...asks(path, await pseudo(repo, first, "v0.0.0-"), await pseudo(repo, first, "v1.0.0-")),
        ...asks(path, await pseudo(repo, head, "v0.0.0-"), await pseudo(repo, head, "v1.0.1-0.")),
      ];
    },
  },
  {
    name: "unstable",
    page: { path: "gopkg.in/unstable.v2-unstable" },
    async make(repo) {
      const path = "gopkg.in/unstable.v2-unstable";
      await repo.commit({ "go.mod": goMod(path) }, { tag: "v2.0.0" });
      await repo.commit({ "a.go": "1" });
      return asks(path, "latest", "main", "v2.0.0", "v2");
    },
  },
  {
    name: "whole2",
    // The go-import prefix is the whole path: v2 is no directory of the repository.
    page: { path: "vanity.example.com/whole2/v2" },
    async make(repo) {
      const path = "vanity.example.com/whole2/v2";
      const files = { "go.mod": goMod(path), "v2/go.mod": goMod(path), "v2/a.go": "a" };
      await repo.commit(files, { tag: "v2.0.0" });
      return asks(path, "v2.0.0", "latest", "main");
    },
  },
];

export const GIT_CASES: readonly GitCase[] = [...PLACES.map(usual), ...SPECIAL];
