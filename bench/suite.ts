/** What each suite of benchmarks is given. */
export interface BenchOptions {
  /** Each contestant's turns; the medians count. */
  readonly rounds: number;
  /** The same where one turn takes many seconds: fewer. */
  readonly longRounds: number;
  /** How long a server is kept busy for one figure, where it is measured by time. */
  readonly seconds: number;
  /** The parts to measure, of a suite that has parts. Empty: all. */
  readonly parts: readonly string[];
  /** Who takes part, where a suite lets that be chosen. Empty: everyone. */
  readonly contestants: readonly string[];
  /** Told what is being done. */
  readonly say: (text: string) => void;
}
