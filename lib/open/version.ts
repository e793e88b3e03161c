/** The program's version: deno.json is where it is written down. */
import manifest from "../../deno.json" with { type: "json" };

export const VERSION: string = manifest.version;

/** What outgoing requests say about who asks. */
export const USER_AGENT = `go-mod-proxy/${VERSION}`;
