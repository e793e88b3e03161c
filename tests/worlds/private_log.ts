/**
 * Replicas of one log over one store, and the walk through it afterwards that must find nothing.
 */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/log/log.ts";
import type { ModuleHashes } from "../../lib/module/h1.ts";
import type { ModuleVersion } from "../../lib/module/module_version.ts";
import type { ObjectStore } from "../../lib/store/object_store.ts";
import { type CheckedLog, checkLog, type LogFault } from "../../lib/sumdb/check_log.ts";
import { PrivateLog, type PrivateLogLimits } from "../../lib/sumdb/private_log.ts";
import { moduleOf, recordOf } from "./sum_database.ts";

export const LOG_NAME = "sum.example.com/team";

/** A replica that knows nothing yet. */
export function privateLog(store: ObjectStore, limits: Partial<PrivateLogLimits> = {}): PrivateLog {
  const log = createLogger("fatal", { write: () => {} });
  return new PrivateLog({ name: LOG_NAME, store, log, limits });
}

/** Module version number `i`, with hashes that are all its own. */
export function testModule(i: number): { module: ModuleVersion; hashes: ModuleHashes } {
  const record = recordOf(`example.com/m${i}`);
  return { module: moduleOf(record), hashes: { zipH1: record.h1, goModH1: record.goModH1 } };
}

/** Appends module version number `i`; its number in the log. */
export async function appendTo(log: PrivateLog, i: number): Promise<number> {
  const { module, hashes } = testModule(i);
  const { id, zipH1, goModH1 } = await log.append(module, hashes);
  assert.deepEqual({ zipH1, goModH1 }, hashes);
  return id;
}

/** What a walk through the log finds wrong, and which module version is at which place. */
export async function walkLog(
  store: ObjectStore,
): Promise<CheckedLog & { faults: LogFault[]; paths: string[] }> {
  const faults: LogFault[] = [];
  const paths: string[] = [];
  const checked = await checkLog({
    name: LOG_NAME,
    store,
    checkRecord: ({ path }, { id }) => {
      paths[id] = path;
      return Promise.resolve(null);
    },
    report: (fault) => void faults.push(fault),
    signal: new AbortController().signal,
  });
  return { ...checked, faults, paths };
}

/** @param ids what replicas have answered, by number of the module version */
export async function assertSoundLog(
  store: ObjectStore,
  ids: ReadonlyMap<number, number>,
): Promise<CheckedLog> {
  const { faults, paths, ...checked } = await walkLog(store);
  assert.deepEqual(faults, []);
  assert.equal(new Set(paths).size, paths.length, "a module version is there twice");
  for (const [i, id] of ids) assert.equal(paths[id], `example.com/m${i}`);
  return checked;
}
