/**
 * The sections `privateModules` and `gitHub`: modules that come from git with credentials.
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
 */
import { z } from "zod";
import { parseModulePath } from "../module/path.ts";
import { pathPrefixesOverlap } from "../module/private_prefixes.ts";
import { duplicateFaults, type Fault, type Path } from "../schema/fault.ts";
import { httpUrl, nonEmpty, oneOf, textFor } from "../schema/fields.ts";
import { numbersAt, textsAt, valuesAt } from "../schema/query.ts";
import { secret, secretWarnings } from "../schema/secret.ts";
import { didYouMean } from "../schema/suggestion.ts";
import { readPrivateKey } from "./private_key.ts";
import { readSecret, readSecretLine, type SecretUse } from "./secret.ts";

const auth = oneOf({
  /** The id of a GitHub App that `gitHub` lists. */
  gitHubApp: z.int().positive(),
  /** An access token of GitLab, Gitea, Bitbucket, Azure DevOps …, sent as the password. */
  token: secret,
  userPassword: z.strictObject({ user: nonEmpty, password: secret }),
  /** The text of a netrc file. */
  netrc: secret,
  none: z.literal(true),
}, "exactly one of gitHubApp, token, userPassword, netrc, none: true is needed");

export const privateModules = z.array(z.strictObject({
  /** Whole elements of a module path, without a slash at the end: `github.com/my-org`. */
  pathPrefix: textFor(parseModulePath),
  auth,
  /** Where the repository is, for servers that do not answer `?go-get=1`. */
  repository: httpUrl.exactOptional(),
})).default([]);

export const gitHub = z.array(z.strictObject({
  /** In lower case, as in a URL. */
  host: nonEmpty.toLowerCase(),
  /** Default: that of github.com; else GitHub Enterprise's `https://<host>/api/v3`. */
  apiBaseUrl: httpUrl.exactOptional(),
  gitHubApps: z.array(z.strictObject({
    id: z.int().positive(),
    /** One PEM block, PKCS#1 or PKCS#8. */
    privateKey: secret,
  })),
})).default([]);

export type PrivateModules = z.output<typeof privateModules>[number];
export type Auth = z.output<typeof auth>;
export type GitHub = z.output<typeof gitHub>[number];

/** The sections that credentials are opened with. */
export interface CredentialsConfig {
  readonly privateModules: readonly PrivateModules[];
  readonly gitHub: readonly GitHub[];
  /** Hosts (`host` or `host:port`) besides loopback that may be reached by plain http. */
  readonly insecureHosts?: readonly string[] | undefined;
}

/**
 * What does not go together.
 *
 * Overlapping prefixes are refused instead of choosing the longest: who may read what must not
 * depend on an order.
 *
 * @param config anything
 */
export function credentialsFaults(config: unknown): Fault[] {
  const prefixes = textsAt(config, "privateModules.*.pathPrefix");
  const apps = appsIn(config);
  const hosts = textsAt(config, "gitHub.*.host")
    .map(({ path, value }) => ({ path, value: value.toLowerCase() }));
  return [
    ...duplicateFaults(hosts),
    ...valuesAt(config, "gitHub.*").flatMap(({ path, value }) =>
      duplicateFaults(under(path, numbersAt(value, "gitHubApps.*.id")))
    ),
    ...prefixes.flatMap(({ path, value }, i): Fault[] => {
      const other = prefixes.slice(0, i).find((one) => pathPrefixesOverlap(one.value, value));
      return other === undefined
        ? []
        : [{ path, message: `"${value}" overlaps with "${other.value}"`, see: other.path }];
    }),
    ...valuesAt(config, "privateModules.*").flatMap(({ path, value }) => {
      const pathPrefix = textsAt(value, "pathPrefix").at(0)?.value ?? "";
      return under(path, numbersAt(value, "auth.gitHubApp")).flatMap((app) => {
        const message = appFault(apps, { pathPrefix, id: app.value });
        return message === null ? [] : [{ path: app.path, message }];
      });
    }),
  ];
}

function under<T extends { readonly path: Path }>(path: Path, found: readonly T[]): T[] {
  return found.map((one) => ({ ...one, path: [...path, ...one.path] }));
}

interface App {
  readonly host: string;
  readonly id: number;
}

function appFault(
  apps: readonly App[],
  { pathPrefix, id }: { pathPrefix: string; id: number },
): string | null {
  const count = hostsOfApp(apps, pathPrefix, id).length;
  if (count === 1) return null;
  if (count > 1) return `${count} Apps with id ${id} in gitHub, none of them at the prefix's host`;
  return `there is no App with id ${id} in gitHub${
    didYouMean(String(id), apps.map((app) => String(app.id)))
  }`;
}

/** The Apps of `gitHub`. @param config anything */
export function appsIn(config: unknown): App[] {
  return valuesAt(config, "gitHub.*").flatMap(({ value }) => {
    const host = textsAt(value, "host").at(0)?.value.toLowerCase() ?? "";
    // An id in quotes is a fault of its own; what refers to it is right.
    return valuesAt(value, "gitHubApps.*.id").map((id) => ({ host, id: Number(id.value) }));
  });
}

/** Where the App is: at the prefix's host if there is one with this id, else wherever there is. */
export function hostsOfApp(apps: readonly App[], pathPrefix: string, id: number): string[] {
  const hosts = new Set(apps.filter((app) => app.id === id).map(({ host }) => host));
  const [prefixHost = ""] = pathPrefix.split("/");
  return hosts.has(prefixHost) ? [prefixHost] : [...hosts];
}

/** What is legal and likely wrong. */
export function credentialsWarnings(config: CredentialsConfig): Fault[] {
  return [...secretWarnings(credentialsSecrets(config)), ...unusedApps(config)];
}

function unusedApps(config: CredentialsConfig): Fault[] {
  const apps = appsIn(config);
  const used = new Set(
    config.privateModules.flatMap(({ pathPrefix, auth }) =>
      "gitHubApp" in auth
        ? hostsOfApp(apps, pathPrefix, auth.gitHubApp).map((host) => `${host} ${auth.gitHubApp}`)
        : []
    ),
  );
  return config.gitHub.flatMap(({ host, gitHubApps }, i) =>
    gitHubApps.flatMap(({ id }, j) =>
      used.has(`${host} ${id}`)
        ? []
        : [{ path: ["gitHub", i, "gitHubApps", j], message: `no private prefix uses App ${id}` }]
    )
  );
}

/** Every secret of the two sections. */
export function credentialsSecrets({ privateModules, gitHub }: CredentialsConfig): SecretUse[] {
  return [
    ...privateModules.flatMap(({ auth }, i) => secretsOfAuth(auth, ["privateModules", i, "auth"])),
    ...gitHub.flatMap(({ gitHubApps }, i) =>
      gitHubApps.map(({ privateKey }, j) => ({
        path: ["gitHub", i, "gitHubApps", j, "privateKey"],
        secret: privateKey,
        read: readPrivateKey,
      }))
    ),
  ];
}

function secretsOfAuth(auth: Auth, path: Path): SecretUse[] {
  if ("token" in auth) {
    return [{ path: [...path, "token"], secret: auth.token, read: readSecretLine }];
  }
  if ("netrc" in auth) return [{ path: [...path, "netrc"], secret: auth.netrc, read: readSecret }];
  if (!("userPassword" in auth)) return [];
  const { password } = auth.userPassword;
  return [{ path: [...path, "userPassword", "password"], secret: password, read: readSecretLine }];
}
