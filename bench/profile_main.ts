/**
 * Where the time of our own server goes: a CPU profile of its main thread under load.
 *
 * ```text
 * deno run -A bench/profile_main.ts .info          the functions that take the most CPU time
 * deno run -A bench/profile_main.ts zip:100000 8   a zip of that size, 8 connections (default 32)
 * deno run -A bench/profile_main.ts cold           `go list -m all` of a real graph, empty cache
 * ```
 *
 * Not by `deno run --cpu-prof`, which counts the start and the warming up too, but by the
 * inspector's protocol (Chrome DevTools Protocol, domain Profiler). A sample shows JavaScript only;
 * the time of Rust and of the system that is not in a call from JavaScript counts as "(program)".
 */
import { Contestant, freePort } from "./contestants.ts";
import { load } from "./load.ts";
import { fileOf, largeModule, listOf, madeModules, SMALL_MODULES } from "./made_modules.ts";
import { graphClient, realGraph, run } from "./real_graph.ts";
import { Upstream } from "./upstream.ts";

const SECONDS = 5;
const ROWS = 40;

const [what = ".info", connections = "32"] = Deno.args;
const inspectorPort = freePort();
const denoFlags = [`--inspect=127.0.0.1:${inspectorPort}`];
for (const { share, place } of selfTimes(await profileOf(what)).slice(0, ROWS)) {
  console.log(`${(share * 100).toFixed(1).padStart(5)} %  ${place}`);
}

async function profileOf(what: string): Promise<Profile> {
  if (what === "cold") return await profileOfCold();
  const sizeBytes = what.startsWith("zip:") ? Number(what.slice("zip:".length)) : null;
  const files = await madeModules(sizeBytes === null ? [] : [sizeBytes]);
  await using upstream = await Upstream.start([files]);
  await using ours = await Contestant.start("ours", { upstream, denoFlags });
  const paths = sizeBytes !== null
    ? [fileOf(largeModule(sizeBytes), "zip")]
    : SMALL_MODULES.map((module) =>
      what === "list" ? listOf(module) : fileOf(module, what === ".mod" ? "mod" : "info")
    );
  // Lists of modules that are in the store, as those are that somebody asks for again.
  await ours.warm(SMALL_MODULES.map((module) => fileOf(module, "info")));
  await ours.warm(paths);
  const options = { url: ours.url, paths, connections: Number(connections), seconds: SECONDS };
  // Until functions are compiled.
  await load(options);
  return await profiled(async () => {
    const { requests, seconds } = await load(options);
    console.log(`${(requests / seconds).toFixed(0)} requests/s`);
  });
}

async function profileOfCold(): Promise<Profile> {
  const graph = await realGraph();
  await using upstream = await Upstream.start([graph.folder]);
  await using ours = await Contestant.start("ours", { upstream, denoFlags });
  await using go = await graphClient(graph, ours.url);
  return await profiled(() => run(go, "list", "-m", "all"));
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

async function profiled(work: () => Promise<unknown>): Promise<Profile> {
  const [target] = await (await fetch(`http://127.0.0.1:${inspectorPort}/json`)).json();
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
  await work();
  const { profile } = await call("Profiler.stop");
  socket.close();
  return profile;
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
