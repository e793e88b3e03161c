import assert from "node:assert/strict";
import { atOnce } from "../async/pace.ts";
import { modulePathLine } from "../module/go_mod.ts";
import { parseModulePath } from "../module/path.ts";
import { layoutOf } from "./layout.ts";
import { findModuleDir, type GoModFile, type ModuleDir } from "./module_dir.ts";

const NAMES = { version: "v1.0.0", revision: "abc" };

const cases: readonly {
  path: string;
  root?: string;
  subdir?: string;
  codeDir?: string;
  majorDir?: string;
  want: Omit<ModuleDir, "goMod"> & { goMod?: string } | string;
}[] = [
  // The root of a repository.
  { path: "x.y/r", want: { dir: "" } },
  { path: "x.y/r", codeDir: "module x.y/r", want: { dir: "", goMod: "module x.y/r" } },
  {
    path: "x.y/r",
    codeDir: "module fork.y/other",
    want: { dir: "", goMod: "module fork.y/other" },
  },
  {
    path: "x.y/r",
    codeDir: "module gopkg.in/r.v1",
    want: { dir: "", goMod: "module gopkg.in/r.v1" },
  },
  // A bug that became a promise.
  {
    path: "x.y/r",
    codeDir: "module gopkg.in/r.v3",
    want: { dir: "", goMod: "module gopkg.in/r.v3" },
  },
  { path: "x.y/r", codeDir: "go 1.24", want: "go.mod is missing module path at revision abc" },
  { path: "x.y/r", codeDir: "", want: "go.mod is missing module path at revision abc" },
  {
    path: "x.y/r",
    codeDir: "module x.y/r/v2",
    want: 'go.mod has post-v1 module path "x.y/r/v2" at revision abc',
  },
  {
    path: "x.y/r",
    codeDir: "module x.y/r/v1",
    want: 'go.mod has malformed module path "x.y/r/v1" at revision abc',
  },

  // Lines are all that counts.
  {
    path: "x.y/r",
    codeDir: "module (\nx.y/r/v2\n)",
    want: { dir: "", goMod: "module (\nx.y/r/v2\n)" },
  },
  {
    path: "x.y/r/v2",
    codeDir: "((\nmodule x.y/r/v2 // v2",
    want: { dir: "", goMod: "((\nmodule x.y/r/v2 // v2" },
  },

  // A directory.
  { path: "x.y/r/a", want: "missing x.y/r/a/go.mod at revision abc" },
  { path: "x.y/r/a", codeDir: "module x.y/r/a", want: { dir: "a", goMod: "module x.y/r/a" } },
  {
    path: "x.y/r/a",
    codeDir: "module x.y/r/a/v2",
    want: 'a/go.mod has post-v1 module path "x.y/r/a/v2" at revision abc',
  },

  // A directory that a go-import tag names.
  { path: "x.y/r", subdir: "a/b", want: "missing x.y/r/go.mod at revision abc" },
  {
    path: "x.y/r",
    subdir: "a/b",
    codeDir: "module x.y/r",
    want: { dir: "a/b", goMod: "module x.y/r" },
  },

  // v2: a branch or a directory.
  { path: "x.y/r/v2", want: "missing x.y/r/go.mod and .../v2/go.mod at revision abc" },
  { path: "x.y/r/v2", codeDir: "module x.y/r/v2", want: { dir: "", goMod: "module x.y/r/v2" } },
  {
    path: "x.y/r/v2",
    codeDir: "module gopkg.in/r.v2",
    want: { dir: "", goMod: "module gopkg.in/r.v2" },
  },
  { path: "x.y/r/v2", majorDir: "module x.y/r/v2", want: { dir: "v2", goMod: "module x.y/r/v2" } },
  {
    path: "x.y/r/v2",
    codeDir: "module x.y/r",
    majorDir: "module x.y/r/v2",
    want: { dir: "v2", goMod: "module x.y/r/v2" },
  },
  {
    path: "x.y/r/v2",
    codeDir: "module x.y/r/v2",
    majorDir: "module x.y/r/v2",
    want: "x.y/r/go.mod and .../v2/go.mod both have .../v2 module paths at revision abc",
  },
  {
    path: "x.y/r/v2",
    codeDir: "module x.y/r/v2",
    majorDir: "module x.y/r",
    want: 'x.y/r/v2/go.mod has non-.../v2 module path "x.y/r" at revision abc',
  },
  {
    path: "x.y/r/v2",
    codeDir: "module x.y/r/v2",
    majorDir: "",
    want: "x.y/r/v2/go.mod is missing module path at revision abc",
  },
  {
    path: "x.y/r/v2",
    codeDir: "module x.y/r",
    want:
      'go.mod has non-.../v2 module path "x.y/r" (and .../v2/go.mod does not exist) at revision abc',
  },
  {
    path: "x.y/r/v2",
    codeDir: "module x.y/r/v3",
    want:
      'go.mod has non-.../v2 module path "x.y/r/v3" (and .../v2/go.mod does not exist) at revision abc',
  },
  {
    path: "x.y/r/v2",
    codeDir: "",
    want: "go.mod is missing module path (and .../v2/go.mod does not exist) at revision abc",
  },
  {
    path: "x.y/r/v2",
    codeDir: "module gopkg.in/r.v3",
    want:
      'go.mod has non-.../v2 module path "gopkg.in/r.v3" (and .../v2/go.mod does not exist) at revision abc',
  },
  {
    path: "x.y/r/a/v2",
    majorDir: "module x.y/r/a/v2",
    want: { dir: "a/v2", goMod: "module x.y/r/a/v2" },
  },
  { path: "x.y/r/a/v2", want: "missing x.y/r/a/go.mod and .../v2/go.mod at revision abc" },

  // The root has the major version.
  {
    path: "x.y/r/v2",
    root: "x.y/r/v2",
    codeDir: "module x.y/r/v2",
    want: { dir: "", goMod: "module x.y/r/v2" },
  },
  { path: "x.y/r/v2", root: "x.y/r/v2", want: "missing x.y/r/v2/go.mod at revision abc" },
  { path: "gopkg.in/r.v2", root: "gopkg.in/r.v2", want: { dir: "" } },
  {
    path: "gopkg.in/r.v2",
    root: "gopkg.in/r.v2",
    codeDir: "module gopkg.in/r.v2",
    want: { dir: "", goMod: "module gopkg.in/r.v2" },
  },
  {
    path: "gopkg.in/r.v2",
    root: "gopkg.in/r.v2",
    codeDir: "module x.y/r/v2",
    want: { dir: "", goMod: "module x.y/r/v2" },
  },
  {
    path: "gopkg.in/r.v1",
    root: "gopkg.in/r.v1",
    codeDir: "module x.y/r",
    want: 'go.mod has non-....v1 module path "x.y/r" at revision abc',
  },
];

Deno.test("findModuleDir()", async (t) => {
  for (const { path, root = "x.y/r", subdir = "", codeDir, majorDir, want } of cases) {
    await t.step(`${path}: ${codeDir} ${majorDir}`, () => {
      const layout = layoutOf(parseModulePath(path), { root, subdir });
      const files = { codeDir: file(codeDir), majorDir: file(majorDir) };
      const got = findModuleDir(layout, files, NAMES);
      assert.deepEqual(
        got,
        typeof want === "string" ? want : { dir: want.dir, goMod: bytes(want.goMod) },
      );
    });
  }
});

function file(text: string | undefined): GoModFile | null {
  const content = bytes(text);
  return content && { bytes: content, declared: atOnce(modulePathLine(content)) };
}

function bytes(text: string | undefined): Uint8Array<ArrayBuffer> | null {
  return text === undefined ? null : new TextEncoder().encode(text);
}
