/**
 * A denial, as the user of `go` reads it: what and why, what to take instead, until when, and where
 * to ask. At most seven lines, because the `go` command shows eight, of which the last is the
 * request id, and 648 bytes (cmd/go/internal/web).
 */
import { ForbiddenError } from "../errors.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import { compareVersions, type Version } from "../module/version.ts";
import { momentText } from "./time_text.ts";
import type { Verdict } from "./verdict.ts";

/** A version is withheld by a rule of the policy. */
export class PolicyDeniedError extends ForbiddenError {
  readonly rule: string;
  /** When the version is allowed, in milliseconds since 1970; null where that is not known. */
  readonly untilMs: number | null;

  constructor(lines: readonly string[], { rule, untilMs }: Pick<Verdict, "rule" | "untilMs">) {
    super(lines.join("\n"));
    this.rule = rule ?? "";
    this.untilMs = untilMs;
  }
}

export interface DenialOptions {
  readonly verdict: Verdict;
  /** Allowed versions of the module, lowest first; null where they are not known. */
  readonly allowed: readonly Version[] | null;
  readonly contact: string | undefined;
}

const MAX_REASON_LENGTH = 160;
/** What is left of 648 bytes with the request id. */
const MAX_LENGTH = 560;

export function denial(module: ModuleVersion, options: DenialOptions): PolicyDeniedError {
  const { verdict, allowed, contact } = options;
  const { rule, reason, untilMs } = verdict;
  const first = `${nameOf(module)} is not allowed by policy rule "${rule}"`;
  const last = [
    ...untilMs === null ? [] : [`allowed from ${momentText(untilMs)}`],
    ...remedy(module, allowed),
    ...contact === undefined ? [] : [`questions: ${contact}`],
  ];
  const left = MAX_LENGTH - [first, "", ...last].join("\n").length;
  const shown = shortened(reason, Math.min(left, MAX_REASON_LENGTH));
  return new PolicyDeniedError([first, shown, ...last].filter((line) => line !== ""), verdict);
}

/**
 * The version to take instead. Where a higher one is allowed, a build that gets the denied one from
 * a dependency can exclude it: the `go` command then takes the next higher one.
 */
function remedy({ path, version }: ModuleVersion, allowed: readonly Version[] | null): string[] {
  if (allowed === null) return [];
  const newest = allowed.findLast((one) => !one.includes("-")) ?? allowed.at(-1);
  if (newest === undefined) return ["no version of this module is allowed"];
  const isHigherAllowed = allowed.some((one) => compareVersions(one, version) > 0);
  return [
    `newest allowed version: go get ${path}@${newest}`,
    ...isHigherAllowed
      ? [`if a dependency requires it: go mod edit -exclude=${path}@${version}`]
      : [],
  ];
}

function shortened(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return maxLength < 2 ? "" : `${text.slice(0, maxLength - 1)}…`;
}
