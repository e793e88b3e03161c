/**
 * Makes the private prefixes and their credentials from the configuration (config.ts).
 *
 * **Which remotes get the credentials** does not depend on web pages: remotes at the prefix's own
 * host over https (for a GitHub App: at the App's host); if the prefix names its repository, those
 * at the repository's host; with netrc, those it has an entry for. Plain http counts for hosts for
 * which the configuration allows it.
 */
import type { Logger } from "../log/log.ts";
import { PrivatePrefixes } from "../module/private_prefixes.ts";
import { BoundProvider } from "./bound.ts";
import {
  appsIn,
  type CredentialsConfig,
  credentialsSecrets,
  type GitHub,
  hostsOfApp,
  type PrivateModules,
} from "./config.ts";
import { defaultApiBaseUrl, type Fetch, GitHubApp } from "./github_app.ts";
import { NetrcProvider } from "./netrc.ts";
import { readPrivateKey } from "./private_key.ts";
import { contextOf, type CredentialProvider, originOf } from "./provider.ts";
import { checkSecrets, type SecretPlaces } from "./secret.ts";
import { NO_CREDENTIALS, TokenProvider, UserPasswordProvider } from "./static.ts";

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
 * Makes the providers. Reads every secret once, so that an invalid one is found at start and not by
 * the first build.
 *
 * @throws {SecretError} that names the key of each secret that cannot be used
 */
export async function openCredentials(
  config: CredentialsConfig,
  options: OpenCredentialsOptions,
): Promise<PrivatePrefixes<PrivatePrefix>> {
  await checkSecrets(credentialsSecrets(config), options.places);
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
      const [host = ""] = hostsOfApp(appsIn(config), pathPrefix, auth.gitHubApp);
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
