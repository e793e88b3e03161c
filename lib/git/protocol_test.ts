import assert from "node:assert/strict";
import fc from "fast-check";
import { LimitExceededError, UpstreamError } from "../errors.ts";
import { Budget } from "../async/budget.ts";
import {
  type FetchBudgets,
  fetchRequest,
  lsRefsRequest,
  type Packet,
  packet,
  PacketReader,
  readAdvertisement,
  readFetchResponse,
  readRefs,
} from "./protocol.ts";
import { type Hash, isHash } from "./refs.ts";

const A = hash("a");
const B = hash("b");

function hash(digit: string): Hash {
  const text = digit.repeat(40);
  assert.ok(isHash(text));
  return text;
}

function budget(): Budget {
  return new Budget({ name: "test", maxBytes: 1e6, timeoutMs: null }, { what: "it" });
}

const BUDGETS: FetchBudgets = { shallow: budget(), progress: budget() };

/** A reader of a text that comes in chunks of this size. */
function readerOf(text: string | Uint8Array, chunkBytes = 7): PacketReader {
  const bytes = new Uint8Array(typeof text === "string" ? new TextEncoder().encode(text) : text);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    chunks.push(bytes.slice(at, at + chunkBytes));
  }
  return new PacketReader(ReadableStream.from(chunks), budget());
}

async function packetsOf(reader: PacketReader): Promise<string[]> {
  const packets: string[] = [];
  let next: Packet;
  do {
    next = await reader.next();
    packets.push(typeof next === "string" ? next : `"${new TextDecoder().decode(next)}"`);
  } while (next !== "end");
  return packets;
}

Deno.test("PacketReader reads what packet() writes, in chunks of any size", async () => {
  const texts = fc.array(fc.string({ unit: fc.constantFrom("a", "0", "\n"), maxLength: 200 }));
  await fc.assert(fc.asyncProperty(texts, fc.integer({ min: 1, max: 50 }), async (texts, size) => {
    const reader = readerOf(`${texts.map(packet).join("")}0000`, size);
    const want = [...texts.map((text) => `"${text}"`), "flush", "end"];
    assert.deepEqual(await packetsOf(reader), want);
  }));
});

Deno.test("PacketReader refuses what is no packet", async (t) => {
  for (const text of ["0", "000", "0005", "0006a", "0003", "zzzz", "+001a", "fff1", "<!DOCTYPE"]) {
    await t.step(text, () => assert.rejects(packetsOf(readerOf(text)), UpstreamError));
  }
});

Deno.test("readAdvertisement() says whether we speak the server's language", async (t) => {
  const service = `${packet("# service=git-upload-pack\n")}0000`;
  const v2 = (...lines: string[]) =>
    `${["version 2", "agent=git/2", ...lines].map((line) => packet(`${line}\n`)).join("")}0000`;
  const both = ["ls-refs=unborn", "fetch=shallow wait-for-done"];
  const rows: Record<string, { input: string; want: boolean }> = {
    "version 2": { input: service + v2(...both, "object-format=sha1"), want: true },
    "without the service's line": { input: v2(...both), want: true },
    "SHA-256": { input: v2(...both, "object-format=sha256"), want: false },
    "no ls-refs": { input: v2("fetch"), want: false },
    "no fetch": { input: v2("ls-refs"), want: false },
    "version 1": { input: service + packet("version 1\n"), want: false },
    "version 0": { input: `${service}${packet(`${A} HEAD\0caps\n`)}0000`, want: false },
    "nothing": { input: "", want: false },
  };
  for (const [what, { input, want }] of Object.entries(rows)) {
    await t.step(what, async () => assert.equal(await readAdvertisement(readerOf(input)), want));
  }
});

Deno.test("lsRefsRequest() is what git sends", () => {
  assert.equal(
    lsRefsRequest(["HEAD", "refs/tags/"]),
    "0014command=ls-refs\n0016object-format=sha100010009peel\n" +
      "0014ref-prefix HEAD\n001aref-prefix refs/tags/\n0000",
  );
});

Deno.test("readRefs() follows tags to their commits", async () => {
  const lines = [
    `${A} HEAD symref-target:refs/heads/main`,
    `${A} refs/heads/main`,
    `${B} refs/tags/v1.0.0 peeled:${A}`,
    `${B} refs/pull/1/head`,
    "unborn HEAD symref-target:refs/heads/none",
  ];
  const text = `${lines.map((line) => packet(`${line}\n`)).join("")}0000`;
  const refs = await readRefs(readerOf(text), { maxRefs: 3 });
  assert.deepEqual([...refs], [["HEAD", A], ["refs/heads/main", A], ["refs/tags/v1.0.0", A]]);
  await assert.rejects(readRefs(readerOf(text), { maxRefs: 2 }), LimitExceededError);
  assert.equal((await readRefs(readerOf("0000"), { maxRefs: 2 })).size, 0);
});

Deno.test("readRefs() refuses what is no list", async (t) => {
  const line = packet(`${A} HEAD\n`);
  const rows = [
    "",
    line,
    `${line}0001`,
    `${packet("ERR no such repository\n")}0000`,
    `${packet(`${A} refs/tags/a peeled:x\n`)}0000`,
    `${line}${packet(`${"b".repeat(64)} refs/heads/b\n`)}0000`,
  ];
  for (const text of rows) {
    await t.step(text, () =>
      assert.rejects(readRefs(readerOf(text), { maxRefs: 9 }), (error) => {
        assert.ok(error instanceof UpstreamError && !(error instanceof LimitExceededError));
        return true;
      }));
  }
});

Deno.test("fetchRequest() asks for commits alone, and says what is there", () => {
  assert.equal(
    fetchRequest({ wants: [A], haves: [B] }),
    [
      "0012command=fetch\n0016object-format=sha10001",
      "000ethin-pack\n0010no-progress\n000eofs-delta\n",
      `0035shallow ${B}`,
      "\n000ddeepen 1\n",
      `0032want ${A}\n`,
      `0032have ${B}\n`,
      "0009done\n0000",
    ].join(""),
  );
});

const PACK = new Uint8Array([0x50, 0x41, 0x43, 0x4b, 0, 255]);

/** A packet of the packfile. */
function band(channel: number, bytes: Uint8Array): Uint8Array {
  const text = new TextEncoder();
  const length = (5 + bytes.length).toString(16).padStart(4, "0");
  return Uint8Array.from([...text.encode(length), channel, ...bytes]);
}

function response(head: string, ...rest: Uint8Array[]): PacketReader {
  return readerOf(
    Uint8Array.from([new TextEncoder().encode(head), ...rest].flatMap((b) => [...b])),
  );
}

const FLUSH = new TextEncoder().encode("0000");
const SHALLOW = packet("shallow-info\n") + packet(`shallow ${A}\n`) + packet(`unshallow ${B}\n`);

Deno.test("readFetchResponse() takes the pack out of its packets", async () => {
  const told = band(2, new TextEncoder().encode("Counting objects\n"));
  const { shallow, unshallow, pack } = await readFetchResponse(
    response(
      `${SHALLOW}0001${packet("packfile\n")}`,
      ...[band(1, PACK.subarray(0, 2)), told, band(1, PACK.subarray(2)), FLUSH],
    ),
    BUDGETS,
  );
  assert.deepEqual([shallow, unshallow], [[A], [B]]);
  assert.deepEqual(await new Response(pack).bytes(), PACK);
});

Deno.test("readFetchResponse() refuses what is no answer", async (t) => {
  const rows: Record<string, PacketReader> = {
    "nothing": response(""),
    "a refusal": response(packet(`ERR upload-pack: not our ref ${A}`)),
    "another section": response(packet("wanted-refs\n")),
    "a shallow line that is none": response(packet("shallow-info\n") + packet("shallow a\n")),
    "an error in the pack": response(
      packet("packfile\n"),
      ...[band(1, PACK), band(3, PACK), FLUSH],
    ),
    "a pack that breaks off": response(packet("packfile\n"), band(1, PACK)),
    "half a packet": response(packet("packfile\n"), band(1, PACK).subarray(0, 7)),
  };
  for (const [what, reader] of Object.entries(rows)) {
    await t.step(what, () =>
      assert.rejects(async () => {
        const { pack } = await readFetchResponse(reader, BUDGETS);
        await new Response(pack).bytes();
      }, UpstreamError));
  }
});
