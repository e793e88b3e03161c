/**
 * The real govulncheck, golang.org/x/vuln/cmd/govulncheck v1.9.0, as a referee of matching.
 *
 * It is asked about any module versions without their code: `-mode=binary` also takes what
 * `-mode=extract` makes of a program, a header and a list of modules in JSON.
 */
import { join } from "node:path";
import type { AskedVersion } from "./advisory_pairs.ts";
import { runCommand } from "./run_command.ts";

export interface GovulncheckOptions {
  /** The executable. */
  readonly program: string;
  /** The URL of the database, perhaps with user and password. */
  readonly database: string;
}

/** Long for some thousand module versions. */
const TIMEOUT_MS = 120_000;

/**
 * The advisories that govulncheck finds, by `<path>@<version>`, with the version that fixes each
 * (`v1.2.3`), or an empty text.
 */
export async function verdictsOf(
  versions: readonly AskedVersion[],
  { program, database }: GovulncheckOptions,
): Promise<Map<string, Map<string, string>>> {
  const directory = await Deno.makeTempDir({ prefix: "govulncheck-" });
  try {
    const file = join(directory, "program");
    const header = { name: "govulncheck-extract", version: "0.1.0" };
    const body = {
      path: "example.com/program",
      modules: versions.map(({ path, version }) => ({ Path: path, Version: version })),
    };
    await Deno.writeTextFile(file, `${JSON.stringify(header)}\n${JSON.stringify(body)}\n`);
    const args = ["-db", database, "-mode", "binary", "-scan", "module", "-format", "json", file];
    const { code, stdout, stderr } = await runCommand(program, {
      args,
      env: { HOME: directory },
      timeoutMs: TIMEOUT_MS,
    });
    if (code !== 0) throw new Error(`Cannot run govulncheck: ${stderr}`);
    return findingsIn(stdout);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Its output is indented JSON values, one after the other. */
function findingsIn(output: string): Map<string, Map<string, string>> {
  const found = new Map<string, Map<string, string>>();
  for (const text of output.split(/^(?=\{)/m)) {
    const { finding } = JSON.parse(text);
    if (finding === undefined) continue;
    const { osv, fixed_version: fixed = "", trace: [{ module, version }] } = finding;
    const name = `${module}@${version}`;
    const advisories = found.get(name) ?? new Map();
    found.set(name, advisories.set(osv, fixed));
  }
  return found;
}
