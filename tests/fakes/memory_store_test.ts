import { storeContract } from "../suites/store_contract.ts";
import { MemoryStore } from "./memory_store.ts";

storeContract("MemoryStore", () => {
  const store = new MemoryStore();
  return Promise.resolve({ replicas: [store, store], async [Symbol.asyncDispose]() {} });
});
