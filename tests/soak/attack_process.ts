/**
 * The process of the soak's attackers and their servers. It is a process of its own so that the
 * good client's times are not theirs, and so that all of their connections end with it: the end of
 * a worker leaves the sockets of its thread open.
 *
 * It reads orders from its standard input and writes reports to its standard output, each a line of
 * JSON. Its argument is the URL of the internal repository. It reports `started` at once, obeys
 * `attack`, and answers `stop` with `stopped`. Then, or when its input ends, it exits.
 */
import { attack, type Outcomes, type Target } from "./attackers.ts";
import { startHostileServers } from "./hostile_servers.ts";

export type Order =
  | { readonly kind: "attack"; readonly target: Target }
  | { readonly kind: "stop" };

export type Report =
  | { readonly kind: "started"; readonly url: string }
  | {
    readonly kind: "stopped";
    readonly outcomes: Outcomes;
    /** The paths that the hostile upstream was asked for. */
    readonly asked: readonly string[];
  };

if (import.meta.main) await main(Deno.args);

async function main([internalUrl = ""]: readonly string[]): Promise<void> {
  const servers = await startHostileServers(internalUrl);
  await write({ kind: "started", url: servers.url });
  const controller = new AbortController();
  let outcomes: Promise<Outcomes> = Promise.resolve({});
  for await (const line of linesOf(Deno.stdin.readable)) {
    const order: Order = JSON.parse(line);
    if (order.kind === "stop") break;
    outcomes = attack(order.target, controller.signal);
  }
  controller.abort();
  await write({ kind: "stopped", outcomes: await outcomes, asked: [...servers.asked] });
  // The answers that never end are not waited for.
  Deno.exit();
}

async function write(report: Report): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(report)}\n`);
  await new Blob([bytes]).stream().pipeTo(Deno.stdout.writable, { preventClose: true });
}

/** The lines of a stream, without their ends. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
