/**
 * The names in a certificate (X.509, RFC 5280) by which it stands for an identity: the common name
 * of its subject, and its alternative names.
 *
 * They are read from the certificate's own encoding (DER, X.690). The texts that runtimes make of
 * names have separators that may occur inside of a name as well, and so could show names that
 * nobody has signed.
 */

export interface CertificateNames {
  /** Null where there is none, or several. */
  readonly commonName: string | null;
  /** As OpenSSL writes them: `DNS:ci.example.com`, `URI:spiffe://…`, `email:ci@example.com`. */
  readonly alternativeNames: readonly string[];
  /** When it expires, in milliseconds since 1970. */
  readonly notAfterMs: number;
}

const SEQUENCE = 0x30;
const OCTET_STRING = 0x04;
const OBJECT_ID = 0x06;
const UTC_TIME = 0x17;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
/** 2.5.4.3 */
const COMMON_NAME = "550403";
/** 2.5.29.17 */
const SUBJECT_ALT_NAME = "551d11";
/** UTF8String, PrintableString and IA5String; the others are of another age. */
const TEXTS: ReadonlySet<number> = new Set([0x0c, 0x13, 0x16]);
/** The kinds of alternative names that are texts, by their tags. */
const KINDS: ReadonlyMap<number, string> = new Map([[0x81, "email"], [0x82, "DNS"], [0x86, "URI"]]);

/** @throws {Error} when it is not the encoding of a certificate */
export function certificateNames(der: Uint8Array): CertificateNames {
  const [certificate] = elementsOf(der);
  const [signed] = childrenOf(certificate, SEQUENCE);
  const fields = childrenOf(signed, SEQUENCE);
  // Of version 1 there is none.
  if (fields[0]?.tag === VERSION) fields.shift();
  const [, , , validity, subject] = fields;
  const extensions = fields.find(({ tag }) => tag === EXTENSIONS);
  return {
    commonName: commonNameOf(subject),
    alternativeNames: extensions === undefined ? [] : alternativeNamesOf(extensions),
    notAfterMs: timeOf(childrenOf(validity, SEQUENCE)[1]),
  };
}

function commonNameOf(subject: Element | undefined): string | null {
  const names = childrenOf(subject, SEQUENCE)
    .flatMap((set) => elementsOf(set.content))
    .map((attribute) => childrenOf(attribute, SEQUENCE))
    .filter(([type]) => type?.tag === OBJECT_ID && type.content.toHex() === COMMON_NAME)
    .map(([, value]) => value);
  const [name] = names;
  return names.length !== 1 || name === undefined || !TEXTS.has(name.tag) ? null : textOf(name);
}

function alternativeNamesOf(extensions: Element): string[] {
  const [list] = elementsOf(extensions.content);
  for (const extension of childrenOf(list, SEQUENCE)) {
    const [id, ...rest] = childrenOf(extension, SEQUENCE);
    if (id?.content.toHex() !== SUBJECT_ALT_NAME) continue;
    const value = rest.find(({ tag }) => tag === OCTET_STRING);
    const [names] = elementsOf(value?.content ?? new Uint8Array());
    return childrenOf(names, SEQUENCE).flatMap((name) => {
      const kind = KINDS.get(name.tag);
      return kind === undefined ? [] : [`${kind}:${textOf(name)}`];
    });
  }
  return [];
}

/** RFC 5280, 4.1.2.5: years of two digits are from 1950 to 2049, and all times are UTC. */
function timeOf(element: Element | undefined): number {
  if (element === undefined) throw new Error("not a certificate: it has no validity");
  const text = textOf(element);
  const century = Number(text.slice(0, 2)) < 50 ? "20" : "19";
  const full = element.tag === UTC_TIME ? century + text : text;
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(full) ?? [];
  const [year = NaN, month = NaN, ...rest] = parts.map(Number);
  const ms = Date.UTC(year, month - 1, ...rest);
  if (Number.isNaN(ms)) throw new Error("not a certificate: it has a malformed time");
  return ms;
}

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** @throws {Error} when it is missing or another kind */
function childrenOf(element: Element | undefined, tag: number): Element[] {
  if (element?.tag !== tag) throw new Error("not a certificate: a part of it is missing");
  return elementsOf(element.content);
}

/** The elements that follow each other, to the end. */
function elementsOf(bytes: Uint8Array): Element[] {
  const elements: Element[] = [];
  for (let i = 0; i < bytes.length;) {
    const tag = bytes[i] ?? 0;
    let length = bytes[i + 1] ?? 0;
    i += 2;
    if (length > 0x7f) {
      const digits = bytes.subarray(i, i + (length & 0x7f));
      // Four bytes are more than a certificate has.
      if (digits.length === 0 || digits.length > 4) throw new Error("not DER: a bad length");
      length = digits.reduce((sum, digit) => sum * 256 + digit, 0);
      i += digits.length;
    }
    if (i + length > bytes.length) throw new Error("not DER: it ends too early");
    elements.push({ tag, content: bytes.subarray(i, i + length) });
    i += length;
  }
  return elements;
}

function textOf({ content }: Element): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(content);
}
