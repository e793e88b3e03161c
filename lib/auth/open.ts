/**
 * Opens the guard from the section `clientAuth` of the configuration (config.ts). Every secret is
 * read once, so that a wrong one is found at startup and not by the first build.
 */
import { resolve } from "node:path";
import {
  checkSecrets,
  readSecretLine,
  type SecretPlaces,
  type SecretUse,
} from "../credentials/secret.ts";
import { ConfigError, describeError } from "../errors.ts";
import type { Fetch } from "../http/client.ts";
import type { Logger } from "../log/log.ts";
import { AccessList } from "./access_list.ts";
import { AccessTokens, readSigningSecret } from "./access_tokens.ts";
import type { Authenticator } from "./authenticator.ts";
import { ClientAuth } from "./client_auth.ts";
import { ClientCertificates } from "./client_certificates.ts";
import {
  type ClientAuthConfig,
  clientAuthSecrets,
  type GceConfig,
  type IdentityConfig,
  type IssuerConfig,
  type SecretKind,
} from "./config.ts";
import { Gce, GOOGLE_ISSUER, GOOGLE_KEYS } from "./gce.ts";
import { KeySet } from "./key_set.ts";
import { Oidc } from "./oidc.ts";
import { PasswordHash } from "./password_hash.ts";
import { Passwords } from "./passwords.ts";
import { Revocations } from "./revocations.ts";

export interface OpenClientAuthOptions {
  readonly places: SecretPlaces;
  readonly fetch: Fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
  /** Takes what has to be closed. */
  readonly opened: Pick<AsyncDisposableStack, "use">;
}

/** @throws {SecretError} that names the key of each secret that cannot be used */
export async function openClientAuth(
  config: ClientAuthConfig,
  options: OpenClientAuthOptions,
): Promise<ClientAuth> {
  await checkSecrets(clientAuthSecretUses(config), options.places);
  const { now, log } = options;
  const identities = new Set(config.identities.map(({ name }) => name));
  const accessTokens = openAccessTokens(config, { ...options, identities });
  const revocations = await openRevocations(config, options);
  return new ClientAuth({
    authenticators: openAuthenticators(config, { ...options, accessTokens }),
    identities,
    accessList: new AccessList(config.acl),
    accessTokens,
    revocations,
    now,
    log,
  });
}

/** @throws {ConfigError} when the file cannot be used */
async function openRevocations(
  { revoked }: ClientAuthConfig,
  { places, log, opened }: OpenClientAuthOptions,
): Promise<Revocations | null> {
  if (revoked === undefined) return null;
  try {
    const revocations = await Revocations.open({ file: resolve(places.directory, revoked), log });
    return opened.use(revocations);
  } catch (cause) {
    throw new ConfigError(`clientAuth.revoked: ${describeError(cause)}`, { cause });
  }
}

function openAccessTokens(
  { authenticators: { accessToken } }: ClientAuthConfig,
  options: OpenClientAuthOptions & { readonly identities: ReadonlySet<string> },
): AccessTokens | null {
  if (accessToken === undefined) return null;
  const { secret, secrets = secret === undefined ? [] : [secret] } = accessToken;
  return new AccessTokens({ ...accessToken, secrets, ...options });
}

function openAuthenticators(
  { identities, authenticators: { gceInstanceIdentity, oidc, clientCertificate } }:
    ClientAuthConfig,
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
    ...(clientCertificate === undefined ? [] : [openClientCertificates(identities, options)]),
    ...oidc.map((issuer) => openOidc(issuer, { ...options, identities })),
  ];
}

/** The TLS server has the authorities (server/listen.ts). */
function openClientCertificates(
  identities: readonly IdentityConfig[],
  { now }: Pick<OpenClientAuthOptions, "now">,
): ClientCertificates {
  return new ClientCertificates(
    identities.flatMap(({ name, clientCertificateBinding: binding }) =>
      binding === undefined ? [] : [{ name, ...binding }]
    ),
    now,
  );
}

interface OpenIssuerOptions extends Pick<OpenClientAuthOptions, "fetch" | "now"> {
  readonly identities: readonly IdentityConfig[];
}

function openGce(
  { audience, jwksUri = GOOGLE_KEYS }: GceConfig,
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

/** Every secret of the section, and its requirements. */
export function clientAuthSecretUses(config: ClientAuthConfig): SecretUse[] {
  return clientAuthSecrets(config).map((named) => ({ ...named, read: READERS[named.kind] }));
}

const READERS: Readonly<Record<SecretKind, SecretUse["read"]>> = {
  password: readSecretLine,
  passwordHash: async (secret, places) => PasswordHash.parse(await readSecretLine(secret, places)),
  signing: readSigningSecret,
};
