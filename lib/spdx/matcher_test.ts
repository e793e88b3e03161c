import assert from "node:assert/strict";
import fc from "fast-check";
import { builtInMatcher, LICENCE_TEXTS, licenceText } from "../../tests/worlds/licences.ts";
import { atOnce } from "../async/pace.ts";
import type { TextMatches } from "./matcher.ts";

async function match(text: string): Promise<TextMatches> {
  const matcher = await builtInMatcher();
  return atOnce(matcher.match(text));
}

const MIT = licenceText("MIT").replace("<year> <copyright holders>", "2024 Go Gopher");
const BSD = licenceText("BSD-3-Clause");
const APACHE = licenceText("Apache-2.0");
const PROSE = "Gophers are small furry animals that dig tunnels all day long. ".repeat(12);

interface Row {
  readonly what: string;
  readonly text: string;
  /** `MIT`; `MIT?` for a match that is not faithful. */
  readonly want: string[];
  readonly minCoverage?: number;
  readonly maxCoverage?: number;
}

const ROWS: Row[] = [
  { what: "a licence", text: MIT, want: ["MIT"], minCoverage: 100 },
  {
    what: "a licence in comments, with other line breaks and capitals",
    text: MIT.replaceAll(/\s+/g, " ").replaceAll(/(.{20,50}) /g, " * $1\r\n").toUpperCase(),
    want: ["MIT"],
    minCoverage: 90,
  },
  {
    what: "a licence with another heading",
    text: MIT.replace("MIT License", "# The MIT License (MIT)"),
    want: ["MIT"],
    minCoverage: 100,
  },
  {
    what: "a licence with names in it",
    text: BSD.replace("the copyright holder nor", "Go Gopher Inc. nor")
      .replaceAll("COPYRIGHT HOLDERS AND CONTRIBUTORS", "GOPHERS"),
    want: ["BSD-3-Clause"],
    minCoverage: 100,
  },
  {
    what: "the wording of a licence for a single author",
    text: BSD.replace(
      "Neither the name of the copyright holder nor the names of its contributors may",
      "The name of the author may not",
    ),
    want: ["BSD-3-Clause"],
    minCoverage: 100,
  },
  {
    what: "a licence with a clause less is another one",
    text: BSD.replace(/3\. Neither[^]*?permission\.\n/, ""),
    want: ["BSD-2-Clause"],
    minCoverage: 100,
  },
  {
    what: "several licences with something between them",
    text: `${MIT}\n\n----\nThe files in x are from y:\n\n${BSD}\n\n----\n\n${MIT}`,
    want: ["MIT", "BSD-3-Clause", "MIT"],
    minCoverage: 95,
  },
  {
    what: "a licence without its instructions",
    text: APACHE.replace(/APPENDIX[^]*/, ""),
    want: ["Apache-2.0"],
    minCoverage: 100,
  },
  {
    what: "a notice",
    text: `Copyright 2024 Go Gopher\n\n${/Licensed under the Apache[^]*/.exec(APACHE)?.[0]}`,
    want: ["Apache-2.0"],
    minCoverage: 100,
  },
  {
    what: "the text of the GPL, which says nothing about later versions",
    text: licenceText("GPL-3.0-or-later"),
    want: ["GPL-3.0-only"],
    minCoverage: 100,
  },
  {
    what: "a notice for later versions",
    text:
      /This program is free software[^]*?licenses\/>\./.exec(licenceText("GPL-3.0-only"))?.[0] ??
        "",
    want: ["GPL-3.0-or-later"],
    minCoverage: 100,
  },
  {
    what: "a notice with another licence's name",
    text: /Licensed under the Apache[^]*/.exec(APACHE)?.[0]
      .replace("the Apache License, Version 2.0", "the Gopher License, Version 7.0") ?? "",
    want: ["Apache-2.0?"],
  },
  {
    what: "a sentence more",
    text: MIT.replace(
      "The above copyright notice",
      "The Software may be run on weekdays and in connection with services provided by Go Gopher " +
        "and his many friends.\n\nThe above copyright notice",
    ),
    want: ["MIT?"],
  },
  {
    what: "a word that turns a permission around",
    text: MIT.replace("is hereby granted", "is hereby not granted"),
    want: ["MIT?"],
  },
  {
    what: "a condition before a licence",
    text:
      `${MIT}\n\n"Commons Clause" License Condition v1.0\n\nThe Software is provided to you by ` +
      "the Licensor under the License, as defined below, subject to the following condition. " +
      "Without limiting other conditions in the License, the grant of rights under the License " +
      "will not include, and the License does not grant to you, the right to Sell the Software.",
    want: ["MIT"],
    maxCoverage: 80,
  },
  {
    what: "a licence in a longer text",
    text: `${PROSE}\n\n${MIT}\n\n${PROSE}`,
    want: ["MIT"],
    minCoverage: 20,
    maxCoverage: 60,
  },
  { what: "prose", text: PROSE, want: [], maxCoverage: 0 },
  { what: "nothing", text: "", want: [], maxCoverage: 0 },
];

Deno.test("LicenceMatcher.match() finds", async (t) => {
  for (const { what, text, want, minCoverage = 0, maxCoverage = 100 } of ROWS) {
    await t.step(what, async () => {
      const { matches, coverage, isLimited } = await match(text);
      const found = matches.map(({ id, isFaithful }) => isFaithful ? id : `${id}?`);
      assert.deepEqual(found, want);
      assert.ok(coverage >= minCoverage && coverage <= maxCoverage, `${coverage} %`);
      assert.equal(isLimited, false);
    });
  }
});

/** Licences of which one has the whole text of another, or nearly so. */
const LESS_THAN_WHOLE =
  /^(?:[AL]?GPL|GFDL)-|^CC-|-with-|^MPL-2\.0|^OLDAP|^(?:wxWindows|eCos-2\.0)$/;
/** Every so manieth licence is tried: it takes some seconds. */
const STRIDE = 5;

Deno.test("LicenceMatcher.match() finds each licence of the SPDX list in its own text", async (t) => {
  const listed = [...LICENCE_TEXTS].filter(([id, text], i) =>
    i % STRIDE === 0 && text.length > 300 && !LESS_THAN_WHOLE.test(id)
  );
  for (const [id, text] of listed) {
    await t.step(id, async () => {
      const { matches, coverage } = await match(text);
      assert.ok(coverage > 95, `${coverage} %`);
      const [first] = matches;
      assert.ok(first !== undefined && first.confidence > 99 && first.isFaithful);
    });
  }
});

Deno.test("LicenceMatcher.match() reads any text of words of licences", async () => {
  const words = MIT.split(/\s+/);
  const matcher = await builtInMatcher();
  const text = fc.array(fc.constantFrom(...words, "\n", "gopher"), { maxLength: 300 })
    .map((words) => words.join(" "));
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), (text) => {
      const { matches, coverage, words } = atOnce(matcher.match(text));
      assert.ok(coverage >= 0 && coverage <= 100);
      let at = 0;
      for (const { start, end, confidence } of matches) {
        assert.ok(at <= start && start < end && end <= words);
        assert.ok(confidence >= 80 && confidence <= 100);
        at = end;
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("LicenceMatcher.match() says so where a text is too much work", async () => {
  // Copies of a licence that many others are like, each of them changed a little.
  const words = BSD.split(/\s+/);
  const changed = words.map((word, i) => i % 12 === 0 ? `${word} gopher` : word).join(" ");
  const { isLimited } = await match(`${changed}\n`.repeat(700));
  assert.equal(isLimited, true);
});

Deno.test("LicenceMatcher.match() finds a hundred licences in one text", async () => {
  const texts = [...LICENCE_TEXTS.values()].filter((text) => text.length > 1000).slice(0, 100);
  const { isLimited, coverage, matches } = await match(texts.join("\n\n----\n\n"));
  assert.equal(isLimited, false);
  assert.ok(coverage > 90, `${coverage} %`);
  assert.ok(matches.length >= 90, `${matches.length}`);
});
