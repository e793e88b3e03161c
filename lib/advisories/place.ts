/** Reading what sources have: by https, and from files. */
import { withDeadline } from "../async/deadline.ts";
import { Budget } from "../async/budget.ts";
import { UpstreamError } from "../errors.ts";
import { display, type Fetch, limitedBody, readBody } from "../http/client.ts";
import { writeAll } from "../scratch/files.ts";
import type { FileLimits } from "./feed.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface ReadOptions {
  readonly limits: FileLimits;
  readonly signal: AbortSignal;
}

export interface FetchFileOptions extends ReadOptions {
  /** The ETag of what is known. */
  readonly validator?: string | null;
}

export interface Fetched<T> {
  readonly content: T;
  readonly validator: string | null;
}

/**
 * The body at a URL; null if it is what the validator says.
 *
 * @throws {UpstreamError | DeadlineError} when it cannot be had
 */
export async function fetchFile(
  fetch: Fetch,
  url: URL,
  options: FetchFileOptions,
): Promise<Fetched<Bytes> | null> {
  return await request(fetch, url, {
    ...options,
    receive: (response) => readBody(response, { limits: options.limits, what: display(url) }),
  });
}

/**
 * Writes the body at a URL into an open file; null if it is what the validator says.
 *
 * @throws {UpstreamError | DeadlineError} when it cannot be had
 */
export async function fetchInto(
  fetch: Fetch,
  url: URL,
  { file, ...options }: FetchFileOptions & { readonly file: Deno.FsFile },
): Promise<Fetched<null> | null> {
  return await request(fetch, url, {
    ...options,
    receive: async (response) => {
      const limit = { limits: options.limits, what: display(url) };
      for await (const chunk of limitedBody(response, limit)) await writeAll(file, chunk);
      return null;
    },
  });
}

async function request<T>(
  fetch: Fetch,
  url: URL,
  { limits, signal, validator, receive }: FetchFileOptions & {
    readonly receive: (response: Response) => Promise<T>;
  },
): Promise<Fetched<T> | null> {
  return await withDeadline(async (signal) => {
    const headers = validator == null ? {} : { "If-None-Match": validator };
    const response = await fetch(url, { headers, signal });
    if (response.status === 304 && validator != null) {
      await response.body?.cancel();
      return null;
    }
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new UpstreamError(
        `Cannot fetch ${display(url)}: the source answered status ${response.status}`,
      );
    }
    // A strong one alone says that the bytes are the same.
    const etag = response.headers.get("ETag");
    const content = await receive(response);
    return { content, validator: etag !== null && etag.startsWith('"') ? etag : null };
  }, { timeoutMs: limits.timeoutMs, what: `fetch ${display(url)}`, signal });
}

/**
 * The content of a regular file.
 *
 * @throws {UpstreamError} when it cannot be read
 */
export async function readFile(path: string, { limits, signal }: ReadOptions): Promise<Bytes> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile) throw new UpstreamError(`Cannot read ${path}: it is not a regular file`);
    new Budget(limits, { what: path }).spendBytes(size);
    return await Deno.readFile(path, { signal });
  } catch (cause) {
    throw fileError(path, cause, signal);
  }
}

/** The failure to read a file or a directory. */
export function fileError(path: string, cause: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || cause instanceof UpstreamError) return cause;
  const reason = cause instanceof Deno.errors.NotFound
    ? "it does not exist"
    : cause instanceof Deno.errors.PermissionDenied
    ? "permission denied"
    : "it cannot be read";
  return new UpstreamError(`Cannot read ${path}: ${reason}`, { cause });
}
