import assert from "node:assert/strict";
import { join } from "node:path";
import { h1OfGoMod } from "../tests/support/module_zip.ts";
import { Upstream } from "./upstream.ts";

const H1 = `h1:${"A".repeat(43)}=`;
const GO_MOD = "module example.com/Upper\n\nrequire example.com/Other v1.2.0 // indirect\n";
const INFO = '{"Version":"v1.0.0"}';

/** With one module, `example.com/Upper` v1.0.0. */
async function makeFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "upstream-" });
  const versions = join(folder, "example.com", "!upper", "@v");
  await Deno.mkdir(versions, { recursive: true });
  await Deno.writeTextFile(join(versions, "v1.0.0.info"), INFO);
  await Deno.writeTextFile(join(versions, "v1.0.0.mod"), GO_MOD);
  await Deno.writeTextFile(join(versions, "v1.0.0.ziphash"), H1);
  return folder;
}

Deno.test("Upstream delays what it answers, and tells what was requested", async () => {
  const folder = await makeFolder();
  try {
    await using upstream = await Upstream.start([folder], { delayMs: 100 });
    const startMs = performance.now();
    const response = await fetch(`${upstream.url}/example.com/!upper/@v/v1.0.0.info`);
    assert.equal(await response.text(), INFO);
    assert.ok(performance.now() - startMs >= 95);
    await (await fetch(`${upstream.sumdbUrl}/latest`)).text();
    const requested = ["/example.com/!upper/@v/v1.0.0.info", "/sumdb/sum.example.test/latest"];
    assert.deepEqual(await upstream.requested(), requested);
    assert.deepEqual(await upstream.requested(1), requested.slice(1));
    assert.equal(await upstream.requests(), 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Upstream has the modules of its folders among the records of others", async () => {
  const folder = await makeFolder();
  try {
    await using upstream = await Upstream.start([folder], { otherRecords: 1000 });
    const latest = await (await fetch(`${upstream.sumdbUrl}/latest`)).text();
    // With the version that the go.mod file requires.
    assert.match(latest, /^go.sum database tree\n1002\n/);
    const answer = await fetch(`${upstream.sumdbUrl}/lookup/example.com/!upper@v1.0.0`);
    const record = await answer.text();
    assert.ok(record.includes(`\nexample.com/Upper v1.0.0 ${H1}\n`), record);
    // Nothing was added for that.
    assert.match(record, /\ngo.sum database tree\n1002\n/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Upstream makes up versions that go.mod files require, without their zips", async () => {
  const folder = await makeFolder();
  try {
    await using upstream = await Upstream.start([folder]);
    const base = `${upstream.url}/example.com/!other/@v/v1.2.0`;
    assert.equal((await (await fetch(`${base}.info`)).json()).Version, "v1.2.0");
    const goMod = await (await fetch(`${base}.mod`)).text();
    assert.equal(goMod, "module example.com/Other\n\ngo 1.17\n");
    const record = await fetch(`${upstream.sumdbUrl}/lookup/example.com/!other@v1.2.0`);
    assert.ok((await record.text()).includes(`/go.mod ${h1OfGoMod(goMod)}\n`));
    for (const file of [`${base}.zip`, `${upstream.url}/example.com/!other/@v/v1.2.1.mod`]) {
      const response = await fetch(file);
      await response.body?.cancel();
      assert.equal(response.status, 404, file);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
