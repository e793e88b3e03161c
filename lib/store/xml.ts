/**
 * The XML that S3 answers with, as a tree of elements and their text.
 *
 * The parser is npm:sax in its strict mode: one package without dependencies. It neither expands
 * entities that a document declares nor loads anything, and this file refuses documents that have a
 * DOCTYPE at all. What it leaves out: attributes, comments and processing instructions, because
 * S3's answers say nothing by them.
 *
 * Not used: fast-xml-parser (eight packages), saxes (no release for years), @aws-sdk/xml-builder
 * (internal to the SDK; it cuts `&#x10061;` down to "a").
 *
 * Limits: {@linkcode MAX_DEPTH} levels, {@linkcode MAX_ELEMENTS} elements. store_client.ts limits
 * the size of an answer. A reference to a character that XML does not have stays in the text as it
 * is: S3 writes the control characters of a key that way, and one such key must not spoil a
 * listing. Each costs as much as 100 elements, so there may be {@linkcode MAX_STRANGE_REFERENCES}.
 */
// @ts-types="npm:@types/sax@1.2.7"
import sax from "sax";
import { atOnce, type Steps } from "../async/pace.ts";

export interface XmlElement {
  readonly name: string;
  /** The text directly in this element. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** S3's answers have four levels. */
export const MAX_DEPTH = 16;
/** A page of 1000 names has some 10,000. */
export const MAX_ELEMENTS = 50_000;
export const MAX_STRANGE_REFERENCES = 10_000;
/** Errors, and what is said about a single object, are much smaller. */
export const MAX_SMALL_XML_CHARS = 16 * 1024;
/** One step. */
const CHUNK_CHARS = 4 * 1024;
/** How much longer it takes to parse a character than to inflate a byte. */
const CHAR_COST_BYTES = 32;
/** sax makes an error of each. */
const STRANGE_REFERENCE_COST_BYTES = 1024;

/** XML has these five; sax would take those of HTML, too. `amp` comes first: escapeXml(). */
const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

interface OpenElement extends XmlElement {
  text: string;
  readonly children: XmlElement[];
}

/** What sax exports and documents, and its types lack. */
interface SaxStates {
  readonly STATE: Readonly<Record<string, unknown>>;
}

/** Ends the parsing. */
class XmlError extends Error {}

/**
 * The root of a small document, or null where the text is longer than
 * {@linkcode MAX_SMALL_XML_CHARS}, or is not well-formed XML within the limits.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const root = parseXml("<Error><Code>NoSuchKey</Code></Error>");
 * assert.equal(root?.children[0]?.text, "NoSuchKey");
 * assert.equal(parseXml("<Error><Code>NoSuchKey"), null);
 * ```
 */
export function parseXml(xml: string): XmlElement | null {
  return xml.length > MAX_SMALL_XML_CHARS ? null : atOnce(xmlSteps(xml));
}

/** As {@linkcode parseXml}, for a document of any size; in steps. */
export function* xmlSteps(xml: string): Steps<XmlElement | null> {
  let root: XmlElement | null = null;
  const open: OpenElement[] = [];
  let isWritten = false;
  let elements = 0;
  let strangeReferences = 0;
  const parser: sax.SAXParser & { readonly state?: unknown } = sax.parser(true, {
    position: false,
  });
  parser.ENTITIES = Object.assign(Object.create(null), ENTITIES);
  parser.onopentag = ({ name }) => {
    if (open.length === MAX_DEPTH) throw new XmlError("it nests too deep");
    if (++elements > MAX_ELEMENTS) throw new XmlError("it has too many elements");
    const element = { name, text: "", children: [] };
    root ??= element;
    open.at(-1)?.children.push(element);
    open.push(element);
  };
  parser.onclosetag = () => void open.pop();
  // A long text comes in pieces.
  parser.ontext = parser.oncdata = (text) => {
    const element = open.at(-1);
    if (element !== undefined) element.text += text;
  };
  parser.ondoctype = () => {
    throw new XmlError("it has a DOCTYPE");
  };
  parser.onerror = (cause) => {
    const { STATE } = sax as typeof sax & SaxStates;
    const isReference = !isWritten && parser.state === STATE["TEXT_ENTITY"];
    if (!isReference || ++strangeReferences > MAX_STRANGE_REFERENCES) {
      throw new XmlError("it is malformed", { cause });
    }
    // The reference is in the text by now. sax goes on when its error is cleared.
    (parser as { error: Error | null }).error = null;
  };
  try {
    for (let at = 0; at < xml.length; at += CHUNK_CHARS) {
      const strangeBefore = strangeReferences;
      parser.write(xml.slice(at, at + CHUNK_CHARS));
      const strange = strangeReferences - strangeBefore;
      yield CHUNK_CHARS * CHAR_COST_BYTES + strange * STRANGE_REFERENCE_COST_BYTES;
    }
    isWritten = true;
    parser.close();
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    return null;
  }
  return root;
}

/** The text of the first element with this name, `root` and what is below it, or null. */
export function textOf(root: XmlElement | null, name: string): string | null {
  if (root === null || root.name === name) return root?.text ?? null;
  for (const child of root.children) {
    const text = textOf(child, name);
    if (text !== null) return text;
  }
  return null;
}

/** Text for an element or an attribute. */
export function escapeXml(text: string): string {
  return Object.entries(ENTITIES).reduce(
    (escaped, [name, character]) => escaped.replaceAll(character, `&${name};`),
    text,
  );
}
