/**
 * Exceptions that were recorded over HTTP: an append log in the store, which every replica reads.
 *
 * ```text
 * x1/000000000000   {"format":1,"at":"2026-11-29T15:04:05Z","exception":{…},"recordedBy":"alice"}
 * ```
 *
 * Nothing is deleted: an exception ends by its date, or by a later entry `{"revokes": n}`, which
 * names its number. A replica looks for new entries every {@linkcode REFRESH_MS}.
 *
 * Limits: {@linkcode MAX_ENTRY_BYTES} an entry, {@linkcode MAX_ENTRIES} entries.
 */
import { z } from "zod";
import { SingleFlight } from "../async/single_flight.ts";
import { InvalidRequestError, OverloadedError } from "../errors.ts";
import { parseJson } from "../module/json.ts";
import { AppendLog } from "../store/append_log.ts";
import type { ObjectStore } from "../store/object_store.ts";
import { type ExceptionConfig, exceptionSchema } from "./config.ts";

export const REFRESH_MS = 5_000;
const MAX_ENTRY_BYTES = 16 * 1024;
const MAX_ENTRIES = 100_000;
/** How often an append is tried when other replicas append at the same time. */
const MAX_ATTEMPTS = 50;

const FOLDER = "x1";

const entry = z.union([
  z.object({
    format: z.literal(1),
    at: z.iso.datetime(),
    recordedBy: z.string(),
    exception: exceptionSchema,
  }),
  z.object({
    format: z.literal(1),
    at: z.iso.datetime(),
    recordedBy: z.string(),
    revokes: z.number().int().min(0),
  }),
]);

type Entry = z.output<typeof entry>;

/** An exception with its number in the log. */
export interface RecordedException {
  readonly number: number;
  readonly at: string;
  readonly recordedBy: string;
  readonly exception: ExceptionConfig;
}

/** Recorded exceptions. Whoever calls it has decided who may record. */
export interface ExceptionRecords {
  /** Those that are not revoked, in the order of their numbers. */
  readonly current: readonly RecordedException[];
  /**
   * @throws {InvalidRequestError} when it is too long
   * @throws {OverloadedError | StorageError | DeadlineError} when it could not be recorded
   */
  record(exception: ExceptionConfig, recordedBy: string): Promise<RecordedException>;
  /** @throws {InvalidRequestError} when there is no such exception; and as `record` */
  revoke(number: number, recordedBy: string): Promise<void>;
}

export class ExceptionLog implements ExceptionRecords {
  readonly #log: AppendLog;
  readonly #now: () => number;
  readonly #current = new Map<number, RecordedException>();
  readonly #reads = new SingleFlight<boolean>(1);
  #length = 0;

  constructor({ store, now }: { store: ObjectStore; now: () => number }) {
    this.#log = new AppendLog({ store, folder: FOLDER, maxBatchBytes: MAX_ENTRY_BYTES });
    this.#now = now;
  }

  get current(): readonly RecordedException[] {
    return [...this.#current.values()];
  }

  /**
   * Reads new entries. True if there are any.
   *
   * @throws {StorageError | DeadlineError} when the store cannot say
   */
  refresh(signal?: AbortSignal): Promise<boolean> {
    return this.#reads.run("", () => this.#read(), signal);
  }

  async record(exception: ExceptionConfig, recordedBy: string): Promise<RecordedException> {
    const at = this.#moment();
    const number = await this.#append({ format: 1, at, recordedBy, exception });
    return { number, at, recordedBy, exception };
  }

  async revoke(number: number, recordedBy: string): Promise<void> {
    await this.refresh();
    if (!this.#current.has(number)) {
      throw new InvalidRequestError(`Cannot revoke exception ${number}: there is none`);
    }
    await this.#append({ format: 1, at: this.#moment(), recordedBy, revokes: number });
  }

  #moment(): string {
    return new Date(Math.floor(this.#now() / 1000) * 1000).toISOString();
  }

  async #append(made: Entry): Promise<number> {
    const bytes = new TextEncoder().encode(JSON.stringify(made));
    if (bytes.length > MAX_ENTRY_BYTES) {
      throw new InvalidRequestError(`Cannot record more than ${MAX_ENTRY_BYTES} bytes`);
    }
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      await this.refresh();
      const number = this.#length;
      if (number >= MAX_ENTRIES) throw new OverloadedError("Cannot record more exceptions");
      if (await this.#log.append(number, bytes) === "created") {
        this.#take(number, made);
        return number;
      }
    }
    throw new OverloadedError("Cannot record the exception: others are recorded at the same time");
  }

  async #read(): Promise<boolean> {
    const before = this.#length;
    for await (const bytes of this.#log.read(before)) {
      const parsed = entry.safeParse(parseJson(bytes));
      // An entry of a later version of this program, which this one cannot apply.
      if (parsed.success) this.#take(this.#length, parsed.data);
      else this.#length++;
    }
    return this.#length > before;
  }

  #take(number: number, made: Entry): void {
    if (number < this.#length) return;
    this.#length = number + 1;
    if ("revokes" in made) this.#current.delete(made.revokes);
    else this.#current.set(number, { number, ...made });
  }
}
