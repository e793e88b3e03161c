/**
 * The probe at start: does this store really have an atomic create-if-absent? The whole promise of
 * the proxy stands on it, and not every server that speaks S3, nor every mount that looks like a
 * disk, knows the condition; one that ignores it says "created" every time.
 *
 * The contract has no delete, so the probe does with one key forever, {@linkcode PROBE_KEY}. On a
 * new store two creates race for it and one must win; on every store a later third must find it
 * there, and what it brought must not be what is read. A list must name the key, which also shows a
 * missing permission now and not at the first request.
 *
 * The same is done with a second key in the way that large content is created, where a back end has
 * another for it: there are servers that know the condition on a simple upload only.
 *
 * Limits: a store that is only mostly atomic passes. No test can show the opposite;
 * tests/suites/store_contract.ts tries harder.
 */
import { withDeadline } from "../async/deadline.ts";
import { StorageError } from "../errors.ts";
import { bytesContent, type ObjectStore, readAll } from "./object_store.ts";

export const PROBE_KEY = "p1/probe";
export const PARTS_PROBE_KEY = "p1/probe-in-parts";
const PROBE_TIMEOUT_MS = 30_000;
const CHECK_TIMEOUT_MS = 5_000;

/**
 * Refuses a store that does not keep the contract.
 *
 * @param nonce something that no other probe of this store has
 * @throws {Error} when the store must not be used; it names the store and the reason
 * @throws {StorageError | DeadlineError} when the store could not be asked
 */
export async function probeStore(
  store: ObjectStore,
  nonce: string = crypto.randomUUID(),
): Promise<void> {
  const fault = await withDeadline(
    async (signal) =>
      await findFault(store, { key: PROBE_KEY, nonce, signal }) ??
        await findFault(store, { key: PARTS_PROBE_KEY, nonce, signal, inParts: true }),
    { timeoutMs: PROBE_TIMEOUT_MS, what: `probe ${store.description}` },
  );
  if (fault !== null) throw new Error(`Cannot use ${store.description} as a store: ${fault}`);
}

/**
 * Whether a store that was probed can be reached now, by one small read.
 *
 * @throws {StorageError | DeadlineError} when it cannot, or has lost what the probe left
 */
export async function checkStore(store: ObjectStore, signal: AbortSignal): Promise<void> {
  const object = await withDeadline((signal) => store.get(PROBE_KEY, { signal }), {
    timeoutMs: CHECK_TIMEOUT_MS,
    what: `reach ${store.description}`,
    signal,
  });
  if (object === null) {
    throw new StorageError(`Cannot use ${store.description}: it has lost "${PROBE_KEY}"`);
  }
  await object.body.cancel();
}

interface Probe {
  readonly key: string;
  readonly nonce: string;
  readonly signal: AbortSignal;
  readonly inParts?: boolean;
}

async function findFault(
  store: ObjectStore,
  { key, nonce, signal, inParts = false }: Probe,
): Promise<string | null> {
  const attempt = async (name: string) => {
    const content = bytesContent(new TextEncoder().encode(`${name} ${nonce}\n`));
    return await store.create(key, content, { signal, inParts }) === "created";
  };
  const raced = await Promise.all([attempt("first"), attempt("second")]);
  if (raced[0] && raced[1]) {
    return "two that create the same key at once are both told that they did";
  }
  if (await attempt("third")) return "who creates a key that is there is told that it is new";

  const object = await store.get(key, { signal });
  if (object === null) return "what was created is not there";
  const content = new TextDecoder().decode(await readAll(object, signal));
  if (content === `third ${nonce}\n`) return "who creates a key that is there replaces it";

  const names = await store.list("p1", { signal });
  return names.includes(key.slice("p1/".length)) ? null : "what was created is not listed";
}
