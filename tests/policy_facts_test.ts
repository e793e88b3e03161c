/**
 * A policy by what modules say about themselves: their licences, retractions and deprecations.
 */
import assert from "node:assert/strict";
import { parseConfig } from "../lib/config/config.ts";
import { ConfigError } from "../lib/errors.ts";
import { startUpstream, type UpstreamModule } from "./fakes/upstream.ts";
import { licenceText } from "./worlds/licences.ts";
import { type Server, startServer } from "./worlds/server.ts";

const CONFIG = (dir: string) => `
storage: { disk: { path: ${dir}/data } }
publicModules: { sumDatabase: off }
policy:
  rules:
    - { name: copyleft, licences: { deny: [AGPL-3.0-only, NONE] }, action: deny }
    - { name: known, licences: { allow: [MIT, Apache-2.0, "GPL-*", "AGPL-*"] }, action: deny }
    - { name: taken-back, retracted: true, action: deny }
    - { name: left, deprecated: true, action: deny }
`;

function module(name: string, { version = "v1.0.0", above = "", below = "", ...files }: {
  readonly version?: string;
  readonly above?: string;
  readonly below?: string;
  readonly [file: string]: string | undefined;
}): UpstreamModule {
  const path = `example.com/${name}`;
  const named = Object.entries(files).map(([name, text = ""]) => [name, text] as const);
  return {
    path,
    version,
    files: {
      "go.mod": `${above}module ${path}\n${below}`,
      "m.go": "package m\n",
      ...Object.fromEntries(named),
    },
  };
}

const MIT = licenceText("MIT");

const MODULES: readonly UpstreamModule[] = [
  module("mit", { LICENSE: MIT }),
  module("agpl", { LICENSE: licenceText("AGPL-3.0-or-later") }),
  module("nothing", {}),
  module("strange", {
    LICENSE: MIT.replace("is hereby granted", "is hereby granted except to you"),
  }),
  module("nested", { LICENSE: MIT, "third_party/LICENSE": licenceText("AGPL-3.0-only") }),
  module("header", { "m.go": "// SPDX-License-Identifier: MIT OR AGPL-3.0-only\n\npackage m\n" }),
  module("retracted", { LICENSE: MIT }),
  module("retracted", {
    version: "v1.1.0",
    LICENSE: MIT,
    below: "\n// Loses data.\nretract v1.0.0\n",
  }),
  module("left", { LICENSE: MIT, above: "// Deprecated: use example.com/mit.\n" }),
];

const ROWS: { zip: string; status: number; text?: RegExp }[] = [
  { zip: "mit/@v/v1.0.0.zip", status: 200 },
  {
    zip: "agpl/@v/v1.0.0.zip",
    status: 403,
    text: /rule "copyleft"\nits licence is AGPL-3\.0-only \(LICENSE, 100 %\)/,
  },
  { zip: "nothing/@v/v1.0.0.zip", status: 403, text: /its licence is NONE \(no licence file\)/ },
  {
    zip: "strange/@v/v1.0.0.zip",
    status: 403,
    text: /rule "known"\nits licence is UNKNOWN \(LICENSE, \d+ %, like MIT\)/,
  },
  { zip: "nested/@v/v1.0.0.zip", status: 200 },
  { zip: "header/@v/v1.0.0.zip", status: 200 },
  {
    zip: "retracted/@v/v1.0.0.zip",
    status: 403,
    text: /its author has retracted it in v1\.1\.0: Loses data\./,
  },
  { zip: "retracted/@v/v1.1.0.zip", status: 200 },
  {
    zip: "left/@v/v1.0.0.zip",
    status: 403,
    text: /the module is deprecated: use example\.com\/mit\./,
  },
  { zip: "absent/@v/v1.0.0.zip", status: 404 },
];

async function ask(server: Server, zip: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${server.url}/example.com/${zip}`);
  return { status: response.status, text: await response.text() };
}

Deno.test("a policy goes by licences, retractions and deprecations", async (t) => {
  await using upstream = await startUpstream({ modules: MODULES });
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/config.yaml`, CONFIG(dir));
    const start = () =>
      startServer({
        args: ["--config-file", `${dir}/config.yaml`],
        env: { GOPROXY: upstream.url },
      });
    await using server = await start();
    for (const { zip, status, text } of ROWS) {
      await t.step(zip, async () => {
        const answer = await ask(server, zip);
        assert.equal(answer.status, status, answer.text);
        if (text !== undefined) assert.match(answer.text, text);
      });
    }
    await t.step("what was detected is kept for other replicas", async () => {
      const folder = `${dir}/data/d1/1/licences/example.com/agpl/@v/v1.0.0`;
      assert.equal([...Deno.readDirSync(folder)].length, 1);
      await using other = await start();
      assert.equal((await ask(other, "agpl/@v/v1.0.0.zip")).status, 403);
    });
    await t.step("a retracted version is not listed, and the newest is", async () => {
      const response = await fetch(`${server.url}/example.com/retracted/@v/list`);
      assert.equal(await response.text(), "v1.1.0\n");
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const FAULTS: { licences: string; message: RegExp }[] = [
  { licences: "{ deny: [AGPL-3.0-onyl] }", message: /did you mean "AGPL-3\.0-only"\?/ },
  { licences: "{ allow: [MIT, Gopher-1.0] }", message: /SPDX has no licence "Gopher-1\.0"/ },
  { licences: "{ deny: [XYZ-*] }", message: /no identifier of SPDX starts with "XYZ-"/ },
];

Deno.test("a policy that names unknown licences is refused", async (t) => {
  for (const { licences, message } of FAULTS) {
    await t.step(licences, () => {
      const yaml = `policy: { rules: [{ name: x, licences: ${licences}, action: deny }] }`;
      assert.throws(() => parseConfig(yaml), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, message);
        return true;
      });
    });
  }
});
