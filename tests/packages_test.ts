/**
 * What is downloaded to start the program. `deno task`, `deno run` and `deno install` fetch all of
 * deno.lock, so it holds main.ts's packages alone; those of tests, benchmarks and tools are in
 * `scopes` of deno.json, which Deno does not install, and in dev.lock.
 */
import assert from "node:assert/strict";
import deno from "../deno.json" with { type: "json" };
import { runCommand } from "./support/run_command.ts";

const ROOT = new URL("..", import.meta.url).pathname;

interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  /**
   * By `<name>@<version>`, and a suffix where it has peers. A dependency is named without its
   * version where there is only one.
   */
  readonly npm: Readonly<Record<string, Locked>>;
}

interface Locked {
  readonly integrity: string;
  readonly dependencies?: readonly string[];
  readonly optionalDependencies?: readonly string[];
  readonly optionalPeers?: readonly string[];
}

async function readLock(name: string): Promise<Lock> {
  return JSON.parse(await Deno.readTextFile(`${ROOT}/${name}`));
}

/** The packages that the program imports, types included: `npm:<name>@<version>`. */
async function importedByMain(): Promise<string[]> {
  const { code, stdout, stderr } = await runCommand(Deno.execPath(), {
    args: ["info", "--frozen", "--json", "main.ts"],
    cwd: ROOT,
  });
  assert.equal(code, 0, stderr);
  const { modules }: { modules: { specifier: string }[] } = JSON.parse(stdout);
  return modules.map(({ specifier }) => specifier)
    .filter((specifier) => specifier.startsWith("npm:"))
    .map((specifier) => specifier.replace("npm:/", "npm:"));
}

/** The packages of a lock that these specifiers need, and what those need. */
function closure(lock: Lock, specifiers: readonly string[]): Set<string> {
  const ids = new Map(Object.keys(lock.npm).map((id) => [id.slice(0, id.indexOf("@", 1)), id]));
  const found = new Set<string>();
  const add = (id: string) => {
    const entry = lock.npm[id];
    if (entry === undefined || found.has(id)) return;
    found.add(id);
    const { dependencies = [], optionalDependencies = [], optionalPeers = [] } = entry;
    for (const name of [...dependencies, ...optionalDependencies, ...optionalPeers]) {
      add(name in lock.npm ? name : ids.get(name) ?? "");
    }
  };
  for (const specifier of specifiers) add(specifier.slice("npm:".length));
  return found;
}

const FOR_TESTS = Object.values(deno.scopes["./"]);

Deno.test("main.ts imports all packages of deno.json but those of tests", async () => {
  const imported = await importedByMain();
  for (const specifier of Object.values(deno.imports)) {
    assert.ok(imported.includes(specifier), `${specifier} is not imported: it belongs to scopes`);
  }
  for (const specifier of FOR_TESTS) assert.ok(!imported.includes(specifier), specifier);
});

Deno.test("deno.lock has the packages of main.ts and no others", async () => {
  const lock = await readLock("deno.lock");
  const imported = await importedByMain();
  assert.deepEqual(Object.keys(lock.specifiers).sort(), [...new Set(imported)].sort());
  assert.deepEqual(Object.keys(lock.npm).sort(), [...closure(lock, imported)].sort());
});

Deno.test("programs that tests and benchmarks start do not write into deno.lock", async () => {
  const folders = [
    "bench",
    "tests",
    "tests/suites",
    "tests/worlds",
    "tests/processes",
    "tests/soak",
  ];
  for (const folder of folders) {
    for await (const { name, isFile } of Deno.readDir(`${ROOT}/${folder}`)) {
      if (!isFile || !name.endsWith(".ts")) continue;
      const source = await Deno.readTextFile(`${ROOT}/${folder}/${name}`);
      // The `go` command has a `run`, too.
      for (const [args] of source.matchAll(/args: \[\s*"run",[^\]]*/g)) {
        assert.match(
          args,
          /--no-lock|--lock=dev\.lock|[fF]lags|"\."/,
          `${folder}/${name}: ${args}`,
        );
      }
    }
  }
});

Deno.test("dev.lock has the packages of deno.lock, and those of tests", async () => {
  const [lock, dev] = [await readLock("deno.lock"), await readLock("dev.lock")];
  for (const [id, { integrity }] of Object.entries(lock.npm)) {
    assert.equal(dev.npm[id]?.integrity, integrity, id);
  }
  for (const specifier of FOR_TESTS) assert.ok(specifier in dev.specifiers, specifier);
});

Deno.test("whatever runs in this project refuses packages that are not in its lock", async () => {
  const taking = /\bdeno (run|test|check|install|bundle) (?!.*--frozen\b)/;
  for (const [name, task] of Object.entries(deno.tasks)) {
    // It writes the locks.
    if (name === "lock") continue;
    for (const command of task.split(" && ")) assert.doesNotMatch(command, taking, name);
  }
  for (const file of [".ci/run", "Dockerfile", "deploy/container/go-mod-proxy"]) {
    const text = (await Deno.readTextFile(`${ROOT}/${file}`)).replaceAll("\\\n", " ");
    for (const line of text.split("\n").filter((line) => !line.startsWith("#"))) {
      assert.doesNotMatch(line, taking, file);
    }
  }
});
