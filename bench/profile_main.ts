/**
 * Where the time of our own server goes: a CPU profile of its main thread while it is asked for warm files.
 *
 * ```text
 * deno run -A bench/profile_main.ts .info              the functions that take most of it by themselves
 * deno run -A bench/profile_main.ts zip:100000 8       a zip of that many bytes, by 8 connections (default 32)
 * ```
 *
 * By the inspector's protocol (Chrome DevTools Protocol, domain Profiler). A sample shows JavaScript only; the time of Rust and
 * of the system that is not in a call from JavaScript counts as "(program)".
 */
import { Contestant, freePort } from "./contestants.ts";
import { load } from "./load.ts";
import { fileOf, largeModule, listOf, madeModules, SMALL_MODULES } from "./made_modules.ts";
import { Upstream } from "./upstream.ts";

const SECONDS = 5;
const ROWS = 40;

const [what = ".info", connections = "32"] = Deno.args;
const sizeBytes = what.startsWith("zip:") ? Number(what.slice("zip:".length)) : null;
await using upstream = await Upstream.start([
  await madeModules(sizeBytes === null ? [] : [sizeBytes]),
]);
const inspectorPort = freePort();
await using ours = await Contestant.start("ours", {
  upstream,
  denoFlags: [`--inspect=127.0.0.1:${inspectorPort}`],
});
const paths = sizeBytes !== null
  ? [fileOf(largeModule(sizeBytes), "zip")]
  : SMALL_MODULES.map((module) =>
    what === "list" ? listOf(module) : fileOf(module, what === ".mod" ? "mod" : "info")
  );
await ours.warm(paths);
const measure = () =>
  load({ url: ours.url, paths, connections: Number(connections), seconds: SECONDS });
// Until functions are compiled.
await measure();
const [served, profile] = await profiled(`http://127.0.0.1:${inspectorPort}`, measure);
console.log(`${(served.requests / served.seconds).toFixed(0)} requests/s`);
for (const { share, place } of selfTimes(profile).slice(0, ROWS)) {
  console.log(`${(share * 100).toFixed(1).padStart(5)} %  ${place}`);
}

interface Profile {
  readonly nodes: readonly {
    readonly hitCount: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
}

async function profiled<T>(inspectorUrl: string, work: () => Promise<T>): Promise<[T, Profile]> {
  const [target] = await (await fetch(`${inspectorUrl}/json`)).json();
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve) => socket.onopen = resolve);
  let id = 0;
  const call = (method: string) =>
    new Promise<{ profile: Profile }>((resolve) => {
      const thisId = ++id;
      socket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        if (message.id === thisId) resolve(message.result);
      });
      socket.send(JSON.stringify({ id: thisId, method }));
    });
  await call("Profiler.enable");
  await call("Profiler.start");
  const result = await work();
  const { profile } = await call("Profiler.stop");
  socket.close();
  return [result, profile];
}

function selfTimes({ nodes }: Profile): { share: number; place: string }[] {
  const hits = new Map<string, number>();
  for (const { hitCount, callFrame: { functionName, url, lineNumber } } of nodes) {
    const file = url.split("/").slice(-2).join("/");
    const place = `${functionName || "(anonymous)"} ${file}${
      file === "" ? "" : `:${lineNumber + 1}`
    }`;
    hits.set(place, (hits.get(place) ?? 0) + hitCount);
  }
  const all = [...hits.values()].reduce((sum, count) => sum + count, 0);
  return [...hits].map(([place, count]) => ({ place, share: count / all }))
    .sort((a, b) => b.share - a.share);
}
