import assert from "node:assert/strict";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { MAX_GO_MOD_SIZE_BYTES } from "../module/go_mod.ts";
import { Contents, entryPrefix, MAX_LICENSE_BYTES, MAX_PLACES, MAX_ZIP_BYTES } from "./rules.ts";

/**
 * Adds names, those that end in a slash as directories, and says what is wrong with the last one.
 */
function lastFault(names: readonly string[]): string | null {
  const contents = new Contents();
  const faults = names.map((name) =>
    name.endsWith("/") ? contents.addDirectory(name.slice(0, -1)) : contents.addFile(name, 1)
  );
  assert.deepEqual(faults.slice(0, -1), faults.slice(0, -1).fill(null));
  return faults.at(-1) ?? null;
}

Deno.test("entryPrefix() is path, version and a slash", () => {
  const path = parseModulePath("example.com/Mod/v2");
  assert.equal(
    entryPrefix({ path, version: parseVersion(path, "v2.0.1") }),
    "example.com/Mod/v2@v2.0.1/",
  );
});

Deno.test("Contents take names that a module zip may have", async (t) => {
  const tables: string[][] = [
    ["go.mod"],
    ["LICENSE", "License.md"],
    ["a", "b", "a.go", "d/a", "d/e/a", "e/a"],
    ["d/", "d/", "d/a", "d/"],
    ["d/a", "d/"],
    ["d/e/f", "d/e/", "d/"],
    ["go.mod/", "go.mod/a"],
    ["go.mods", "a/go.sum"],
    ["stra\u00dfe", "strasse"],
    ["i", "\u0131"],
  ];
  for (const names of tables) {
    await t.step(names.join(" "), () => assert.equal(lastFault(names), null));
  }
});

Deno.test("Contents refuse names, and say why", async (t) => {
  const tables: { names: string[]; want: string }[] = [
    { names: [""], want: '"": empty string' },
    { names: ["/"], want: '"": empty string' },
    { names: ["../a"], want: '"../a": path element ".." has nothing but dots' },
    { names: ["a//b"], want: '"a//b": empty path element' },
    { names: ["a:b"], want: '"a:b": invalid character ":"' },
    { names: ["aux/"], want: '"aux": "aux" is a reserved file name on Windows' },
    { names: ["a", "a"], want: '"a": there are two files of this name' },
    { names: ["a", "A"], want: '"A": "A" and "a" differ only by case' },
    { names: ["d/a", "d/A"], want: '"d/A": "A" and "a" differ only by case' },
    { names: ["d/a", "D/b"], want: '"D/b": "D" and "d" differ only by case' },
    { names: ["d/", "D/"], want: '"D": "D" and "d" differ only by case' },
    { names: ["d/e/f/a", "d/E/g"], want: '"d/E/g": "E" and "e" differ only by case' },
    { names: ["a", "A/b"], want: '"A/b": "A" and "a" differ only by case' },
    { names: ["a", "a/b"], want: '"a/b": "a" is both a file and a directory' },
    { names: ["a", "a/b/c"], want: '"a/b/c": "a" is both a file and a directory' },
    { names: ["a", "a/"], want: '"a": "a" is both a file and a directory' },
    { names: ["a/b", "a"], want: '"a": "a" is both a file and a directory' },
    { names: ["a/", "a"], want: '"a": "a" is both a file and a directory' },
    { names: ["k", "\u212a"], want: '"\\u{212a}": "\\u{212a}" and "k" differ only by case' },
    { names: ["s", "\u017f"], want: '"\\u{17f}": "\\u{17f}" and "s" differ only by case' },
    { names: ["GO.MOD"], want: '"GO.MOD" is not spelled "go.mod"' },
    {
      names: ["a/go.mod"],
      want: '"a/go.mod" is not in the root, so its directory is another module',
    },
    {
      names: ["a/Go.Mod"],
      want: '"a/Go.Mod" is not in the root, so its directory is another module',
    },
  ];
  for (const { names, want } of tables) {
    await t.step(names.join(" "), () => assert.equal(lastFault(names), want));
  }
});

Deno.test("Contents have limits for go.mod and LICENSE in the root, and for nothing else", async (t) => {
  const tables: { name: string; sizeBytes: number; want: string | null }[] = [
    { name: "go.mod", sizeBytes: MAX_GO_MOD_SIZE_BYTES, want: null },
    {
      name: "go.mod",
      sizeBytes: MAX_GO_MOD_SIZE_BYTES + 1,
      want: "go.mod is larger than 16777216 bytes",
    },
    { name: "LICENSE", sizeBytes: MAX_LICENSE_BYTES, want: null },
    {
      name: "LICENSE",
      sizeBytes: MAX_LICENSE_BYTES + 1,
      want: "LICENSE is larger than 16777216 bytes",
    },
    { name: "a/LICENSE", sizeBytes: MAX_LICENSE_BYTES + 1, want: null },
    { name: "License", sizeBytes: MAX_LICENSE_BYTES + 1, want: null },
    { name: "a", sizeBytes: MAX_ZIP_BYTES, want: null },
    { name: "a", sizeBytes: MAX_ZIP_BYTES + 1, want: "more than 524288000 bytes in its files" },
  ];
  for (const { name, sizeBytes, want } of tables) {
    await t.step(`${name} of ${sizeBytes} bytes`, () => {
      assert.equal(new Contents().addFile(name, sizeBytes), want);
    });
  }
});

Deno.test("Contents count the bytes of all files", () => {
  const contents = new Contents();
  assert.equal(contents.addFile("a", MAX_ZIP_BYTES - 1), null);
  assert.equal(contents.addFile("b", 1), null);
  assert.equal(contents.addFile("c", 0), null);
  assert.equal(contents.addFile("d", 1), "more than 524288000 bytes in its files");
});

Deno.test("Contents count files and the directories they are in", () => {
  const contents = new Contents();
  const filesInDirectories = MAX_PLACES / 2;
  for (let i = 0; i < filesInDirectories; i++) assert.equal(contents.addFile(`${i}/a`, 0), null);
  assert.equal(contents.addDirectory("0"), null);
  assert.equal(contents.addFile("0/b", 0), "more than 100000 files and directories");
});

Deno.test("Contents take a name of 30 000 elements", () => {
  const deep = "a/".repeat(30_000);
  const contents = new Contents();
  assert.equal(contents.addFile(`${deep}b`, 0), null);
  assert.equal(
    contents.addFile(`${deep}B`, 0),
    `"${"a/".repeat(64)}"...: "B" and "b" differ only by case`,
  );
});
