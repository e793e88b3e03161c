/**
 * Google Cloud Storage's way of answering signed URLs, in front of fake-gcs-server, which does not
 * look at signatures. A GET of `/<bucket>/<object>` is answered only with a V4 signature by the one
 * service account that may read (cloud.google.com/storage/docs/authentication/signatures,
 * …/canonical-requests). Everything else is the emulator's.
 *
 * KNOWN LIMIT: Google listens on 443, so that `host` has no port; here the port is left out.
 */
import { createHash, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import type { Emulator } from "../worlds/emulator.ts";
import { Loopback } from "./loopback.ts";

const EMAIL = "proxy@project.iam.gserviceaccount.com";
const ALGORITHM = "GOOG4-RSA-SHA256";
const MAX_EXPIRES_SECONDS = 604_800;
/** What clocks may differ by. */
const MAX_SKEW_MS = 15 * 60_000;

/** The file that `GOOGLE_APPLICATION_CREDENTIALS` names, and what is needed to verify with it. */
export class ServiceAccount {
  readonly email = EMAIL;
  readonly privateKey: string;
  /** JSON. */
  readonly keyFile: string;

  constructor() {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.privateKey = String(privateKey.export({ type: "pkcs8", format: "pem" }));
    this.keyFile = JSON.stringify({
      type: "service_account",
      project_id: "project",
      private_key_id: "1",
      private_key: this.privateKey,
      client_email: this.email,
      token_uri: "http://127.0.0.1:1/token",
    });
  }

  hasSigned(text: string, signature: Uint8Array): boolean {
    const key = createPublicKey(this.privateKey);
    return verify("RSA-SHA256", new TextEncoder().encode(text), key, signature);
  }
}

/** A request for an object by a signed URL. */
export interface SignedRead {
  readonly path: string;
  readonly headers: Headers;
  readonly status: number;
}

export class SignedBucket implements AsyncDisposable {
  readonly account = new ServiceAccount();
  readonly reads: SignedRead[] = [];
  /** How far its clock is ahead of this machine's. */
  aheadMs = 0;
  readonly #emulator: Emulator;
  readonly #server: Loopback;

  constructor(emulator: Emulator) {
    this.#emulator = emulator;
    this.#server = new Loopback((request) => this.#answer(request));
  }

  get url(): string {
    return this.#server.url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.down();
    await this.#emulator[Symbol.asyncDispose]();
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const { pathname } = url;
    if (/^\/(?:upload\/|resumable\/)?storage\/v1\//.test(pathname)) {
      return await this.#pass(request, pathname + url.search);
    }
    const fault = faultOf(request, this.account, Date.now() + this.aheadMs);
    const answer = fault === null
      ? await this.#pass(request, apiPathOf(pathname))
      : new Response(`<Error><Code>${fault.code}</Code></Error>`, { status: fault.status });
    this.reads.push({ path: pathname, headers: request.headers, status: answer.status });
    return answer;
  }

  async #pass({ method, headers, body }: Request, target: string): Promise<Response> {
    const url = new URL(target, this.#emulator.url);
    const sent = new Headers(headers);
    sent.delete("Host");
    const bytes = body === null ? null : await new Response(body).bytes();
    return await fetch(url, { method, headers: sent, body: bytes, redirect: "manual" });
  }
}

interface SignatureFault {
  readonly status: number;
  readonly code: string;
}

/** The object's bytes, by the JSON API. */
function apiPathOf(pathname: string): string {
  const [, bucket = "", ...segments] = pathname.split("/");
  const name = segments.map(decodeURIComponent).join("/");
  return `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}?alt=media`;
}

/** What Google has against a signed request; null for one that it answers. */
export function faultOf(
  request: Request,
  account: ServiceAccount,
  nowMs: number = Date.now(),
): SignatureFault | null {
  const { pathname, search, hostname } = new URL(request.url);
  const pairs = search.slice(1).split("&").filter((pair) => pair !== "");
  const query = new URLSearchParams(search);
  const signature = query.get("X-Goog-Signature") ?? "";
  if (signature === "") return { status: 403, code: "AccessDenied" };
  if (request.headers.has("Authorization")) return { status: 400, code: "InvalidArgument" };
  const date = query.get("X-Goog-Date") ?? "";
  const scope = `${date.slice(0, 8)}/auto/storage/goog4_request`;
  const isForUs = query.get("X-Goog-Algorithm") === ALGORITHM &&
    query.get("X-Goog-Credential") === `${account.email}/${scope}`;
  if (!isForUs) return { status: 403, code: "AccessDenied" };
  const names = (query.get("X-Goog-SignedHeaders") ?? "").split(";");
  if (!names.includes("host")) return { status: 400, code: "MalformedSecurityHeader" };
  const valueOf = (name: string) => name === "host" ? hostname : request.headers.get(name) ?? "";
  const canonical = [
    request.method,
    pathname,
    pairs.filter((pair) => !pair.startsWith("X-Goog-Signature=")).sort().join("&"),
    ...names.map((name) => `${name}:${valueOf(name).trim()}`),
    "",
    names.join(";"),
    "UNSIGNED-PAYLOAD",
  ].join("\n");
  const text = [ALGORITHM, date, scope, createHash("sha256").update(canonical).digest("hex")];
  const isSigned = /^(?:[0-9a-f]{2})+$/.test(signature) &&
    account.hasSigned(text.join("\n"), Uint8Array.fromHex(signature));
  if (!isSigned) return { status: 403, code: "SignatureDoesNotMatch" };
  const startMs = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"),
  );
  const expires = Number(query.get("X-Goog-Expires"));
  if (!(expires >= 1 && expires <= MAX_EXPIRES_SECONDS)) {
    return { status: 400, code: "AuthorizationQueryParametersError" };
  }
  if (!(nowMs >= startMs - MAX_SKEW_MS)) return { status: 403, code: "AccessDenied" };
  return nowMs < startMs + expires * 1000 ? null : { status: 400, code: "ExpiredToken" };
}
