/**
 * Verdicts in SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), as code hosts show
 * findings: an error for what is withheld, a warning for what is warned of or would be withheld.
 */
import { type Audited, isBad } from "./audit.ts";

export interface AuditedFile {
  readonly file: string;
  readonly text: string;
  readonly verdicts: readonly Audited[];
}

export function sarifOf(files: readonly AuditedFile[], programVersion: string): unknown {
  const results = files.flatMap(({ file, text, verdicts }) => {
    const lines = text.split("\n");
    return verdicts.filter((verdict) => verdict.action !== "allow").map((verdict) => ({
      ruleId: verdict.rule ?? "unknown",
      level: isBad(verdict) ? "error" : "warning",
      message: { text: `${verdict.module}@${verdict.version}: ${verdict.reason}` },
      locations: [{
        physicalLocation: {
          artifactLocation: { uri: file },
          region: { startLine: lineOf(lines, verdict) },
        },
      }],
    }));
  });
  const rules = [...new Set(results.map(({ ruleId }) => ruleId))].sort().map((id) => ({ id }));
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{
      tool: { driver: { name: "go-mod-proxy", version: programVersion, rules } },
      results,
    }],
  };
}

/** From 1; the first line where the file does not name the version as go.sum does. */
function lineOf(lines: readonly string[], { module, version }: Audited): number {
  return Math.max(0, lines.findIndex((line) => line.startsWith(`${module} ${version} `))) + 1;
}
