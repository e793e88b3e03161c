/**
 * The product with a broken store, to show that a test detects it: creating a manifest in this
 * directory replaces an existing one and reports success. Everything else works, also for the keys
 * of the probe.
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
