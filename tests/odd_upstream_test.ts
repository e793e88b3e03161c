/**
 * Upstreams that are not as the reference describes them, and what the `go` command makes of them:
 * it asks each straight and through this server, and must get the same.
 */
import assert from "node:assert/strict";
import { type Behaviour, status } from "./fakes/behaviours.ts";
import { Loopback } from "./fakes/loopback.ts";
import { startUpstream, type Upstream } from "./fakes/upstream.ts";
import { goTest } from "./support/go_command.ts";
import { startTestApp, type TestApp } from "./worlds/app.ts";
import { askThrough, type Operation, type Outcome } from "./worlds/two_ways.ts";

const PATH = "example.com/m";
const FILES = { "go.mod": `module ${PATH}\n`, "m.go": "package m\n" };
/** By semantic version the first is the highest, by time the second is the newest. */
const OLD_COMMIT = "v0.1.1-0.20230102030405-aaaaaaaaaaaa";
const NEW_COMMIT = "v0.0.0-20240102030405-bbbbbbbbbbbb";
const OLDEST_COMMIT = "v0.0.0-20220102030405-cccccccccccc";

interface World {
  readonly upstream: Upstream;
  readonly app: TestApp;
  /** The outcome of a question, which is the same both ways. */
  ask(operation: Operation, query: string): Promise<Outcome>;
}

async function withWorld(
  versions: readonly { version: string; goMod?: string; files?: Record<string, string> }[],
  test: (world: World) => Promise<void>,
): Promise<void> {
  await using upstream = await startUpstream({
    modules: versions.map((version) => ({ path: PATH, files: FILES, ...version })),
  });
  await using app = await startTestApp({ upstreams: [upstream.url] });
  await using server = new Loopback((request) => app.app(request));
  const ask = async (operation: Operation, query: string) => {
    const asked = { operation, questions: [`${PATH}@${query}`] };
    const [[straight], [through]] = await Promise.all([
      askThrough(upstream.url, asked),
      askThrough(server.url, asked),
    ]);
    assert.deepEqual(through, straight);
    assert.ok(through !== undefined);
    return through;
  };
  await test({ upstream, app, ask });
  assert.deepEqual(upstream.faults, []);
}

function versionIn(outcome: Outcome): string {
  assert.ok(typeof outcome === "object", `${outcome}`);
  return outcome.version;
}

function listing(...lines: string[]): Behaviour {
  return () => new Response(lines.map((line) => `${line}\n`).join(""));
}

const COMMITS = [OLD_COMMIT, NEW_COMMIT, OLDEST_COMMIT].map((version) => ({ version }));

goTest(
  "without @latest, the newest of the listed commits is the latest",
  () =>
    withWorld(COMMITS, async ({ upstream, ask }) => {
      upstream.misbehave(/@latest$/, status(404));
      upstream.misbehave(/list$/, listing(OLD_COMMIT, NEW_COMMIT, OLDEST_COMMIT));
      assert.equal(versionIn(await ask("list", "latest")), NEW_COMMIT);
      assert.equal(versionIn(await ask("download", "latest")), NEW_COMMIT);
    }),
);

goTest(
  "a time beside a listed commit counts more than the one in its version",
  () =>
    withWorld(COMMITS, async ({ upstream, ask }) => {
      upstream.misbehave(/@latest$/, status(410));
      const lines = [
        `${OLD_COMMIT} 2025-01-02T03:04:05Z`,
        `${NEW_COMMIT} yesterday`,
        OLDEST_COMMIT,
      ];
      upstream.misbehave(/list$/, listing(...lines));
      assert.equal(versionIn(await ask("list", "latest")), OLD_COMMIT);
    }),
);

goTest(
  "without @latest, a commit is the latest where every tagged version is retracted",
  () =>
    withWorld([
      { version: "v1.0.0" },
      {
        version: "v1.1.0",
        files: { ...FILES, "go.mod": `module ${PATH}\n\nretract [v1.0.0, v1.1.0]\n` },
      },
      { version: NEW_COMMIT },
    ], async ({ upstream, ask }) => {
      upstream.misbehave(/@latest$/, status(404));
      upstream.misbehave(/list$/, listing("v1.0.0", "v1.1.0", NEW_COMMIT));
      assert.equal(versionIn(await ask("list", "latest")), NEW_COMMIT);
    }),
);

goTest(
  "what the upstream lists now is later than what is stored",
  () =>
    withWorld(COMMITS, async ({ upstream, app, ask }) => {
      assert.equal((await app.text(`${PATH}/@v/${OLD_COMMIT}.info`)).status, 200);
      upstream.misbehave(/@latest$/, status(404));
      upstream.misbehave(/list$/, listing(OLDEST_COMMIT, NEW_COMMIT));
      assert.equal(versionIn(await ask("list", "latest")), NEW_COMMIT);
      upstream.misbehave(/list$/, listing(OLDEST_COMMIT));
      assert.equal(versionIn(await ask("list", "latest")), OLDEST_COMMIT);
    }),
);

Deno.test("without @latest and with an empty list, the newest stored commit is the latest", () =>
  withWorld(COMMITS, async ({ upstream, app }) => {
    upstream.misbehave(/@latest$/, status(404));
    assert.equal((await app.text(`${PATH}/@latest`)).status, 404);
    for (const { version } of COMMITS) await app.text(`${PATH}/@v/${version}.info`);
    assert.deepEqual(await app.text(`${PATH}/@v/list`), { status: 200, body: "" });
    const { status: code, body } = await app.text(`${PATH}/@latest`);
    assert.equal(code, 200);
    assert.equal(JSON.parse(body).Version, NEW_COMMIT);
  }));

const VERSION = "v1.0.0";
const TIME = '"Time":"2024-01-02T03:04:05Z"';

const INFOS: { name: string; info: string; want: "answer" | "failed" }[] = [
  { name: "no Time", info: `{"Version":"${VERSION}"}`, want: "answer" },
  { name: "a Time that is null", info: `{"Version":"${VERSION}","Time":null}`, want: "answer" },
  {
    name: "unknown fields",
    info: `{"Version":"${VERSION}",${TIME},"Name":1,"Short":"x","Extra":{"Time":[]}}`,
    want: "answer",
  },
  { name: "other cases", info: `{"VERSION":"${VERSION}","time":null}`, want: "answer" },
  { name: "white space", info: `\r\n\t {"Version":"${VERSION}",${TIME}}\r\n \t\n`, want: "answer" },
  {
    name: "an hour of one digit",
    info: `{"Version":"${VERSION}","Time":"2024-01-02T3:04:05Z"}`,
    want: "answer",
  },
  { name: "a byte order mark", info: `\ufeff{"Version":"${VERSION}",${TIME}}`, want: "failed" },
  { name: "an empty Time", info: `{"Version":"${VERSION}","Time":""}`, want: "failed" },
  { name: "a number for a Time", info: `{"Version":"${VERSION}","Time":1}`, want: "failed" },
  { name: "no Version", info: `{${TIME}}`, want: "failed" },
];

for (const { name, info, want } of INFOS) {
  goTest(
    `an .info with ${name} is taken as the go command takes it`,
    () =>
      withWorld([{ version: VERSION }], async ({ upstream, ask }) => {
        upstream.misbehave(/info$/, () => new Response(info));
        for (const operation of ["list", "download"] as const) {
          const outcome = await ask(operation, VERSION);
          assert.equal(typeof outcome === "object" ? "answer" : outcome, want);
        }
      }),
  );
}

const SYNTHETIC: { name: string; goMod: string }[] = [
  { name: "without a final newline", goMod: `module ${PATH}` },
  { name: "with CRLF", goMod: `module ${PATH}\r\n` },
  { name: "with a quoted path", goMod: `module "${PATH}"\n` },
];

for (const { name, goMod } of SYNTHETIC) {
  goTest(`a zip without go.mod may have a .mod ${name}`, () =>
    withWorld(
      [{ version: VERSION, goMod, files: { "m.go": "package m\n" } }],
      async ({ app, ask }) => {
        assert.equal(versionIn(await ask("download", VERSION)), VERSION);
        assert.equal((await app.text(`${PATH}/@v/${VERSION}.mod`)).body, goMod);
      },
    ));
}

const HASH = "aaaaaaaaaaaa0123456789abcdef0123456789ab";

for (const gone of ["is gone", "has lost it"] as const) {
  Deno.test(`a hash of a stored commit is answered when the upstream ${gone}`, async (t) => {
    await using upstream = await startUpstream({
      modules: [
        { path: PATH, version: OLD_COMMIT, files: FILES, origin: { VCS: "git", Hash: HASH } },
        { path: PATH, version: NEW_COMMIT, files: FILES },
        {
          path: PATH,
          version: "v1.0.0",
          files: FILES,
          origin: { VCS: "git", Hash: "dddddddddddddddddddddddddddddddddddddddd" },
        },
        {
          path: PATH,
          version: "v0.0.0-20240102030405-dddddddddddd",
          files: FILES,
          origin: { VCS: "git", Hash: "dddddddddddddddddddddddddddddddddddddddd" },
        },
        { path: PATH, version: "v0.0.0-20210102030405-aaaaaaaffffff", files: FILES },
      ],
    });
    await using app = await startTestApp({ upstreams: [upstream.url] });
    for (
      const version of [
        OLD_COMMIT,
        NEW_COMMIT,
        "v1.0.0",
        "v0.0.0-20240102030405-dddddddddddd",
      ]
    ) assert.equal((await app.text(`${PATH}/@v/${version}.info`)).status, 200);
    if (gone === "is gone") await upstream.down();
    else upstream.misbehave(/./, status(404));
    const rows = [
      { query: "aaaaaaa", want: OLD_COMMIT },
      { query: "aaaaaaaaaaaa", want: OLD_COMMIT },
      { query: HASH, want: OLD_COMMIT },
      { query: "bbbbbbb", want: NEW_COMMIT },
      { query: "ddddddddd", want: "v1.0.0" },
      { query: HASH.replace(/.$/, "0"), want: null },
      // Its manifest does not say how the hash goes on.
      { query: "bbbbbbbbbbbb0", want: null },
      { query: "aaaaaa", want: null },
      { query: "eeeeeee", want: null },
      { query: "main", want: null },
    ];
    for (const { query, want } of rows) {
      await t.step(query, async () => {
        const { status: code, body } = await app.text(`${PATH}/@v/${query}.info`);
        if (want === null) assert.equal(code, gone === "is gone" ? 502 : 404);
        else assert.deepEqual([code, JSON.parse(body).Version], [200, want]);
        const cached = await app.text(`cached-only/${PATH}/@v/${query}.info`);
        assert.equal(cached.status, want === null ? 404 : 200);
      });
    }
  });
}
