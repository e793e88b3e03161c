import assert from "node:assert/strict";
import { builtInMatcher, licenceText } from "../../tests/worlds/licences.ts";
import { buildModuleZip, type Files } from "../../tests/support/module_zip.ts";
import { Pace } from "../async/pace.ts";
import { parseModuleVersion } from "../module/module_version.ts";
import { openArchiveOf } from "../zip/archive.ts";
import { detectLicences } from "./detect.ts";
import { MAX_LICENCE_FILE_BYTES, MAX_LICENCE_FILES } from "./licence_files.ts";
import { type LicenceFile, licencesOf } from "./record.ts";

const MODULE = parseModuleVersion("example.com/m@v1.0.0");
const MIT = licenceText("MIT");
const BSD = licenceText("BSD-3-Clause");

async function detect(files: Files): Promise<LicenceFile[]> {
  const { bytes } = await buildModuleZip({ ...MODULE, files });
  const pace = new Pace(undefined);
  const archive = await openArchiveOf({
    sizeBytes: bytes.length,
    read: (start, end) => Promise.resolve(bytes.subarray(start, end)),
  }, { pace, windowBytes: 1024 });
  return await detectLicences(archive, { module: MODULE, matcher: await builtInMatcher(), pace });
}

interface Row {
  readonly what: string;
  readonly files: Files;
  /** By path. */
  readonly want: Readonly<Record<string, string[]>>;
}

const ROWS: Row[] = [
  { what: "no licence", files: { "go.mod": "module x\n", "NOTICE": MIT }, want: {} },
  {
    what: "one licence",
    files: { "LICENSE": MIT, "m.go": "package m\n" },
    want: { LICENSE: ["MIT"] },
  },
  {
    what: "several files, those in the root first",
    files: { "a/LICENSE": BSD, "LICENSE-MIT": MIT, "LICENSE-APACHE": licenceText("Apache-2.0") },
    want: {
      "LICENSE-APACHE": ["Apache-2.0"],
      "LICENSE-MIT": ["MIT"],
      "a/LICENSE": ["BSD-3-Clause"],
    },
  },
  {
    what: "several licences in a file",
    files: { LICENSE: `${MIT}\n\n${BSD}` },
    want: { LICENSE: ["BSD-3-Clause", "MIT"] },
  },
  {
    what: "a text that nobody knows",
    files: { LICENSE: "Ask me.\n" },
    want: { LICENSE: ["UNKNOWN"] },
  },
  { what: "an empty file", files: { LICENSE: "" }, want: { LICENSE: ["UNKNOWN"] } },
  {
    what: "a licence with a condition more",
    files: { LICENSE: MIT.replace("is hereby granted", "is hereby granted except on Mondays") },
    want: { LICENSE: ["MIT", "UNKNOWN"] },
  },
  {
    what: "a licence in a long text",
    files: { LICENSE: `${"Gophers dig tunnels. ".repeat(60)}\n\n${MIT}` },
    want: { LICENSE: ["MIT", "UNKNOWN"] },
  },
  {
    what: "UTF-16 of Windows",
    files: {
      LICENSE: Uint8Array.from([
        0xff,
        0xfe,
        ...new Uint8Array(Uint16Array.from(MIT, (c) => c.charCodeAt(0)).buffer),
      ]),
    },
    want: { LICENSE: ["MIT"] },
  },
  {
    what: "bytes that are not UTF-8",
    files: { LICENSE: Uint8Array.from([0xa9, 0x20, ...new TextEncoder().encode(MIT)]) },
    want: { LICENSE: ["MIT"] },
  },
  {
    what: "an identifier in a licence file",
    files: { LICENSE: "SPDX-License-Identifier: MIT OR apache-2.0\n\nSee licenses/.\n" },
    want: { LICENSE: ["MIT OR Apache-2.0"] },
  },
  {
    what: "an identifier beside the text of a licence",
    files: { LICENSE: `SPDX-License-Identifier: MIT\n\n${BSD}` },
    want: { LICENSE: ["BSD-3-Clause"] },
  },
  {
    what: "identifiers in Go files of the root",
    files: {
      "a.go": "// Copyright 2024\n// SPDX-License-Identifier: GPL-2.0-or-later\n\npackage a\n",
      "b.go": "/* SPDX-License-Identifier: MIT */\npackage a\n",
      "c.go": "package a\n",
      "c_test.go": "// SPDX-License-Identifier: 0BSD\npackage a\n",
      "d.go": "// SPDX-License-Identifier: Gopher-1.0\npackage a\n",
      "x/d.go": "// SPDX-License-Identifier: ISC\npackage x\n",
      "x/LICENSE": BSD,
    },
    want: {
      "a.go": ["GPL-2.0-or-later"],
      "b.go": ["MIT"],
      "d.go": ["UNKNOWN"],
      "x/LICENSE": ["BSD-3-Clause"],
    },
  },
  {
    what: "no identifiers where there is a licence file",
    files: { "a.go": "// SPDX-License-Identifier: ISC\npackage a\n", LICENSE: MIT },
    want: { LICENSE: ["MIT"] },
  },
  {
    what: "an identifier far down in a Go file",
    files: { "a.go": `package a\n${"//\n".repeat(3000)}// SPDX-License-Identifier: ISC\n` },
    want: {},
  },
  {
    what: "a file that is too large",
    files: { LICENSE: `${MIT}${" ".repeat(MAX_LICENCE_FILE_BYTES)}`, COPYING: MIT },
    want: { COPYING: ["MIT"], LICENSE: ["UNKNOWN"] },
  },
  {
    what: "the text of a licence in vendor",
    files: { "vendor/example.com/n/LICENSE": MIT },
    want: {},
  },
];

Deno.test("detectLicences() finds", async (t) => {
  for (const { what, files, want } of ROWS) {
    await t.step(what, async () => {
      const detected = await detect(files);
      assert.deepEqual(
        detected.map(({ path, licences }) => [path, licences]),
        Object.entries(want),
      );
    });
  }
});

Deno.test("detectLicences() says how much of a file is licences, and how like they are", async () => {
  const [file] = await detect({ LICENSE: MIT });
  assert.deepEqual(file, {
    path: "LICENSE",
    licences: ["MIT"],
    coverage: 100,
    matches: [{ id: "MIT", kind: "text", confidence: 100, isFaithful: true }],
  });
});

Deno.test("detectLicences() reads no more files than it says", async () => {
  const names = Array.from({ length: MAX_LICENCE_FILES + 5 }, (_, i) => `d${i}/LICENSE`);
  const detected = await detect(
    Object.fromEntries(names.map((name) => [name, "SPDX-License-Identifier: MIT"])),
  );
  assert.equal(detected.length, MAX_LICENCE_FILES + 1);
  const last = detected.at(-1);
  assert.deepEqual([last?.licences, last?.fault], [["UNKNOWN"], "too many files"]);
  assert.ok(detected.slice(0, -1).every(({ licences }) => licences[0] === "MIT"));
});

Deno.test("detectLicences() reads no more text than it says", async () => {
  const large = new Uint8Array(MAX_LICENCE_FILE_BYTES);
  const names = Array.from({ length: 10 }, (_, i) => `d${i}/LICENSE`);
  const detected = await detect(Object.fromEntries(names.map((name) => [name, large])));
  assert.deepEqual(
    detected.map(({ fault }) => fault).filter((fault) => fault !== undefined),
    ["too much text", "too much text"],
  );
});

Deno.test("licencesOf() goes by the directories above a package", async () => {
  const files = await detect({ LICENSE: MIT, "a/LICENSE": BSD, "ab/LICENSE": "?" });
  const found = (directory: string) => licencesOf({ files }, directory).found;
  assert.deepEqual(found(""), ["MIT"]);
  assert.deepEqual(found("a"), ["BSD-3-Clause", "MIT"]);
  assert.deepEqual(found("a/b/c"), ["BSD-3-Clause", "MIT"]);
  assert.deepEqual(found("ab"), ["MIT", "UNKNOWN"]);
  assert.deepEqual(found("b"), ["MIT"]);
});

Deno.test("licencesOf() names the files", async () => {
  const basis = async (files: Files) => licencesOf({ files: await detect(files) }).basis;
  assert.equal(await basis({}), "no licence file");
  assert.equal(await basis({ LICENSE: MIT }), "LICENSE, 100 %");
  assert.equal(await basis({ LICENSE: "?" }), "LICENSE, 0 %");
  assert.equal(
    await basis({ LICENSE: MIT.replace("is hereby granted", "is not granted") }),
    "LICENSE, 100 %, like MIT",
  );
  assert.equal(await basis({ "a.go": "// SPDX-License-Identifier: ISC\n" }), "a.go, by identifier");
  assert.match(
    await basis({ COPYING: MIT, LICENSE: MIT, "LICENSE.md": MIT, "LICENSE.txt": MIT }),
    /^COPYING, 100 %; LICENSE, 100 %; LICENSE.md, 100 %; and 1 more$/,
  );
});
