/**
 * For how long an answer may be taken for new, by what it says itself (RFC 9111, 4.2):
 * `Cache-Control`, `Expires`, `Age`. We are a shared cache. An answer that says nothing is new for
 * no time: nothing is guessed.
 */
import CachePolicy from "http-cache-semantics";

/** @returns milliseconds from now, of whole seconds, as the headers have them; 0 for none */
export function freshForMs(url: URL, { status, headers }: Response): number {
  const policy = new CachePolicy(
    { url: url.href, method: "GET", headers: {} },
    { status, headers: Object.fromEntries(headers) },
    { shared: true, cacheHeuristic: 0 },
  );
  return policy.storable() ? Math.ceil(policy.timeToLive() / 1000) * 1000 : 0;
}
