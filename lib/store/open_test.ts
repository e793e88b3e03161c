import assert from "node:assert/strict";
import { Loopback } from "../../tests/fakes/loopback.ts";
import { ConfigError, StorageError } from "../errors.ts";
import type { StorageConfig } from "./config.ts";
import { openStore } from "./open.ts";
import { probeStore } from "./probe.ts";

Deno.test("openStore() opens the store that the configuration names", async () => {
  const path = await Deno.makeTempDir();
  try {
    const store = await openStore({ disk: { path: `${path}/new/data` } });
    assert.equal(store.description, `disk ${path}/new/data`);
    await probeStore(store);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("openStore() says that a store cannot be opened", async () => {
  const file = await Deno.makeTempFile();
  try {
    await assert.rejects(openStore({ disk: { path: file } }), StorageError);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("openStore() knows a bucket's server by the configuration, then by the environment", async (t) => {
  await using server = new Loopback((request) => {
    requests.push(request.url);
    return new Response("{}", { status: 403 });
  });
  await using other = new Loopback(() => new Response("", { status: 500 }));
  const requests: string[] = [];
  const gcs = { bucket: "modules", prefix: "", apiEndpoint: "" };
  const s3 = { bucket: "modules", prefix: "", region: "", endpoint: "", forcePathStyle: false };
  const rows: { name: string; config: StorageConfig; env: Record<string, string>; want: string }[] =
    [
      {
        name: "gcs",
        config: { gcs: { ...gcs, apiEndpoint: server.url } },
        env: { STORAGE_EMULATOR_HOST: other.url },
        want: "gcs modules",
      },
      {
        name: "gcs, an emulator",
        config: { gcs: { ...gcs, prefix: "go" } },
        env: { STORAGE_EMULATOR_HOST: new URL(server.url).host },
        want: "gcs modules/go",
      },
    ];
  for (const { name, config, env, want } of rows) {
    await t.step(name, async () => {
      const store = await openStore(config, { env });
      assert.equal(store.description, want);
      await assert.rejects(store.list("a"), /403/);
      assert.equal(requests.length, 1);
      requests.length = 0;
    });
  }
  await t.step("s3 without a region", async () => {
    await assert.rejects(openStore({ s3 }), ConfigError);
    for (const name of ["AWS_REGION", "AWS_DEFAULT_REGION"]) {
      const store = await openStore({ s3 }, { env: { [name]: "eu-west-1" } });
      assert.equal(store.description, "s3 modules");
    }
  });
  await t.step("s3 by plain http", async () => {
    const env = { AWS_ENDPOINT_URL_S3: "http://s3.example.com:9000" };
    await assert.rejects(openStore({ s3 }, { env }), ConfigError);
    await openStore({ s3 }, { env, insecureHosts: ["s3.example.com:9000"] });
  });
});
