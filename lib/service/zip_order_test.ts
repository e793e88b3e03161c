import assert from "node:assert/strict";
import { type ModuleVersion, nameOf, parseModuleVersion } from "../module/module_version.ts";
import { STEPS, ZipOrder } from "./zip_order.ts";

const SIZE = 60;

function moduleOf(i: number, version = "v1.0.0"): ModuleVersion {
  return parseModuleVersion(`example.com/m${String(i).padStart(3, "0")}@${version}`);
}

function numberOf(module: ModuleVersion): number {
  return Number(nameOf(module).replace(/^.*\/m(\d+)@.*$/, "$1"));
}

/** The order of a client that has loaded a graph. */
function loaded(): ZipOrder {
  const order = new ZipOrder();
  for (let i = SIZE - 1; i >= 0; i--) order.add(moduleOf(i));
  return order;
}

function guesses(order: ZipOrder): number[] {
  const numbers: number[] = [];
  for (let next = order.next(); next !== null; next = order.next()) numbers.push(numberOf(next));
  return numbers;
}

Deno.test("ZipOrder guesses nothing before the client downloads in order", () => {
  const order = loaded();
  for (let i = 0; i < STEPS; i++) {
    order.asked(moduleOf(i));
    assert.deepEqual(guesses(order), []);
  }
  order.asked(moduleOf(STEPS));
  assert.deepEqual(guesses(order), [STEPS + 1, STEPS + 2]);
});

Deno.test("ZipOrder guesses the next zips of a whole download, and no other", () => {
  const order = loaded();
  const guessed: number[] = [];
  for (let i = 0; i < SIZE; i++) {
    order.asked(moduleOf(i));
    guessed.push(...guesses(order));
  }
  assert.deepEqual(guessed, Array.from({ length: SIZE - STEPS - 1 }, (_, i) => i + STEPS + 1));
});

Deno.test("ZipOrder knows a client with many processors, which keeps to the order roughly", () => {
  const order = loaded();
  let guessed = 0;
  for (let i = 0; i < SIZE; i += 4) {
    for (const each of [i + 1, i, i + 3, i + 2]) {
      order.asked(moduleOf(each));
      guessed += guesses(order).length;
    }
  }
  assert.ok(guessed > SIZE / 2, `${guessed} guesses`);
});

Deno.test("ZipOrder guesses nothing for a client that asks in the order of imports", () => {
  const order = loaded();
  let guessed = 0;
  for (let i = 0; i < SIZE; i++) {
    order.asked(moduleOf((i * 23) % SIZE));
    guessed += guesses(order).length;
  }
  assert.equal(guessed, 0);
});

Deno.test("ZipOrder gives up on a client that passes most by", () => {
  const order = loaded();
  let guessed = 0;
  for (let i = 0; i < SIZE; i += 6) {
    order.asked(moduleOf(i));
    guessed += guesses(order).length;
  }
  assert.ok(guessed <= 4, `${guessed} guesses`);
});

Deno.test("ZipOrder guesses the highest version that was asked for", () => {
  const order = loaded();
  order.add(moduleOf(STEPS + 1, "v1.2.0"));
  order.add(moduleOf(STEPS + 1, "v1.1.0"));
  for (let i = 0; i <= STEPS; i++) order.asked(moduleOf(i));
  assert.equal(nameOf(order.next() ?? moduleOf(0)), nameOf(moduleOf(STEPS + 1, "v1.2.0")));
});

Deno.test("ZipOrder.withdraw() makes room for another guess", () => {
  const order = loaded();
  for (let i = 0; i <= STEPS; i++) order.asked(moduleOf(i));
  guesses(order);
  order.withdraw(moduleOf(STEPS + 1));
  assert.deepEqual(guesses(order), [STEPS + 3]);
});
