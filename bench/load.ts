/**
 * Load by wrk (github.com/wg/wrk; Debian's package `wrk`): it keeps a number of connections busy
 * for a while, one request after the other on each. On two cores it asks nginx for 85,000 small
 * files a second, or 2 GB/s of large ones, so that it takes little of the machine from the servers
 * that are measured.
 *
 * KNOWN LIMIT: it measures latency without correcting for coordinated omission; that is what a
 * client sees that waits for each answer, as the `go` command does.
 */
import { join } from "node:path";

export interface Load {
  readonly url: string;
  /** Asked in turns. */
  readonly paths: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  /** The header `Authorization`. Default: none. */
  readonly authorization?: string | undefined;
}

export interface Served {
  readonly requests: number;
  /** Headers too. */
  readonly bytes: number;
  readonly seconds: number;
  /** Time to the end of the answer; of that many of all. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** @throws {Error} when an answer is no success, a connection fails, or there is no wrk */
export async function load(
  { url, paths, connections, seconds, authorization }: Load,
): Promise<Served> {
  const folder = await Deno.makeTempDir({ prefix: "load-" });
  try {
    const script = join(folder, "load.lua");
    await Deno.writeTextFile(script, scriptFor(paths, authorization));
    const threads = Math.min(connections, 2);
    const args = [`-t${threads}`, `-c${connections}`, `-d${seconds}`, "--timeout=60"];
    const { success, stdout, stderr } = await wrk([...args, "-s", script, url]);
    const decoder = new TextDecoder();
    const result = /^result (.*)$/m.exec(decoder.decode(stdout))?.[1];
    if (!success || result === undefined) throw new Error(`wrk failed: ${decoder.decode(stderr)}`);
    const { faults, ...served } = JSON.parse(result);
    if (faults > 0) throw new Error(`${faults} faults of ${served.requests} requests to ${url}`);
    return served;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function wrk(args: string[]): Promise<Deno.CommandOutput> {
  try {
    return await new Deno.Command("wrk", { args }).output();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Error("Cannot make load: wrk is not installed (apt-get install wrk)", { cause });
  }
}

/** Lua, by the interface of wrk's SCRIPTING file. wrk counts in microseconds. */
function scriptFor(paths: readonly string[], authorization: string | undefined): string {
  return `
${authorization === undefined ? "" : `wrk.headers["Authorization"] = "${authorization}"`}
local paths = { ${paths.map((path) => `"/${path}"`).join(", ")} }
local requests, next_request = {}, 0
function init()
  for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path) end
end
function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'result {"requests":%d,"bytes":%.0f,"seconds":%f,"p50Ms":%f,"p99Ms":%f,"faults":%d}\\n',
    summary.requests, summary.bytes, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
`;
}
