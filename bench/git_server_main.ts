/**
 * A git server in a process of its own, so that its CPU time is not attributed to a contestant.
 * Writes `{"url":…,"folder":…}` to standard output, serves the bare repositories in the folder, and
 * ends when standard input does.
 */
import { GitServer } from "../tests/fakes/git_server.ts";

await using server = await GitServer.start();
console.log(JSON.stringify({ url: server.url, folder: server.folder }));
for await (const _ of Deno.stdin.readable);
