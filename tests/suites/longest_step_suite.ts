/**
 * How long one thread is held: the processor time that it spends between two turns of its event
 * loop. Unlike the time on a clock, that does not grow when the machine is busy with something
 * else, or when the step waits. Linux counts it with the resolution of its timer, 1 to 10 ms.
 */
import assert from "node:assert/strict";
import { threadCpuUsage } from "node:process";

/**
 * How long a step of ours may take, a collection of garbage in it included: 50 ms, and what the
 * timer of the kernel adds to it.
 */
const MAX_STEP_MS = 60;
/** The first is slower: the code is not compiled yet, and garbage of other tests is collected. */
const ATTEMPTS = 3;
/** How often others want a turn. */
const PROBE_INTERVAL_MS = 1;

/** Work at the limit of its input, which is made before anything is measured. */
export interface Suspect {
  readonly name: string;
  readonly prepare: () => Work | Promise<Work>;
}

type Work = () => unknown;

/** A test for each suspect: no step of its work is longer than {@linkcode MAX_STEP_MS}. */
export function testLongestSteps(suspects: readonly Suspect[]): void {
  for (const { name, prepare } of suspects) {
    Deno.test(`no long step: ${name}`, async () => {
      const stepsMs: number[] = [];
      do stepsMs.push(await longestStepMs(await prepare())); while (
        Math.min(...stepsMs) > MAX_STEP_MS && stepsMs.length < ATTEMPTS
      );
      assert.ok(Math.min(...stepsMs) <= MAX_STEP_MS, `others waited ${stepsMs.join(", ")} ms`);
    });
  }
}

/** The longest time for which `work` gave nobody else a turn, in milliseconds. */
export async function longestStepMs(work: Work): Promise<number> {
  let longestMs = 0;
  let lastMs = threadTimeMs();
  const look = () => {
    const nowMs = threadTimeMs();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const probe = setInterval(look, PROBE_INTERVAL_MS);
  try {
    // The turn that prepared the work ends.
    await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS));
    lastMs = threadTimeMs();
    longestMs = 0;
    await work();
    look();
  } finally {
    clearInterval(probe);
  }
  return longestMs;
}

/** The processor time of the calling thread. */
function threadTimeMs(): number {
  const { user, system } = threadCpuUsage();
  return (user + system) / 1000;
}
