import assert from "node:assert/strict";
import { JointRuns } from "./joint_runs.ts";

/** Work whose runs end when they are told to. */
function manual() {
  const runs: PromiseWithResolvers<void>[] = [];
  const work = () => {
    const run = Promise.withResolvers<void>();
    runs.push(run);
    return run.promise;
  };
  return { runs, work };
}

/** Until all promises that can be settled are. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("JointRuns.run() begins at once", async () => {
  const { runs, work } = manual();
  const joint = new JointRuns();
  const first = joint.run("a", work);
  assert.equal(runs.length, 1);
  runs[0]?.resolve();
  await first;
});

Deno.test("JointRuns.run() shares the next run among those who ask during one", async () => {
  const { runs, work } = manual();
  const joint = new JointRuns();
  const ended: string[] = [];
  const ask = (name: string) => joint.run("a", work).then(() => void ended.push(name));
  const all = [ask("first"), ask("second"), ask("third")];
  await turn();
  assert.equal(runs.length, 1);
  runs[0]?.resolve();
  await turn();
  assert.deepEqual(ended, ["first"]);
  assert.equal(runs.length, 2);
  // The second run has begun: it is not for those who come now.
  all.push(ask("fourth"));
  runs[1]?.resolve();
  await turn();
  assert.deepEqual(ended, ["first", "second", "third"]);
  assert.equal(runs.length, 3);
  runs[2]?.resolve();
  await Promise.all(all);
});

Deno.test("JointRuns.run() keeps keys apart, and forgets what has ended", async () => {
  const { runs, work } = manual();
  const joint = new JointRuns();
  const both = [joint.run("a", work), joint.run("b", work)];
  assert.equal(runs.length, 2);
  for (const run of runs) run.resolve();
  await Promise.all(both);
  const again = joint.run("a", work);
  assert.equal(runs.length, 3);
  runs[2]?.resolve();
  await again;
});

Deno.test("JointRuns.run() fails those whose run fails, and no others", async () => {
  const { runs, work } = manual();
  const joint = new JointRuns();
  const first = joint.run("a", work);
  const second = joint.run("a", work);
  runs[0]?.reject(new Error("full"));
  await assert.rejects(first, /full/);
  await turn();
  runs[1]?.resolve();
  await second;
});
