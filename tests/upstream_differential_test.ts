/**
 * The `go` command that asks an odd upstream straight, against the same command that asks it
 * through this server: the same versions, times and sums, and the same kind of failure; or this
 * server is stricter, for a reason that docs/design/answers.md names.
 *
 * Each generated upstream is a module of its own, behind one server. Each of its optional parts is
 * present, absent, null or oddly spelled. `UPSTREAMS` says how many there are (default
 * {@linkcode DEFAULT_COUNT}, 500 in the gate), and `SEED` repeats a run.
 */
import assert from "node:assert/strict";
import { Loopback } from "./fakes/loopback.ts";
import { decodedPath } from "./fakes/protocol.ts";
import { goTest } from "./support/go_command.ts";
import { buildModuleZip, buildZip } from "./support/module_zip.ts";
import { report } from "./support/report.ts";
import { startTestApp } from "./worlds/app.ts";
import { askThrough, type Operation, type Outcome } from "./worlds/two_ways.ts";

const DEFAULT_COUNT = 60;
const COUNT = Number(Deno.env.get("UPSTREAMS") ?? DEFAULT_COUNT);
const SEED = Number(Deno.env.get("SEED") ?? Math.floor(Math.random() * 2 ** 31));

/** A file of the upstream: its text, or the status without one. */
type File = string | Uint8Array<ArrayBuffer> | number;

interface Generated {
  readonly path: string;
  readonly query: string;
  /** By its path below the module's. */
  readonly files: ReadonlyMap<string, File>;
  /**
   * Why this server may refuse what the `go` command accepts: a version is published whole or not
   * at all. Null: it may not.
   */
  readonly strictness: Strictness | null;
  /** Whether a version that is not whole retracts versions. */
  readonly hidesRetractions: boolean;
  /** How it was made, for a failure. */
  readonly recipe: readonly string[];
}

/** A version has no zip; or its zip or its .mod may be one that this server refuses. */
type Strictness = "no zip" | "not whole";

goTest("odd upstreams mean the same straight and through this server", async (t) => {
  report(`SEED=${SEED} UPSTREAMS=${COUNT}`);
  const random = randomOf(SEED);
  const all = await Promise.all(
    Array.from({ length: COUNT }, (_, i) => generate(`example.com/m${i}`, random)),
  );
  const byFile = new Map<string, File>(
    all.flatMap(({ path, files }) =>
      [...files].map(([name, file]) => [`/${path}/${name}`, file] as const)
    ),
  );
  await using upstream = new Loopback((request) => {
    const file = byFile.get(decodedPath(request) ?? "") ?? 404;
    return typeof file === "number"
      ? new Response(file === 204 ? null : "odd\n", { status: file })
      : new Response(file, { headers: { "content-type": "application/octet-stream" } });
  });
  const questions = all.map(({ path, query }) => `${path}@${query}`);
  for (const operation of ["list", "download"] as const) {
    await using app = await startTestApp({ upstreams: [upstream.url] });
    await using server = new Loopback((request) => app.app(request));
    const straight = await askThrough(upstream.url, { operation, questions });
    const through = await askThrough(server.url, { operation, questions });
    for (const [i, made] of all.entries()) {
      const [want, got] = [straight[i], through[i]];
      assert.ok(want !== undefined && got !== undefined);
      await t.step(
        `${operation} ${questions[i]}: ${made.recipe.join(", ")}`,
        () => assertFaithful(made, { operation, want, got }),
      );
    }
    const answers = straight.filter((outcome) => typeof outcome === "object").length;
    report(`${operation}: ${answers} of ${all.length} are answers`);
    // Otherwise the comparison would prove little.
    assert.ok(answers > all.length / 10 && answers < all.length);
  }
});

function assertFaithful(
  { strictness, hidesRetractions }: Generated,
  { operation, want, got }: { operation: Operation; want: Outcome; got: Outcome },
): void {
  // Where the versions that it went by are not whole, this server has none of them.
  const isStricter = typeof want === "object" && typeof got === "string";
  if (isStricter && strictness !== null) return;
  if (want === "absent" && got === "failed" && strictness !== null) return;
  if (want === "failed" && got === "absent" && strictness === "no zip") return;
  // Of a version that is not whole nobody learns what it retracts.
  if (typeof want === "string" && typeof got === "object" && hidesRetractions) return;
  const saying = `straight ${JSON.stringify(want)}, through this server ${JSON.stringify(got)}`;
  assert.deepEqual(got, want, `${operation}: ${saying}`);
}

const TAGGED = ["v0.9.0", "v1.0.0", "v1.2.0", "v1.3.0-rc.1"] as const;
const COMMITS = [
  "v0.0.0-20230102030405-aaaaaaaaaaaa",
  "v1.2.1-0.20220102030405-bbbbbbbbbbbb",
  "v0.0.0-20240102030405-cccccccccccc",
] as const;
const QUERIES = ["latest", "latest", "v1.0.0", "v1.2.0", COMMITS[0], "main", "v1", "<v1.2.0"];

/** What may be wrong with a file, besides how it is spelled. */
const FAILURES: readonly number[] = [404, 410, 403, 400, 204];

async function generate(path: string, random: () => number): Promise<Generated> {
  const recipe: string[] = [];
  const files = new Map<string, File>();
  let strictness: Strictness | null = null;
  let hidesRetractions = false;
  const pick = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(random() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  };
  /** A variant of a part by name; the first is the honest one, which is likelier. */
  const vary = <T>(part: string, variants: Readonly<Record<string, T>>): T => {
    const names = Object.keys(variants);
    const name = random() < 0.6 ? names[0] : pick(names);
    const variant = name === undefined ? undefined : variants[name];
    if (name === undefined || variant === undefined) throw new Error(`no variant of ${part}`);
    if (name !== names[0]) recipe.push(`${part} ${name}`);
    return variant;
  };
  const query = pick(QUERIES);
  const tagged = TAGGED.filter(() => random() < 0.5);
  const commits = COMMITS.filter(() => random() < 0.6);
  const versions = [...tagged, ...commits];
  recipe.push(`has ${versions.join(" ") || "nothing"}`);

  const lines = tagged.map((version) => version as string);
  files.set(
    "@v/list",
    vary<File>("list", {
      honest: textOf(lines),
      "with commits": textOf([...commits, ...lines]),
      "with commits and times": textOf([
        ...commits.map((version, i) => `${version} ${2020 + i}-01-02T03:04:05Z`),
        ...lines,
      ]),
      "with odd times": textOf([...commits.map((version) => `${version} yesterday`), ...lines]),
      empty: "",
      "with CRLF": textOf(lines).replaceAll("\n", "\r\n"),
      "with a BOM": `\ufeff${textOf(lines)}`,
      "without a final newline": textOf(lines).trimEnd(),
      "with other words": textOf(["main", "", ...lines.map((line) => `  ${line}\tx y`)]),
      "with what is no version": textOf([...lines, "1.0.0", "v1.01.0", "vv1", "v1.0.0_x"]),
      "twice": textOf([...lines, ...lines.toReversed()]),
      absent: 404,
      gone: 410,
      refused: 403,
    }),
  );
  for (const version of versions) {
    const info = vary<File>(`${version}.info`, {
      honest: infoOf(version),
      "without Time": `{"Version":"${version}"}`,
      "with null Time": `{"Version":"${version}","Time":null}`,
      "with an empty Time": `{"Version":"${version}","Time":""}`,
      "with an offset": `{"Version":"${version}","Time":"2024-01-02T03:04:05.120+01:30"}`,
      "with one digit": `{"Version":"${version}","Time":"2024-01-02T3:04:05Z"}`,
      "with unknown fields": `{"Short":1,"Name":[],"Version":"${version}","X":{"Time":1}}`,
      "in other cases": `{"VERSION":"${version}","time":"2024-01-02T03:04:05Z"}`,
      "with white space": ` \r\n${infoOf(version)}\r\n\t `,
      "with a BOM": `\ufeff${infoOf(version)}`,
      "with null Origin": `{"Version":"${version}","Time":null,"Origin":null}`,
      "with empty Origin": `{"Version":"${version}","Time":null,"Origin":{"VCS":null}}`,
      "with odd Origin": `{"Version":"${version}","Origin":{"VCS":"git","Hash":"x","No":1}}`,
      "with Origin that is a text": `{"Version":"${version}","Origin":"git"}`,
      "of another version": infoOf("v1.1.1"),
      "without Version": `{"Time":"2024-01-02T03:04:05Z"}`,
      null: "null",
      "not JSON": "hello",
      empty: "",
      ...failures(),
    });
    const own = vary("zip", {
      "with go.mod": `module ${path}\n\ngo 1.21\n`,
      "without go.mod": `module ${path}\n`,
      "that retracts all": `module ${path}\n\nretract [v0.0.0, v1.9.9]\n`,
      "that retracts itself": `module ${path}\n\nretract ${version}\n`,
    });
    const hasGoMod = own !== `module ${path}\n`;
    const goMod = vary<File>(`${version}.mod`, {
      honest: own,
      "without a final newline": own.trimEnd(),
      "with CRLF": own.replaceAll("\n", "\r\n"),
      "with a quoted path": own.replace(path, `"${path}"`),
      "of another path": "module example.com/other\n",
      ...failures(),
    });
    const content = { "m.go": "package m\n", ...(hasGoMod && { "go.mod": own }) };
    const honest = await buildModuleZip({ path, version, files: content });
    const zip = vary<File>(`${version}.zip`, {
      honest: honest.bytes,
      "with another prefix": await buildZip([[`${path}@v9.9.9/m.go`, "package m\n"]]),
      "not a zip": "hello",
      "of nothing": await buildZip([]),
      ...failures(),
    });
    files.set(`@v/${version}.info`, info);
    files.set(`@v/${version}.mod`, goMod);
    files.set(`@v/${version}.zip`, zip);
    const isWhole = zip === honest.bytes && isGoModOf(goMod, { own, hasGoMod });
    if (zip === 404 || zip === 410) strictness = "no zip";
    else if (!isWhole) strictness ??= "not whole";
    if (!isWhole && own.includes("retract")) hidesRetractions = true;
  }
  // What they say of a version is what its own .info says: this server answers with that one.
  const newest = versions.at(-1);
  files.set(
    "@latest",
    vary<File>("@latest", {
      absent: 404,
      gone: 410,
      honest: newest === undefined ? 404 : files.get(`@v/${newest}.info`) ?? 404,
      "not JSON": "hello",
      refused: 403,
    }),
  );
  const main = commits[0] === undefined ? 404 : files.get(`@v/${commits[0]}.info`) ?? 404;
  files.set("@v/main.info", vary<File>("main.info", { honest: main, absent: 404, refused: 403 }));
  return { path, query, files, strictness, hidesRetractions, recipe };
}

/** Whether the .mod goes with the zip: as it is in there, or as a synthetic one may be written. */
function isGoModOf(
  goMod: File,
  { own, hasGoMod }: { readonly own: string; readonly hasGoMod: boolean },
): boolean {
  if (hasGoMod || typeof goMod !== "string") return goMod === own;
  return goMod.replaceAll('"', "").trim() === own.trim();
}

function failures(): Record<string, number> {
  return Object.fromEntries(FAILURES.map((status) => [`with status ${status}`, status]));
}

function infoOf(version: string): string {
  return JSON.stringify({ Version: version, Time: "2024-01-02T03:04:05Z" });
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/** Numbers from 0 to 1 (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
