import assert from "node:assert/strict";
import { type ModuleVersion, nameOf, parseModuleVersion } from "../module/module_version.ts";
import { ClientGraph, FIRST_WINDOW } from "./client_graph.ts";

function modules(...names: string[]): ModuleVersion[] {
  return names.map((name) => parseModuleVersion(`example.com/${name}`));
}

function moduleOf(name: string): ModuleVersion {
  return parseModuleVersion(`example.com/${name}`);
}

/** What is guessed now, as names below `example.com/`. */
function guesses(graph: ClientGraph, nowMs = 0): string[] {
  const names: string[] = [];
  for (let next = graph.next(nowMs); next !== null; next = graph.next(nowMs)) {
    names.push(nameOf(next).slice("example.com/".length));
  }
  return names;
}

/** A client asks for the `.mod` of a version, as it does to load its graph. */
function load(graph: ClientGraph, name: string, requirements: readonly string[] = [], go = "1.21") {
  graph.asked(moduleOf(name), { file: "mod", nowMs: 0 });
  graph.read(moduleOf(name), { goVersion: go, requirements: modules(...requirements) });
}

/** A client asks for `.info` and `.mod` of a version, as it does to list its graph. */
function list(graph: ClientGraph, name: string, requirements: readonly string[] = [], go = "1.21") {
  graph.asked(moduleOf(name), { file: "info", nowMs: 0 });
  load(graph, name, requirements, go);
}

function numbered(count: number, version = "v1.0.0"): string[] {
  return Array.from({ length: count }, (_, i) => `m${String(i).padStart(3, "0")}@${version}`);
}

Deno.test("ClientGraph guesses what a root requires, in the order of the paths", () => {
  const graph = new ClientGraph();
  load(graph, "root@v1.0.0", ["c@v1.0.0", "a@v1.2.0", "b/v2@v2.0.0"]);
  assert.deepEqual(guesses(graph), ["a@v1.2.0", "b/v2@v2.0.0", "c@v1.0.0"]);
});

Deno.test("ClientGraph guesses the highest version that a root names", () => {
  const graph = new ClientGraph();
  load(graph, "r1@v1.0.0", ["a@v1.2.0", "b@v1.0.0-rc.1"]);
  load(graph, "r2@v1.0.0", ["a@v1.10.0", "b@v0.9.0"]);
  assert.deepEqual(guesses(graph), ["a@v1.10.0", "b@v1.0.0-rc.1"]);
});

Deno.test("ClientGraph guesses nothing that was asked for, and nothing twice", () => {
  const graph = new ClientGraph();
  load(graph, "a@v1.0.0");
  load(graph, "root@v1.0.0", ["a@v1.0.0", "b@v1.0.0"]);
  assert.deepEqual(guesses(graph), ["b@v1.0.0"]);
  load(graph, "other@v1.0.0", ["a@v1.0.0", "b@v1.0.0"]);
  assert.deepEqual(guesses(graph), []);
});

Deno.test("ClientGraph looks behind nothing that a root requires: the graph is pruned", () => {
  const graph = new ClientGraph();
  load(graph, "root@v1.0.0", ["a@v1.0.0"]);
  assert.deepEqual(guesses(graph), ["a@v1.0.0"]);
  load(graph, "a@v1.0.0", ["behind@v1.0.0"]);
  assert.deepEqual(guesses(graph), []);
});

Deno.test("ClientGraph guesses all that is below an older file that the client loads", () => {
  const graph = new ClientGraph();
  load(graph, "a@v1.5.0");
  load(graph, "old@v1.0.0", ["a@v1.4.0", "b@v1.0.0"], "1.16");
  assert.deepEqual(guesses(graph), ["a@v1.4.0", "b@v1.0.0"]);
  assert.equal(graph.looksBehind(moduleOf("b@v1.0.0")), true);
  // The go line of what is below makes no difference.
  graph.read(moduleOf("b@v1.0.0"), { goVersion: "1.24", requirements: modules("c@v1.0.0") });
  assert.deepEqual(guesses(graph), ["c@v1.0.0"]);
});

Deno.test("ClientGraph takes a file without a go line for an older one", async (t) => {
  const rows = [
    { go: null, want: true },
    { go: "1.9", want: true },
    { go: "1.16rc1", want: true },
    { go: "1.17", want: false },
    { go: "1.24.1", want: false },
    { go: "2.0", want: false },
  ];
  for (const { go, want } of rows) {
    await t.step(String(go), () => {
      const graph = new ClientGraph();
      graph.asked(moduleOf("root@v1.0.0"), { file: "mod", nowMs: 0 });
      graph.read(moduleOf("root@v1.0.0"), { goVersion: go, requirements: modules("a@v1.0.0") });
      assert.equal(graph.looksBehind(moduleOf("a@v1.0.0")), want);
    });
  }
});

Deno.test("ClientGraph looks behind nothing that the client only lists", () => {
  const graph = new ClientGraph();
  load(graph, "root@v1.0.0", ["old@v1.0.0"]);
  guesses(graph);
  list(graph, "old@v1.0.0", ["behind@v1.0.0"], "1.16");
  assert.deepEqual(guesses(graph), []);
});

Deno.test("ClientGraph guesses other versions once the client asks for one", () => {
  const graph = new ClientGraph();
  load(graph, "root@v1.0.0", ["a@v1.5.0"]);
  guesses(graph);
  load(graph, "a@v1.5.0", ["x@v1.0.0", "y@v1.0.0", "a@v1.4.0"]);
  assert.deepEqual(guesses(graph), []);
  graph.asked(moduleOf("x@v1.0.0"), { file: "mod", nowMs: 0 });
  assert.deepEqual(guesses(graph), ["y@v1.0.0", "a@v1.4.0"]);
  assert.equal(graph.looksBehind(moduleOf("y@v1.0.0")), false);
});

Deno.test("ClientGraph looks behind other versions once guesses of them were right", () => {
  const graph = new ClientGraph();
  load(graph, "root@v1.0.0", ["a@v1.0.0"]);
  guesses(graph);
  load(graph, "a@v1.0.0", ["first@v1.0.0", ...numbered(FIRST_WINDOW)]);
  graph.asked(moduleOf("first@v1.0.0"), { file: "mod", nowMs: 0 });
  assert.deepEqual(guesses(graph), numbered(FIRST_WINDOW));
  for (const name of numbered(FIRST_WINDOW)) {
    graph.asked(moduleOf(name), { file: "mod", nowMs: 0 });
  }
  assert.equal(graph.looksBehind(moduleOf("m000@v1.0.0")), true);
});

Deno.test("ClientGraph guesses few at first, and more with each that was right", () => {
  const graph = new ClientGraph();
  const names = numbered(300);
  load(graph, "aaa@v1.0.0", names);
  const first = guesses(graph);
  assert.deepEqual(first, names.slice(0, FIRST_WINDOW));
  for (const name of first) graph.asked(moduleOf(name), { file: "info", nowMs: 0 });
  assert.equal(guesses(graph).length, 2 * FIRST_WINDOW);
  let open = 2 * FIRST_WINDOW;
  for (const name of names.slice(FIRST_WINDOW, 200)) {
    open--;
    graph.asked(moduleOf(name), { file: "info", nowMs: 0 });
    open += guesses(graph).length;
  }
  assert.equal(open, 64);
});

Deno.test("ClientGraph trusts a closure more, the more files the client has loaded", () => {
  const graph = new ClientGraph();
  for (const name of numbered(10)) load(graph, name);
  load(graph, "old@v1.0.0", numbered(100, "v0.1.0"), "1.16");
  assert.equal(guesses(graph).length, FIRST_WINDOW + 11);
});

Deno.test("ClientGraph goes on behind what the client asks for", () => {
  const graph = new ClientGraph();
  const names = numbered(100);
  load(graph, "aaa@v1.0.0", names);
  guesses(graph);
  list(graph, "m050@v1.0.0");
  list(graph, "m000@v1.0.0");
  assert.deepEqual(guesses(graph).slice(0, 2), ["m051@v1.0.0", "m052@v1.0.0"]);
});

Deno.test("ClientGraph gives up where the main module selects other versions", () => {
  const graph = new ClientGraph();
  const names = numbered(100);
  load(graph, "aaa@v1.0.0", names);
  let guessed = guesses(graph).length;
  for (const name of names) {
    load(graph, name.replace("v1.0.0", "v1.5.0"));
    guessed += guesses(graph).length;
  }
  assert.ok(guessed <= FIRST_WINDOW, `${guessed} guesses`);
});

Deno.test("ClientGraph gives up where the client asks for nothing of it", () => {
  const graph = new ClientGraph();
  load(graph, "aaa@v1.0.0", numbered(100));
  let guessed = guesses(graph).length;
  for (let minute = 1; minute < 60; minute++) guessed += guesses(graph, minute * 60_000).length;
  assert.ok(guessed <= FIRST_WINDOW, `${guessed} guesses`);
});

Deno.test("ClientGraph.withdraw() makes room for another guess", () => {
  const graph = new ClientGraph();
  load(graph, "aaa@v1.0.0", numbered(20));
  assert.equal(guesses(graph).length, FIRST_WINDOW);
  graph.withdraw(moduleOf("m003@v1.0.0"));
  assert.deepEqual(guesses(graph), [numbered(20)[FIRST_WINDOW]]);
});

Deno.test("ClientGraph keeps to its limits, whatever files require", async (t) => {
  const names = numbered(6_000).map((name) => `x${name}`);
  for (const go of ["1.21", "1.16"]) {
    await t.step(`go ${go}`, () => {
      const graph = new ClientGraph();
      load(graph, "aaa@v1.0.0", names, go);
      let guessed = 0;
      for (let next = graph.next(0); next !== null; next = graph.next(0)) {
        guessed++;
        graph.asked(next, { file: "mod", nowMs: 0 });
      }
      assert.equal(guessed, 5_000);
    });
  }
});
