import assert from "node:assert/strict";
import plugin, { importFault } from "./lint_plugin.ts";

const TABLE: { from: string; to: string; allowed: boolean }[] = [
  { from: "main.ts", to: "routes/app.ts", allowed: true },
  { from: "routes/module.ts", to: "lib/service/service.ts", allowed: true },
  { from: "routes/module.ts", to: "routes/app.ts", allowed: true },
  { from: "lib/service/service.ts", to: "lib/store/keys.ts", allowed: true },
  { from: "lib/store/disk.ts", to: "lib/module/path.ts", allowed: true },
  { from: "lib/module/path.ts", to: "lib/errors.ts", allowed: true },
  { from: "lib/module/path.ts", to: "lib/store/keys.ts", allowed: false },
  { from: "lib/store/disk.ts", to: "lib/source/source.ts", allowed: false },
  { from: "lib/sumdb/stored_database.ts", to: "lib/store/object_store.ts", allowed: true },
  { from: "lib/store/disk.ts", to: "lib/sumdb/stored_database.ts", allowed: false },
  { from: "lib/import/import.ts", to: "lib/store/copies.ts", allowed: true },
  { from: "lib/import/import.ts", to: "lib/sumdb/open.ts", allowed: false },
  { from: "lib/service/service.ts", to: "routes/app.ts", allowed: false },
  { from: "lib/store/disk.ts", to: "lib/git/mirror.ts", allowed: false },
  { from: "cli/fsck.ts", to: "server/server.ts", allowed: true },
  { from: "lib/open/store.ts", to: "routes/app.ts", allowed: false },
  { from: "lib/nowhere.ts", to: "lib/errors.ts", allowed: false },
  { from: "lib/module/path_test.ts", to: "lib/service/service.ts", allowed: true },
];

Deno.test("importFault() follows the layers", async (t) => {
  for (const { from, to, allowed } of TABLE) {
    await t.step(`${from} imports ${to}`, () => {
      assert.equal(importFault(from, to) === null, allowed);
    });
  }
});

function messages(file: string, source: string): string[] {
  const root = new URL("..", import.meta.url).pathname;
  return Deno.lint.runPlugin(plugin, root + file, source).map((d) => d.message);
}

Deno.test("import-direction reports an import to the left", () => {
  assert.match(
    messages("lib/module/path.ts", `import "../service/service.ts";`).join(),
    /may not import/,
  );
  assert.match(
    messages("lib/module/path.ts", `await import("../service/service.ts");`).join(),
    /may not import/,
  );
  assert.deepEqual(messages("lib/module/path.ts", `import "../errors.ts";`), []);
});

Deno.test("effects-in-one-place reports processes, environment and printing", () => {
  const source = `new Deno.Command("git"); Deno.env.get("A"); console.log(1);`;
  assert.equal(messages("lib/service/service.ts", source).length, 3);
  assert.deepEqual(messages("lib/git/process.ts", `new Deno.Command("git");`), []);
});

Deno.test("effects-in-one-place reports an unchecked code point", () => {
  const source = `String.fromCodePoint(parseInt(hex, 16));`;
  assert.equal(messages("lib/source/go_import.ts", source).length, 1);
  assert.deepEqual(messages("lib/module/code_point.ts", source), []);
});

Deno.test("comment-width reports comments that are wider than the code", () => {
  const wide = `// ${"word ".repeat(20)}\n`;
  assert.deepEqual(messages("lib/module/path.ts", wide), ["comment is wider than 100 columns"]);
  assert.deepEqual(messages("lib/module/path.ts", `// short\nconst a = "${"a".repeat(120)}";`), []);
});
