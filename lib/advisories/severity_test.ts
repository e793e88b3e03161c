import assert from "node:assert/strict";
import { cvssScore, leastScore, ratingOf } from "./severity.ts";

Deno.test("cvssScore() computes base scores of CVSS 3", async (t) => {
  // Scores as FIRST's examples and the National Vulnerability Database have them.
  const rows = [
    { name: "CVE-2021-44228", input: "3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", want: 10 },
    { name: "CVE-2014-0160", input: "3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", want: 7.5 },
    { name: "CVE-2021-38561", input: "3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", want: 7.5 },
    { name: "CVE-2015-8252", input: "3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", want: 9.8 },
    { name: "CVE-2013-1937", input: "3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", want: 6.1 },
    { name: "CVE-2013-0375", input: "3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", want: 6.4 },
    { name: "CVE-2014-3566", input: "3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", want: 3.1 },
    { name: "CVE-2012-1516", input: "3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", want: 9.9 },
    { name: "CVE-2009-0783", input: "3.0/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", want: 4.2 },
    { name: "no impact", input: "3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", want: 0 },
    // Metrics besides the base do not count.
    { name: "temporal", input: "3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O", want: 9.8 },
  ];
  for (const { name, input, want } of rows) {
    await t.step(name, () => assert.equal(cvssScore(`CVSS:${input}`), want));
  }
});

Deno.test("cvssScore() knows no score of anything else", async (t) => {
  const rows = [
    "",
    "7.5",
    "AV:N/AC:L/Au:N/C:P/I:P/A:P",
    "CVSS:3.1/AV:N",
    "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:constructor/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
  ];
  for (const input of rows) {
    await t.step(input, () => assert.equal(cvssScore(input), null));
  }
});

Deno.test("leastScore() takes ratings in any case, and no other words", () => {
  assert.deepEqual(["low", "Moderate", "CRITICAL", "urgent", "toString"].map(leastScore), [
    0.1,
    4,
    9,
    null,
    null,
  ]);
});

Deno.test("ratingOf() is the opposite of leastScore()", () => {
  for (const rating of ["low", "medium", "high", "critical"]) {
    assert.equal(ratingOf(leastScore(rating) ?? NaN), rating);
  }
});
