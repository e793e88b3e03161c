/**
 * An issuer of identity tokens on 127.0.0.1: an OpenID Connect provider with a discovery document
 * and a key set, and as such also what Google is to its instances.
 *
 * It is strict: only `GET` of the two documents is answered, and a token is signed only with keys
 * that the issuer has or had. A test has to ask explicitly for what a correct issuer would never
 * sign ({@linkcode TokenOptions}).
 */
import assert from "node:assert/strict";
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
} from "jose";
import { Loopback } from "./loopback.ts";

export interface TokenOptions {
  /** Default: that of the key, ES256. */
  readonly alg?: string;
  /** Default: the newest key's; null: none. */
  readonly kid?: string | null;
  /** A key that is not the issuer's. */
  readonly key?: CryptoKey | Uint8Array;
}

interface Pair {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

export class FakeIssuer implements AsyncDisposable {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly requests: string[] = [];
  /** What the discovery document says instead, if anything. */
  discovery: Record<string, unknown> = {};
  /** Answers instead of the issuer, if there is one. */
  instead: ((path: string) => Response | null) | null = null;
  readonly #server: Loopback;
  #pairs: Pair[];
  #count = 1;

  private constructor(first: Pair) {
    this.#pairs = [first];
    this.#server = new Loopback((request) => this.#answer(request));
    this.url = this.#server.url;
  }

  static async start(): Promise<FakeIssuer> {
    return new FakeIssuer(await newPair("key-1"));
  }

  get jwksUri(): string {
    return `${this.url}/keys`;
  }

  /** A new key signs; the ones before it are gone from the set, unless they are kept. */
  async rotate({ keep = false } = {}): Promise<void> {
    const pair = await newPair(`key-${++this.#count}`);
    this.#pairs = keep ? [...this.#pairs, pair] : [pair];
  }

  token(claims: JWTPayload, { alg = "ES256", kid, key }: TokenOptions = {}): Promise<string> {
    const pair = this.#newest();
    const header = kid === null ? { alg } : { alg, kid: kid ?? pair.kid };
    return new SignJWT(claims).setProtectedHeader(header).sign(key ?? pair.privateKey);
  }

  /** The public key as text, which a careless verifier takes for a secret. */
  async publicKeyPem(): Promise<Uint8Array> {
    return new TextEncoder().encode(await exportSPKI(this.#newest().publicKey));
  }

  down(): Promise<void> {
    return this.#server.down();
  }

  up(): void {
    this.#server.up();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }

  #newest(): Pair {
    const pair = this.#pairs.at(-1);
    assert.ok(pair);
    return pair;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    this.requests.push(pathname);
    const other = this.instead?.(pathname);
    if (other) return other;
    if (request.method !== "GET") return new Response(null, { status: 405 });
    if (pathname === "/.well-known/openid-configuration") {
      return Response.json({ issuer: this.url, jwks_uri: this.jwksUri, ...this.discovery });
    }
    if (pathname !== "/keys") return new Response(null, { status: 404 });
    const keys = await Promise.all(this.#pairs.map(async ({ kid, publicKey }) => ({
      ...await exportJWK(publicKey),
      kid,
      alg: "ES256",
      use: "sig",
    })));
    return Response.json({ keys });
  }
}

async function newPair(kid: string): Promise<Pair> {
  return { kid, ...await generateKeyPair("ES256", { extractable: true }) };
}
