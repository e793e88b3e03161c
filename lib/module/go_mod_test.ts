import assert from "node:assert/strict";
import fc from "fast-check";
import golden from "../../tests/testdata/golden/go_mods.json" with { type: "json" };
import {
  type GoMod,
  type GoModNotices,
  isGoModOfZip,
  MAX_GO_MOD_SIZE_BYTES,
  MAX_RETRACTIONS,
  scanGoMod,
  scanGoModNotices,
  scanRequirements,
  syntheticGoMod,
} from "./go_mod.ts";
import { MAX_COMMENT_BYTES, MAX_COMMENT_LINES } from "./go_mod_syntax.ts";
import { atOnce } from "../async/pace.ts";
import { parseModulePath } from "./path.ts";

function scanText(text: string): GoMod {
  return atOnce(scanGoMod(new TextEncoder().encode(text)));
}

function notices(text: string): GoModNotices {
  return atOnce(scanGoModNotices(new TextEncoder().encode(text)));
}

const NOTHING: GoMod = { modulePath: null, goVersion: null, retractions: [] };

Deno.test("scanGoMod() agrees with Go's ParseLax, and where that fails with ModulePath", async (t) => {
  for (const { input, modulePath, parsed, reason } of golden) {
    await t.step(JSON.stringify(input), () => {
      assert.deepEqual(scanText(input), {
        modulePath: (parsed === null ? modulePath : parsed.modulePath) || null,
        goVersion: parsed?.goVersion || null,
        retractions: (parsed?.retractions ?? []).map(({ low, high }) => ({ low, high })),
      }, `Go says: ${reason}`);
    });
  }
});

Deno.test("scanGoModNotices() agrees with Go's ParseLax", async (t) => {
  for (const { input, parsed, reason } of golden) {
    await t.step(JSON.stringify(input), () => {
      assert.deepEqual(notices(input), {
        retractions: parsed?.retractions ?? [],
        deprecation: parsed?.deprecated || null,
      }, `Go says: ${reason}`);
    });
  }
});

Deno.test("scanGoModNotices() keeps no more of a comment than it says", () => {
  const lines = "// why\n".repeat(MAX_COMMENT_LINES + 1);
  const { retractions: [first] } = notices(`module m\n${lines}retract v1.0.0\n`);
  assert.equal(first?.rationale.split("\n").length, MAX_COMMENT_LINES);
  const { deprecation } = notices(`// Deprecated: ${"a".repeat(MAX_COMMENT_BYTES)}\nmodule m\n`);
  assert.equal(deprecation?.length, MAX_COMMENT_BYTES - "// Deprecated: ".length);
});

Deno.test("scanGoModNotices() joins the comment of a block once for all its lines", () => {
  const lines = "// why\n".repeat(MAX_COMMENT_LINES);
  const block = `${lines}retract (\n${"v1.0.0\n".repeat(MAX_RETRACTIONS)})\n`;
  const { retractions } = notices(`module m\n${block}`);
  assert.equal(retractions.length, MAX_RETRACTIONS);
  assert.equal(retractions.at(-1)?.rationale.length, MAX_COMMENT_LINES * "why\n".length - 1);
});

Deno.test("scanGoModNotices() says nothing of a file that is too long", () => {
  const start = "// Deprecated: x\nmodule m\n";
  const padded = (sizeBytes: number) => start + " ".repeat(sizeBytes - start.length);
  assert.equal(notices(padded(MAX_GO_MOD_SIZE_BYTES)).deprecation, "x");
  assert.equal(notices(padded(MAX_GO_MOD_SIZE_BYTES + 1)).deprecation, null);
});

Deno.test("scanGoMod() reads bytes that are not UTF-8 in a comment", () => {
  const bytes = new TextEncoder().encode("module example.com/m // ?\ngo 1.24\n")
    .map((byte) => byte === 0x3f ? 0xff : byte);
  assert.deepEqual(atOnce(scanGoMod(bytes)), {
    modulePath: "example.com/m",
    goVersion: "1.24",
    retractions: [],
  });
});

Deno.test("scanGoMod() reads the longest file that Go reads, and no longer one", () => {
  const start = "module example.com/m\n";
  const longest = start + " ".repeat(MAX_GO_MOD_SIZE_BYTES - start.length);
  assert.equal(scanText(longest).modulePath, "example.com/m");
  assert.deepEqual(scanText(longest + " "), NOTHING);
});

Deno.test("scanGoMod() answers a file that is one long thing", async (t) => {
  const long = (part: string) => part.repeat(MAX_GO_MOD_SIZE_BYTES / 2 / part.length);
  const files = {
    "version": `require example.com/n v1.0.0-${long("a.")}a`,
    "build": `require example.com/n v2.0.0+${long("a.")}a`,
    "path": `require example.com${long("/v2")} v2.0.0`,
    "quoted string": `require "${long("\\x41")}" v1.0.0`,
    "go line": `go 1.${long("1")}`,
    "row of brackets": long("("),
    "row of lines": long("\n"),
  };
  for (const [what, text] of Object.entries(files)) {
    await t.step(what, () => {
      assert.equal(scanText(`module example.com/m\n${text}\n`).modulePath, "example.com/m");
    });
  }
});

Deno.test("scanGoMod() keeps no more retractions than it says", () => {
  const { retractions } = scanText("retract v1.0.0\n".repeat(MAX_RETRACTIONS + 1));
  assert.equal(retractions.length, MAX_RETRACTIONS);
});

Deno.test("scanGoMod() answers any bytes", () => {
  const line = fc.array(fc.constantFrom(
    ..."()[]{},\"`'/\\\n\r \t*\0\u00e9\u00a0",
    "module ",
    "go ",
    "retract ",
    "require ",
    "v1.0.0",
    "example.com/m",
    "//",
    "\n",
  )).map((parts) => new TextEncoder().encode(parts.join("")));
  fc.assert(fc.property(fc.oneof(line, fc.uint8Array()), (bytes) => {
    atOnce(scanGoMod(bytes));
  }));
});

Deno.test("scanRequirements() reads what a file requires", async (t) => {
  const rows = [
    { input: "module example.com/m\n", want: [] },
    {
      input: "go 1.16\nrequire example.com/a v1.0.0 // indirect\n",
      go: "1.16",
      want: ["example.com/a v1.0.0"],
    },
    {
      input:
        'go 1.21.3\nrequire (\n\t"example.com/b/v2" v2.0.0-rc.1\n\texample.com/c v3.0.0+incompatible\n)\n',
      go: "1.21.3",
      want: ["example.com/b/v2 v2.0.0-rc.1", "example.com/c v3.0.0+incompatible"],
    },
    // What only a main module may say.
    { input: "replace example.com/a => ../a\nexclude example.com/b v1.0.0\n", want: [] },
    // The go command refuses the whole file.
    { input: "require example.com/a v1.0.0\nrequire example.com/b v2.0.0\n", want: [] },
    { input: "require (\n\texample.com/a v1.0.0\n", want: [] },
  ];
  for (const { input, go = null, want } of rows) {
    await t.step(JSON.stringify(input), () => {
      const { goVersion, requirements } = atOnce(scanRequirements(new TextEncoder().encode(input)));
      assert.deepEqual(requirements.map(({ path, version }) => `${path} ${version}`), want);
      assert.equal(goVersion, go);
    });
  }
});

Deno.test("syntheticGoMod() declares the path", () => {
  for (const path of ["example.com/m", "example.com/M_~x/v2", "gopkg.in/yaml.v3"]) {
    const bytes = syntheticGoMod(parseModulePath(path));
    assert.equal(new TextDecoder().decode(bytes), `module ${path}\n`);
    assert.deepEqual(atOnce(scanGoMod(bytes)), { ...NOTHING, modulePath: path });
  }
});

const SYNTHETIC: { input: string; want: boolean }[] = [
  { input: "module example.com/m\n", want: true },
  { input: "module example.com/m", want: true },
  { input: "module example.com/m\r\n", want: true },
  { input: '\n module\t"example.com/m" \n\n', want: true },
  { input: "", want: false },
  { input: "module example.com/M\n", want: false },
  { input: "module example.com/m/v2\n", want: false },
  { input: "module\nexample.com/m\n", want: false },
  { input: "\ufeffmodule example.com/m\n", want: false },
  { input: "module example.com/m // Deprecated: no\n", want: false },
  { input: "module example.com/m\n\ngo 1.21\n", want: false },
  { input: "module example.com/m\nrequire example.com/a v1.0.0\n", want: false },
];

Deno.test("isGoModOfZip() knows a go.mod that was made for a zip without one", async (t) => {
  const path = parseModulePath("example.com/m");
  for (const { input, want } of SYNTHETIC) {
    await t.step(JSON.stringify(input), () => {
      const goMod = new TextEncoder().encode(input);
      assert.equal(isGoModOfZip(goMod, { path, inZip: null }), want);
      assert.equal(isGoModOfZip(goMod, { path, inZip: goMod }), true);
      const other = new TextEncoder().encode(`${input}\n`);
      assert.equal(isGoModOfZip(goMod, { path, inZip: other }), false);
    });
  }
});
