/**
 * The product with a broken store, to show that a test would find out: a directory in which whoever
 * creates a manifest replaces the one that is there, and is told that it was the first. Everything
 * else, the probe's keys too, is as ever.
 */
import { DiskStore } from "../../lib/store/disk.ts";

const create = DiskStore.prototype.create;
DiskStore.prototype.create = async function (key, content, options) {
  const outcome = await create.call(this, key, content, options);
  if (outcome === "created" || !key.startsWith("m1/")) return outcome;
  const file = `${this.description.slice("disk ".length)}/${key}`;
  const replacement = `${file}.${crypto.randomUUID()}`;
  await Deno.writeFile(replacement, content.open());
  await Deno.rename(replacement, file);
  return "created";
};

await import("../../main.ts");
