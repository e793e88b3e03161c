/** Takes secrets out of what others have written, before it goes into a message. */

/**
 * @param secrets replaced wherever they occur, also percent-encoded; what a URL carries before its
 * `@` goes without being named here
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(
 *   redact("no hunter2 at https://u:p@git.example.com/", ["hunter2"]),
 *   "no *** at https://***@git.example.com/",
 * );
 * ```
 */
export function redact(text: string, secrets: readonly string[]): string {
  const forms = secrets.flatMap((secret) => [secret, encodeURIComponent(secret)])
    .filter((secret) => secret !== "");
  // Longest first: one secret may be part of another.
  return forms.toSorted((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, "***"), text)
    .replaceAll(/:\/\/[^\s/@]*@/g, "://***@");
}
