/**
 * A bare server that sends one file in one of several ways, on one thread: what the runtime can do,
 * without anything of the product around it. Started by sending.ts with the way and the file;
 * prints its URL, and ends when standard input does.
 */
import { crc32 } from "node:zlib";
import { blockBody } from "../lib/store/block_body.ts";
import { BLOCK_BYTES, BlockSums } from "../lib/store/block_sums.ts";
import { readExactly, writeAll } from "../lib/scratch/files.ts";
import { cutOffSlowClient } from "../routes/slow_client.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Read = (file: Deno.FsFile, sizeBytes: number) => Promise<Bytes> | Bytes;

interface Served {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sums: BlockSums;
  /** The CRC-32 of each block of {@linkcode BLOCK_BYTES}. */
  readonly crcs: readonly number[];
}

const WAYS: Readonly<Record<string, (served: Served) => Promise<ReadableStream<Bytes>>>> = {
  "own": async ({ path }) => (await Deno.open(path)).readable,
  "blocks": (served) => blocks(served, { read: readBlock, isCompared: false }),
  "compared": (served) => blocks(served, { read: readBlock, isCompared: true }),
  "compared-64": (served) =>
    blocks(served, { read: readBlock, isCompared: true, blockBytes: 64 * 1024 }),
  "compared-1024": (served) =>
    blocks(served, { read: readBlock, isCompared: true, blockBytes: 1024 * 1024 }),
  "blocking": (served) => blocks(served, { read: readNow, isCompared: true }),
  "same-memory": (served) => blocks(served, { read: sameMemory(), isCompared: true }),
  "before": async (served) => {
    // The whole file is compared, and then read again by the runtime.
    const file = await Deno.open(served.path);
    const sums = await BlockSums.of(file, served.sizeBytes);
    if (sums === null) throw new Error("the file has become shorter");
    await file.seek(0, Deno.SeekMode.Start);
    return file.readable;
  },
  "watched": async ({ path, sizeBytes, sums }) => {
    const file = await Deno.open(path);
    const body = blockBody(file, {
      what: path,
      range: { start: 0, end: sizeBytes },
      offset: 0,
      read: async (index) => {
        const block = await sums.read(file, index);
        if (block === null) throw new Error("damaged");
        return block;
      },
    });
    return cutOffSlowClient(body, { timeoutMs: 60_000, onCutOff: () => {} });
  },
};

const [way = "", path = ""] = Deno.args;
const served = await look(path);
const end = way === "sockets" ? serveBySockets(served) : serve(served);
for await (const _ of Deno.stdin.readable);
await end();

function serve(served: Served): () => Promise<void> {
  const open = WAYS[way];
  if (open === undefined) throw new Error(`there is no way "${way}"`);
  const headers = { "content-length": String(served.sizeBytes) };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => announce(port) },
    async () => new Response(await open(served), { headers }),
  );
  return () => server.shutdown();
}

/** Without the runtime's HTTP server: compared blocks, written to the connection as they are. */
function serveBySockets({ path, sizeBytes, crcs }: Served): () => Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  announce(listener.addr.port);
  const head = new TextEncoder().encode(`HTTP/1.1 200 OK\r\nContent-Length: ${sizeBytes}\r\n\r\n`);
  const answer = async (connection: Deno.TcpConn) => {
    using _connection = connection;
    const memory = new Uint8Array(BLOCK_BYTES);
    // A request of the load's is small enough for one read.
    while (await connection.read(memory) !== null) {
      using file = await Deno.open(path);
      await writeAll(connection, head);
      for (const [index, crc] of crcs.entries()) {
        const block = memory.subarray(0, sizeBytes - index * BLOCK_BYTES);
        for (let done = 0; done < block.length;) {
          done += await file.read(block.subarray(done)) ?? fail();
        }
        if (crc32(block) !== crc) fail();
        await writeAll(connection, block);
      }
    }
  };
  void (async () => {
    for await (const connection of listener) {
      // The load closes its connections when it has enough.
      answer(connection).catch(() => {});
    }
  })();
  return () => Promise.resolve(listener.close());
}

interface BlocksOptions {
  readonly read: Read;
  readonly isCompared: boolean;
  /** Default: {@linkcode BLOCK_BYTES}. */
  readonly blockBytes?: number;
}

async function blocks(
  { path, sizeBytes, crcs }: Served,
  { read, isCompared, blockBytes = BLOCK_BYTES }: BlocksOptions,
): Promise<ReadableStream<Bytes>> {
  const file = await Deno.open(path);
  let position = 0;
  let sum = 0;
  return new ReadableStream({
    pull: async (controller) => {
      const bytes = await read(file, Math.min(blockBytes, sizeBytes - position));
      for (let at = 0; isCompared && at < bytes.length; at += BLOCK_BYTES) {
        const part = bytes.subarray(at, at + BLOCK_BYTES);
        sum = crc32(part, (position + at) % BLOCK_BYTES === 0 ? 0 : sum);
        const end = position + at + part.length;
        const isWhole = end % BLOCK_BYTES === 0 || end === sizeBytes;
        if (isWhole && crcs[Math.ceil(end / BLOCK_BYTES) - 1] !== sum) fail();
      }
      position += bytes.length;
      controller.enqueue(bytes);
      if (position < sizeBytes) return;
      controller.close();
      file.close();
    },
    cancel: () => file.close(),
  }, { highWaterMark: 0 });
}

async function readBlock(file: Deno.FsFile, sizeBytes: number): Promise<Bytes> {
  return await readExactly(file, sizeBytes) ?? fail();
}

function readNow(file: Deno.FsFile, sizeBytes: number): Bytes {
  const bytes = new Uint8Array(sizeBytes);
  for (let done = 0; done < sizeBytes;) done += file.readSync(bytes.subarray(done)) ?? fail();
  return bytes;
}

/**
 * What it would save not to clear new memory. It is no way to send anything: the runtime says to
 * nobody when it has written a chunk, so a block may be overwritten before it is sent.
 */
function sameMemory(): Read {
  const memories = Array.from({ length: 8 }, () => new Uint8Array(BLOCK_BYTES));
  let turn = 0;
  return async (file, sizeBytes) => {
    const bytes = (memories[turn++ % memories.length] ?? fail()).subarray(0, sizeBytes);
    for (let done = 0; done < sizeBytes;) done += await file.read(bytes.subarray(done)) ?? fail();
    return bytes;
  };
}

async function look(path: string): Promise<Served> {
  using file = await Deno.open(path);
  const { size: sizeBytes } = await file.stat();
  const sums = await BlockSums.of(file, sizeBytes) ?? fail();
  const crcs: number[] = [];
  await file.seek(0, Deno.SeekMode.Start);
  for (let at = 0; at < sizeBytes; at += BLOCK_BYTES) {
    crcs.push(crc32(await readBlock(file, Math.min(BLOCK_BYTES, sizeBytes - at))));
  }
  return { path, sizeBytes, sums, crcs };
}

function announce(port: number): void {
  console.log(`http://127.0.0.1:${port}`);
}

function fail(): never {
  throw new Error("the file has changed");
}
