/**
 * A git server in a process of its own, so that its CPU time is not attributed to a contestant.
 * Writes `{"url":…,"folder":…}` to standard output, serves the bare repositories in the folder, and
 * ends when standard input does. Its argument is by how many milliseconds every answer starts later
 * (default 0). `/requests` answers how many requests there were before.
 */
import { GitServer } from "../tests/fakes/git_server.ts";

const delayMs = Number(Deno.args[0] ?? 0);
let requests = 0;

await using server = await GitServer.start({
  misbehave: async ({ target }) => {
    if (target === "/requests") return new Response(String(requests));
    requests++;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    return null;
  },
});
console.log(JSON.stringify({ url: server.url, folder: server.folder }));
for await (const _ of Deno.stdin.readable);
