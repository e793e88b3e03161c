import { storeContract } from "../../tests/store_contract.ts";
import { DiskStore } from "./disk.ts";

storeContract("DiskStore", async () => {
  const path = await Deno.makeTempDir();
  const gone = await Deno.makeTempDir();
  const broken = await DiskStore.open({ path: gone });
  await Deno.remove(gone, { recursive: true });
  return {
    replicas: [await DiskStore.open({ path }), await DiskStore.open({ path })],
    broken,
    leftovers: async () =>
      (await Array.fromAsync(Deno.readDir(`${path}/.tmp`))).map(({ name }) => name),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
});
