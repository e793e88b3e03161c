/**
 * What modules say about themselves, retractions and deprecations, as the `go` command reads it
 * from the same upstream.
 */
import assert from "node:assert/strict";
import { NotFoundError } from "../lib/errors.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { type ModuleNotices, NoticeReader, retractionOf } from "../lib/service/module_notices.ts";
import { status } from "./fakes/behaviours.ts";
import { startUpstream, type UpstreamModule } from "./fakes/upstream.ts";
import { goCommand, goTest } from "./support/go_command.ts";
import { startTestApp, type TestApp } from "./worlds/app.ts";

const COMMIT = "v0.0.0-20240102030405-bbbbbbbbbbbb";

/** What is in the go.mod file of each version below the module line; null: it has no file. */
interface Row {
  readonly what: string;
  readonly versions: Readonly<Record<string, string | null>>;
  /** Above the module line of the version. */
  readonly above?: Readonly<Record<string, string>>;
  /** The version that speaks for the module. */
  readonly speaks: string;
}

const ROWS: readonly Row[] = [
  {
    what: "the highest release speaks, not an older one or a pre-release",
    versions: {
      "v1.0.0": "retract v1.1.0 // not in force\n",
      "v1.1.0": "",
      "v1.2.0": "retract v1.0.0 // Loses data.\n",
      "v1.3.0-rc.1": "retract v1.1.0 // not yet\n",
    },
    speaks: "v1.2.0",
  },
  {
    what: "a version that retracts itself speaks",
    versions: {
      "v1.0.0": "",
      "v1.0.1": "// Published by mistake.\nretract (\n\tv1.0.1 // Retracts only.\n\tv1.0.0\n)\n",
    },
    speaks: "v1.0.1",
  },
  {
    what: "reasons of all retractions that apply count, in order",
    versions: {
      "v1.0.0": "",
      "v1.1.0":
        "retract [v1.0.0, v1.0.9] // One.\nretract v1.0.0\n// Two,\n// lines.\nretract v1.0.0\n",
    },
    speaks: "v1.1.0",
  },
  {
    what: "without a release the highest pre-release speaks",
    versions: { "v1.0.0-alpha": "", "v1.0.0-beta": "retract v1.0.0-alpha\n" },
    speaks: "v1.0.0-beta",
  },
  {
    what: "without a tag the commit speaks that is the latest",
    versions: { [COMMIT]: `retract ${COMMIT} // Not ready.\n` },
    speaks: COMMIT,
  },
  {
    what: "a deprecated module",
    versions: { "v1.0.0": "", "v1.1.0": "" },
    above: { "v1.1.0": "// About it.\n//\n// Deprecated: use example.com/n.\n" },
    speaks: "v1.1.0",
  },
  {
    what: "a deprecation that a later version takes back",
    versions: { "v1.0.0": "", "v1.1.0": "" },
    above: { "v1.0.0": "// Deprecated: use example.com/n.\n" },
    speaks: "v1.1.0",
  },
  {
    what: "+incompatible does not speak where the highest other version has a go.mod file",
    versions: { "v1.0.0": "", "v1.1.0": "retract v1.0.0 // Why.\n", "v2.0.0+incompatible": null },
    speaks: "v1.1.0",
  },
  {
    what: "a pre-release with a go.mod file keeps +incompatible out",
    versions: {
      "v1.0.0": null,
      "v1.1.0-rc.1": "retract v1.0.0 // Why.\n",
      "v2.0.0+incompatible": null,
    },
    speaks: "v1.0.0",
  },
  {
    what: "+incompatible speaks where the highest other version has no go.mod file",
    versions: {
      "v1.0.0": "retract v1.0.0 // Not in force.\n",
      "v1.1.0": null,
      "v2.0.0+incompatible": null,
    },
    speaks: "v2.0.0+incompatible",
  },
  {
    what: "+incompatible speaks where there is nothing else",
    versions: { "v2.0.0+incompatible": null, "v3.0.0+incompatible": null },
    speaks: "v3.0.0+incompatible",
  },
];

function pathOf(row: number): string {
  return `example.com/m${row}`;
}

function modulesOf({ versions, above = {} }: Row, path: string): UpstreamModule[] {
  return Object.entries(versions).map(([version, goMod]): UpstreamModule => ({
    path,
    version,
    files: {
      "m.go": "package m\n",
      ...goMod !== null && {
        "go.mod": `${above[version] ?? ""}module ${path}\n\ngo 1.21\n\n${goMod}`,
      },
    },
  }));
}

async function readNotices(app: TestApp, path: string): Promise<ModuleNotices | null> {
  return await new NoticeReader(await app.service()).read(parseModulePath(path), options());
}

function options({ mayFetch = true } = {}) {
  return { mayFetch, signal: new AbortController().signal, facts: {} };
}

/** What we read of what `go list -m -json` prints. */
interface Printed {
  readonly Path: string;
  readonly Version: string;
  readonly Deprecated?: string | null;
  readonly Retracted?: readonly string[] | null;
}

goTest("notices are what the go command says of each version", async (t) => {
  await using upstream = await startUpstream({
    modules: ROWS.flatMap((row, i) => modulesOf(row, pathOf(i))),
  });
  ROWS.forEach(({ versions }, i) => {
    if (COMMIT in versions) upstream.setLatest(pathOf(i), COMMIT);
  });
  await using app = await startTestApp({ upstreams: [upstream.url] });
  await using go = await goCommand({ proxy: upstream.url });
  for (const [i, { what, versions, speaks }] of ROWS.entries()) {
    await t.step(what, async () => {
      const notices = await readNotices(app, pathOf(i));
      assert.equal(notices?.version, speaks);
      // One version at a time: of one module, a command lists one.
      for (const version of Object.keys(versions)) {
        const result = await go.run([
          ...["list", "-m", "-u", "-retracted", "-json", `${pathOf(i)}@${version}`],
        ]);
        assert.equal(result.code, 0, result.stderr);
        const { Deprecated = null, Retracted = null }: Printed = JSON.parse(result.stdout);
        assert.equal(notices.deprecation, Deprecated);
        assert.equal(notices.isRetracted(version), Retracted !== null, version);
        // The command prints a text of its own for a retraction without a reason.
        const reasons = retractionOf(notices, version);
        assert.deepEqual(
          reasons?.length === 0 ? ["retracted by module author"] : reasons,
          Retracted,
        );
      }
    });
  }
  assert.deepEqual(upstream.faults, []);
});

const LISTED: Row = {
  what: "",
  versions: { "v1.0.0": "", "v1.1.0": "retract v1.0.0 // Why.\n" },
  speaks: "v1.1.0",
};

Deno.test("notices are kept as long as the list is the same", async () => {
  await using upstream = await startUpstream({ modules: modulesOf(LISTED, pathOf(0)) });
  upstream.misbehave(/list$/, async (_request, honest) => {
    const response = await honest();
    return new Response(await response.text(), { headers: { "cache-control": "max-age=60" } });
  });
  await using app = await startTestApp({ upstreams: [upstream.url] });
  const reader = new NoticeReader(await app.service());
  const path = parseModulePath(pathOf(0));
  const first = await reader.read(path, options());
  const asked = upstream.requests.length;
  assert.equal(await reader.read(path, options()), first);
  assert.equal(upstream.requests.length, asked);
});

Deno.test("a version that comes later speaks from then on", async () => {
  await using upstream = await startUpstream({ modules: modulesOf(LISTED, pathOf(0)) });
  await using app = await startTestApp({ upstreams: [upstream.url] });
  const reader = new NoticeReader(await app.service());
  const path = parseModulePath(pathOf(0));
  assert.equal((await reader.read(path, options()))?.isRetracted("v1.0.0"), true);
  const later = { ...LISTED, versions: { "v1.2.0": "retract v1.1.0\n" } };
  for (const module of modulesOf(later, pathOf(0))) await upstream.addModule(module);
  const notices = await reader.read(path, options());
  assert.equal(notices?.version, "v1.2.0");
  assert.equal(notices.isRetracted("v1.0.0"), false);
  assert.deepEqual(retractionOf(notices, "v1.1.0"), []);
});

Deno.test("without its source, the highest published version speaks, and is called stale", async () => {
  await using upstream = await startUpstream({ modules: modulesOf(LISTED, pathOf(0)) });
  await using app = await startTestApp({ upstreams: [upstream.url] });
  assert.equal((await app.get(`${pathOf(0)}/@v/v1.0.0.info`)).status, 200);
  upstream.misbehave(/./, status(500));
  const notices = await readNotices(app, pathOf(0));
  assert.deepEqual([notices?.version, notices?.stale], ["v1.0.0", true]);
});

Deno.test("a module that does not exist is not found", async () => {
  await using upstream = await startUpstream();
  await using app = await startTestApp({ upstreams: [upstream.url] });
  await assert.rejects(readNotices(app, "example.com/none"), NotFoundError);
});
