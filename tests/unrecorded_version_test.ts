/**
 * A tag that was just published, which the checksum database has no record of yet, and which is
 * then moved: every client that verifies sees one content, the one that the database records.
 */
import assert from "node:assert/strict";
import { Sumdb } from "./fakes/sumdb.ts";
import { startUpstream } from "./fakes/upstream.ts";
import { goCommand, goTest } from "./support/go_command.ts";
import { startServer } from "./worlds/server.ts";

const NEW = "example.com/new";
const INTERNAL = "internal.example.com/lib";

goTest("nothing is published before the checksum database has a record", async () => {
  await using upstream = await startUpstream({
    modules: [
      { path: INTERNAL, version: "v1.0.0", files: { "go.mod": `module ${INTERNAL}\n` } },
    ],
  });
  await using before = await startUpstream({
    modules: [{
      path: NEW,
      version: "v1.0.0",
      files: { "go.mod": `module ${NEW}\n`, "a.go": "" },
    }],
  });
  const after = await upstream.addModule({
    path: NEW,
    version: "v1.0.0",
    files: { "go.mod": `module ${NEW}\n`, "a.go": "package moved\n" },
  });
  // The tag is at its first place until the rule ends.
  const untilMoved = upstream.misbehave(
    new RegExp(`^/${NEW}/`),
    async (request) => await fetch(before.url + new URL(request.url).pathname),
  );
  const sumdb = new Sumdb();
  await using database = sumdb.serve();
  upstream.mount(sumdb);
  const [, publicKey] = /^[^+]+\+(.*)$/.exec(sumdb.verifierKey) ?? [];
  const directory = await Deno.makeTempDir({ prefix: "unrecorded-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const publicModules = {
    sumDatabase: { name: sumdb.name, publicKey, url: database.url },
    noSumDatabase: "internal.example.com/*",
  };
  await Deno.writeTextFile(`${directory}/config.yaml`, JSON.stringify({ publicModules }));
  await using server = await startServer({
    env: { GOPROXY: upstream.url },
    args: ["--config-file", `${directory}/config.yaml`],
  });
  const options = {
    proxy: server.url,
    sumdb: sumdb.verifierKey,
    env: { GONOSUMDB: "internal.example.com" },
  };
  await using early = await goCommand(options);
  const refused = await early.run(["mod", "download", `${NEW}@v1.0.0`]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /502 Bad Gateway/);
  assert.match(refused.stderr, /has no record of it yet; a new version has one in a few minutes/);
  const internal = await early.run(["mod", "download", `${INTERNAL}@v1.0.0`]);
  assert.equal(internal.code, 0, internal.stderr);

  untilMoved[Symbol.dispose]();
  sumdb.append(after);
  for (let client = 0; client < 2; client++) {
    await using go = await goCommand(options);
    const { code, stdout, stderr } = await go.run(["mod", "download", "-json", `${NEW}@v1.0.0`]);
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).Sum, after.h1);
  }
  assert.ok(sumdb.requests.every((path) => !path.includes("internal")));
  assert.deepEqual(sumdb.faults, []);
});
