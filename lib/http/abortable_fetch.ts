/**
 * The runtime's `fetch`, whose signal ends a body however the body is read.
 *
 * The runtime (Deno 2.9.6) ends a body by a signal that it derives from the caller's. Only the
 * Response refers to it. When a reader of the body is all that is left, the next garbage collection
 * takes the Response and that signal: aborting then does nothing, and a read of a connection that
 * stalls waits forever. The standard wants such a signal kept while anything listens to it
 * (https://dom.spec.whatwg.org/#abort-signal-garbage-collection; denoland/deno#29075 is about the
 * listeners that `addEventListener` adds). Here, the body refers to its Response.
 */

const RESPONSE = Symbol("the response of a body");

/** Like `fetch`, with a signal that also ends a body whose Response nobody keeps. */
export async function abortableFetch(
  url: URL | string,
  init: RequestInit & { readonly client?: Deno.HttpClient } = {},
): Promise<Response> {
  const response = await fetch(url, init);
  if (response.body !== null) Object.assign(response.body, { [RESPONSE]: response });
  return response;
}
