/**
 * The referee of licence detection: google/licensecheck, which pkgsite uses, on its own test data
 * and on the licence files of real modules, from the upstream of this machine (`go env GOPROXY`).
 *
 * It reports every difference, and fails where there are more than docs/licences.md says.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { atOnce, Pace } from "../../lib/async/pace.ts";
import { detectInText, detectLicences } from "../../lib/licences/detect.ts";
import type { LicenceFile } from "../../lib/licences/record.ts";
import { moduleVersion } from "../../lib/module/module_version.ts";
import { UNKNOWN } from "../../lib/spdx/expression.ts";
import { openArchive } from "../../lib/zip/archive.ts";
import { goTest } from "../support/go_command.ts";
import { report } from "../support/report.ts";
import { runCommand } from "../support/run_command.ts";
import { builtInMatcher } from "../worlds/licences.ts";

const LICENSECHECK = "github.com/google/licensecheck@v0.3.1";
const GO_DEADLINE_MS = 8 * 60_000;

/** How many of the test data's texts have the same licences, of 672. */
const MIN_AGREEING_TEXTS = 560;
/** Real modules that must be compared, and how many percent of their files must agree. */
const MIN_MODULES = 100;
const MIN_AGREEING_PERCENT = 97;

/** Prints a line of JSON for each file that is named on standard input. */
const PROGRAM = `package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"

	"github.com/google/licensecheck"
)

func main() {
	out := json.NewEncoder(os.Stdout)
	names := bufio.NewScanner(os.Stdin)
	for names.Scan() {
		data, err := os.ReadFile(names.Text())
		if err != nil {
			log.Fatal(err)
		}
		coverage := licensecheck.Scan(data)
		ids := []string{}
		for _, match := range coverage.Match {
			ids = append(ids, match.ID)
		}
		if err := out.Encode(map[string]any{"percent": coverage.Percent, "ids": ids}); err != nil {
			log.Fatal(err)
		}
	}
}
`;

interface Verdict {
  readonly percent: number;
  readonly ids: readonly string[];
}

/** A folder with the program, in which \`go\` runs as it does on this machine. */
class Referee implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Null where the module is not to be had. */
  static async start(): Promise<Referee | null> {
    const referee = new Referee(await Deno.makeTempDir({ prefix: "licences-" }));
    await Deno.writeTextFile(join(referee.folder, "main.go"), PROGRAM);
    await Deno.writeTextFile(join(referee.folder, "go.mod"), "module referee\n\ngo 1.21\n");
    const { code, stderr } = await referee.#go(["get", LICENSECHECK]);
    if (code === 0) return referee;
    await referee[Symbol.asyncDispose]();
    report(`SKIP: ${LICENSECHECK} is not to be had: ${stderr.trim()}`);
    return null;
  }

  /** What it says about files. */
  async judge(files: readonly string[]): Promise<Verdict[]> {
    const { code, stdout, stderr } = await this.#go(["run", "."], `${files.join("\n")}\n`);
    assert.equal(code, 0, stderr);
    return stdout.trim().split("\n").map((line): Verdict => JSON.parse(line));
  }

  /** The modules that could be downloaded. */
  async download(modules: readonly string[]): Promise<Downloaded[]> {
    const { stdout } = await this.#go(["mod", "download", "-json", ...modules]);
    return stdout.split(/^(?=\{)/m).map((text): Downloaded => JSON.parse(text))
      .filter(({ Zip }) => Zip !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }

  async #go(args: readonly string[], input?: string) {
    return await runCommand("go", {
      args: [...args],
      cwd: this.folder,
      env: { GOFLAGS: "-mod=mod", GOWORK: "off" },
      timeoutMs: GO_DEADLINE_MS,
      ...input !== undefined && { input },
    });
  }
}

interface Downloaded {
  readonly Path: string;
  readonly Version: string;
  readonly Zip?: string;
  readonly Dir?: string;
}

/** The names that the two have for one thing. */
const SAME: Readonly<Record<string, string>> = {
  "BSD-2-Clause-FreeBSD": "BSD-2-Clause-Views",
  "CommonsClause": "LicenseRef-Commons-Clause",
  "GPL2": "GPL-2.0",
  "GPL3": "GPL-3.0",
};

/** Licences by name, without what only one of the two tells apart. */
function namesOf(ids: readonly string[]): string {
  const names = ids.map((id) => {
    const name = id.replace(/-(?:Header|Short|NotLater-Header|Only|only|or-later)$/, "");
    return SAME[name] ?? name;
  });
  return [...new Set(names)].sort().join(", ") || UNKNOWN;
}

/** What pkgsite makes of it: nothing, where less than 75 percent is licences. */
function theirs({ percent, ids }: Verdict): string {
  return percent < 75 ? UNKNOWN : namesOf(ids);
}

function ours({ licences }: LicenceFile): string {
  return licences.includes(UNKNOWN) ? UNKNOWN : namesOf(licences);
}

interface Comparison {
  readonly what: string;
  readonly theirs: string;
  readonly ours: string;
}

/** The differences, those first in which a licence is named that the other does not see. */
function differences(compared: readonly Comparison[]): Comparison[] {
  return compared.filter(({ theirs, ours }) => theirs !== ours)
    .toSorted((a, b) => Number(a.ours === UNKNOWN) - Number(b.ours === UNKNOWN));
}

function tell(title: string, compared: readonly Comparison[]): number {
  const different = differences(compared);
  const agreeing = compared.length - different.length;
  report(`${title}: ${agreeing} of ${compared.length} agree`);
  for (const { what, theirs, ours } of different) {
    report(`  ${what}: licensecheck ${theirs}, we ${ours}`);
  }
  return agreeing;
}

goTest("licensecheck's own test data", async () => {
  await using referee = await Referee.start();
  if (referee === null) return;
  const [module] = await referee.download([LICENSECHECK]);
  const folder = join(module?.Dir ?? "", "testdata");
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => /\.t\d+$/.test(name)).sort();
  const files: string[] = [];
  for (const name of names) {
    // The expected result comes first, and then a blank line.
    const text = await Deno.readTextFile(join(folder, name));
    const file = join(referee.folder, name);
    await Deno.writeTextFile(file, text.slice(text.indexOf("\n\n") + 2));
    files.push(file);
  }
  const verdicts = await referee.judge(files);
  const matcher = await builtInMatcher();
  const compared: Comparison[] = [];
  for (const [i, verdict] of verdicts.entries()) {
    const what = names[i] ?? "";
    const text = await Deno.readTextFile(files[i] ?? "");
    const own = atOnce(detectInText(text, { path: what, matcher }));
    compared.push({ what, theirs: theirs(verdict), ours: ours(own) });
  }
  assert.ok(compared.length >= 672, `${compared.length} texts`);
  const agreeing = tell("texts of licensecheck", compared);
  assert.ok(agreeing >= MIN_AGREEING_TEXTS, `${agreeing}`);
});

goTest("the licence files of real modules", async () => {
  await using referee = await Referee.start();
  if (referee === null) return;
  const list = await Deno.readTextFile(new URL("modules.txt", import.meta.url));
  const modules = await referee.download(
    list.trim().split("\n").map((path) => `${path}@latest`),
  );
  const matcher = await builtInMatcher();
  const found: { file: LicenceFile; what: string; path: string }[] = [];
  for (const { Path, Version, Zip = "", Dir = "" } of modules) {
    using zip = await Deno.open(Zip);
    const pace = new Pace(undefined);
    const archive = await openArchive(zip, pace);
    const module = moduleVersion(Path, Version);
    for (const file of await detectLicences(archive, { module, matcher, pace })) {
      found.push({ file, what: `${Path}@${Version}/${file.path}`, path: join(Dir, file.path) });
    }
  }
  const verdicts = await referee.judge(found.map(({ path }) => path));
  const compared = found.map(({ file, what }, i): Comparison => ({
    what,
    theirs: theirs(verdicts[i] ?? { percent: 0, ids: [] }),
    ours: ours(file),
  }));
  assert.ok(modules.length >= MIN_MODULES, `${modules.length} modules`);
  const agreeing = tell(`licence files of ${modules.length} modules`, compared);
  assert.ok(100 * agreeing >= MIN_AGREEING_PERCENT * compared.length, `${agreeing}`);
});
