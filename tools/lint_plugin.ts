/**
 * The project's own lint rules: the requirements of CONVENTIONS.md that a machine can check.
 *
 * - `import-direction`: a file imports only from its own layer's folder or from a lower layer of
 *   {@linkcode LAYERS}; `import()` counts.
 * - `comment-width`: comments have at most 100 columns.
 * - `effects-in-one-place`: main.ts alone reads the environment, lib/git/process.ts alone starts
 *   processes, and only the log, the commands and the banner print.
 *
 * Tests, benchmarks and tools are exempt.
 */

/**
 * The layers of CONVENTIONS.md, from the top. A folder may import itself and those in lower rows;
 * folders of one row do not import each other.
 */
export const LAYERS: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli/"],
  ["server/"],
  ["routes/", "lib/open/"],
  ["lib/service/", "lib/config/"],
  [
    "lib/source/",
    "lib/sumdb/",
    "lib/auth/",
    "lib/index/",
    "lib/policy/",
    "lib/usage/",
    "lib/advisories/",
    "lib/licences/",
    "lib/import/",
    "lib/client/",
  ],
  ["lib/store/", "lib/git/"],
  ["lib/credentials/", "lib/zip/", "lib/spdx/", "lib/http/"],
  ["lib/module/", "lib/schema/", "lib/scratch/", "lib/log/", "lib/async/"],
  ["lib/errors.ts", "deno.json"],
];

const FREE = /(_test|_bench)\.ts$|^(tests|bench|tools)\//;

interface Place {
  readonly layer: number;
  readonly folder: string;
}

function placeOf(file: string): Place | null {
  for (const [layer, folders] of LAYERS.entries()) {
    const folder = folders.find((f) => f.endsWith("/") ? file.startsWith(f) : file === f);
    if (folder !== undefined) return { layer, folder };
  }
  return null;
}

/**
 * Why `from` may not import `to`, or null where it may. Both are paths from the project's root.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(importFault("routes/module.ts", "lib/service/service.ts"), null);
 * const fault = importFault("lib/module/path.ts", "lib/service/service.ts");
 * assert.match(fault ?? "", /may not import/);
 * ```
 */
export function importFault(from: string, to: string): string | null {
  if (FREE.test(from)) return null;
  const importer = placeOf(from);
  const imported = placeOf(to);
  if (importer === null) return `${from} is missing in LAYERS of tools/lint_plugin.ts`;
  if (imported === null) return `${to} is missing in LAYERS of tools/lint_plugin.ts`;
  if (importer.folder === imported.folder || importer.layer < imported.layer) return null;
  return `${importer.folder} may not import ${imported.folder}: imports go ${
    LAYERS.map((folders) => folders.join(" ")).join(" → ")
  }`;
}

const ROOT = new URL("..", import.meta.url).pathname;

function projectPath(file: string): string | null {
  const path = file.startsWith("file:") ? new URL(file).pathname : file;
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : null;
}

function checkImport(
  context: Deno.lint.RuleContext,
  node: Deno.lint.Node,
  specifier: string,
): void {
  if (!specifier.startsWith(".")) return;
  const from = projectPath(context.filename);
  if (from === null) return;
  const to = projectPath(new URL(specifier, `file://${ROOT}${from}`).pathname);
  if (to === null) return;
  const fault = importFault(from, to);
  if (fault !== null) context.report({ node, message: fault });
}

/** Member expressions that are an effect, and the one file that may use each. */
const EFFECTS: readonly {
  readonly member: RegExp;
  readonly owner: RegExp;
  readonly what: string;
}[] = [
  { member: /^Deno\.env$/, owner: /^main\.ts$/, what: "read the environment" },
  { member: /^Deno\.Command$/, owner: /^lib\/git\/process\.ts$/, what: "start a process" },
  {
    member: /^String\.fromCodePoint$/,
    owner: /^lib\/module\/code_point\.ts$/,
    what: "make a character of an unchecked number: characterOf()",
  },
  {
    member: /^console\.|^Deno\.std(out|err)$/,
    owner: /^(lib\/log\/log\.ts$|cli\/|server\/banner\.ts$)/,
    what: "print",
  },
];

/** The width of the code, which `deno fmt` enforces. */
const COMMENT_WIDTH = 100;
const COMMENT = /^\s*(\/\/|\/?\*)/;
/** Links, tables, and directives with their reason must stay on one line. */
const UNBREAKABLE = /https?:\/\/\S{40}|^\s*\* \||deno-lint-ignore|@ts-types/;

const plugin: Deno.lint.Plugin = {
  name: "go-mod-proxy",
  rules: {
    "import-direction": {
      create(context) {
        return {
          ImportDeclaration: (node) => checkImport(context, node, node.source.value),
          ExportNamedDeclaration: (node) => {
            if (node.source !== null) checkImport(context, node, node.source.value);
          },
          ExportAllDeclaration: (node) => checkImport(context, node, node.source.value),
          ImportExpression: (node) => {
            const { source } = node;
            if (source.type === "Literal" && typeof source.value === "string") {
              checkImport(context, node, source.value);
            }
          },
        };
      },
    },
    "comment-width": {
      create(context) {
        return {
          Program() {
            let start = 0;
            for (const line of context.sourceCode.text.split("\n")) {
              if (line.length > COMMENT_WIDTH && COMMENT.test(line) && !UNBREAKABLE.test(line)) {
                const message = `comment is wider than ${COMMENT_WIDTH} columns`;
                context.report({ range: [start, start + line.length], message });
              }
              start += line.length + 1;
            }
          },
        };
      },
    },
    "effects-in-one-place": {
      create(context) {
        const file = projectPath(context.filename);
        if (file === null || FREE.test(file)) return {};
        return {
          MemberExpression(node) {
            const text = context.sourceCode.getText(node);
            const effect = EFFECTS.find(({ member }) => member.test(text));
            if (effect !== undefined && !effect.owner.test(file)) {
              context.report({ node, message: `${file} may not ${effect.what}` });
            }
          },
        };
      },
    },
  },
};

export default plugin;
