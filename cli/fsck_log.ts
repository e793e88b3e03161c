/**
 * The part of `fsck` that checks our own checksum database: a walk through its log
 * (sumdb/check_log.ts) that compares each record with the manifest of its version.
 */
import type { Config } from "../lib/config/config.ts";
import type { ModulePath } from "../lib/module/path.ts";
import { Copies } from "../lib/store/copies.ts";
import type { Finding } from "../lib/store/fsck.ts";
import { InvalidManifestError } from "../lib/store/manifest.ts";
import type { ObjectStore } from "../lib/store/object_store.ts";
import { checkLog } from "../lib/sumdb/check_log.ts";
import type { ModuleVersion } from "../lib/module/module_version.ts";
import type { SumRecord } from "../lib/sumdb/record.ts";
import { plural } from "./print.ts";

export interface FsckLogOptions {
  readonly config: Config;
  readonly store: ObjectStore;
  readonly isPrivate: (path: ModulePath) => boolean;
  readonly report: (finding: Finding) => void;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Whether there is no fault; true if the configuration names no database. */
export async function fsckLog(options: FsckLogOptions): Promise<boolean> {
  const { config: { privateSumDatabase: config }, store, report, print, signal } = options;
  if (config === undefined) return true;
  const copies = new Copies(store);
  let faults = 0;
  const { batches, tree } = await checkLog({
    name: config.name,
    store,
    checkRecord: (module, record) => compare(copies, { module, record, options }),
    report: ({ key, text }) => {
      faults++;
      report({ kind: "fault", key, text });
    },
    signal,
  });
  print(
    `log of ${config.name}: ${plural(tree.size, "record")} in ${batches} ${
      batches === 1 ? "batch" : "batches"
    }; ${plural(faults, "fault")}`,
  );
  return faults === 0;
}

/**
 * A public version may have a record without a manifest: the record is requested before the module.
 */
async function compare(
  copies: Copies,
  { module, record, options: { isPrivate, signal } }: {
    module: ModuleVersion;
    record: SumRecord;
    options: FsckLogOptions;
  },
): Promise<string | null> {
  try {
    const copy = await copies.read(module, { signal });
    if (copy === null) {
      return isPrivate(module.path) ? "the version has no manifest" : null;
    }
    const { zip, goMod } = copy.manifest;
    const isSame = zip.h1 === record.zipH1 && goMod.h1 === record.goModH1;
    return isSame
      ? null
      : `it has ${record.zipH1} and ${record.goModH1}, but the published copy has ` +
        `${zip.h1} and ${goMod.h1}`;
  } catch (error) {
    // The manifest is reported as a fault of its own.
    if (error instanceof InvalidManifestError) return null;
    throw error;
  }
}
