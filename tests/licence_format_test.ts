/**
 * What was detected once is kept for ever, under a key with the number of the way of detecting. So
 * another way must have another number.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { atOnce } from "../lib/async/pace.ts";
import { detectInText } from "../lib/licences/detect.ts";
import { LICENCE_FORMAT } from "../lib/licences/record.ts";
import { builtInMatcher, LICENCE_TEXTS } from "./worlds/licences.ts";

/** Of what is detected in the texts below, by {@linkcode LICENCE_FORMAT}. */
const DIGESTS: Readonly<Record<number, string>> = {
  1: "912084e281e1b49a981340d1566389e00b4c1cf65b35a9acce1c2c867c76893e",
};
/** Every so manieth text of the SPDX list, each as it is and with changes. */
const STRIDE = 6;

Deno.test("the same licences are detected as long as LICENCE_FORMAT is the same", async () => {
  const matcher = await builtInMatcher();
  const hash = createHash("sha256");
  for (const [i, [path, text]] of [...LICENCE_TEXTS].entries()) {
    if (i % STRIDE !== 0) continue;
    const changed = text.split(" ").filter((_, i) => i % 40 !== 7).join(" ");
    for (const variant of [text, changed, `${text}\n\nThis is all.\n`]) {
      hash.update(JSON.stringify(atOnce(detectInText(variant, { path, matcher }))));
    }
  }
  const message = "raise LICENCE_FORMAT of lib/licences/record.ts, and add its digest here";
  assert.equal(hash.digest("hex"), DIGESTS[LICENCE_FORMAT], message);
});
