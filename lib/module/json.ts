/** JSON that this program has written itself, and that may be damaged. */

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The value of a JSON text in UTF-8, or undefined, which no schema accepts, for anything else. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(DECODER.decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
