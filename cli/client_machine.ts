/** The machine that a client runs on, and its connection to the server. */
import { request } from "node:http";
import { withDeadline } from "../lib/async/deadline.ts";
import type { Machine } from "../lib/client/identity.ts";
import type { HttpAnswer, Post } from "../lib/client/log_in.ts";
import { UpstreamError } from "../lib/errors.ts";
import { abortableFetch } from "../lib/http/abortable_fetch.ts";
import { display, isLoopback, readBody } from "../lib/http/client.ts";
import { VERSION } from "../lib/open/version.ts";

/** The answers are tokens. */
const ANSWER_LIMITS = { name: "answer", maxBytes: 64 * 1024, timeoutMs: null };
const ANSWER_TIMEOUT_MS = 30_000;
/** The metadata server is close, or does not exist. */
const METADATA_TIMEOUT_MS = 5_000;

export type Env = Readonly<Record<string, string>>;

/** @param client trusts the certificates of the servers */
export function openMachine(env: Env, client: Deno.HttpClient): Machine {
  return {
    env: (name) => env[name],
    readFile,
    async fetchText(url, headers) {
      const { status, body } = await ask(url, { headers, client });
      if (status !== 200) {
        throw new UpstreamError(`Cannot ask ${display(url)}: it answered ${status}`);
      }
      return body;
    },
    askMetadata,
    async askGit(server) {
      const { findUserCredential } = await import("../lib/git/user_git.ts");
      return await findUserCredential(server, { env });
    },
  };
}

/** @param maxBytes of an answer. Default: what a token needs */
export function openPost(
  client: Deno.HttpClient,
  { maxBytes = ANSWER_LIMITS.maxBytes }: { readonly maxBytes?: number } = {},
): Post {
  return (url, init) => ask(url, { ...init, method: "POST", client, maxBytes });
}

/** Follows no redirects, and sends nothing unencrypted except to this machine. */
async function ask(
  url: URL,
  { headers, maxBytes = ANSWER_LIMITS.maxBytes, ...init }: RequestInit & {
    readonly headers: Readonly<Record<string, string>>;
    readonly client: Deno.HttpClient;
    readonly maxBytes?: number;
  },
): Promise<HttpAnswer> {
  const what = `ask ${display(url)}`;
  if (url.protocol !== "https:" && !isLoopback(url.hostname)) {
    throw new UpstreamError(`Cannot ${what}: only https is allowed`);
  }
  return await withDeadline(async (signal) => {
    const response = await abortableFetch(url, {
      ...init,
      headers: { ...headers, "User-Agent": `go-mod-proxy/${VERSION}` },
      redirect: "manual",
      signal,
    }).catch((cause) => {
      throw new UpstreamError(`Cannot ${what}: no connection`, { cause });
    });
    const body = await readBody(response, {
      limits: { ...ANSWER_LIMITS, maxBytes },
      what: display(url),
    });
    return { status: response.status, body: new TextDecoder().decode(body) };
  }, { timeoutMs: ANSWER_TIMEOUT_MS, what });
}

async function readFile(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    // A file that is missing, unreadable or not text holds no identity.
    return null;
  }
}

/**
 * Uses `node:http`: `fetch` would go through the proxy that `HTTP_PROXY` names, and the answer is a
 * secret.
 */
async function askMetadata(url: URL): Promise<string> {
  const what = `ask ${display(url)}`;
  return await withDeadline((signal) =>
    new Promise((resolve, reject) => {
      const fail = (cause: unknown) =>
        reject(new UpstreamError(`Cannot ${what}: no connection`, { cause }));
      const headers = { "Metadata-Flavor": "Google" };
      request(url, { signal, headers, agent: false }, (response) => {
        const { statusCode, headers } = response;
        if (statusCode !== 200 || headers["metadata-flavor"] !== "Google") {
          response.destroy();
          reject(
            new UpstreamError(
              `Cannot ${what}: it answered ${statusCode}, or is not a metadata server`,
            ),
          );
          return;
        }
        let text = "";
        response.setEncoding("utf-8");
        response.on("data", (part: string) => {
          text += part;
          if (text.length <= ANSWER_LIMITS.maxBytes) return;
          response.destroy();
          reject(new UpstreamError(`Cannot ${what}: the answer is too long`));
        });
        response.on("error", fail);
        response.on("end", () => resolve(text));
      }).on("error", fail).end();
    }), { timeoutMs: METADATA_TIMEOUT_MS, what });
}
