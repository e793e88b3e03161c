import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Expression,
  expressionText,
  LicenceCheck,
  licenceFault,
  type LicenceList,
  MAX_EXPRESSION_CHARS,
  parseExpression,
} from "./expression.ts";

const READ: { input: string; want: string | null }[] = [
  { input: "MIT", want: "MIT" },
  { input: "mit", want: "MIT" },
  { input: " apache-2.0 ", want: "Apache-2.0" },
  { input: "GPL-2.0+", want: "GPL-2.0+" },
  { input: "EPL-2.0+", want: "EPL-2.0+" },
  { input: "MIT OR Apache-2.0", want: "MIT OR Apache-2.0" },
  { input: "mit or apache-2.0 and 0bsd", want: "MIT OR Apache-2.0 AND 0BSD" },
  { input: "(MIT OR Apache-2.0) AND 0BSD", want: "(MIT OR Apache-2.0) AND 0BSD" },
  { input: "((MIT))", want: "MIT" },
  { input: "(MIT)AND(0BSD)", want: "MIT AND 0BSD" },
  {
    input: "GPL-2.0-only WITH classpath-exception-2.0",
    want: "GPL-2.0-only WITH Classpath-exception-2.0",
  },
  { input: "LicenseRef-Commons-Clause", want: "LicenseRef-Commons-Clause" },
  { input: "DocumentRef-x:LicenseRef-y", want: "DocumentRef-x:LicenseRef-y" },
  { input: "", want: null },
  { input: "MIT-style", want: null },
  { input: "MIT Apache-2.0", want: null },
  { input: "MIT OR", want: null },
  { input: "OR MIT", want: null },
  { input: "(MIT", want: null },
  { input: "MIT)", want: null },
  { input: "()", want: null },
  { input: "MIT WITH Apache-2.0", want: null },
  { input: "Classpath-exception-2.0", want: null },
  { input: "(MIT OR 0BSD) WITH Classpath-exception-2.0", want: null },
  { input: "MIT++", want: null },
  { input: "NONE", want: null },
  { input: "constructor", want: null },
  { input: `${"(".repeat(200)}MIT${")".repeat(200)}`, want: null },
  { input: `MIT${" ".repeat(MAX_EXPRESSION_CHARS)}`, want: null },
];

Deno.test("parseExpression() reads expressions", async (t) => {
  for (const { input, want } of READ) {
    await t.step(JSON.stringify(input), () => {
      const expression = parseExpression(input);
      assert.equal(expression === null ? null : expressionText(expression), want);
    });
  }
});

/** Objects as we make them. */
const PLAIN = { noNullPrototype: true };

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    fc.record({
      kind: fc.constant("licence" as const),
      id: fc.constantFrom("MIT", "0BSD", "GPL-2.0-or-later"),
      exception: fc.constantFrom(null, "Classpath-exception-2.0"),
    }, PLAIN),
    ...(["and", "or"] as const).map((kind) =>
      fc.record({
        kind: fc.constant(kind),
        // A part of the same kind would not keep its parentheses.
        parts: fc.array(tie("expression"), { minLength: 2, maxLength: 3 })
          .filter((parts) => parts.every((part) => part.kind !== kind)),
      }, PLAIN)
    ),
  ),
}));

Deno.test("parseExpression() is the opposite of expressionText()", () => {
  fc.assert(fc.property(expression, (expression) => {
    const text = expressionText(expression);
    if (text.length <= MAX_EXPRESSION_CHARS) assert.deepEqual(parseExpression(text), expression);
  }));
});

Deno.test("parseExpression() reads any text", () => {
  const part = fc.constantFrom("MIT", "and", "OR", "WITH", "(", ")", "+", ":", " ", "LicenseRef-");
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(part).map((p) => p.join(""))), (text) => {
    parseExpression(text);
  }));
});

const CHECKS: { list: LicenceList; wanted: string[]; unwanted: string[] }[] = [
  {
    list: { allow: ["MIT", "BSD-3-Clause", "Apache-2.0"] },
    wanted: ["MIT", "mit", "MIT AND Apache-2.0", "GPL-3.0-only OR MIT"],
    unwanted: ["GPL-3.0-only", "MIT AND GPL-3.0-only", "UNKNOWN", "NONE", "Apache-1.1", "nonsense"],
  },
  {
    list: { deny: ["AGPL-3.0-only", "UNKNOWN"] },
    wanted: ["MIT", "NONE", "GPL-3.0-only", "MIT OR AGPL-3.0-only", "AGPL-1.0-only"],
    // What cannot be read is not known.
    unwanted: ["AGPL-3.0-only", "AGPL-3.0", "AGPL-3.0-or-later", "UNKNOWN", "nonsense"],
  },
  {
    list: { deny: ["GPL-2.0-or-later"] },
    wanted: ["GPL-1.0-only", "LGPL-3.0-only"],
    unwanted: ["GPL-2.0-only", "GPL-2.0+", "GPL-3.0-only", "GPL-3.0-or-later"],
  },
  {
    list: { allow: ["GPL-3.0-only"] },
    wanted: ["GPL-3.0-only", "GPL-3.0", "GPL-3.0-or-later", "GPL-2.0-or-later", "GPL-2.0+"],
    unwanted: ["GPL-2.0-only", "LGPL-3.0-only"],
  },
  {
    list: { allow: ["GPL-2.0-or-later"] },
    wanted: ["GPL-2.0-only", "GPL-3.0-only"],
    unwanted: ["GPL-1.0-only"],
  },
  {
    list: { allow: ["GPL-2.0-only WITH Classpath-exception-2.0"] },
    wanted: ["GPL-2.0-only WITH Classpath-exception-2.0"],
    unwanted: ["GPL-2.0-only", "GPL-2.0-only WITH Font-exception-2.0"],
  },
  {
    list: { allow: ["GPL-2.0-only"] },
    wanted: ["GPL-2.0-only WITH Classpath-exception-2.0"],
    unwanted: ["MIT"],
  },
  {
    list: { deny: ["GPL-2.0-only"], allow: ["GPL-2.0-only WITH Classpath-exception-2.0", "MIT"] },
    wanted: ["GPL-2.0-only WITH Classpath-exception-2.0", "MIT"],
    unwanted: ["GPL-2.0-only", "GPL-2.0-only WITH Font-exception-2.0", "0BSD"],
  },
  {
    list: { deny: ["CC-BY-NC-*", "LicenseRef-Commons-Clause"] },
    wanted: ["CC-BY-4.0"],
    unwanted: ["CC-BY-NC-4.0", "CC-BY-NC-SA-3.0", "LicenseRef-Commons-Clause"],
  },
  { list: { allow: ["NONE", "UNKNOWN"] }, wanted: ["NONE", "UNKNOWN"], unwanted: ["MIT"] },
  { list: {}, wanted: ["MIT", "UNKNOWN", "NONE"], unwanted: [] },
];

Deno.test("LicenceCheck", async (t) => {
  for (const { list, wanted, unwanted } of CHECKS) {
    await t.step(JSON.stringify(list), () => {
      const check = new LicenceCheck(list);
      for (const text of wanted) assert.deepEqual(check.unwanted([text]), [], text);
      for (const text of unwanted) assert.deepEqual(check.unwanted([text]), [text], text);
      assert.deepEqual(check.unwanted([...wanted, ...unwanted]), unwanted);
    });
  }
});

const FAULTS: { entry: string; fault: RegExp | null }[] = [
  { entry: "MIT", fault: null },
  { entry: "apache-2.0", fault: null },
  { entry: "UNKNOWN", fault: null },
  { entry: "NONE", fault: null },
  { entry: "CC-BY-NC-*", fault: null },
  { entry: "LicenseRef-Our-Own", fault: null },
  { entry: "GPL-2.0-only WITH Classpath-exception-2.0", fault: null },
  { entry: "Apache2", fault: /^SPDX has no licence "Apache2"/ },
  { entry: "BSD-3-Clauses", fault: /; did you mean "BSD-3-Clause"\?$/ },
  { entry: "UNKOWN", fault: /; did you mean "UNKNOWN"\?$/ },
  { entry: "MIT OR 0BSD", fault: /has several licences/ },
  { entry: "*", fault: /no identifier/ },
  { entry: "XYZ-*", fault: /no identifier of SPDX starts with "XYZ-"/ },
];

Deno.test("licenceFault() reports what no licence has", async (t) => {
  for (const { entry, fault } of FAULTS) {
    await t.step(entry, () => {
      if (fault === null) assert.equal(licenceFault(entry), null);
      else assert.match(licenceFault(entry) ?? "", fault);
    });
  }
});
