/**
 * A module graph of any size, whose Go code compiles.
 *
 * Module `i` requires and imports modules `2i+1` and `2i+2`, so that a graph of n modules is some
 * log n deep. All kinds of module are among them: `go 1.16` (its graph is not pruned) and `go 1.21`
 * lines, upper-case letters in paths, `/v2` paths, pre-releases, pseudo-versions, and leaves that
 * are `+incompatible` and have no go.mod.
 *
 * The main module names them all, as `go mod tidy` would have it: so `go list -m all` loads every
 * one of them, whichever graphs are pruned. It prints n. Nothing imports the standard library, so
 * that building with an empty cache is quick.
 */

import type { Files, ModuleVersion } from "../support/module_zip.ts";
import type { UpstreamModule } from "../fakes/upstream.ts";

export interface SyntheticGraph {
  readonly modules: readonly UpstreamModule[];
  /** The files of the main module, `example.com/main`: go.mod without go.sum, and main.go. */
  readonly main: Files;
}

export function syntheticGraph(size: number): SyntheticGraph {
  const all = Array.from({ length: size }, (_, i) => i);
  return {
    modules: all.map((i) => moduleOf(i, size)),
    main: {
      "go.mod": goMod("example.com/main", "1.21", all.map((i) => versionOf(i, size))),
      "main.go": mainGo(all.slice(0, 1).map((i) => versionOf(i, size).path)),
    },
  };
}

function moduleOf(i: number, size: number): UpstreamModule {
  const { path, version } = versionOf(i, size);
  const required = childrenOf(i, size).map((child) => versionOf(child, size));
  const imports = required.map(({ path }, child) => `import c${child} "${path}"\n`).join("");
  const sum = ["1", ...required.map((_, child) => `c${child}.Count()`)].join(" + ");
  const code =
    `package node\n\n${imports}\n// Count returns the number of modules from here on.\nfunc Count() int { return ${sum} }\n`;
  const files = { "LICENSE": "Public domain\n", "node.go": code };
  if (version.endsWith("+incompatible")) return { path, version, files };
  const go = i % 2 === 0 ? "1.21" : "1.16";
  return { path, version, files: { ...files, "go.mod": goMod(path, go, required) } };
}

function versionOf(i: number, size: number): ModuleVersion {
  const name = `m${String(i).padStart(3, "0")}`;
  if (i % 10 === 1) return { path: `example.com/Graph/${name}`, version: "v1.0.0" };
  if (i % 10 === 3) return { path: `example.com/graph/${name}/v2`, version: `v2.0.${i}` };
  if (i % 10 === 5) return { path: `example.com/graph/${name}`, version: "v1.2.0-RC.1" };
  if (i % 10 === 7) {
    return { path: `example.com/graph/${name}`, version: "v0.0.0-20240102030405-0123456789ab" };
  }
  // Without a go.mod it can require nothing.
  if (i % 10 === 9 && childrenOf(i, size).length === 0) {
    return { path: `example.com/graph/${name}`, version: "v3.0.0+incompatible" };
  }
  return { path: `example.com/graph/${name}`, version: `v1.0.${i}` };
}

function childrenOf(i: number, size: number): number[] {
  return [2 * i + 1, 2 * i + 2].filter((child) => child < size);
}

function goMod(path: string, go: string, required: readonly ModuleVersion[]): string {
  const lines = required.map(({ path, version }) => `require ${path} ${version}\n`).join("");
  return `module ${path}\n\ngo ${go}\n\n${lines}`;
}

function mainGo(imported: readonly string[]): string {
  const imports = imported.map((path) => `import node "${path}"\n`).join("");
  return `package main\n\n${imports}\nfunc main() { println(${
    imported.length === 0 ? "0" : "node.Count()"
  }) }\n`;
}
