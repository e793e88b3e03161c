/** Work that goes on beside other work until it is disposed of, which waits for its end. */
export class Background implements AsyncDisposable {
  readonly #ended = new AbortController();
  readonly #running: Promise<void>;

  /**
   * @param work ends soon when its signal is aborted, without an error
   * @param signal ends the work, too. Default: nothing else does
   */
  constructor(work: (signal: AbortSignal) => Promise<void>, signal?: AbortSignal) {
    const own = this.#ended.signal;
    this.#running = work(signal === undefined ? own : AbortSignal.any([signal, own]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }
}
