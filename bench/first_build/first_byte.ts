/**
 * How long a client waits for the first byte of a large zip that the server does not have. It asks
 * for `.info` and `.mod` before, as the `go` command does.
 */
import { Contestant, get } from "../contestants.ts";
import { fileOf, largeModule, madeModules } from "../made_modules.ts";
import type { Goal } from "../report.ts";
import { Upstream } from "../upstream.ts";
import { DELAYS_MS, OTHER_RECORDS, type PartOptions, STRAIGHT, takeTurns } from "./part.ts";

const ZIP_BYTES = 70_000_000;

export async function benchFirstByte(
  { rounds, ways, say, samples }: PartOptions,
): Promise<string[]> {
  say("making the modules");
  const folder = await madeModules([ZIP_BYTES]);
  const module = largeModule(ZIP_BYTES);
  for (const delayMs of DELAYS_MS) {
    const options = { delayMs, otherRecords: OTHER_RECORDS };
    await using upstream = await Upstream.start([folder], options);
    const what = `cold zip of 70 MB, upstream at ${delayMs} ms`;
    await takeTurns(what, { rounds, ways, say }, async (way) => {
      await using contestant = way === STRAIGHT ? null : await Contestant.start(way, { upstream });
      const url = contestant?.url ?? upstream.url;
      const startMs = performance.now();
      for (const extension of ["info", "mod"] as const) {
        await get(`${url}/${fileOf(module, extension)}`);
      }
      const askedMs = performance.now() - startMs;
      const { firstMs, lastMs } = await timesOf(`${url}/${fileOf(module, "zip")}`);
      const add = (name: string, ms: number, goals: readonly Goal[] = []) =>
        samples.add({ name: `${what}: ${name}`, unit: "ms", goals }, way, ms);
      add("first byte", firstMs, [{ of: [STRAIGHT], atMost: 1.2 }]);
      add("first byte, from the request for `.info` on", askedMs + firstMs);
      add("last byte, from the request for `.info` on", askedMs + lastMs);
    });
  }
  return [
    "First byte: goproxy and Athens fetch the zip before they answer `.info`; from the request for `.info` on, all do the same work.",
  ];
}

async function timesOf(url: string): Promise<{ firstMs: number; lastMs: number }> {
  const startMs = performance.now();
  const response = await fetch(url);
  if (!response.ok || response.body === null) throw new Error(`${url} answers ${response.status}`);
  let firstMs: number | null = null;
  for await (const _ of response.body) firstMs ??= performance.now() - startMs;
  return { firstMs: firstMs ?? NaN, lastMs: performance.now() - startMs };
}
