/** JSON from the store, which may be damaged. */

/** The value of a JSON text, or undefined, which no schema accepts, where it is none. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
