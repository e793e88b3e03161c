/** What the parts of `deno task bench first-build` share. */
import { installed, type Name, PEERS } from "../contestants.ts";
import type { Samples } from "../report.ts";

/** The `go` command without a proxy in between. */
export const STRAIGHT = "straight";
export type Way = Name | typeof STRAIGHT;

/** Those of the others that compare what they fetch with the checksum database. */
export const VERIFYING: readonly Name[] = ["goproxy", "athens"];

/** How much later the answers of the upstream start. */
export const DELAYS_MS = [0, 20, 50] as const;
/** Where one delay is enough. */
export const DELAY_MS = 20;

/**
 * Enough for three levels of tiles. The public database has 400 times as many and a level more; in
 * both, nearly every module has a tile of leaves that no other module of the graph is in.
 */
export const OTHER_RECORDS = 100_000;

export interface PartOptions {
  /** Each contestant's turns. */
  readonly rounds: number;
  /** The same where one turn takes many seconds: fewer. */
  readonly longRounds: number;
  /** Who takes part. */
  readonly ways: readonly Way[];
  readonly say: (text: string) => void;
  readonly samples: Samples;
}

/** Returns what the figures mean, in whole sentences. */
export type Part = (options: PartOptions) => Promise<string[]>;

/** One that takes longer has no second turn, however many rounds there are. */
const SLOW_MS = 30_000;

/** Those of these names, or all, of whom is installed. */
export function waysOf(names: readonly string[]): Way[] {
  const all: Way[] = [STRAIGHT, ...installed(["ours", ...PEERS])];
  return names.length === 0 ? all : all.filter((way) => names.includes(way));
}

/** Has everyone take a turn in each round, in the other order in every second one. */
export async function takeTurns(
  what: string,
  { rounds, ways, say }: {
    rounds: number;
    ways: readonly Way[];
    say: (text: string) => void;
  },
  turn: (way: Way) => Promise<void>,
): Promise<void> {
  const slow = new Set<Way>();
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      if (slow.has(way)) continue;
      say(`${what}, round ${round + 1} of ${rounds}: ${way}`);
      const startMs = performance.now();
      await turn(way);
      const tookMs = performance.now() - startMs;
      say(`${way} took ${(tookMs / 1000).toFixed(1)} s in all`);
      if (tookMs > SLOW_MS) slow.add(way);
    }
  }
}
