/**
 * Fetches of zips of published copies, one for all clients that want the same. A client waits until
 * the zip is published, or follows it while it is spooled (source/zip_spool.ts).
 */
import type { SingleFlight } from "../async/single_flight.ts";
import { describeError, StorageError } from "../errors.ts";
import { nameOf } from "../module/module_version.ts";
import { type GrowingZip, ZipSpool } from "../source/zip_spool.ts";
import type { Copy } from "../store/manifest.ts";
import type { ByteRange, StoredObject } from "../store/object_store.ts";
import { guessing, runAsked, runGuess } from "./guess.ts";
import type { Publisher, RestoreZipOptions } from "./publisher.ts";

export interface ZipFetchesOptions {
  readonly publisher: Pick<Publisher, "restoreZip" | "restoreZipAhead">;
  /** Those of copies, with which they share a limit. */
  readonly flights: SingleFlight<Copy>;
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Opens the zip once it is published. */
  readonly open: (range?: ByteRange) => Promise<StoredObject | null>;
  /** Gets the reason when a zip that is being sent breaks off. */
  readonly facts: Record<string, unknown>;
}

export class ZipFetches {
  readonly #options: ZipFetchesOptions;
  readonly #spools = new Map<string, ZipSpool>();

  constructor(options: ZipFetchesOptions) {
    this.#options = options;
  }

  /** Ends when the zip is published. */
  async fetch(copy: Copy, signal: AbortSignal): Promise<void> {
    const restore = (options: Required<RestoreZipOptions>) =>
      this.#options.publisher.restoreZip(copy, options);
    await runAsked(() => this.#run(copy, { restore, signal }));
  }

  /** Fetches a zip that no client has asked for. `isFetched`: by this call. */
  async fetchAhead(copy: Copy, signal: AbortSignal): Promise<{ readonly isFetched: boolean }> {
    let isFetched = false;
    const restore = (options: Required<RestoreZipOptions>) => {
      isFetched = true;
      return guessing(this.#options.publisher.restoreZipAhead(copy, options));
    };
    await runGuess(() => this.#run(copy, { restore, signal }));
    return { isFetched };
  }

  #run(
    copy: Copy,
    { restore, signal }: {
      readonly restore: (options: Required<RestoreZipOptions>) => Promise<Copy>;
      readonly signal: AbortSignal;
    },
  ): Promise<Copy> {
    const name = nameOf(copy.manifest);
    // Not the key of the copy: the fetch of a copy that another replica has published meanwhile may
    // still be under way, and ends without a zip.
    return this.#options.flights.run(`zip of ${name}`, async (flight) => {
      const spool = new ZipSpool();
      this.#spools.set(name, spool);
      try {
        return await restore({ flight, spool });
      } catch (error) {
        // Whoever is broken off and asks again finds this work ended.
        spool.fail(error);
        throw error;
      } finally {
        // An abandoned flight may still be ending when the next one has begun.
        if (this.#spools.get(name) === spool) this.#spools.delete(name);
      }
    }, signal);
  }

  /**
   * The zip while it is spooled. Null when it was published before much of it was there to be read,
   * or cannot be followed; it is published then. Throws as {@linkcode fetch}.
   */
  async follow(
    copy: Copy,
    { signal, open, facts }: FollowOptions,
  ): Promise<GrowingZip | null> {
    const left = new AbortController();
    const fetched = this.fetch(copy, AbortSignal.any([signal, left.signal]));
    // Whoever follows learns of a failure from the spool.
    fetched.catch(() => {});
    const spool = this.#spools.get(nameOf(copy.manifest));
    if (spool === undefined) return await fetched.then(() => null);
    await Promise.race([fetched, spool.followable]);
    const growing = await spool.follow({
      openRest: async (range) => {
        const rest = await open(range);
        if (rest === null) throw new StorageError(`the zip of ${nameOf(copy.manifest)} vanished`);
        return rest.body;
      },
      onEnd: (error) => {
        if (error !== null) facts["error"] = describeError(error);
        left.abort();
      },
    });
    return growing ?? await fetched.then(() => null);
  }
}
