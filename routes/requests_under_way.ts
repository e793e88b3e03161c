/**
 * The requests of a thread that are in progress, to find out what blocked it. Requests are recorded
 * if they wait for something or take long; one that is answered at once leaves no trace.
 */

/** A request that took longer is remembered until the next {@linkcode RequestsUnderWay.report}. */
export const LONG_REQUEST_MS = 200;
/** Of those that are remembered. */
const MAX_ENDED = 100;

export interface UnderWay {
  /** The name of requests like this one in metrics, out of few. */
  readonly template: string;
}

export interface RequestsReport {
  /** The number in progress, by template. */
  readonly underWay: Readonly<Record<string, number>>;
  /** The number that have ended since the last report after {@linkcode LONG_REQUEST_MS} or more. */
  readonly ended: Readonly<Record<string, number>>;
}

export class RequestsUnderWay {
  readonly #underWay = new Set<UnderWay>();
  #ended: UnderWay[] = [];

  /** Records a request that will wait for something. */
  add(request: UnderWay): void {
    this.#underWay.add(request);
  }

  /** Records its end, after {@linkcode add} or without waiting for anything. */
  ended(request: UnderWay, durationMs: number): void {
    this.#underWay.delete(request);
    if (durationMs >= LONG_REQUEST_MS && this.#ended.length < MAX_ENDED) this.#ended.push(request);
  }

  /** It has ended elsewhere. */
  delete(request: UnderWay): void {
    this.#underWay.delete(request);
  }

  report(): RequestsReport {
    const report = { underWay: count(this.#underWay), ended: count(this.#ended) };
    this.forgetEnded();
    return report;
  }

  /** Those that have ended until now blocked nothing. */
  forgetEnded(): void {
    if (this.#ended.length > 0) this.#ended = [];
  }
}

function count(requests: Iterable<UnderWay>): Record<string, number> {
  const groups = Map.groupBy(requests, ({ template }) => template);
  return Object.fromEntries([...groups].map(([template, { length }]) => [template, length]));
}
