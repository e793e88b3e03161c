import assert from "node:assert/strict";
import { DeadlineError } from "../errors.ts";
import { lock, tryLock } from "./file_lock.ts";
import { within } from "../../tests/support/eventually.ts";

const shared = { exclusive: false };
const exclusive = { exclusive: true };

Deno.test("tryLock() shares among readers and excludes writers", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lock-" });
  const path = `${folder}/lock`;
  const first = await tryLock(path, shared);
  const second = await tryLock(path, shared);
  assert.ok(first !== null && second !== null);
  assert.equal(await tryLock(path, exclusive), null);
  first[Symbol.dispose]();
  assert.equal(await tryLock(path, exclusive), null);
  second[Symbol.dispose]();
  const writer = await tryLock(path, exclusive);
  assert.ok(writer !== null);
  assert.equal(await tryLock(path, shared), null);
  writer[Symbol.dispose]();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("tryLock() gets nothing in a folder that is gone", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lock-" });
  await Deno.remove(folder);
  assert.equal(await tryLock(`${folder}/lock`, shared), null);
});

Deno.test("lock() waits for the holder, and for no longer than the deadline", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lock-" });
  const path = `${folder}/new/lock`;
  const first = await lock(path, { ...exclusive, timeoutMs: 1000 });
  await assert.rejects(lock(path, { ...exclusive, timeoutMs: 60 }), DeadlineError);
  const second = lock(path, { ...exclusive, timeoutMs: 10_000 });
  first[Symbol.dispose]();
  (await second)[Symbol.dispose]();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("lock() does not take a file that was removed while it waited", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lock-" });
  const path = `${folder}/a/lock`;
  const remover = await lock(path, { ...exclusive, timeoutMs: 1000 });
  const waiter = lock(path, { ...shared, timeoutMs: 10_000 });
  await Deno.rename(`${folder}/a`, `${folder}/trash`);
  remover[Symbol.dispose]();
  using _held = await waiter;
  // The lock that was got excludes others at its path.
  assert.equal(await tryLock(path, exclusive), null);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a lock ends with its process", async () => {
  const folder = await Deno.makeTempDir({ prefix: "lock-" });
  const path = `${folder}/lock`;
  const program = `const f = await Deno.open(Deno.args[0], { create: true, write: true });
    await f.lock(true);
    await Deno.stdout.write(new Uint8Array(1));
    setInterval(() => {}, 1e6);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", program, path],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await within("the process to have the lock", reader.read());
  assert.equal(await tryLock(path, shared), null);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  const held = await tryLock(path, exclusive);
  assert.ok(held !== null);
  held[Symbol.dispose]();
  await Deno.remove(folder, { recursive: true });
});
