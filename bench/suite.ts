/** What each suite of benchmarks is given. */
export interface BenchOptions {
  /** Each contestant's turns; the medians count. */
  readonly rounds: number;
  /** The same where one turn takes many seconds: fewer. */
  readonly longRounds: number;
  /** How long a server is kept busy for one figure, where it is measured by time. */
  readonly seconds: number;
  /** Told what is being done. */
  readonly say: (text: string) => void;
}
