import assert from "node:assert/strict";
import fc from "fast-check";
import { atOnce } from "../async/pace.ts";
import {
  escapeXml,
  MAX_DEPTH,
  MAX_ELEMENTS,
  MAX_SMALL_XML_CHARS,
  MAX_STRANGE_REFERENCES,
  parseXml,
  textOf,
  xmlSteps,
} from "./xml.ts";

/** The text of `<a>` in these documents; null where the document is refused. */
const documents: readonly { name: string; input: string; want: string | null }[] = [
  { name: "text", input: "<a>b</a>", want: "b" },
  { name: "no text", input: "<a></a>", want: "" },
  { name: "an empty element", input: "<a/>", want: "" },
  { name: "text around elements", input: "<a>b<c>d</c>e</a>", want: "be" },
  {
    name: "attributes",
    input: '<a xmlns="http://s3.amazonaws.com/doc/2006-03-01/">b</a>',
    want: "b",
  },
  { name: "a declaration", input: '<?xml version="1.0" encoding="UTF-8"?>\n<a>b</a>', want: "b" },
  { name: "white space before it", input: '\n  <?xml version="1.0"?>\n<a>b</a>', want: "b" },
  { name: "white space behind it", input: '<?xml version="1.0"?>\n   \n<a>b</a>\n', want: "b" },
  { name: "comments", input: "<!-- x --><a>b<!-- > --></a>", want: "b" },
  { name: "CDATA", input: "<a>b<![CDATA[<&amp;]]></a>", want: "b<&amp;" },
  { name: "XML's entities", input: "<a>&lt;&gt;&amp;&quot;&apos;</a>", want: `<>&"'` },
  { name: "numeric references", input: "<a>&#98;&#x63;&#x1F600;</a>", want: "bc\u{1f600}" },
  { name: "once only", input: "<a>&amp;lt;</a>", want: "&lt;" },
  { name: "long text", input: `<a>${"b".repeat(100_000)}</a>`, want: "b".repeat(100_000) },

  // An invalid character reference must not spoil a listing.
  { name: "above the last code point", input: "<a>&#x110000;</a>", want: "&#x110000;" },
  { name: "far above it", input: "<a>&#99999999999;</a>", want: "&#99999999999;" },
  { name: "a surrogate", input: "<a>&#xD800;&#57343;</a>", want: "&#xD800;&#57343;" },
  { name: "a control character", input: "<a>b&#1;c</a>", want: "b&#1;c" },
  { name: "an entity of HTML", input: "<a>&nbsp;</a>", want: "&nbsp;" },
  { name: "a property of objects", input: "<a>&constructor;</a>", want: "&constructor;" },
  { name: "an ampersand alone", input: "<a>b & c</a>", want: "b & c" },

  { name: "nothing", input: "", want: null },
  { name: "no XML", input: "not found", want: null },
  { name: "JSON", input: '{"a": "<a>b</a>"}', want: null },
  { name: "cut off", input: "<a>b", want: null },
  { name: "cut off in a tag", input: "<a>b</", want: null },
  { name: "cut off in a reference", input: "<a>b&am", want: null },
  { name: "closed by another", input: "<a>b</c>", want: null },
  { name: "two roots", input: "<a>b</a><a>c</a>", want: null },
  { name: "HTML", input: "<html><br><a>b</a></html>", want: null },
  { name: "a DOCTYPE", input: "<!DOCTYPE html><a>b</a>", want: null },
  {
    name: "entities that multiply",
    input: '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
    want: null,
  },
  {
    name: "an external entity",
    input: '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    want: null,
  },
];

Deno.test("xmlSteps()", async (t) => {
  for (const { name, input, want } of documents) {
    await t.step(name, () => {
      const root = atOnce(xmlSteps(input));
      assert.equal(root?.text ?? null, want);
    });
  }
});

Deno.test("parseXml() limits the depth", () => {
  const nested = (depth: number) => "<a>".repeat(depth) + "</a>".repeat(depth);
  assert.notEqual(parseXml(nested(MAX_DEPTH)), null);
  assert.equal(parseXml(nested(MAX_DEPTH + 1)), null);
  assert.equal(atOnce(xmlSteps(nested(500_000))), null);
});

Deno.test("parseXml() limits the size", () => {
  const sized = (chars: number) => `<a>${"b".repeat(chars - "<a></a>".length)}</a>`;
  assert.notEqual(parseXml(sized(MAX_SMALL_XML_CHARS)), null);
  assert.equal(parseXml(sized(MAX_SMALL_XML_CHARS + 1)), null);
});

Deno.test("xmlSteps() limits the elements, and the references that XML does not have", () => {
  const filled = (part: string, count: number) => atOnce(xmlSteps(`<a>${part.repeat(count)}</a>`));
  assert.notEqual(filled("<b/>", MAX_ELEMENTS - 1), null);
  assert.equal(filled("<b/>", MAX_ELEMENTS), null);
  assert.notEqual(filled("&#1;", MAX_STRANGE_REFERENCES), null);
  assert.equal(filled("&#1;", MAX_STRANGE_REFERENCES + 1), null);
});

Deno.test("xmlSteps() reads a text of several steps, wherever they end", () => {
  const text = `${"&lt;\u{1f600}b&#1;".repeat(2000)}`;
  for (let shift = 0; shift < 16; shift++) {
    const root = atOnce(xmlSteps(`<a>${"x".repeat(shift)}${text}</a>`));
    assert.equal(root?.text, "x".repeat(shift) + "<\u{1f600}b&#1;".repeat(2000));
  }
});

Deno.test("parseXml() reads back any text that escapeXml() has written", () => {
  // Control characters are not XML's.
  const text = fc.stringMatching(/^[ -~\u00a1-\ud7ff]*$/);
  fc.assert(fc.property(text, (text) => {
    assert.equal(parseXml(`<a>${escapeXml(text)}</a>`)?.text, text);
  }));
});

Deno.test("parseXml() takes any text", () => {
  const piece = fc.constantFrom(
    "<",
    ">",
    "a",
    "</",
    "/>",
    "&",
    "#x",
    ";",
    "<!",
    "[",
    "]",
    "?",
    '"',
    " ",
    "-",
    "=",
  );
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    parseXml(pieces.join(""));
    parseXml(`<a>${pieces.join("")}</a>`);
  }));
});

Deno.test("textOf() finds the first element of a name", () => {
  const root = parseXml("<a><b><c>1</c></b><c>2</c><d></d></a>");
  assert.equal(textOf(root, "c"), "1");
  assert.equal(textOf(root, "d"), "");
  assert.equal(textOf(root, "a"), "");
  assert.equal(textOf(root, "e"), null);
  assert.equal(textOf(null, "a"), null);
});
