import assert from "node:assert/strict";
import { ForbiddenError } from "../errors.ts";
import { type ModuleVersion, moduleVersion } from "../module/module_version.ts";
import { type ModulePath, parseModulePath } from "../module/path.ts";
import { parseQuery } from "../module/version.ts";
import { SourceByPath } from "./source_by_path.ts";
import type { Source } from "./source.ts";

/** A source that notes what it was asked. */
function notingSource(name: string, asked: string[]): Source {
  const note = (method: string) => (asking: ModulePath | Pick<ModuleVersion, "path">) => {
    const path = typeof asking === "string" ? asking : asking.path;
    asked.push(`${name} ${method} ${path}`);
    return Promise.reject(new Error("noted"));
  };
  return {
    description: name,
    list: note("list"),
    latest: note("latest"),
    resolve: note("resolve"),
    describe: note("describe"),
    fetchZip: note("fetchZip"),
    fetch: note("fetch"),
  };
}

Deno.test("SourceByPath asks a private path's own source and nobody else", async () => {
  const asked: string[] = [];
  const secret = notingSource("private", asked);
  const source = new SourceByPath({
    findPrivate: (path) => path.startsWith("example.com/private/") ? secret : null,
    publicSource: notingSource("public", asked),
  });
  const signal = new AbortController().signal;
  for (const name of ["example.com/private/m", "example.com/m"]) {
    const path = parseModulePath(name);
    const module = moduleVersion(path, "v1.0.0");
    const calls = [
      source.list(path, signal),
      source.latest(path, signal),
      source.resolve({ path, query: parseQuery("main") }, signal),
      source.describe(module, signal),
      source.fetchZip(module, { file: "/none", signal }),
      source.fetch(module, { file: "/none", signal }),
    ];
    await Promise.allSettled(calls);
  }
  assert.deepEqual(
    asked,
    ["private", "public"].flatMap((name) =>
      ["list", "latest", "resolve", "describe", "fetchZip", "fetch"].map((method) =>
        `${name} ${method} example.com/${name === "private" ? "private/" : ""}m`
      )
    ),
  );
});

Deno.test("SourceByPath rejects a path that may be neither", async () => {
  const source = new SourceByPath({
    findPrivate: () => {
      throw new ForbiddenError("differs by case");
    },
    publicSource: notingSource("public", []),
  });
  const list = source.list(parseModulePath("example.com/m"), new AbortController().signal);
  await assert.rejects(list, ForbiddenError);
});
