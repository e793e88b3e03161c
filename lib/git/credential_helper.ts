/**
 * What git runs when it needs a password: `main.ts credential-helper get`. It asks our server over
 * a unix socket and prints the answer for git.
 *
 * From git, on standard input, `key=value` lines up to an empty line or the end (gitcredentials(7),
 * git-credential(1)):
 *
 * ```text
 * protocol=https
 * host=git.example.com
 * path=my-org/my-repo.git
 * capability[]=authtype          since git 2.46, to be ignored like all that we do not know
 * wwwauth[]=Basic realm="…"      since git 2.41
 * ```
 *
 * To our server, the same three and the nonce of this git run; back come two lines, or nothing:
 *
 * ```text
 * nonce=<hex>
 * protocol=https
 * host=git.example.com
 * path=my-org/my-repo.git
 * (empty line)
 *                                username=x-access-token
 *                                password=…
 * ```
 *
 * Each side closes after its message. `store` and `erase`, by which git reports what became of a
 * password, need no answer. git waits while this file is loaded, so it imports next to nothing.
 */
import { withDeadline } from "../async/deadline.ts";

/** The variable with the path of the server's socket. */
export const SOCKET_VARIABLE = "GO_MOD_PROXY_CREDENTIAL_SOCKET";
/** The variable with the nonce of this git run. */
export const NONCE_VARIABLE = "GO_MOD_PROXY_CREDENTIAL_NONCE";

/** Questions and answers are a few short lines. */
export const MESSAGE_MAX_BYTES = 16 * 1024;
/** The server has the credentials in memory; it answers immediately or not at all. */
const ANSWER_TIMEOUT_MS = 10_000;

export interface CredentialHelperOptions {
  /** What follows `credential-helper` on the command line: git adds `get`, `store` or `erase`. */
  readonly args: readonly string[];
  readonly stdin: ReadableStream<Uint8Array>;
  /** The values of {@linkcode SOCKET_VARIABLE} and {@linkcode NONCE_VARIABLE}. */
  readonly socketPath: string | undefined;
  readonly nonce: string | undefined;
}

/**
 * Answers one call by git.
 *
 * @returns what to print to standard output; "" when there is nothing to say
 * @throws {Error} when it was not called by a git that this server started, or the server cannot be
 *   reached
 */
export async function runCredentialHelper(options: CredentialHelperOptions): Promise<string> {
  const { args, stdin, socketPath, nonce } = options;
  if (args[0] !== "get") return "";
  if (socketPath === undefined || nonce === undefined) {
    throw new Error(
      "Cannot provide credentials: only a git process that this server started may ask for them",
    );
  }
  const { protocol = "", host = "", path = "" } = parseAttributes(await readMessage(stdin));
  const question = formatAttributes({ nonce, protocol, host, path });
  const connection = await Deno.connect({ transport: "unix", path: socketPath });
  try {
    return await withDeadline(async () => {
      await writeMessage(connection, question);
      return await readMessage(chunksOf(connection));
    }, { timeoutMs: ANSWER_TIMEOUT_MS, what: "get a credential from the server" });
  } finally {
    connection.close();
  }
}

/** The last value of each key. Lines without `=` are ignored. */
export function parseAttributes(message: string): Readonly<Partial<Record<string, string>>> {
  const lines = message.split("\n").filter((line) => line.includes("="));
  return Object.fromEntries(lines.map((line) => {
    const equals = line.indexOf("=");
    return [line.slice(0, equals), line.slice(equals + 1)];
  }));
}

/**
 * @throws {Error} when a value would break out of its line; what follows it would be read as an
 *   attribute
 */
export function formatAttributes(attributes: Readonly<Record<string, string>>): string {
  return Object.entries(attributes).map(([key, value]) => {
    if (/[\n\0]/.test(value)) throw new Error(`Cannot format ${key}: it has a newline or NUL`);
    return `${key}=${value}\n`;
  }).join("");
}

/**
 * A message up to its empty line or its end.
 *
 * @throws {Error} when it is longer than {@linkcode MESSAGE_MAX_BYTES}
 */
export async function readMessage(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let message = "";
  for await (const chunk of chunks) {
    message += decoder.decode(chunk, { stream: true });
    if (message.length > MESSAGE_MAX_BYTES) {
      throw new Error(`Cannot read a credential message: it has over ${MESSAGE_MAX_BYTES} bytes`);
    }
    // An empty message is an empty line and nothing before it.
    if (message.startsWith("\n")) return "";
    const end = message.indexOf("\n\n");
    if (end >= 0) return message.slice(0, end + 1);
  }
  return message;
}

/** Sends a message and its empty line. */
export async function writeMessage(connection: Deno.Conn, message: string): Promise<void> {
  const bytes = new TextEncoder().encode(`${message}\n`);
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/**
 * Received chunks. The connection's own stream would close it at the end, before the answer is
 * sent.
 */
export async function* chunksOf(connection: Deno.Conn): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(4096);
  for (;;) {
    const sizeBytes = await connection.read(buffer);
    if (sizeBytes === null) return;
    yield buffer.slice(0, sizeBytes);
  }
}
