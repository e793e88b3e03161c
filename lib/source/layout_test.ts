import assert from "node:assert/strict";
import { NotFoundError } from "../errors.ts";
import { parseModulePath } from "../module/path.ts";
import { type Layout, layoutOf } from "./layout.ts";

const layouts: readonly {
  input: string;
  root: string;
  subdir?: string;
  want: Omit<Layout, "path" | "root">;
}[] = [
  {
    input: "x.y/r",
    root: "x.y/r",
    want: {
      pathPrefix: "x.y/r",
      pathMajor: "",
      major: "",
      codeDir: "",
      tagPrefix: "",
      majorDir: null,
    },
  },
  {
    input: "x.y/r/v2",
    root: "x.y/r",
    want: {
      pathPrefix: "x.y/r",
      pathMajor: "/v2",
      major: "v2",
      codeDir: "",
      tagPrefix: "",
      majorDir: "v2",
    },
  },
  {
    input: "x.y/r/a/b/v3",
    root: "x.y/r",
    want: {
      pathPrefix: "x.y/r/a/b",
      pathMajor: "/v3",
      major: "v3",
      codeDir: "a/b",
      tagPrefix: "a/b/",
      majorDir: "a/b/v3",
    },
  },
  {
    // A vanity path that is a repository of its own: the major version is no directory in it.
    input: "x.y/r/v2",
    root: "x.y/r/v2",
    want: {
      pathPrefix: "x.y/r/v2",
      pathMajor: "/v2",
      major: "v2",
      codeDir: "",
      tagPrefix: "",
      majorDir: null,
    },
  },
  {
    input: "gopkg.in/yaml.v2",
    root: "gopkg.in/yaml.v2",
    want: {
      pathPrefix: "gopkg.in/yaml.v2",
      pathMajor: ".v2",
      major: "v2",
      codeDir: "",
      tagPrefix: "",
      majorDir: null,
    },
  },
  {
    input: "gopkg.in/a.v2-unstable",
    root: "gopkg.in/a.v2-unstable",
    want: {
      pathPrefix: "gopkg.in/a.v2-unstable",
      pathMajor: ".v2-unstable",
      major: "v2",
      codeDir: "",
      tagPrefix: "",
      majorDir: null,
    },
  },
  {
    input: "x.y/r/v2",
    root: "x.y/r/v2",
    subdir: "kit",
    want: {
      pathPrefix: "x.y/r/v2",
      pathMajor: "/v2",
      major: "v2",
      codeDir: "kit",
      tagPrefix: "kit/",
      majorDir: null,
    },
  },
  {
    input: "x.y/r/v2",
    root: "x.y/r",
    subdir: "kit",
    want: {
      pathPrefix: "x.y/r",
      pathMajor: "/v2",
      major: "v2",
      codeDir: "kit",
      tagPrefix: "kit/",
      majorDir: "kit/v2",
    },
  },
  {
    input: "x.y/r/a",
    root: "x.y/r",
    subdir: "./b//c/../d/",
    want: {
      pathPrefix: "x.y/r/a",
      pathMajor: "",
      major: "",
      codeDir: "a/b/d",
      tagPrefix: "a/b/d/",
      majorDir: null,
    },
  },
];

Deno.test("layoutOf()", async (t) => {
  for (const { input, root, subdir = "", want } of layouts) {
    await t.step(`${input} of ${root} ${subdir}`, () => {
      const path = parseModulePath(input);
      assert.deepEqual(layoutOf(path, { root, subdir }), { path, root, ...want });
    });
  }
});

const refused = [
  { input: "x.y/r", root: "x.y/s", subdir: "" },
  { input: "x.y/rs", root: "x.y/r", subdir: "" },
  { input: "x.y/r/v2", root: "x.y/r/v2/s", subdir: "" },
  { input: "x.y/r", root: "x.y/r", subdir: ".." },
  { input: "x.y/r/a", root: "x.y/r", subdir: "../../b" },
];

Deno.test("layoutOf() refuses a repository that cannot have the module", async (t) => {
  for (const { input, root, subdir } of refused) {
    await t.step(`${input} of ${root} ${subdir}`, () => {
      assert.throws(() => layoutOf(parseModulePath(input), { root, subdir }), NotFoundError);
    });
  }
});
