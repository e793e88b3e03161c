/** JSON that may be damaged, or none: what this program has written itself, and small requests. */

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The value of a JSON text in UTF-8, or undefined, which no schema accepts, for anything else. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return parseJsonText(DECODER.decode(bytes));
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** The value of a JSON text, or undefined for anything else. */
export function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
