/**
 * A store in a bucket of Amazon S3, or of a server that speaks its protocol and honours conditional
 * writes (docs.aws.amazon.com/AmazonS3, "Conditional requests", "Multipart upload", "Signature
 * Version 4").
 *
 * ```text
 * s3://<bucket>/<prefix>/<key>
 * ```
 *
 * - An object is created on the condition `If-None-Match: *`: in one request, or by a multipart
 *   upload whose completion has the condition. 412 says that the object exists. 409 says that
 *   another writer is at it; the request is sent again. An upload that comes to nothing is aborted,
 *   because its parts cost money.
 * - User metadata have the checksum (CRC-32C) and the nonce (bucket.ts).
 * - The signature covers the SHA-256 of every body that is sent, so the server takes it whole or
 *   not at all. What is read is compared with the checksum of the metadata. S3's own checksum
 *   headers do the same, with newer servers only.
 * - Requests are signed by aws4fetch. Credentials come from the usual chain (environment, shared
 *   files, web identity, container, instance), found by the AWS SDK's library, which is loaded for
 *   the first request.
 *
 * Limits: buckets of S3 Express ("directory buckets") list in no order and cannot be used. A
 * process that is killed leaves the parts of its uploads; a lifecycle rule of the bucket
 * (AbortIncompleteMultipartUpload) removes them.
 */
import { AwsV4Signer } from "aws4fetch";
import { createHash } from "node:crypto";
import { atPace, Pace } from "../async/pace.ts";
import { ConfigError, StorageError } from "../errors.ts";
import { isLoopback } from "../http/client.ts";
import {
  bucketClient,
  type BucketOptions,
  type BucketProtocol,
  BucketStore,
  type ContentParts,
  MAX_PAGE_SIZE,
  type NewObject,
  type ObjectFacts,
  type Page,
  type PageQuery,
  type SignUrl,
} from "./bucket.ts";
import { sizeIn } from "./object_body.ts";
import type { SendOptions, StoreAnswer, StoreClient, StoreRequest } from "./store_client.ts";
import { escapeXml, parseXml, textOf, xmlSteps } from "./xml.ts";

export interface S3StoreOptions extends BucketOptions {
  readonly region: string;
  /** The base URL of the server. Default: Amazon's of the region. */
  readonly endpoint?: string;
  /**
   * Whether the bucket stands in the path and not in the host name. Where a host name cannot have
   * it, it always does.
   */
  readonly forcePathStyle?: boolean;
  /** Hosts (`host` or `host:port`) besides loopback that may be reached by plain http. */
  readonly insecureHosts?: readonly string[];
  /** Default: the usual chain. */
  readonly credentials?: () => Promise<S3Credentials>;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

const CRC32C_HEADER = "x-amz-meta-crc32c";
const NONCE_HEADER = "x-amz-meta-nonce";

export class S3Store extends BucketStore {
  /** @throws {ConfigError} when the endpoint is plain http and must not be */
  constructor(options: S3StoreOptions) {
    super(new S3Protocol(options), options);
  }
}

class S3Protocol implements BucketProtocol {
  readonly client: StoreClient;
  readonly url: string;
  readonly signUrl: SignUrl;

  constructor(options: S3StoreOptions) {
    const { bucket, region, prefix = "" } = options;
    this.url = `${bucketUrlOf(options)}/`;
    const credentials = options.credentials ?? usualCredentials();
    this.signUrl = async (name, { startMs, lifetimeSeconds }) => {
      const url = this.#url(name, { "X-Amz-Expires": `${lifetimeSeconds}` });
      return await signQuery({ url, startMs }, { region, ...await credentials() });
    };
    this.client = bucketClient(`s3 ${bucket}${prefix === "" ? "" : `/${prefix}`}`, options, {
      authorize: async (request) => await sign(request, { region, ...await credentials() }),
      // Another writer is at the same key.
      passingStatuses: [409],
    });
  }

  readRequest(name: string): StoreRequest {
    return { method: "GET", url: this.#url(name) };
  }

  crc32cIn(headers: Headers): string | null {
    return headers.get(CRC32C_HEADER);
  }

  isObjectAbsent({ text }: StoreAnswer): boolean {
    return textOf(parseXml(text), "Code") === "NoSuchKey";
  }

  lookRequest(name: string): StoreRequest {
    return { method: "HEAD", url: this.#url(name) };
  }

  factsIn({ headers }: StoreAnswer): ObjectFacts {
    return { sizeBytes: sizeIn(headers), nonce: headers.get(NONCE_HEADER) };
  }

  pageRequest({ prefix, isFlat, after, limit, token }: PageQuery): StoreRequest {
    const url = this.#url("", {
      "list-type": "2",
      prefix,
      ...(isFlat ? { delimiter: "/" } : {}),
      ...(after === "" ? {} : { "start-after": after }),
      "max-keys": `${Math.max(1, Math.min(MAX_PAGE_SIZE, limit))}`,
      ...(token === null ? {} : { "continuation-token": token }),
    });
    return { method: "GET", url };
  }

  async pageIn({ text }: StoreAnswer, { what, signal }: SendOptions): Promise<Page> {
    const root = await atPace(xmlSteps(text), new Pace(signal));
    // An empty listing is believed, so nothing else may be taken for one.
    if (root?.name !== "ListBucketResult") {
      throw this.client.failure(what, "the server's answer is not what its API says");
    }
    const contents = root.children.filter(({ name }) => name === "Contents");
    const names = contents.flatMap((object) => textOf(object, "Key") ?? []);
    return { names, nextToken: textOf(root, "NextContinuationToken") };
  }

  bucketRequest(): StoreRequest {
    return { method: "GET", url: this.#url("", { "list-type": "2", "max-keys": "1" }) };
  }

  async create(
    object: NewObject,
    bytes: Uint8Array<ArrayBuffer>,
    options: SendOptions,
  ): Promise<boolean> {
    const answer = await this.client.ask({
      method: "PUT",
      url: this.#url(object.name),
      headers: { ...headersOf(object), "If-None-Match": "*" },
      body: bytes,
    }, options);
    if (answer.status === 200) return true;
    if (answer.status === 412) return false;
    throw this.client.refusal(answer, options.what);
  }

  /** One multipart upload. */
  async upload(
    object: NewObject,
    { parts }: ContentParts,
    options: SendOptions,
  ): Promise<boolean> {
    const { name } = object;
    const id = await this.#start(object, options);
    let isCompleted = false;
    try {
      const etags: string[] = [];
      for await (const part of parts) {
        etags.push(await this.#sendPart(name, { id, number: etags.length + 1, part }, options));
      }
      const answer = await this.#complete(name, { id, etags }, options);
      isCompleted = answer.status === 200 &&
        parseXml(answer.text)?.name === "CompleteMultipartUploadResult";
      // A completion takes long and may fail after its 200. 404: our own success, whose answer was
      // lost, has ended the upload.
      if (![200, 404, 412].includes(answer.status)) {
        throw this.client.refusal(answer, options.what);
      }
      return isCompleted;
    } finally {
      if (!isCompleted) await this.#abort(object, id);
    }
  }

  async #start(object: NewObject, options: SendOptions): Promise<string> {
    const answer = await this.client.ask({
      method: "POST",
      url: this.#url(object.name, { uploads: "" }),
      headers: headersOf(object),
    }, options);
    const id = answer.status === 200 ? textOf(parseXml(answer.text), "UploadId") : null;
    if (id === null) throw this.client.refusal(answer, options.what);
    return id;
  }

  /** @returns the part's ETag, by which the completion names it */
  async #sendPart(
    name: string,
    { id, number, part }: { id: string; number: number; part: Uint8Array<ArrayBuffer> },
    options: SendOptions,
  ): Promise<string> {
    const answer = await this.client.ask({
      method: "PUT",
      url: this.#url(name, { partNumber: `${number}`, uploadId: id }),
      body: part,
    }, { ...options, isUpload: true });
    const etag = answer.headers.get("ETag");
    if (answer.status !== 200 || etag === null) throw this.client.refusal(answer, options.what);
    return etag;
  }

  async #complete(
    name: string,
    { id, etags }: { id: string; etags: readonly string[] },
    options: SendOptions,
  ): Promise<StoreAnswer> {
    const parts = etags.map((etag, i) =>
      `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`
    );
    return await this.client.ask({
      method: "POST",
      url: this.#url(name, { uploadId: id }),
      headers: { "Content-Type": "application/xml", "If-None-Match": "*" },
      body: `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`,
    }, { ...options, isUpload: true });
  }

  /** Also after the caller has gone. Where it fails, the bucket's lifecycle rule has the parts. */
  async #abort({ name }: NewObject, uploadId: string): Promise<void> {
    const url = this.#url(name, { uploadId });
    const options = { what: `abort the upload of "${name}" to`, notAfter: StorageError };
    try {
      await this.client.ask({ method: "DELETE", url }, options);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
    }
  }

  /** The URL of an object, or of the bucket where `name` is empty. */
  #url(name: string, query: Record<string, string> = {}): URL {
    const url = new URL(this.url + name.split("/").map(encodeSegment).join("/"));
    const pairs = Object.entries(query).map((pair) => pair.map(encodeSegment).join("="));
    url.search = pairs.join("&");
    return url;
  }
}

function headersOf({ crc32c, nonce }: NewObject): Record<string, string> {
  return {
    "Content-Type": "application/octet-stream",
    [CRC32C_HEADER]: crc32c,
    [NONCE_HEADER]: nonce,
  };
}

function bucketUrlOf(
  { bucket, region, endpoint = "", forcePathStyle = false, insecureHosts = [] }: S3StoreOptions,
): string {
  const url = new URL(endpoint === "" ? `https://s3.${region}.amazonaws.com` : endpoint);
  const { protocol, hostname, host } = url;
  if (protocol !== "https:" && !isLoopback(hostname) && !insecureHosts.includes(host)) {
    throw new ConfigError(
      `storage.s3.endpoint: plain http to ${host} is refused, unless insecureHosts names it`,
    );
  }
  const base = url.pathname.replace(/\/+$/, "");
  const isAddress = /^[\d.]+$|^\[/.test(hostname);
  // A certificate for *.s3.… does not cover a name with dots.
  const isInPath = forcePathStyle || isAddress || bucket.includes(".");
  return isInPath ? `${url.origin}${base}/${bucket}` : `${protocol}//${bucket}.${host}${base}`;
}

/** By RFC 3986: what a signature is computed of has `!` and `'()*` escaped, too. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(segment)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

type SigningAccount = S3Credentials & { readonly region: string };

/** The headers that Signature Version 4 adds to a request. */
async function sign(
  { method, url, headers = {}, body }: StoreRequest,
  account: SigningAccount,
): Promise<Record<string, string>> {
  // What this store sends is text or bytes; a Blob could be hashed only by reading it.
  if (body instanceof Blob) throw new Error("Cannot sign a Blob");
  const hash = createHash("sha256").update(body ?? "").digest("hex");
  const signer = new AwsV4Signer({
    method,
    url: url.href,
    headers: { ...headers, "x-amz-content-sha256": hash },
    ...signatureOptions(account),
  });
  return Object.fromEntries((await signer.sign()).headers);
}

/** A GET with the signature in its query. Temporary credentials may end before it does. */
async function signQuery(
  { url, startMs }: { readonly url: URL; readonly startMs: number },
  account: SigningAccount,
): Promise<URL> {
  const signer = new AwsV4Signer({
    method: "GET",
    url: url.href,
    signQuery: true,
    datetime: new Date(startMs).toISOString().replace(/[:-]|\.\d{3}/g, ""),
    ...signatureOptions(account),
  });
  return (await signer.sign()).url;
}

function signatureOptions({ region, accessKeyId, secretAccessKey, sessionToken }: SigningAccount) {
  return {
    service: "s3",
    region,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  };
}

/** Credentials of the usual chain; the library keeps them until they expire. */
function usualCredentials(): () => Promise<S3Credentials> {
  let provider: Promise<() => Promise<S3Credentials>> | undefined;
  return async () => {
    provider ??= import("@aws-sdk/credential-providers").then((chain) =>
      chain.fromNodeProviderChain()
    );
    return await (await provider)();
  };
}
