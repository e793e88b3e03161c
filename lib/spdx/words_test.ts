import assert from "node:assert/strict";
import fc from "fast-check";
import { atOnce } from "../async/pace.ts";
import { wordsOf } from "./words.ts";

const SAME: { what: string; texts: [string, ...string[]]; words: string }[] = [
  {
    what: "case and white space",
    texts: ["The  Work\n\n\tis", "the work is"],
    words: "the work is",
  },
  {
    what: "punctuation, quotes and dashes",
    texts: ["“AS IS” – the work’s, non-free.", "'as is' - the works (non free)"],
    words: "as is the works non free",
  },
  {
    what: "the marks of comments",
    texts: ["// the\n// work", "/*\n * the\n * work\n */", "# the\n# work", "<!-- the work -->"],
    words: "the work",
  },
  {
    what: "numbers and bullets of list items",
    texts: ["1. one\n2) two", "(a) one\n(b) two", "* one\n- two", "(iv) one (v) two"],
    words: "one two",
  },
  {
    what: "copyright notices",
    texts: [
      "Copyright (c) 2024 The Authors\nyes",
      "© 2020-2024 Someone. All rights reserved.\nyes",
      "// Copyright 2009 Go Gopher\nyes",
      "Copyright: Go Gopher\nyes",
      "Copyright Gopher Inc.\nyes",
      "Portions Copyright <year> <holder>\nyes",
      "(c) 2024 Go Gopher\nyes",
      "yes, all rights reserved.",
    ],
    words: "yes",
  },
  {
    what: "spellings",
    texts: ["sub-licence the programme", "sub license the program"],
    words: "sub license the program",
  },
  { what: "https and http", texts: ["https://x.org", "http://x.org"], words: "http x org" },
  { what: "HTML", texts: ["<p>the <b>work</b>&nbsp;is</p>", "the work is"], words: "the work is" },
  { what: "carriage returns", texts: ["the\r\nwork\r\n"], words: "the work" },
];

Deno.test("wordsOf() passes over what does not count", async (t) => {
  for (const { what, texts, words } of SAME) {
    await t.step(what, () => {
      for (const text of texts) assert.deepEqual(atOnce(wordsOf(text)), words.split(" "), text);
    });
  }
});

const KEPT: { text: string; words: string }[] = [
  {
    text: "copyright notice and\ncopyright holders",
    words: "copyright notice and copyright holders",
  },
  { text: "COPYRIGHT HOLDERS AND CONTRIBUTORS", words: "copyright holders and contributors" },
  { text: "Copyright Holder means", words: "copyright holder means" },
  { text: "version 2.1, or 3", words: "version 2.1 or 3" },
  { text: "(c) You must give", words: "you must give" },
  { text: "<name of the author> may", words: "name of the author may" },
  { text: "木兰宽松许可证 is", words: "木兰宽松许可证 is" },
  { text: "", words: "" },
];

Deno.test("wordsOf() keeps what counts", async (t) => {
  for (const { text, words } of KEPT) {
    await t.step(JSON.stringify(text), () => {
      assert.deepEqual(atOnce(wordsOf(text)).join(" "), words);
    });
  }
});

Deno.test("wordsOf() reads a licence on one line that begins with a notice", () => {
  const text = `Copyright 2024 Go Gopher. ${"Permission is granted. ".repeat(20)}`;
  assert.equal(atOnce(wordsOf(text)).filter((word) => word === "permission").length, 20);
});

Deno.test("wordsOf() does not depend on how lines are broken", () => {
  const word = fc.constantFrom("the", "work", "license", "granted", "notice", "without");
  fc.assert(
    fc.property(fc.array(fc.tuple(word, fc.constantFrom(" ", "\n", "\n\n * "))), (parts) => {
      const broken = parts.map(([word, space]) => word + space).join("");
      assert.deepEqual(atOnce(wordsOf(broken)), parts.map(([word]) => word));
    }),
  );
});

Deno.test("wordsOf() reads any text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    for (const word of atOnce(wordsOf(text))) assert.match(word, /^[\p{L}\p{N}.]+$/u);
  }));
});
