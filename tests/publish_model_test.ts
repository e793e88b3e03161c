/**
 * A model of publishing, explored to its end: all interleavings of the store calls of several
 * requests for one version, each at a replica of its own and with a copy of its own, with
 * everything that can go wrong at each call.
 *
 * The model is of the store and the network alone; the protocol in it is the real code. A request's
 * code is a function of what its store calls have answered, so it is turned into a table: after
 * answers a₁…aₙ it makes this call next, or ends in this way. An entry is found by running the code
 * over a store that gives it a₁…aₙ and then never answers again. The explorer walks the product of
 * these tables and the store, one call of one request at a time, and remembers the states that it
 * has been in; that makes every interleaving of the real code, and each code path is run only once.
 *
 * At each step one request's call takes effect, in one of these ways:
 *
 * - `get`: answers what is there, or fails
 * - `create`: takes effect and answers · fails without effect · takes effect and fails · fails and
 *   is still on its way, to take effect at any later moment or never
 *
 * A crash needs no step of its own: a request that crashed is one that makes no further step, and
 * every state is checked with what would happen if no request made one any more. That is, in every
 * state:
 *
 * 1. all that were answered were answered the same copy;
 * 2. its manifest is in the store (so lists name it), and in the eager mode its zip;
 * 3. a request that comes now and meets no fault is answered, with that copy.
 *
 * Limits: one version; at most three requests at once, and the one that comes later; each makes its
 * calls one by one, as the code does (a second call before the first one's answer would not be
 * seen); a create takes effect in one moment.
 */
import assert from "node:assert/strict";
import { StorageError } from "../lib/errors.ts";
import { type H1, h1Of } from "../lib/module/h1.ts";
import { moduleVersion } from "../lib/module/module_version.ts";
import { manifestKey, zipKey } from "../lib/store/keys.ts";
import { type Copy, decodeManifest, encodeManifest, makeCopy } from "../lib/store/manifest.ts";
import {
  bytesContent,
  type Content,
  type ObjectStore,
  readAll,
} from "../lib/store/object_store.ts";
import { type Publication, publishManifest, readCopy, storeBlob } from "../lib/store/publish.ts";
import { report } from "./support/report.ts";

const MODULE = moduleVersion("example.com/m", "v1.0.0");
const MANIFEST = manifestKey(MODULE);

/**
 * What a request does from its first store call to its answer, with the copy that its source has
 * given to it.
 */
type Protocol = (store: ModelStore, ours: Publication) => Promise<Copy>;

/** The real one: service.ts looks first, and publisher.ts publishes where there is nothing. */
const REAL: Protocol = async (store, ours) =>
  await readCopy(store, ours.manifest) ?? (await publishManifest(store, ours)).copy;

/** A store for protocols of which some need more than the contract allows. */
interface ModelStore extends ObjectStore {
  delete(key: string): Promise<void>;
}

// The copies.

/** The publisher's number is in all that it brings. */
function publicationOf(publisher: number, isEager: boolean): Publication {
  const copy = makeCopy({
    ...MODULE,
    time: "2024-02-03T04:05:06Z",
    goMod: new TextEncoder().encode(`module example.com/m // ${publisher}\n`),
    zipH1: zipH1(publisher),
    source: "git https://git.example.com/m",
  });
  return { ...copy, zip: isEager ? zipOf(publisher) : null };
}

function zipH1(publisher: number): H1 {
  return h1Of(new Uint8Array(32).fill(publisher));
}

function zipOf(publisher: number): Content {
  return bytesContent(new TextEncoder().encode(`zip ${publisher}`));
}

/** Copies are told apart by their zip's hash. */
function answerOf({ manifest }: Copy): H1 {
  return manifest.zip.h1;
}

// The code of a request, as a table.

type Call =
  | { readonly method: "get"; readonly key: string }
  | { readonly method: "delete"; readonly key: string }
  | { readonly method: "create"; readonly key: string; readonly value: number };

/** What a call answers; a value is a number that {@linkcode Values} knows. */
type Reply = "failed" | "absent" | "created" | "exists" | "deleted" | number;

/** Contents of objects as numbers, which make small states. */
class Values {
  readonly #contents: Uint8Array<ArrayBuffer>[] = [];
  readonly #numbers = new Map<string, number>();

  numberOf(content: Uint8Array<ArrayBuffer>): number {
    const text = content.toBase64();
    const number = this.#numbers.get(text) ?? this.#contents.push(content) - 1;
    this.#numbers.set(text, number);
    return number;
  }

  contentOf(number: number): Uint8Array<ArrayBuffer> {
    const content = this.#contents[number];
    assert.ok(content !== undefined);
    return content;
  }
}

/**
 * Where a request is: it makes a call, or has answered a copy, or (neither) has told its client of
 * a failure.
 */
interface Place {
  readonly id: number;
  readonly call: Call | null;
  readonly answer: H1 | null;
  readonly replies: readonly Reply[];
  readonly next: Map<Reply, Place>;
}

/** The code of one request as a table, filled in as it is used. */
class RequestTable {
  readonly #run: (store: ModelStore) => Promise<Copy>;
  readonly #values: Values;
  #places = 0;
  #start: Place | null = null;

  constructor(protocol: Protocol, { ours, values }: { ours: Publication; values: Values }) {
    this.#run = (store) => protocol(store, ours);
    this.#values = values;
  }

  async start(): Promise<Place> {
    return this.#start ??= await this.#placeAfter([]);
  }

  async next(place: Place, reply: Reply): Promise<Place> {
    const known = place.next.get(reply);
    if (known !== undefined) return known;
    const next = await this.#placeAfter([...place.replies, reply]);
    place.next.set(reply, next);
    return next;
  }

  /**
   * Runs the code from its beginning, with replies as they were, up to the first call that has
   * none.
   */
  #placeAfter(replies: readonly Reply[]): Promise<Place> {
    const { promise, resolve, reject } = Promise.withResolvers<Place>();
    const arrive = (where: Pick<Place, "call" | "answer">) =>
      resolve({ id: this.#places++, ...where, replies, next: new Map() });
    const store = new ReplayStore(replies, {
      values: this.#values,
      onCall: (call) => arrive({ call, answer: null }),
    });
    this.#run(store).then(
      (copy) => arrive({ call: null, answer: answerOf(copy) }),
      (error) =>
        error instanceof StorageError ? arrive({ call: null, answer: null }) : reject(error),
    );
    return promise;
  }
}

interface ReplayOptions {
  readonly values: Values;
  /** Hears of the first call that there is no reply to, which is never answered. */
  readonly onCall: (call: Call) => void;
}

class ReplayStore implements ModelStore {
  readonly description = "the model's store";
  readonly #replies: readonly Reply[];
  readonly #options: ReplayOptions;
  #calls = 0;

  constructor(replies: readonly Reply[], options: ReplayOptions) {
    this.#replies = replies;
    this.#options = options;
  }

  async get(key: string) {
    const reply = await this.#reply(() => ({ method: "get", key }));
    if (typeof reply !== "number") return null;
    const content = bytesContent(this.#options.values.contentOf(reply));
    return { sizeBytes: content.sizeBytes, body: content.open() };
  }

  async create(key: string, content: Content): Promise<"created" | "exists"> {
    const reply = await this.#reply(async () => {
      const object = { sizeBytes: content.sizeBytes, body: content.open() };
      const value = this.#options.values.numberOf(await readAll(object));
      return { method: "create", key, value };
    });
    return reply === "created" ? "created" : "exists";
  }

  async delete(key: string): Promise<void> {
    await this.#reply(() => ({ method: "delete", key }));
  }

  list(): never {
    throw new Error("no request for a version lists");
  }

  walk(): never {
    throw new Error("no request walks through the store");
  }

  async #reply(describe: () => Call | Promise<Call>): Promise<Reply> {
    const reply = this.#replies[this.#calls++];
    if (reply === undefined) {
      this.#options.onCall(await describe());
      return await new Promise(() => {});
    }
    if (reply === "failed") throw new StorageError("Cannot do it: it is to fail");
    return reply;
  }
}

// The store, the network and the explorer.

type Objects = ReadonlyMap<string, number>;

/** A create on its way. */
type Late = Extract<Call, { method: "create" }>;

interface State {
  readonly objects: Objects;
  readonly places: readonly Place[];
  readonly late: readonly Late[];
  /** The steps that led here, in words. */
  readonly before: State | null;
  readonly step: string;
}

/** One way in which a call may go. */
interface Effect {
  readonly objects: Objects;
  readonly reply: Reply;
  readonly late?: Late;
}

interface Model {
  readonly protocol: Protocol;
  readonly requests: number;
  readonly isEager: boolean;
  /** A store that breaks the contract: every create reports success. */
  readonly overwrites?: boolean;
}

interface Exploration {
  readonly states: number;
  readonly steps: number;
  /** The first violation that was met and the steps to it, or null. */
  readonly violation: string | null;
}

/** Walks through all states, or to the first bad one. */
async function explore(model: Model): Promise<Exploration> {
  const { protocol, requests, isEager } = model;
  const values = new Values();
  const tables = Array.from(
    { length: requests + 1 },
    (_, i) => new RequestTable(protocol, { ours: publicationOf(i + 1, isEager), values }),
  );
  const later = new LaterRequest(tables.pop() ?? assert.fail(), model);
  const start: State = {
    objects: new Map(),
    places: await Promise.all(tables.map((table) => table.start())),
    late: [],
    before: null,
    step: "",
  };
  const seen = new Set([keyOf(start)]);
  const open = [start];
  let steps = 0;
  // It grows as it is walked through: the nearest states first, so that the story of a violation is
  // a short one.
  for (const state of open) {
    const fault = await faultOf(state, { isEager, later });
    if (fault !== null) {
      return { states: seen.size, steps, violation: [fault, ...story(state)].join("\n  ") };
    }
    for (const next of await successors(state, { tables, model })) {
      steps++;
      const key = keyOf(next);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
  }
  return { states: seen.size, steps, violation: null };
}

/** The states that one step leads to. */
async function successors(
  state: State,
  { tables, model }: { tables: readonly RequestTable[]; model: Model },
): Promise<State[]> {
  const reached: State[] = state.late.map((late, i) => ({
    ...state,
    objects: created(state.objects, late, model).objects,
    late: state.late.toSpliced(i, 1),
    before: state,
    step: `the create of ${late.key} arrives`,
  }));
  for (const [i, place] of state.places.entries()) {
    const { call } = place;
    const table = tables[i];
    if (call === null || table === undefined) continue;
    for (const { reply, objects, late } of effectsOf(call, state.objects, model)) {
      reached.push({
        objects,
        places: state.places.with(i, await table.next(place, reply)),
        late: late === undefined ? state.late : [...state.late, late],
        before: state,
        step: `${i + 1}: ${call.method} ${call.key}: ${reply}`,
      });
    }
  }
  return reached;
}

function effectsOf(call: Call, objects: Objects, model: Model): Effect[] {
  if (call.method === "get") {
    return [{ objects, reply: objects.get(call.key) ?? "absent" }, { objects, reply: "failed" }];
  }
  if (call.method === "delete") {
    const rest = new Map(objects);
    rest.delete(call.key);
    return [{ objects: rest, reply: "deleted" }, { objects, reply: "failed" }];
  }
  const done = created(objects, call, model);
  return [
    done,
    { objects, reply: "failed" },
    { objects: done.objects, reply: "failed" },
    { objects, reply: "failed", late: call },
  ];
}

function created(objects: Objects, { key, value }: Late, { overwrites = false }: Model): Effect {
  if (objects.has(key) && !overwrites) return { objects, reply: "exists" };
  return { objects: new Map(objects).set(key, value), reply: "created" };
}

/** States with one key go on in the same ways. */
function keyOf({ objects, places, late }: State): string {
  const onTheWay = late.map(({ key, value }) => `${key}=${value}`).sort();
  return `${contentsOf(objects)}|${places.map(({ id }) => id)}|${onTheWay}`;
}

function contentsOf(objects: Objects): string {
  return [...objects].map(([key, value]) => `${key}=${value}`).sort().join();
}

function story(state: State): string[] {
  return state.before === null ? [] : [...story(state.before), state.step];
}

// The invariants.

async function faultOf(
  { objects, places }: State,
  { isEager, later }: { isEager: boolean; later: LaterRequest },
): Promise<string | null> {
  const answers = new Set(places.map(({ answer }) => answer).filter((answer) => answer !== null));
  if (answers.size > 1) return "two copies were answered";
  for (const answer of answers) {
    if (!objects.has(MANIFEST)) return "what was answered is not listed";
    if (isEager && !objects.has(zipKey(MODULE, answer))) {
      return "what was answered has no zip";
    }
  }
  const next = await later.answer(objects);
  if (next === null) return "a later request fails";
  if (answers.size > 0 && !answers.has(next)) return "a later request is answered another copy";
  return null;
}

/** What a request would be answered that came now and ran alone and undisturbed. */
class LaterRequest {
  readonly #table: RequestTable;
  readonly #model: Model;
  readonly #answers = new Map<string, H1 | null>();

  constructor(table: RequestTable, model: Model) {
    this.#table = table;
    this.#model = model;
  }

  async answer(objects: Objects): Promise<H1 | null> {
    const contents = contentsOf(objects);
    const known = this.#answers.get(contents);
    if (known !== undefined) return known;
    let place = await this.#table.start();
    let now = objects;
    while (place.call !== null) {
      const [undisturbed] = effectsOf(place.call, now, this.#model);
      assert.ok(undisturbed !== undefined);
      now = undisturbed.objects;
      place = await this.#table.next(place, undisturbed.reply);
    }
    this.#answers.set(contents, place.answer);
    return place.answer;
  }
}

// What is explored.

const MODELS: readonly (Omit<Model, "protocol"> & { readonly name: string })[] = [
  { name: "two requests, eager", requests: 2, isEager: true },
  { name: "two requests, lazy", requests: 2, isEager: false },
  { name: "three requests, eager", requests: 3, isEager: true },
  { name: "three requests, lazy", requests: 3, isEager: false },
];

for (const { name, ...model } of MODELS) {
  Deno.test(`publishManifest() holds in every state of ${name}`, async () => {
    const startMs = performance.now();
    const { states, steps, violation } = await explore({ protocol: REAL, ...model });
    const ms = Math.round(performance.now() - startMs);
    report(`${name}: ${states} states, ${steps} steps, ${ms} ms`);
    assert.equal(violation, null);
    assert.ok(states > 100, "the model has hardly begun");
  });
}

/** Either two requests of the model, or one of it and a later one. */
const TWO_COPIES = /^two copies were answered|^a later request is answered another copy/;

/** Protocols that look right. Each lacks one thing that the real one has. */
const MUTANTS: readonly {
  readonly name: string;
  readonly protocol: Protocol;
  readonly isEager?: boolean;
  readonly overwrites?: boolean;
  readonly want: RegExp;
}[] = [
  {
    name: "answers its own copy without reading",
    protocol: async (store, ours) => {
      const found = await readCopy(store, ours.manifest);
      if (found === null) await publishManifest(store, ours);
      return found ?? ours;
    },
    want: TWO_COPIES,
  },
  {
    name: "takes a create that failed for one that happened",
    protocol: async (store, ours) => {
      const found = await readCopy(store, ours.manifest);
      if (found !== null) return found;
      const bytes = bytesContent(encodeManifest(ours));
      const outcome = await store.create(MANIFEST, bytes).catch(() => "created");
      return outcome === "created" ? ours : await readCopy(store, ours.manifest) ?? ours;
    },
    want: /^what was answered is not listed/,
  },
  {
    name: "creates the manifest before the zip",
    isEager: true,
    protocol: async (store, ours) => {
      const found = await readCopy(store, ours.manifest);
      if (found !== null) return found;
      const { copy } = await publishManifest(store, { ...ours, zip: null });
      const { zip: { h1 } } = ours.manifest;
      if (answerOf(copy) === h1) {
        await storeBlob(store, { manifest: copy.manifest, h1, content: ours.zip ?? assert.fail() });
      }
      return copy;
    },
    want: /^what was answered has no zip/,
  },
  {
    // As the original did: whoever creates the commit object decides, and it goes once everything
    // is in place.
    name: "decides by a commit object that it deletes",
    protocol: async (store, ours) => {
      const found = await readCopy(store, ours.manifest);
      if (found !== null) return found;
      const key = MANIFEST.replace("m1/", "c1/");
      await store.create(key, bytesContent(encodeManifest(ours)));
      const commit = await store.get(key);
      if (commit === null) throw new StorageError("Cannot read the commit object: it is done");
      const decided = decodeManifest(await readAll(commit), ours.manifest);
      await store.create(MANIFEST, bytesContent(encodeManifest(decided)));
      await store.delete(key);
      return decided;
    },
    want: TWO_COPIES,
  },
  {
    name: "has a store whose create overwrites",
    protocol: REAL,
    overwrites: true,
    want: TWO_COPIES,
  },
];

Deno.test("the model detects a protocol that", async (t) => {
  for (const { name, want, ...mutant } of MUTANTS) {
    await t.step(name, async () => {
      const { violation } = await explore({ requests: 2, isEager: false, ...mutant });
      assert.match(violation ?? "nothing is wrong", want);
    });
  }
});
