/** What a policy decides about one version for one client. */

export type Action = "allow" | "warn" | "hold" | "deny";

export interface Verdict {
  readonly action: Action;
  /** False in audit mode: the version is served, and the verdict is recorded. */
  readonly isEnforced: boolean;
  /** The name of the rule that decided; null where none applied. */
  readonly rule: string | null;
  /** One sentence. Empty where no rule applied. */
  readonly reason: string;
  /** When a hold ends, in milliseconds since 1970; null where no end is known. */
  readonly untilMs: number | null;
  /**
   * When it may change although no fact and no rule does, because a hold or an exception ends. Null
   * where it cannot.
   */
  readonly changesAtMs: number | null;
  /** The exception without which another rule would have applied. */
  readonly exception: string | null;
}

export const NO_RULE_APPLIED: Verdict = {
  action: "allow",
  isEnforced: true,
  rule: null,
  reason: "",
  untilMs: null,
  changesAtMs: null,
  exception: null,
};

/** Whether the version is withheld. */
export function isDenied({ action, isEnforced }: Verdict): boolean {
  return isEnforced && (action === "deny" || action === "hold");
}

/** The earlier of two moments, of which null is none. */
export function earlier(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.min(a, b);
}
