/**
 * How clients share what is limited: places at work, and turns in a queue.
 *
 * **Places.** A client may have {@linkcode SHARE} times as many as are free: alone, three quarters
 * of all; the next one has three quarters of the rest, and so on. So there is always a place for
 * one more client, and none is kept empty for clients that are not there beyond that (the dynamic
 * thresholds of shared buffers in switches: Choudhury and Hahne, 1998). Of three places or fewer,
 * one client may have all. Work without an owner (owner.ts) is the server's and may have all.
 *
 * **Turns** go round among the clients that wait; each client's own in the order of asking.
 */

const SHARE = 3;

/** How many places each client has. */
export class FairShare {
  readonly #held = new Map<string | undefined, number>();

  /** Whether a client may have one of so many free places. */
  mayTake(owner: string | undefined, free: number): boolean {
    if (free <= 0) return false;
    return owner === undefined || this.#of(owner) < SHARE * free;
  }

  take(owner: string | undefined): void {
    this.#held.set(owner, this.#of(owner) + 1);
  }

  giveBack(owner: string | undefined): void {
    const held = this.#of(owner) - 1;
    if (held > 0) this.#held.set(owner, held);
    else this.#held.delete(owner);
  }

  #of(owner: string | undefined): number {
    return this.#held.get(owner) ?? 0;
  }
}

/** What waits, by client. */
export class FairQueue<T extends { readonly owner: string | undefined }> {
  /** The client whose turn is next comes first. */
  readonly #lines = new Map<string | undefined, Set<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** How many clients wait. */
  get owners(): number {
    return this.#lines.size;
  }

  /** How many the client with the most waits for. */
  get longest(): number {
    return Math.max(0, ...this.#lines.values().map(({ size }) => size));
  }

  add(item: T): void {
    const line = this.#lines.get(item.owner) ?? new Set();
    line.add(item);
    this.#lines.set(item.owner, line);
    this.#size++;
  }

  delete(item: T): void {
    const line = this.#lines.get(item.owner);
    if (line === undefined || !line.delete(item)) return;
    this.#size--;
    if (line.size === 0) this.#lines.delete(item.owner);
  }

  /** The next that may go on, taken out of the queue; its client comes last then. */
  take(mayGoOn: (item: T) => boolean): T | null {
    for (const [owner, line] of this.#lines) {
      for (const item of line) {
        if (!mayGoOn(item)) continue;
        this.delete(item);
        if (line.size > 0) {
          this.#lines.delete(owner);
          this.#lines.set(owner, line);
        }
        return item;
      }
    }
    return null;
  }

  /**
   * The last one of the client that waits for the most, if that is more than `owner` would with one
   * more: what has to make room for it in a full queue.
   */
  surplusFor(owner: string | undefined): T | null {
    const own = (this.#lines.get(owner)?.size ?? 0) + 1;
    let most: Set<T> | null = null;
    for (const line of this.#lines.values()) {
      if (line.size > (most?.size ?? own)) most = line;
    }
    return most === null ? null : [...most].at(-1) ?? null;
  }
}
