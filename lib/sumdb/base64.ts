/**
 * Base64 as Go's `base64.StdEncoding` reads it: padded, with no other characters. Unlike Go's, each
 * value has only one encoding: unused bits of the last digit are zero.
 */

/** The bytes, or null if the text is not base64. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | null {
  // The runtime's decoder would skip white space.
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
