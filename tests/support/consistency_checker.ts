/**
 * Checks a log of answers against the promise of the README. It knows nothing of stores, manifests
 * and replicas' insides: whoever kept such a log as a client of several replicas could come to the
 * same verdict.
 *
 * Time is the client's own, one clock for the whole log. An answer comes *before* a request when it
 * had ended when the request began; what overlaps is in no order, and nothing is demanded of it.
 *
 * - **One copy**: all contents of one file of a version are equal, and no two files of a version
 *   are of different copies.
 * - **List after read**: a list names each tagged version of which a file was answered before.
 * - **No shrinking**: a list names all that a list of the store alone named before. (What only a
 *   source named may go away with the source.)
 * - **No 404**: nothing of a version, and no list of its module, is "not found" after a file of the
 *   version was answered.
 * - **Policy**: what a policy withholds is neither listed nor the latest version, and its zip is
 *   403 with the rule; nothing else is. Where a policy may hide a version, a list may lack it. A
 *   change counts {@linkcode FLIP_BOUND_MS} after it was made at the latest; until then, both the
 *   old and the new state are right.
 *
 * Limits: the whole log in memory; time O(n log n), and for the lists the number of lists times
 * that of versions.
 */

/** How long a change of exceptions may go unnoticed by a replica. */
export const FLIP_BOUND_MS = 10_000;

/** A change of what a policy withholds, by the same clock as the answers. */
export interface Flip {
  readonly startMs: number;
  /** When it had been made. */
  readonly endMs: number;
  /** Whether it withholds its versions from then on. */
  readonly isWithheld: boolean;
}

/** A policy with one rule, which exceptions turn off and on. */
export interface CheckedPolicy {
  readonly rule: string;
  governs(module: string, version: string): boolean;
  /** Whether the versions are withheld before the first flip. */
  readonly isWithheld: boolean;
  /** In their order; none begins before the one before it has ended. */
  readonly flips: readonly Flip[];
}

interface AnswerFacts {
  /** By a clock that never goes back. */
  readonly startMs: number;
  /** When the last byte was there. An answer that broke off is not logged. */
  readonly endMs: number;
  readonly replica: string;
  readonly status: number;
  /** The rule of a policy that has denied it; null where none has. */
  readonly deniedBy?: string | null;
  readonly module: string;
}

export interface FileAnswer extends AnswerFacts {
  readonly file: "info" | "mod" | "zip";
  readonly version: string;
  /** A hash of the content, where `status` is 200. */
  readonly digest: string;
  /** Which copy the content says that it is of; null where it says nothing. */
  readonly copy: string | null;
  /** Nobody asked for this version: it is the latest. */
  readonly isLatest?: boolean;
}

export interface ListAnswer extends AnswerFacts {
  readonly file: "list";
  /** The store's own list, without what sources add. */
  readonly isFromStore: boolean;
  readonly versions: readonly string[];
}

export type Answer = FileAnswer | ListAnswer;

export type Rule = "one copy" | "list after read" | "no shrinking" | "no 404" | "policy";

export interface Violation {
  readonly rule: Rule;
  /** The wrong answer, and the earlier one that it contradicts, or what is wrong. */
  readonly answer: Answer;
  readonly because: Answer | string;
}

/** What of the log breaks the promise; nothing where it is kept. */
export function checkConsistency(
  log: readonly Answer[],
  policy: CheckedPolicy = NO_POLICY,
): Violation[] {
  return [...Map.groupBy(log, ({ module }) => module).values()].flatMap((answers) => {
    const files = answers.filter((answer) => answer.file !== "list");
    const lists = answers.filter((answer) => answer.file === "list");
    const read = firstReads(files);
    return [
      ...brokenCopies(files),
      ...incompleteLists(lists, { read, policy }),
      ...shrunkenLists(lists, policy),
      ...lostVersions(answers, read),
      ...answers.flatMap((answer) => againstPolicy(answer, policy)),
    ];
  });
}

/** One line for a person. */
export function describeViolation({ rule, answer, because }: Violation): string {
  const reason = typeof because === "string" ? because : describeAnswer(because);
  return `${rule}: ${describeAnswer(answer)}, but ${reason}`;
}

function describeAnswer(answer: Answer): string {
  const { startMs, endMs, replica, status, module } = answer;
  const what = answer.file === "list"
    ? `list (${answer.isFromStore ? "store" : "all"}) ${answer.versions.join(" ")}`
    : `${answer.version}.${answer.file} ${answer.digest} of copy ${answer.copy ?? "?"}`;
  return `${replica} from ${startMs.toFixed(1)} to ${
    endMs.toFixed(1)
  } ms: ${status} ${module} ${what}`;
}

function isOk({ status }: Answer): boolean {
  return status === 200;
}

function isBefore(earlier: Answer, later: Answer): boolean {
  return earlier.endMs < later.startMs;
}

/** Of each version the answer that was complete first. */
function firstReads(files: readonly FileAnswer[]): ReadonlyMap<string, FileAnswer> {
  const first = new Map<string, FileAnswer>();
  for (const answer of byEnd(files.filter(isOk))) {
    if (!first.has(answer.version)) first.set(answer.version, answer);
  }
  return first;
}

function brokenCopies(files: readonly FileAnswer[]): Violation[] {
  const violations: Violation[] = [];
  const content = new Map<string, FileAnswer>();
  const copy = new Map<string, FileAnswer>();
  for (const answer of byEnd(files.filter(isOk))) {
    const name = `${answer.version}.${answer.file}`;
    const sameFile = content.get(name) ?? answer;
    content.set(name, sameFile);
    const sameVersion = copy.get(answer.version) ?? answer;
    if (answer.copy !== null) copy.set(answer.version, sameVersion);
    const because = sameFile.digest !== answer.digest
      ? sameFile
      : answer.copy !== null && sameVersion.copy !== answer.copy
      ? sameVersion
      : null;
    if (because !== null) violations.push({ rule: "one copy", answer, because });
  }
  return violations;
}

const NO_POLICY: CheckedPolicy = { rule: "", governs: () => false, isWithheld: false, flips: [] };

/** Whether a version may be withheld, and may be allowed, while an answer was given. */
function statesDuring(
  { startMs, endMs }: Answer,
  { isWithheld, flips }: CheckedPolicy,
): { readonly mayBeWithheld: boolean; readonly mayBeAllowed: boolean } {
  const states = [{ startMs: -Infinity, isWithheld }, ...flips]
    .filter((state, i) => {
      // The flip after this one, after which nobody has this state any more.
      const next = flips[i];
      return state.startMs <= endMs &&
        (next === undefined || next.endMs + FLIP_BOUND_MS >= startMs);
    });
  return {
    mayBeWithheld: states.some((state) => state.isWithheld),
    mayBeAllowed: states.some((state) => !state.isWithheld),
  };
}

function againstPolicy(answer: Answer, policy: CheckedPolicy): Violation[] {
  const violation = (because: string): Violation[] => [{ rule: "policy", answer, because }];
  const { mayBeWithheld, mayBeAllowed } = statesDuring(answer, policy);
  const isHidden = (version: string) => policy.governs(answer.module, version) && !mayBeAllowed;
  if (answer.file === "list") {
    const shown = isOk(answer) ? answer.versions.filter(isHidden) : [];
    return shown.length === 0 ? [] : violation(`${shown.join(" ")} was withheld`);
  }
  const { version, file, status, deniedBy = null, isLatest = false } = answer;
  if (status === 403) {
    if (deniedBy !== policy.rule) return violation(`it was denied by "${deniedBy ?? ""}"`);
    if (file !== "zip") return violation("only zips are withheld");
    const isRight = policy.governs(answer.module, version) && mayBeWithheld;
    return isRight ? [] : violation("the version was allowed");
  }
  const isShown = isOk(answer) && (file === "zip" || isLatest);
  return isShown && isHidden(version) ? violation("the version was withheld") : [];
}

/** Whether a list need not name a version. */
function mayHide(answer: ListAnswer, { version, policy }: {
  version: string;
  policy: CheckedPolicy;
}): boolean {
  return policy.governs(answer.module, version) && statesDuring(answer, policy).mayBeWithheld;
}

function incompleteLists(
  lists: readonly ListAnswer[],
  { read, policy }: { read: ReadonlyMap<string, FileAnswer>; policy: CheckedPolicy },
): Violation[] {
  return lists.filter(isOk).flatMap((answer) => {
    const named = new Set(answer.versions);
    return [...read.values()]
      .filter((because) => isTagged(because.version) && !named.has(because.version))
      .filter((because) => isBefore(because, answer))
      .filter(({ version }) => !mayHide(answer, { version, policy }))
      .map((because): Violation => ({ rule: "list after read", answer, because }));
  });
}

function shrunkenLists(lists: readonly ListAnswer[], policy: CheckedPolicy): Violation[] {
  // Of each version the first list of the store that named it: if that one forbids nothing, no
  // later one does.
  const first = new Map<string, ListAnswer>();
  for (const list of byEnd(lists.filter(isOk)).filter(({ isFromStore }) => isFromStore)) {
    for (const version of list.versions) if (!first.has(version)) first.set(version, list);
  }
  return lists.filter(isOk).flatMap((answer) => {
    const named = new Set(answer.versions);
    return [...first]
      .filter(([version, because]) => !named.has(version) && isBefore(because, answer))
      .filter(([version]) => !mayHide(answer, { version, policy }))
      .map(([, because]): Violation => ({ rule: "no shrinking", answer, because }));
  });
}

function lostVersions(
  answers: readonly Answer[],
  read: ReadonlyMap<string, FileAnswer>,
): Violation[] {
  const [firstOfAll] = byEnd([...read.values()]);
  return answers.filter(({ status }) => status === 404 || status === 410).flatMap((answer) => {
    const because = answer.file === "list" ? firstOfAll : read.get(answer.version);
    if (because === undefined || !isBefore(because, answer)) return [];
    return [{ rule: "no 404", answer, because }];
  });
}

function byEnd<T extends Answer>(answers: readonly T[]): T[] {
  return answers.toSorted((a, b) => a.endMs - b.endMs);
}

/** Lists name no pseudo-versions. */
function isTagged(version: string): boolean {
  return !/\d{14}-[0-9a-f]{12}(\+incompatible)?$/.test(version);
}
