/** The program's version, which deno.json states. */
import manifest from "../../deno.json" with { type: "json" };

export const VERSION: string = manifest.version;

/** The `User-Agent` of outgoing requests. */
export const USER_AGENT = `go-mod-proxy/${VERSION}`;
