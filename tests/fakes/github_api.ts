/**
 * The part of GitHub's REST API that a GitHub App needs to get tokens, on 127.0.0.1:
 * https://docs.github.com/rest/apps/apps
 *
 * - `GET /orgs/{org}/installation`, `GET /users/{username}/installation`: where the App is
 *   installed. Owners are found whatever the case of their letters; an organization is no user, and
 *   the other way round.
 * - `POST /app/installations/{id}/access_tokens`: a token, for the repositories and permissions in
 *   the body.
 *
 * It is strict where GitHub is: the App's JWT must be signed with the App's key, be from the past
 * and end within ten minutes; a repository that the installation does not reach, and a permission
 * it lacks, are 422; a request without `User-Agent` is 403. What it must never be asked for (a
 * token for more than it needs) is for the test to see in {@linkcode FakeGitHubApi.tokens}. A fake
 * git server asks {@linkcode FakeGitHubApi.isValidFor}.
 */
import { Buffer } from "node:buffer";
import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from "node:crypto";
import type { Behaviour } from "./behaviours.ts";
import { Loopback } from "./loopback.ts";

export interface Installation {
  readonly owner: string;
  /** Default: `Organization`. */
  readonly ownerType?: "Organization" | "User";
  /** The owner's repositories, without the owner. */
  repositories: string[];
  /** The ones that the App may see. Default: all of them, those to come too. */
  selected?: string[];
  /** Default: contents and metadata, to read. */
  permissions?: Record<string, string>;
  suspended?: boolean;
}

export interface MintedToken {
  readonly token: string;
  readonly installationId: number;
  /** As `owner/name`, in the spelling of the installation. */
  readonly repositories: readonly string[];
  readonly permissions: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

export interface FakeGitHubApiOptions {
  /** The path that the API is under: `/api/v3` for GitHub Enterprise Server. Default: none. */
  readonly basePath?: string;
  /** Milliseconds since 1970. Default: the real time. */
  readonly now?: () => number;
  /** The App's key. Default: a new one, which takes a while to make. */
  readonly privateKeyPem?: string;
}

const TOKEN_LIFETIME_MS = 60 * 60_000;
const MAX_JWT_LIFETIME_SECONDS = 600;

export class FakeGitHubApi implements AsyncDisposable {
  readonly apiBaseUrl: string;
  readonly appId = 12345;
  /** The App's key; a new one is PKCS#1, as GitHub gives it out. */
  readonly privateKeyPem: string;
  readonly installations = new Map<number, Installation>();
  /** All tokens that were minted, the oldest first. */
  readonly tokens: MintedToken[] = [];
  /** `METHOD /path`, without the base path, in order. */
  readonly requests: string[] = [];
  /** Answers instead, as long as it is set. */
  misbehave: Behaviour | null = null;
  readonly #publicKey: KeyObject;
  readonly #server: Loopback;
  readonly #basePath: string;
  readonly #now: () => number;
  #nextId = 42;

  constructor(
    { basePath = "", now = Date.now, privateKeyPem = newKeyPem() }: FakeGitHubApiOptions = {},
  ) {
    this.#basePath = basePath;
    this.#now = now;
    this.privateKeyPem = privateKeyPem;
    this.#publicKey = createPublicKey(privateKeyPem);
    this.#server = new Loopback(async (request) => {
      const body = await request.text();
      const honest = () => Promise.resolve(this.#answer(request, body));
      const response = this.misbehave === null
        ? await honest()
        : await this.misbehave(request, honest);
      response.headers.set("Date", new Date(this.#now()).toUTCString());
      return response;
    });
    this.apiBaseUrl = this.#server.url + basePath;
  }

  /** Installs the App; gives the installation's id. */
  install(installation: Installation): number {
    const id = this.#nextId++;
    this.installations.set(id, installation);
    return id;
  }

  /** Whether a git server would take the token for this repository (`owner/name`) now. */
  isValidFor(token: string, repository: string): boolean {
    return this.tokens.some((minted) =>
      minted.token === token && this.#now() < minted.expiresAt.getTime() &&
      this.installations.has(minted.installationId) &&
      minted.permissions["contents"] !== undefined &&
      minted.repositories.some((name) => isSame(name, repository))
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  #answer(request: Request, body: string): Response {
    const { pathname } = new URL(request.url);
    if (!pathname.startsWith(`${this.#basePath}/`)) return refuse(404, "Not Found");
    const path = pathname.slice(this.#basePath.length);
    this.requests.push(`${request.method} ${path}`);
    if (!request.headers.get("User-Agent")) return refuse(403, "User-Agent is missing");
    const fault = this.#jwtFault(request.headers.get("Authorization") ?? "");
    if (fault !== null) return refuse(401, fault);

    const lookup = /^\/(?<kind>orgs|users)\/(?<owner>[^/]+)\/installation$/.exec(path)?.groups;
    if (request.method === "GET" && lookup !== undefined) {
      const type = lookup["kind"] === "orgs" ? "Organization" : "User";
      return this.#lookup(decodeURIComponent(lookup["owner"] ?? ""), type);
    }
    const mint = /^\/app\/installations\/(?<id>[0-9]+)\/access_tokens$/.exec(path)?.groups;
    if (request.method === "POST" && mint !== undefined) {
      return this.#mint(Number(mint["id"]), body);
    }
    return refuse(404, "Not Found");
  }

  #lookup(owner: string, type: string): Response {
    for (const [id, installation] of this.installations) {
      const { ownerType = "Organization", selected, suspended = false } = installation;
      if (ownerType !== type || !isSame(installation.owner, owner)) continue;
      return Response.json({
        id,
        app_id: this.appId,
        account: { login: installation.owner, type },
        repository_selection: selected === undefined ? "all" : "selected",
        permissions: permissionsOf(installation),
        suspended_at: suspended ? new Date(this.#now()).toISOString() : null,
      });
    }
    return refuse(404, "Not Found");
  }

  #mint(installationId: number, body: string): Response {
    const installation = this.installations.get(installationId);
    if (installation === undefined) return refuse(404, "Not Found");
    if (installation.suspended) return refuse(403, "This installation has been suspended");
    const { repositories: names, permissions } = JSON.parse(body === "" ? "{}" : body) as {
      repositories?: string[];
      permissions?: Record<string, string>;
    };
    const granted = permissionsOf(installation);
    if (Object.entries(permissions ?? {}).some(([name, level]) => !allows(granted[name], level))) {
      return refuse(422, "The permissions requested are not granted to this installation.");
    }
    const visible = installation.selected ?? installation.repositories;
    const repositories = names?.map((name) => visible.find((other) => isSame(name, other)));
    if (repositories?.includes(undefined)) {
      return refuse(
        422,
        "There is at least one repository that does not exist or is not accessible to the parent installation.",
      );
    }
    const minted: MintedToken = {
      token: `ghs_${crypto.randomUUID().replaceAll("-", "")}Fake`,
      installationId,
      repositories: (repositories ?? visible).map((name) => `${installation.owner}/${name}`),
      permissions: permissions === undefined ? granted : { ...permissions, metadata: "read" },
      // GitHub gives whole seconds.
      expiresAt: new Date(Math.floor((this.#now() + TOKEN_LIFETIME_MS) / 1000) * 1000),
    };
    this.tokens.push(minted);
    return Response.json({
      token: minted.token,
      expires_at: minted.expiresAt.toISOString().replace(".000Z", "Z"),
      permissions: minted.permissions,
      repository_selection: repositories === undefined ? "all" : "selected",
    }, { status: 201 });
  }

  /** Why GitHub would not accept an Authorization value, or null. */
  #jwtFault(authorization: string): string | null {
    const jwt = /^bearer (?<signed>[\w-]+\.[\w-]+)\.(?<signature>[\w-]+)$/i.exec(authorization);
    const { signed, signature } = jwt?.groups ?? {};
    if (signed === undefined || signature === undefined) {
      return "A JSON web token could not be decoded";
    }
    const [header, claims] = signed.split(".").map((part) =>
      JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>
    );
    const isSigned = header?.["alg"] === "RS256" &&
      verify(
        "RSA-SHA256",
        Buffer.from(signed),
        this.#publicKey,
        Buffer.from(signature, "base64url"),
      );
    if (!isSigned) return "A JSON web token could not be decoded";
    if (Number(claims?.["iss"]) !== this.appId) return "'Issuer' claim ('iss') is not an App";
    const [iat, exp] = [Number(claims?.["iat"]), Number(claims?.["exp"])];
    const nowSeconds = this.#now() / 1000;
    if (!(iat <= nowSeconds)) {
      return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    }
    if (!(exp > nowSeconds)) {
      return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
    }
    if (exp > nowSeconds + MAX_JWT_LIFETIME_SECONDS || exp - iat > MAX_JWT_LIFETIME_SECONDS) {
      return "'Expiration time' claim ('exp') is too far in the future";
    }
    return null;
  }
}

/** A new RSA key in PEM, PKCS#1. */
export function newKeyPem(): string {
  return generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  }).privateKey;
}

function permissionsOf({ permissions }: Installation): Record<string, string> {
  return permissions ?? { contents: "read", metadata: "read" };
}

function allows(granted: string | undefined, wanted: string): boolean {
  return granted === wanted || granted === "write" && wanted === "read";
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function refuse(status: number, message: string): Response {
  return Response.json({ message, documentation_url: "https://docs.example.com/" }, { status });
}
