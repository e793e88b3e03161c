/**
 * Licence texts for tests: those of the SPDX list, and the matcher of the program.
 */
import licenses from "spdx-license-list/spdx-full.json" with { type: "json" };
import { atOnce } from "../../lib/async/pace.ts";
import { once } from "../../lib/async/once.ts";
import { LicenceMatcher } from "../../lib/spdx/matcher.ts";
import { readPackedTable, unpackTable } from "../../lib/spdx/table.ts";

/** The texts of the SPDX list, by identifier. */
export const LICENCE_TEXTS: ReadonlyMap<string, string> = new Map(
  Object.entries(licenses).map(([id, { licenseText }]) => [id, licenseText]),
);

/** The text of a licence of the SPDX list. */
export function licenceText(id: string): string {
  const text = LICENCE_TEXTS.get(id);
  if (text === undefined) throw new Error(`Cannot find the license ${id}`);
  return text;
}

/** The matcher that the program makes, once for a test file. */
export const builtInMatcher = once(async (): Promise<LicenceMatcher> =>
  atOnce(LicenceMatcher.create(atOnce(unpackTable(await readPackedTable()))))
);
