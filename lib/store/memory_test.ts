import { storeContract } from "../../tests/store_contract.ts";
import { MemoryStore } from "./memory.ts";

storeContract("MemoryStore", () => {
  const store = new MemoryStore();
  return Promise.resolve({ replicas: [store, store], async [Symbol.asyncDispose]() {} });
});
