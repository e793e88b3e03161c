/**
 * Compares zips made with an earlier version's zip and zips made from nothing: the same bytes, or
 * the same error, after every relevant change of a repository.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { isHash } from "../lib/git/refs.ts";
import type { Snapshot } from "../lib/git/repository.ts";
import { moduleVersion } from "../lib/module/module_version.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { createZip } from "../lib/zip/create.ts";
import { ZipError } from "../lib/zip/rules.ts";
import type { Seeds } from "../lib/zip/reusable_zips.ts";
import { readGoVersion } from "./support/go_version.ts";
import { executable, type Files, symlink } from "./worlds/git_repo.ts";
import { GitServer } from "./fakes/git_server.ts";
import { TestMirrors, testRemote } from "./worlds/mirrors.ts";

const SUB = "sub";
const MODULE = parseModulePath("git.example.com/m.git");

/** Each path with what it may become; null: nothing. */
const CHOICES: Readonly<Record<string, readonly Files[string][]>> = {
  "go.mod": ["module m\n\ngo 1.20\n", "module m\n\ngo 1.24\n", symlink("a.go"), null],
  ".gitattributes": ["*.txt eol=crlf\n", "*.txt -text\n*.md ident\n", symlink("a.go"), null],
  "a.go": ["package a\n", "package a // 2\n", executable("package a\n"), symlink("b.go")],
  "b.go": ["package a\n", "package a // 2\n", null],
  "a.txt": ["one\ntwo\n", "one\r\ntwo\n", null],
  "LICENSE": ["free\n", "freer\n", null],
  "sub/.gitattributes": ["*.md ident\n", "*.txt working-tree-encoding=UTF-16\n", null],
  "sub/go.mod": ["module m/sub\n\ngo 1.20\n", "module m/sub\n\ngo 1.24\n", null],
  "sub/LICENSE": ["mine\n", symlink("../LICENSE"), null],
  "sub/a.md": ["$Id$\n", "$Id$ 2\n"],
  "sub/a.txt": ["one\ntwo\n", "three\n"],
  "sub/deep/go.mod": ["module deep\n", null],
  "sub/deep/a.go": ["package deep\n", null],
  "sub/vendor/x/x.go": ["package x\n", null],
  "sub/x/vendor/modules.txt": ["# x\n", null],
  "sub/A.TXT": [null, null, null, "collides\n"],
};

const SOME_CHANGES: fc.Arbitrary<Files> = fc.dictionary(
  fc.constantFrom(...Object.keys(CHOICES)),
  fc.nat(),
  { minKeys: 1, maxKeys: 6, noNullPrototype: true },
).map((picked) =>
  Object.fromEntries(
    Object.entries(picked).map(([path, number]) => {
      const choices = CHOICES[path] ?? [];
      return [path, choices[number % choices.length] ?? null];
    }),
  )
);

const START: Files = Object.fromEntries(
  Object.entries(CHOICES).flatMap(([path, [first]]) =>
    first === null || first === undefined ? [] : [[path, first]]
  ),
);

/** The zip's bytes, or why there is none. */
async function zipOf(snapshot: Snapshot, dir: string, seeds?: Seeds): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "zip");
    const module = moduleVersion(MODULE, "v1.0.0");
    const { signal } = new AbortController();
    const goVersion = await readGoVersion(snapshot, dir);
    const options = { module, dir, goVersion, file, signal };
    await createZip(snapshot, seeds === undefined ? options : { ...options, seeds });
    return (await Deno.readFile(file)).toBase64();
  } catch (error) {
    if (error instanceof ZipError) return error.message;
    throw error;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("createZip() makes the same zip with seeds and without", async () => {
  await using server = await GitServer.start();
  await using mirrors = await TestMirrors.start();
  let repositories = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(SOME_CHANGES, { minLength: 5, maxLength: 5 }), async (changes) => {
      const name = `m${++repositories}.git`;
      const origin = await server.createRepo(name);
      await using lease = await mirrors.mirrors.open(testRemote(server.urlOf(name)));
      const { repository } = lease;
      for (const files of [START, ...changes]) {
        const hash = await origin.commit(files);
        assert.ok(isHash(hash));
        const snapshot = await repository.snapshot(await repository.refs(), hash);
        assert.ok(snapshot !== null);
        for (const dir of ["", SUB]) {
          const want = await zipOf(snapshot, dir);
          assert.equal(await zipOf(snapshot, dir, repository.seeds), want, `${hash} "${dir}"`);
        }
      }
    }),
    { numRuns: 4, endOnFailure: true },
  );
});
