/**
 * Makes the private prefixes and their credentials from the configuration.
 *
 * ```yaml
 * privateModules:
 *   - pathPrefix: github.com/my-org
 *     auth: { gitHubApp: 12345 }
 *   - pathPrefix: git.example.com/team
 *     auth: { token: { file: git-token } }
 * gitHub:
 *   - host: github.com
 *     gitHubApps: [{ id: 12345, privateKey: { file: key.pem } }]
 * ```
 *
 * A prefix covers the module paths that begin with its elements; no two cover the same path.
 *
 * **Which remotes get the credentials** does not depend on web pages: remotes at the prefix's own
 * host over https (for a GitHub App: at the App's host); if the prefix names its repository, those
 * at the repository's host; with netrc, those it has an entry for. Plain http counts for hosts for
 * which the configuration allows it.
 */
import { ForbiddenError } from "../errors.ts";
import type { Logger } from "../log/log.ts";
import { hasPathPrefix, type ModulePath } from "../module/path.ts";
import { defaultApiBaseUrl, type Fetch, GitHubApp } from "./github_app.ts";
import { NetrcProvider } from "./netrc.ts";
import { readPrivateKey } from "./private_key.ts";
import {
  contextOf,
  type CredentialContext,
  type CredentialProvider,
  type Credentials,
  type CredentialsOptions,
  originOf,
} from "./provider.ts";
import {
  checkSecrets,
  readSecret,
  readSecretLine,
  type Secret,
  type SecretPlaces,
  type SecretUse,
  secretWarnings,
} from "./secret.ts";
import { NO_CREDENTIALS, TokenProvider, UserPasswordProvider } from "./static.ts";

/** The part of the configuration that this folder reads; its shape has been checked. */
export interface CredentialsConfig {
  readonly privateModules: readonly PrivateModules[];
  readonly gitHub: readonly GitHub[];
  /** Hosts (`host` or `host:port`) besides loopback that may be spoken to by plain http. */
  readonly insecureHosts?: readonly string[] | undefined;
}

export interface PrivateModules {
  /** Whole elements of a module path, without a slash at the end: `github.com/my-org`. */
  readonly pathPrefix: string;
  readonly auth: Auth;
  /** Where the repository of these modules is, for servers that do not tell. */
  readonly repository?: string | undefined;
}

export type Auth =
  | { readonly gitHubApp: number }
  | { readonly token: Secret }
  | { readonly userPassword: { readonly user: string; readonly password: Secret } }
  | { readonly netrc: Secret }
  | { readonly none: true };

export interface GitHub {
  /** In lower case, as in a URL. */
  readonly host: string;
  readonly apiBaseUrl?: string | undefined;
  readonly gitHubApps: readonly { readonly id: number; readonly privateKey: Secret }[];
}

export interface OpenCredentialsOptions {
  readonly places: SecretPlaces;
  readonly fetch: Fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
}

/** A private prefix, ready for use. */
export interface PrivatePrefix {
  readonly pathPrefix: string;
  readonly repository: URL | null;
  readonly provider: CredentialProvider;
}

/**
 * The faults of this part of the configuration, each with its key; secrets are not read.
 *
 * Overlapping prefixes are refused instead of using the longest: access must not depend on an
 * order.
 */
export function credentialsFaults(config: CredentialsConfig): string[] {
  const { privateModules, gitHub } = config;
  const faults = [
    ...duplicates(gitHub.map(({ host }) => host), (i) => `gitHub[${i}].host`),
    ...gitHub.flatMap(({ gitHubApps }, i) =>
      duplicates(gitHubApps.map(({ id }) => id), (j) => `gitHub[${i}].gitHubApps[${j}].id`)
    ),
  ];
  for (const [i, { pathPrefix, auth }] of privateModules.entries()) {
    const key = `privateModules[${i}]`;
    if (pathPrefix.split("/").some((element) => element === "")) {
      faults.push(`${key}.pathPrefix: "${pathPrefix}" has an empty element`);
    }
    for (const [j, other] of privateModules.slice(0, i).entries()) {
      if (overlap(pathPrefix, other.pathPrefix)) {
        faults.push(
          `${key}.pathPrefix: "${pathPrefix}" overlaps with "${other.pathPrefix}" ` +
            `of privateModules[${j}]`,
        );
      }
    }
    if ("gitHubApp" in auth && hostsOfApp(config, pathPrefix, auth.gitHubApp).length !== 1) {
      const count = hostsOfApp(config, pathPrefix, auth.gitHubApp).length;
      const found = count === 0 ? "no App" : `${count} Apps, none at the prefix's host,`;
      faults.push(`${key}.auth.gitHubApp: ${found} with id ${auth.gitHubApp} in gitHub`);
    }
  }
  return faults;
}

/** What a person should better do, each with its key. */
export function credentialsWarnings(config: CredentialsConfig): string[] {
  return secretWarnings(secretsOf(config));
}

/**
 * Makes the providers. Reads every secret once, so that an invalid one is found at start and not by
 * the first build.
 *
 * @param config without {@linkcode credentialsFaults}
 * @throws {SecretError} that names the key of each secret that cannot be used
 */
export async function openCredentials(
  config: CredentialsConfig,
  options: OpenCredentialsOptions,
): Promise<PrivatePrefixes> {
  await checkCredentialsSecrets(config, options.places);
  const apps = new Map(
    config.gitHub.flatMap((gitHub) =>
      gitHub.gitHubApps.map((app) => [`${gitHub.host} ${app.id}`, openApp(gitHub, app, options)])
    ),
  );
  return new PrivatePrefixes(config.privateModules.map((modules) => ({
    pathPrefix: modules.pathPrefix,
    repository: modules.repository === undefined ? null : new URL(modules.repository),
    provider: openProvider(modules),
  })));

  function openProvider({ pathPrefix, auth, repository }: PrivateModules): CredentialProvider {
    if ("none" in auth) return NO_CREDENTIALS;
    if ("netrc" in auth) return new NetrcProvider(auth.netrc, options.places);
    const [prefixHost = ""] = pathPrefix.split("/");
    if ("gitHubApp" in auth) {
      const [host = ""] = hostsOfApp(config, pathPrefix, auth.gitHubApp);
      const app = apps.get(`${host} ${auth.gitHubApp}`);
      if (app === undefined) throw new Error(`No GitHub App ${auth.gitHubApp} for ${pathPrefix}`);
      return new BoundProvider(app, originsOf(host, repository));
    }
    const provider = "token" in auth
      ? new TokenProvider(auth.token, options.places)
      : new UserPasswordProvider(auth.userPassword, options.places);
    return new BoundProvider(provider, originsOf(prefixHost, repository));
  }

  function originsOf(host: string, repository: string | undefined): string[] {
    if (repository !== undefined) return [originOf(contextOf(new URL(repository)))];
    return config.insecureHosts?.includes(host)
      ? [`https://${host}`, `http://${host}`]
      : [`https://${host}`];
  }
}

/** The private prefixes of the configuration. */
export class PrivatePrefixes<T extends { readonly pathPrefix: string } = PrivatePrefix> {
  readonly all: readonly T[];

  constructor(prefixes: readonly T[]) {
    this.all = prefixes;
  }

  /**
   * The private prefix that covers a module path, or null: the module is public.
   *
   * @throws {ForbiddenError} when only the case of its letters keeps a path from being private.
   *   Most servers ignore case: as a public path it would reveal a private name, as a private one
   *   it would evade access rules by path.
   */
  find(path: ModulePath): T | null {
    const prefix = this.all.find(({ pathPrefix }) => hasPathPrefix(path, pathPrefix));
    if (prefix !== undefined) return prefix;
    const folded = path.toLowerCase();
    const similar = this.all.find(({ pathPrefix }) =>
      hasPathPrefix(folded, pathPrefix.toLowerCase())
    );
    if (similar === undefined) return null;
    throw new ForbiddenError(
      `Cannot serve "${path}": it differs from the private prefix "${similar.pathPrefix}" ` +
        "only in upper and lower case",
    );
  }
}

/** Limits a provider to some origins (P1). */
class BoundProvider implements CredentialProvider {
  readonly description: string;
  readonly #provider: CredentialProvider;
  readonly #origins: readonly string[];

  constructor(provider: CredentialProvider, origins: readonly string[]) {
    this.description = provider.description;
    this.#provider = provider;
    this.#origins = origins;
  }

  async credentials(
    context: CredentialContext,
    options: CredentialsOptions,
  ): Promise<Credentials | null> {
    if (this.#origins.includes(originOf(context))) {
      return await this.#provider.credentials(context, options);
    }
    options.onStep?.(
      `no credentials: they are for ${this.#origins.join(" and ")}, the repository is at ` +
        `${originOf(context)}; if that is right, set "repository" or use netrc`,
    );
    return null;
  }

  forget(context: CredentialContext): void {
    this.#provider.forget(context);
  }
}

function openApp(
  { host, apiBaseUrl = defaultApiBaseUrl(host) }: GitHub,
  { id, privateKey }: GitHub["gitHubApps"][number],
  { places, fetch, now, log }: OpenCredentialsOptions,
): GitHubApp {
  return new GitHubApp({
    id,
    apiBaseUrl,
    privateKey: () => readPrivateKey(privateKey, places),
    fetch,
    now,
    log,
  });
}

/**
 * The hosts that have the App: the prefix's host if it has one with this id, otherwise all that do.
 */
function hostsOfApp({ gitHub }: CredentialsConfig, pathPrefix: string, id: number): string[] {
  const hosts = gitHub.filter(({ gitHubApps }) => gitHubApps.some((app) => app.id === id))
    .map(({ host }) => host);
  const [prefixHost = ""] = pathPrefix.split("/");
  return hosts.includes(prefixHost) ? [prefixHost] : hosts;
}

function secretsOf({ privateModules, gitHub }: CredentialsConfig): SecretUse[] {
  return [
    ...privateModules.flatMap(({ auth }, i) => secretsOfAuth(auth, `privateModules[${i}].auth`)),
    ...gitHub.flatMap(({ gitHubApps }, i) =>
      gitHubApps.map(({ privateKey }, j) => ({
        key: `gitHub[${i}].gitHubApps[${j}].privateKey`,
        secret: privateKey,
        read: readPrivateKey,
      }))
    ),
  ];
}

function secretsOfAuth(auth: Auth, key: string): SecretUse[] {
  if ("token" in auth) return [{ key: `${key}.token`, secret: auth.token, read: readSecretLine }];
  if ("netrc" in auth) return [{ key: `${key}.netrc`, secret: auth.netrc, read: readSecret }];
  if (!("userPassword" in auth)) return [];
  const { password } = auth.userPassword;
  return [{ key: `${key}.userPassword.password`, secret: password, read: readSecretLine }];
}

/** @throws {SecretError} with a line for each secret that cannot be used, which names its key */
export async function checkCredentialsSecrets(
  config: CredentialsConfig,
  places: SecretPlaces,
): Promise<void> {
  await checkSecrets(secretsOf(config), places);
}

/** Ignores case, for the same reason as {@linkcode PrivatePrefixes.find}. */
function overlap(a: string, b: string): boolean {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  return hasPathPrefix(x, y) || hasPathPrefix(y, x);
}

function duplicates<T>(values: readonly T[], key: (index: number) => string): string[] {
  return values.flatMap((value, i) =>
    values.indexOf(value) < i ? [`${key(i)}: "${value}" is there twice`] : []
  );
}
