import { storeContract } from "../../tests/suites/store_contract.ts";
import { MemoryStore } from "./memory.ts";

storeContract("MemoryStore", () => {
  const store = new MemoryStore();
  return Promise.resolve({ replicas: [store, store], async [Symbol.asyncDispose]() {} });
});
