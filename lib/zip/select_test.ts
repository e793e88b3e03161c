import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";
import { Pace } from "../async/pace.ts";
import { MAX_LICENSE_BYTES, MAX_ZIP_BYTES, ZipError } from "./rules.ts";
import { selectFiles, type TreeFile, type TreeFileKind } from "./select.ts";

/**
 * `name` is a file of one byte, `name@` a symlink, `name*` executable, `name/` a submodule,
 * `name:5` has five bytes.
 */
function parseTree(text: string): TreeFile[] {
  const kinds: Readonly<Record<string, TreeFileKind>> = {
    "@": "symlink",
    "*": "executable",
    "/": "submodule",
  };
  return text.split(" ").map((word) => {
    const [name = "", size = "1"] = word.split(":");
    const kind = kinds[name.slice(-1)];
    return kind === undefined
      ? { kind: "file", name, sizeBytes: Number(size) }
      : { kind, name: name.slice(0, -1), sizeBytes: Number(size) };
  });
}

async function select(tree: readonly TreeFile[], goVersion: string | null = null): Promise<string> {
  return (await selectFiles(tree, { goVersion, pace: new Pace(undefined) })).join(" ");
}

const SELECTED: { what: string; tree: string; go?: string; want: string }[] = [
  { what: "all files, in their order", tree: "go.mod b.go* a/a.go", want: "go.mod b.go a/a.go" },
  { what: "no go.mod", tree: "a.go", want: "a.go" },
  { what: "hidden files", tree: ".gitignore .github/x.yml", want: ".gitignore .github/x.yml" },
  { what: "an empty file", tree: "go.mod a.go:0", want: "go.mod a.go" },

  { what: "nested module", tree: "go.mod n/a.go n/go.mod n/x/y.go", want: "go.mod" },
  { what: "go.mod behind its siblings", tree: "n/a.go n/go.mod n.go", want: "n.go" },
  { what: "nested module in capitals", tree: "a.go n/GO.MOD n/a.go", want: "a.go" },
  { what: "nested module with a go.mod that is executable", tree: "n/a.go n/go.mod*", want: "" },
  { what: "modules below each other", tree: "a/go.mod a/b/go.mod a/b/c.go d/e.go", want: "d/e.go" },
  { what: "a name that starts like a module's", tree: "n/go.mod n2/a.go", want: "n2/a.go" },
  { what: "a symlink go.mod makes no module", tree: "n/a.go n/go.mod@", want: "n/a.go" },
  { what: "nor does a submodule go.mod", tree: "n/a.go n/go.mod/", want: "n/a.go" },
  { what: "nor a directory go.mod", tree: "n/a.go n/go.mod/b.go", want: "n/a.go n/go.mod/b.go" },
  { what: "nor go.mod.bak", tree: "n/a.go n/go.mod.bak", want: "n/a.go n/go.mod.bak" },

  {
    what: "vendor before 1.24",
    tree: "vendor/x/x.go vendor/modules.txt v/vendor/a.go",
    go: "1.23",
    want: "vendor/modules.txt",
  },
  {
    what: "vendor from 1.24 on",
    tree: "vendor/x/x.go vendor/modules.txt v/vendor/a.go",
    go: "1.24",
    want: "v/vendor/a.go",
  },
  {
    what: "vendor without a go line",
    tree: "vendor/x/x.go vendor/modules.txt v/vendor/a.go",
    want: "vendor/modules.txt",
  },
  { what: "vendor is a module", tree: "vendor/go.mod vendor/modules.txt a.go", want: "a.go" },

  {
    what: "hg archive's file",
    tree: ".hg_archival.txt d/.hg_archival.txt",
    want: "d/.hg_archival.txt",
  },
  { what: "symlinks", tree: "a.go b.go@ LICENSE@ go.mod@", want: "a.go" },
  { what: "submodules", tree: "a.go s/", want: "a.go" },
  { what: "a submodule under any name", tree: "a.go A.GO/ a?b/ con/", want: "a.go" },

  {
    what: "invalid names that are left out",
    tree: "a.go vendor/x/con n/go.mod n/con n/CON",
    want: "a.go",
  },
  {
    what: "collisions that are left out",
    tree: "a.go vendor/x/a vendor/x/A vendor/X/a",
    want: "a.go",
  },
  { what: "sizes that are left out", tree: `a.go vendor/x/a:${2 * MAX_ZIP_BYTES}`, want: "a.go" },
  { what: "go.mod of 16 MiB", tree: `go.mod:${MAX_GO_MOD_SIZE_BYTES}`, want: "go.mod" },
  { what: "LICENSE of 16 MiB", tree: `LICENSE:${MAX_LICENSE_BYTES}`, want: "LICENSE" },
  {
    what: "a large LICENSE further down",
    tree: `d/LICENSE:${MAX_LICENSE_BYTES + 1}`,
    want: "d/LICENSE",
  },
  { what: "500 MiB", tree: `a:${MAX_ZIP_BYTES - 1} b:1`, want: "a b" },
  { what: "500 MiB and a symlink", tree: `a:${MAX_ZIP_BYTES} b@`, want: "a" },
];

Deno.test("selectFiles() selects", async (t) => {
  for (const { what, tree, go, want } of SELECTED) {
    await t.step(what, async () => assert.equal(await select(parseTree(tree), go), want));
  }
});

const REFUSED: { what: string; tree: string; want: string }[] = [
  { what: "an invalid name", tree: "a?b", want: '"a?b": invalid character "?"' },
  {
    what: "a reserved name",
    tree: "d/con.go",
    want: '"d/con.go": "con" is a reserved file name on Windows',
  },
  {
    what: "bytes that are not UTF-8",
    tree: "a\ufffdb",
    want: '"a\\u{fffd}b": invalid character "\\u{fffd}"',
  },
  {
    what: "a file that differs by case",
    tree: "a.go A.go",
    want: '"A.go": "A.go" and "a.go" differ only by case',
  },
  {
    what: "a directory that differs by case",
    tree: "a/x A/y",
    want: '"A/y": "A" and "a" differ only by case',
  },
  { what: "a file and a directory", tree: "a A/y", want: '"A/y": "A" and "a" differ only by case' },
  {
    what: "two entries of one name",
    tree: "a.go a.go",
    want: '"a.go": there are two files of this name',
  },
  {
    what: "a symlink with an invalid name",
    tree: "a?b@",
    want: '"a?b": invalid character "?"',
  },
  {
    what: "a symlink that differs by case",
    tree: "a.go A.go@",
    want: '"A.go": "A.go" and "a.go" differ only by case',
  },
  { what: "go.mod in capitals", tree: "Go.Mod", want: '"Go.Mod" is not spelled "go.mod"' },
  {
    what: "a symlink go.mod in capitals",
    tree: "GO.MOD@",
    want: '"GO.MOD" is not spelled "go.mod"',
  },
  { what: "a slash in front", tree: "/a", want: '"/a": leading slash' },
  {
    what: "go.mod over 16 MiB",
    tree: `go.mod:${MAX_GO_MOD_SIZE_BYTES + 1}`,
    want: "go.mod is larger than 16777216 bytes",
  },
  {
    what: "LICENSE over 16 MiB",
    tree: `LICENSE:${MAX_LICENSE_BYTES + 1}`,
    want: "LICENSE is larger than 16777216 bytes",
  },
  {
    what: "a file over 500 MiB",
    tree: `a:${MAX_ZIP_BYTES + 1}`,
    want: "more than 524288000 bytes in its files",
  },
  {
    what: "500 MiB and a byte",
    tree: `a:${MAX_ZIP_BYTES} b:1`,
    want: "more than 524288000 bytes in its files",
  },
];

Deno.test("selectFiles() refuses", async (t) => {
  for (const { what, tree, want } of REFUSED) {
    await t.step(what, async () => {
      await assert.rejects(
        select(parseTree(tree)),
        (error) => error instanceof ZipError && error.message === `Cannot make zip: ${want}`,
      );
    });
  }
});

Deno.test("selectFiles() selects files only, and only from what it is given, or refuses", async () => {
  const element = fc.constantFrom(
    "a",
    "A",
    "go.mod",
    "GO.mod",
    "vendor",
    "con",
    "LICENSE",
    "x",
    "",
  );
  const file = fc.record({
    kind: fc.constantFrom<TreeFileKind[]>("file", "file", "executable", "symlink", "submodule"),
    name: fc.array(element, { minLength: 1, maxLength: 4 }).map((elements) => elements.join("/")),
    sizeBytes: fc.nat(10),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(file), fc.constantFrom(null, "1.24"), async (tree, go) => {
      const pace = new Pace(undefined);
      const regular = tree.filter(({ kind }) => kind === "file" || kind === "executable");
      try {
        const names = await selectFiles(tree, { goVersion: go, pace });
        for (const name of names) assert.ok(regular.some((file) => file.name === name), name);
        assert.equal(new Set(names.map((name) => name.toLowerCase())).size, names.length);
      } catch (error) {
        assert.ok(error instanceof ZipError, `${error}`);
      }
    }),
  );
});

Deno.test("selectFiles() stops when the signal of its pace is aborted", async () => {
  const reason = new Error("enough");
  const pace = new Pace(AbortSignal.abort(reason));
  const tree = Array.from(
    { length: 1000 },
    (_, i) => ({ kind: "file" as const, name: `${i}`, sizeBytes: 0 }),
  );
  await assert.rejects(selectFiles(tree, { goVersion: null, pace }), (error) => error === reason);
});
