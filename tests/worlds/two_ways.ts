/**
 * The `go` command asks an upstream twice: straight, and through this server. It is the judge of
 * what an upstream means; this server may be stricter, and never more lenient.
 *
 * Each way ends with a second proxy that has nothing. Whether the `go` command asks it tells
 * whether it took an answer for "does not exist" (404, 410) or stopped at a failure.
 */
import { goCommand } from "../support/go_command.ts";
import { Loopback } from "../fakes/loopback.ts";
import { decodedPath, escapeCase } from "../fakes/protocol.ts";

/**
 * What came of a question. `failed` stops the `go` command, `absent` sends it to the next proxy.
 */
export type Outcome = Answer | "absent" | "failed";

export interface Answer {
  readonly version: string;
  /** In UTC and milliseconds. Null where the `go` command prints none. */
  readonly time: string | null;
  /** Both null for `go list -m`, which does not fetch them. */
  readonly h1: string | null;
  readonly goModH1: string | null;
}

export type Operation = "list" | "download";

const COMMANDS: Readonly<Record<Operation, readonly string[]>> = {
  list: ["list", "-m", "-e", "-json"],
  download: ["mod", "download", "-json"],
};

/** One command asks all questions, one after the other or a few at once. */
const DEADLINE_MS = 5 * 60_000;

/** What we read of what the commands print about a module. */
interface Printed {
  readonly Path: string;
  readonly Query?: string;
  readonly Version?: string;
  readonly Time?: string;
  /** A text of `go mod download`, an object of `go list`. */
  readonly Error?: unknown;
  readonly Info?: string;
  readonly Sum?: string;
  readonly GoModSum?: string;
}

/**
 * Asks a proxy.
 *
 * @param questions `path@query`, no path twice: what was asked of the second proxy is known by path
 * @returns an outcome for each question, in their order
 */
export async function askThrough(
  proxy: string,
  { operation, questions, env = {} }: {
    readonly operation: Operation;
    readonly questions: readonly string[];
    /** How a proxy elsewhere is reached. Default: it is on this machine. */
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<Outcome[]> {
  const passedOn = new Set<string>();
  await using next = new Loopback((request) => {
    const [path = ""] = decodedPath(request)?.slice(1).split("/@") ?? [];
    passedOn.add(path);
    return new Response("not found\n", { status: 404 });
  });
  await using go = await goCommand({ proxy: `${proxy},${next.url}`, env });
  const { stdout, stderr } = await go.run([...COMMANDS[operation], ...questions], {
    deadlineMs: DEADLINE_MS,
  });
  if (stdout === "") throw new Error(`go said nothing: ${stderr}`);
  const printed = stdout.split(/^(?=\{)/m).filter((text) => text !== "")
    .map((text): Printed => JSON.parse(text));
  return await Promise.all(questions.map(async (question) => {
    const [path = "", query = ""] = question.split("@");
    const found = printed.find((module) =>
      module.Path === path && (module.Query ?? query) === query
    );
    // Of an .info without a version the command says nothing at all, or that there is an empty one.
    if (!found?.Version || found.Error !== undefined) {
      return passedOn.has(escapeCase(path)) ? "absent" : "failed";
    }
    return {
      version: found.Version,
      time: inUtc(found.Time ?? (found.Info === undefined ? null : await timeIn(found.Info))),
      h1: found.Sum ?? null,
      goModH1: found.GoModSum ?? null,
    };
  }));
}

function inUtc(time: string | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

async function timeIn(file: string): Promise<string | null> {
  const { Time } = JSON.parse(await Deno.readTextFile(file));
  return Time ?? null;
}
