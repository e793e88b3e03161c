/**
 * From the configuration's section `clientAuth` to the guard. Every secret is read once, so that a wrong one is found at
 * start and not by the first build.
 */
import {
  checkSecrets,
  readSecretLine,
  type Secret,
  type SecretPlaces,
  type SecretUse,
  secretWarnings,
} from "../credentials/secret.ts";
import type { Fetch } from "../http/client.ts";
import type { Logger } from "../log/log.ts";
import { AccessList, type AccessRule } from "./access_list.ts";
import { AccessTokens, readSigningSecret } from "./access_tokens.ts";
import type { Authenticator } from "./authenticator.ts";
import type { ClaimPatterns } from "./claims.ts";
import { ClientAuth } from "./client_auth.ts";
import { Gce, GOOGLE_ISSUER, GOOGLE_KEYS } from "./gce.ts";
import { KeySet } from "./key_set.ts";
import { Oidc } from "./oidc.ts";
import { PasswordHash } from "./password_hash.ts";
import { Passwords } from "./passwords.ts";

/** The section; its shape, names and patterns have been checked. */
export interface ClientAuthConfig {
  readonly acl: readonly AccessRule[];
  readonly authenticators: {
    readonly accessToken?: AccessTokenConfig | undefined;
    readonly gceInstanceIdentity?: Omit<IssuerConfig, "issuer"> | undefined;
    readonly oidc: readonly IssuerConfig[];
  };
  readonly identities: readonly IdentityConfig[];
}

export interface AccessTokenConfig {
  readonly audience: string;
  /** One of the two. Of several the first signs, all verify. */
  readonly secret?: Secret | undefined;
  readonly secrets?: readonly Secret[] | undefined;
  readonly timeToLiveMs: number;
}

export interface IssuerConfig {
  /** For messages. Default: the issuer. */
  readonly name?: string | undefined;
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly jwksUri?: string | undefined;
}

export interface IdentityConfig {
  readonly name: string;
  readonly password?: Secret | undefined;
  readonly passwordHash?: Secret | undefined;
  readonly gceInstanceIdentityBinding?: {
    readonly email: string;
    readonly project?: readonly string[] | undefined;
    readonly zone?: readonly string[] | undefined;
    readonly instance?: readonly string[] | undefined;
  } | undefined;
  readonly oidcBinding?:
    | { readonly issuer: string; readonly claims: ClaimPatterns }
    | undefined;
}

export interface OpenClientAuthOptions {
  readonly places: SecretPlaces;
  readonly fetch: Fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
}

/** @throws {SecretError} that names the key of each secret that cannot be used */
export async function openClientAuth(
  config: ClientAuthConfig,
  options: OpenClientAuthOptions,
): Promise<ClientAuth> {
  await checkClientAuthSecrets(config, options.places);
  const { now, log } = options;
  const identities = new Set(config.identities.map(({ name }) => name));
  const accessTokens = openAccessTokens(config, { ...options, identities });
  return new ClientAuth({
    authenticators: openAuthenticators(config, { ...options, accessTokens }),
    identities,
    accessList: new AccessList(config.acl),
    accessTokens,
    now,
    log,
  });
}

/** What a person should better do, each with its key. */
export function clientAuthWarnings(config: ClientAuthConfig): string[] {
  const secrets = secretWarnings(secretsOf(config).filter(({ isPublic }) => !isPublic));
  const unreachable = config.identities.flatMap((identity, i) =>
    Object.keys(identity).length > 1
      ? []
      : [`clientAuth.identities[${i}]: nobody can log in as "${identity.name}"`]
  );
  return [...secrets, ...unreachable];
}

function openAccessTokens(
  { authenticators: { accessToken } }: ClientAuthConfig,
  options: OpenClientAuthOptions & { readonly identities: ReadonlySet<string> },
): AccessTokens | null {
  if (accessToken === undefined) return null;
  const secrets = signingSecrets(accessToken).map(({ secret }) => secret);
  return new AccessTokens({ ...accessToken, secrets, ...options });
}

function openAuthenticators(
  { identities, authenticators: { gceInstanceIdentity, oidc } }: ClientAuthConfig,
  options: OpenClientAuthOptions & { readonly accessTokens: AccessTokens | null },
): Authenticator[] {
  const { places, accessTokens } = options;
  const withPassword = identities.filter(({ password, passwordHash }) =>
    password !== undefined || passwordHash !== undefined
  );
  return [
    ...(withPassword.length === 0 ? [] : [new Passwords(withPassword, places)]),
    ...(accessTokens === null ? [] : [accessTokens]),
    ...(gceInstanceIdentity === undefined
      ? []
      : [openGce(gceInstanceIdentity, { ...options, identities })]),
    ...oidc.map((issuer) => openOidc(issuer, { ...options, identities })),
  ];
}

interface OpenIssuerOptions extends Pick<OpenClientAuthOptions, "fetch" | "now"> {
  readonly identities: readonly IdentityConfig[];
}

function openGce(
  { audience, jwksUri = GOOGLE_KEYS }: Omit<IssuerConfig, "issuer">,
  { identities, fetch, now }: OpenIssuerOptions,
): Gce {
  return new Gce({
    audience,
    keys: new KeySet({ issuer: GOOGLE_ISSUER, jwksUri, fetch, now }),
    now,
    identities: identities.flatMap(({ name, gceInstanceIdentityBinding: binding }) =>
      binding === undefined ? [] : [{ name, ...binding }]
    ),
  });
}

function openOidc(
  { name, issuer, audience, jwksUri }: IssuerConfig,
  { identities, fetch, now }: OpenIssuerOptions,
): Oidc {
  return new Oidc({
    name: name ?? issuer,
    issuer,
    audience,
    keys: new KeySet({ issuer, jwksUri, fetch, now }),
    now,
    identities: identities.flatMap(({ name, oidcBinding: binding }) =>
      binding?.issuer === issuer ? [{ name, claims: binding.claims }] : []
    ),
  });
}

interface OwnSecretUse extends SecretUse {
  /** It may stand in the configuration. */
  readonly isPublic?: boolean;
}

function secretsOf(
  { authenticators: { accessToken }, identities }: ClientAuthConfig,
): OwnSecretUse[] {
  return [
    ...(accessToken === undefined ? [] : signingSecrets(accessToken)),
    ...identities.flatMap(({ password, passwordHash }, i) => [
      ...(password === undefined ? [] : [{
        key: `clientAuth.identities[${i}].password`,
        secret: password,
        read: readSecretLine,
      }]),
      ...(passwordHash === undefined ? [] : [{
        key: `clientAuth.identities[${i}].passwordHash`,
        secret: passwordHash,
        read: readPasswordHash,
        isPublic: true,
      }]),
    ]),
  ];
}

function signingSecrets({ secret, secrets = [] }: AccessTokenConfig): SecretUse[] {
  const key = "clientAuth.authenticators.accessToken";
  const read = readSigningSecret;
  return secret === undefined
    ? secrets.map((secret, i) => ({ key: `${key}.secrets[${i}]`, secret, read }))
    : [{ key: `${key}.secret`, secret, read }];
}

async function readPasswordHash(secret: Secret, places: SecretPlaces): Promise<PasswordHash> {
  return PasswordHash.parse(await readSecretLine(secret, places));
}

/** @throws {SecretError} with a line for each secret that cannot be used, which names its key */
export async function checkClientAuthSecrets(
  config: ClientAuthConfig,
  places: SecretPlaces,
): Promise<void> {
  await checkSecrets(secretsOf(config), places);
}
