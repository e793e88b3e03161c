/** Opens the policy of the configuration: its exceptions, and what remembers verdicts. */
import { Background } from "../async/background.ts";
import { pause } from "../async/pause.ts";
import { describeError } from "../errors.ts";
import type { ExceptionConfig, PolicyConfig } from "../policy/config.ts";
import {
  ExceptionLog,
  type ExceptionRecords,
  type RecordedException,
  REFRESH_MS,
} from "../policy/exception_log.ts";
import { Exceptions } from "../policy/exceptions.ts";
import type { Facts } from "../policy/facts.ts";
import { Hook } from "../policy/hook.ts";
import { type Decider, RememberingJudge } from "../policy/judge.ts";
import { Policy } from "../policy/policy.ts";
import type { ObjectStore } from "../store/object_store.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenPolicyOptions {
  readonly store: ObjectStore;
  readonly facts: Facts;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** @throws {StorageError | DeadlineError} when the exceptions cannot be read */
export async function openPolicy(
  surroundings: Surroundings,
  { store, facts, now }: OpenPolicyOptions,
): Promise<OpenedPolicy> {
  const { config: { policy: section }, log } = surroundings;
  const recorded = new ExceptionLog({ store, now });
  let exceptions = new Exceptions(section.exceptions);
  const hook = openHook(surroundings, section, now);
  const policy = new Policy({ config: section, facts, exceptions: () => exceptions, hook, now });
  const judge = new RememberingJudge({
    decider: policy,
    gate: section.gate,
    contact: section.contact,
    dependsOnIdentity: policy.dependsOnIdentity,
    now,
  });
  const opened = new OpenedPolicy({
    policy,
    judge,
    recorded,
    apply,
    follow: async (signal) => {
      if (await recorded.refresh(signal)) apply();
    },
    onFailure: (error) => log.warn({ error: describeError(error) }, "cannot read exceptions"),
  });
  await opened.start();
  return opened;

  function apply(): void {
    const found = recorded.current.map(({ exception }) => exception);
    exceptions = new Exceptions([...section.exceptions, ...found]);
    opened.changed();
  }
}

/** Null where the policy has none. */
export function openHook(
  { fetch, log }: Surroundings,
  { hook, mode }: PolicyConfig,
  now: () => number,
): Hook | null {
  return hook === undefined
    ? null
    : new Hook({ config: hook, isEnforced: mode === "enforce", fetch, log, now });
}

interface OpenedPolicyOptions {
  readonly policy: Policy;
  readonly judge: RememberingJudge;
  readonly recorded: ExceptionLog;
  /** Applies all that is recorded. */
  readonly apply: () => void;
  /** Takes in what other replicas have recorded. */
  readonly follow: (signal?: AbortSignal) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

export class OpenedPolicy implements AsyncDisposable, ExceptionRecords {
  readonly policy: Policy;
  readonly judge: RememberingJudge;
  readonly #options: OpenedPolicyOptions;
  readonly #listeners = new Set<() => void>();
  #following: Background | null = null;

  constructor(options: OpenedPolicyOptions) {
    this.policy = options.policy;
    this.judge = options.judge;
    this.#options = options;
  }

  /** What decides for other threads. */
  get decider(): Decider {
    return {
      decide: (module, asking) => this.judge.judgeForThread(module, asking),
      filter: (path, asking) => this.policy.filter(path, asking),
    };
  }

  /** @throws {StorageError | DeadlineError} when the exceptions cannot be read */
  async start(): Promise<void> {
    await this.#options.follow();
    this.#following = new Background((signal) => this.#followOn(signal));
  }

  /** Tells of changed rules, exceptions or facts, after which no remembered verdict counts. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Rules, exceptions or facts have changed. */
  changed(): void {
    this.judge.forget();
    for (const listener of this.#listeners) listener();
  }

  get current(): readonly RecordedException[] {
    return this.#options.recorded.current;
  }

  /** Records an exception, which this replica applies when it returns. */
  async record(exception: ExceptionConfig, by: string): Promise<RecordedException> {
    const recorded = await this.#options.recorded.record(exception, by);
    this.#options.apply();
    return recorded;
  }

  /** Revokes one likewise. */
  async revoke(number: number, by: string): Promise<void> {
    await this.#options.recorded.revoke(number, by);
    this.#options.apply();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#following?.[Symbol.asyncDispose]();
  }

  async #followOn(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(REFRESH_MS, signal);
      if (signal.aborted) return;
      try {
        await this.#options.follow(signal);
      } catch (error) {
        if (!signal.aborted) this.#options.onFailure(error);
      }
    }
  }
}
