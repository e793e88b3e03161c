/**
 * The identity of the machine or person that runs a client: an identity token from the platform, or
 * a user and a password.
 *
 * - `env`: an OpenID Connect token in an environment variable. GitLab puts it there (`id_tokens`).
 * - `github`: GitHub Actions issues a token for the requested audience if the workflow has the
 *   permission `id-token: write` (docs.github.com, "OpenID Connect reference").
 * - `file`: a token in a file. Kubernetes keeps one up to date in a projected volume
 *   (`serviceAccountToken`).
 * - `netrc`: a user and a password, by the rules of the `go` command (lib/credentials/netrc.ts).
 * - `gce`: Google's metadata server issues a token for the instance's service account
 *   (cloud.google.com, "Verify the identity of a VM"). Also in Cloud Run and GKE.
 * - `git`: a user and a password from the credential helpers of the user's git: the keychain.
 *
 * By default they are tried in this order: explicit set-up comes before the machine's own identity.
 */
import { findNetrcEntry, parseNetrc } from "../credentials/netrc.ts";
import { contextOf } from "../credentials/provider.ts";
import { UnauthenticatedError, UpstreamError } from "../errors.ts";
import type { UserCredential } from "../git/user_git.ts";
import type { Login } from "./log_in.ts";
import { type ProviderName, PROVIDERS } from "./providers.ts";

/** The variable that `env` reads by default. */
export const DEFAULT_TOKEN_VARIABLE = "GO_MOD_PROXY_ID_TOKEN";
/** The file that `file` reads by default. */
export const DEFAULT_TOKEN_FILE = "/var/run/secrets/go-mod-proxy/token";

export interface Identity {
  /** For messages. Contains no secret. */
  readonly description: string;
  /** Differs wherever the identity may differ. May be derived from secrets. */
  readonly key: string;
  /** The proof for the server. */
  prove(): Promise<Login>;
}

export interface FindIdentityOptions {
  readonly server: URL;
  /** The audience of tokens, where the platform lets us choose it. */
  readonly audience: string;
  /** Default: the first that finds something. */
  readonly provider?: ProviderName | undefined;
  readonly tokenVariable?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/** Access to the machine's sources of identities. */
export interface Machine {
  env(name: string): string | undefined;
  /** Null if the file does not exist or may not be read. */
  readFile(path: string): Promise<string | null>;
  /**
   * The body from an https server, or one on this machine. No redirects. @throws {UpstreamError}
   * unless the status is 200
   */
  fetchText(url: URL, headers: Readonly<Record<string, string>>): Promise<string>;
  /**
   * The body from the metadata server, asked without a proxy. @throws {UpstreamError} unless the
   * status is 200
   */
  askMetadata(url: URL): Promise<string>;
  askGit(server: URL): Promise<UserCredential | null>;
}

/** @throws {UnauthenticatedError} when there is none */
export async function findIdentity(
  options: FindIdentityOptions,
  machine: Machine,
): Promise<Identity> {
  const { provider, server } = options;
  for (const name of provider === undefined ? PROVIDERS : [provider]) {
    const identity = await FINDERS[name](options, machine);
    if (identity !== null) return identity;
  }
  throw new UnauthenticatedError(
    provider === undefined
      ? `Cannot log in at ${server.origin}: no identity found by ${PROVIDERS.join(", ")}`
      : `Cannot log in at ${server.origin}: ${describeAbsence(provider, options)}`,
  );
}

type Finder = (options: FindIdentityOptions, machine: Machine) => Promise<Identity | null>;

const FINDERS: Readonly<Record<ProviderName, Finder>> = {
  env: findInVariable,
  github: findGitHub,
  file: findInFile,
  netrc: findInNetrc,
  gce: findGce,
  git: findInGit,
};

function describeAbsence(provider: ProviderName, options: FindIdentityOptions): string {
  const { tokenVariable = DEFAULT_TOKEN_VARIABLE, tokenFile = DEFAULT_TOKEN_FILE } = options;
  const absences: Record<ProviderName, string> = {
    env: `the environment variable ${tokenVariable} is not set`,
    github: "this is no job of GitHub Actions, or one without the permission id-token: write",
    file: `there is no file "${tokenFile}" that can be read`,
    netrc: `no entry for ${options.server.host} in the netrc file`,
    gce: "this is no instance of Google Compute Engine",
    git: "git knows no password",
  };
  return absences[provider];
}

async function findInVariable(
  { tokenVariable = DEFAULT_TOKEN_VARIABLE }: FindIdentityOptions,
  { env }: Machine,
): Promise<Identity | null> {
  const token = env(tokenVariable)?.trim();
  return await Promise.resolve(
    token ? oidcIdentity(`the environment variable ${tokenVariable}`, token) : null,
  );
}

async function findInFile(
  { tokenFile = DEFAULT_TOKEN_FILE }: FindIdentityOptions,
  machine: Machine,
): Promise<Identity | null> {
  const token = (await machine.readFile(tokenFile))?.trim();
  return token ? oidcIdentity(`the file "${tokenFile}"`, token) : null;
}

function oidcIdentity(description: string, token: string): Identity {
  return {
    description,
    key: token,
    prove: () => Promise.resolve({ kind: "oidc", token: parseToken(token, description) }),
  };
}

async function findGitHub(
  { audience }: FindIdentityOptions,
  { env, fetchText }: Machine,
): Promise<Identity | null> {
  const requestUrl = env("ACTIONS_ID_TOKEN_REQUEST_URL");
  const requestToken = env("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
  if (!requestUrl || !requestToken) return null;
  const description = "GitHub Actions";
  return await Promise.resolve({
    description,
    // The request token is different for each job.
    key: requestToken,
    async prove() {
      const url = new URL(requestUrl);
      url.searchParams.set("audience", audience);
      const answer = await fetchText(url, { Authorization: `Bearer ${requestToken}` });
      return { kind: "oidc", token: parseToken(valueOf(answer), description) };
    },
  });
}

/** `{"value": "<token>"}`; "" for anything else. */
function valueOf(json: string): string {
  try {
    return String(JSON.parse(json)?.value ?? "");
  } catch {
    return "";
  }
}

async function findInNetrc(
  { server }: FindIdentityOptions,
  machine: Machine,
): Promise<Identity | null> {
  for (const path of netrcPaths(machine)) {
    const text = await machine.readFile(path);
    const entry = text === null ? null : findNetrcEntry(parseNetrc(text), contextOf(server));
    if (entry !== null) {
      const { machine: name, login: user, password } = entry;
      return passwordIdentity(`netrc entry "${name}"`, { user, password });
    }
    if (text !== null) return null;
  }
  return null;
}

/** The first that exists. */
function netrcPaths({ env }: Machine): string[] {
  const named = env("NETRC");
  if (named) return [named];
  const [home, profile] = [env("HOME"), env("USERPROFILE")];
  return [
    ...profile ? [`${profile}/_netrc`, `${profile}/.netrc`] : [],
    ...home ? [`${home}/.netrc`] : [],
  ];
}

async function findInGit(
  { server }: FindIdentityOptions,
  machine: Machine,
): Promise<Identity | null> {
  const credential = await machine.askGit(server);
  return credential === null ? null : passwordIdentity("git credential", credential);
}

function passwordIdentity(description: string, { user, password }: UserCredential): Identity {
  return {
    description,
    key: JSON.stringify([user, password]),
    prove: () => Promise.resolve({ kind: "password", user, password }),
  };
}

async function findGce(
  { audience, provider }: FindIdentityOptions,
  machine: Machine,
): Promise<Identity | null> {
  if (provider !== "gce" && !await isGoogle(machine)) return null;
  const host = machine.env("GCE_METADATA_HOST") || "metadata.google.internal";
  const account = `http://${host}/computeMetadata/v1/instance/service-accounts/default`;
  const description = "the metadata server";
  return {
    description,
    key: await machine.askMetadata(new URL(`${account}/email`)),
    async prove() {
      const url = new URL(`${account}/identity?format=full`);
      url.searchParams.set("audience", audience);
      return { kind: "gce", token: parseToken(await machine.askMetadata(url), description) };
    },
  };
}

/**
 * Whether this is a Google Cloud machine. Does not use the network, which elsewhere might not
 * answer for a long time.
 */
async function isGoogle({ env, readFile }: Machine): Promise<boolean> {
  if (env("GCE_METADATA_HOST") || env("K_SERVICE")) return true;
  const product = await readFile("/sys/class/dmi/id/product_name");
  return product?.startsWith("Google") ?? false;
}

/** A JSON Web Token, by its form (RFC 7519, 3). */
function parseToken(text: string, from: string): string {
  const token = text.trim();
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token;
  throw new UpstreamError(`Cannot use the identity token of ${from}: it is not a JSON Web Token`);
}
