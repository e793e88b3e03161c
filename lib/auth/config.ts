/**
 * The section `clientAuth`: authentication of clients and authorization by an access list. All keys
 * of the original go-mod-proxy keep their meaning; `config_example_clientauth.yaml` explains every
 * key.
 *
 * Secrets are read at startup (open.ts).
 */
import { z } from "zod";
import { parseDurationMs } from "../schema/duration.ts";
import { duplicateFaults, type Fault } from "../schema/fault.ts";
import {
  countKeys,
  expected,
  faultOf,
  httpUrl,
  keysAreKnown,
  messageOf,
  nonEmpty,
} from "../schema/fields.ts";
import { textsAt, valuesAt } from "../schema/query.ts";
import { type NamedSecret, type Secret, secret, secretWarnings } from "../schema/secret.ts";
import { didYouMean } from "../schema/suggestion.ts";
import type { ClaimPatterns } from "./claims.ts";
import { globSource } from "../module/glob.ts";
import { moduleGlobFault, moduleRegexpFault } from "./module_pattern.ts";
import { PasswordHash } from "./password_hash.ts";

const MIN_TIME_TO_LIVE_MS = 1000;
/** A token that lives longer would be a password. */
const MAX_TIME_TO_LIVE_MS = 24 * 3_600_000;
/** The first signs, all verify: two are enough for a rotation. */
const MAX_SIGNING_SECRETS = 8;

/** In milliseconds. */
const timeToLive = z.string().transform((text, context) => {
  try {
    const ms = parseDurationMs(text);
    if (ms >= MIN_TIME_TO_LIVE_MS && ms <= MAX_TIME_TO_LIVE_MS) return ms;
    throw new Error("must be from 1s to 24h");
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    context.issues.push({ code: "custom", input: text, message });
    return z.NEVER;
  }
}).prefault("1h");

const oneOrMore = z.union(
  [nonEmpty.transform((text) => [text]), z.array(nonEmpty).min(1)],
  expected("expected a text or a list of texts"),
);

/** `*` matches within an element between slashes, and the whole value must match. */
const glob = nonEmpty.check(faultOf((text: string) => messageOf(() => globSource(text))));
const globs = z.union(
  [glob.transform((text) => [text]), z.array(glob).min(1)],
  expected("expected a pattern or a list of patterns"),
);

const accessToken = z.strictObject({
  /** The audience of tokens; use the URL of this server. */
  audience: nonEmpty,
  secret: secret.exactOptional(),
  /** Instead of `secret`, for a rotation: the first signs, all verify. */
  secrets: z.array(secret).min(1).max(MAX_SIGNING_SECRETS).exactOptional(),
  timeToLive,
}).refine((value) => countKeys(value, ["secret", "secrets"]) === 1, {
  path: ["secret"],
  message: "exactly one of secret and secrets is needed",
  when: keysAreKnown,
}).transform(({ timeToLive: timeToLiveMs, ...rest }) => ({ ...rest, timeToLiveMs }));

/** Instances of Google Compute Engine. */
const gceInstanceIdentity = z.strictObject({
  audience: oneOrMore,
  /** The URL of Google's keys. */
  jwksUri: httpUrl.exactOptional(),
});

const oidc = z.strictObject({
  /** For logs and messages. Default: the issuer. */
  name: nonEmpty.exactOptional(),
  /** As in the claim `iss`, exactly. */
  issuer: httpUrl,
  audience: oneOrMore,
  /** The URL of its keys, for an issuer without a discovery document. */
  jwksUri: httpUrl.exactOptional(),
});

/** Certificates that clients show in the TLS handshake. */
const clientCertificate = z.strictObject({
  /** PEM: the authorities that sign them. */
  ca: secret,
});

/** A claim that is an object has claims of its own. */
const claims: z.ZodType<ClaimPatterns> = z.lazy(() =>
  z.record(
    nonEmpty,
    z.union([globs, claims], expected("expected a pattern, a list of patterns, or claims inside")),
  ).refine((patterns) => Object.keys(patterns).length > 0, "at least one claim is needed")
);

const identity = z.strictObject({
  name: z.string().regex(
    /^[^:\p{Cc}]+$/u,
    "a name must not be empty or contain a colon or control character",
  ),
  password: secret.exactOptional(),
  /** Instead of `password`: `$scrypt$…`, as the command hash-password prints it. */
  passwordHash: secret.check(faultOf(passwordHashFault)).exactOptional(),
  /** Instances of Google Compute Engine that run as this service account. */
  gceInstanceIdentityBinding: z.strictObject({
    email: nonEmpty,
    project: globs.exactOptional(),
    zone: globs.exactOptional(),
    instance: globs.exactOptional(),
  }).exactOptional(),
  /** Holders of a token of this issuer whose claims match all of these. */
  oidcBinding: z.strictObject({ issuer: nonEmpty, claims }).exactOptional(),
  /** Holders of a client certificate with these names; those that are given must match. */
  clientCertificateBinding: z.strictObject({
    /** For the common name of the subject. */
    subject: globs.exactOptional(),
    /** For the subject's alternative names: `DNS:ci.example.com`, `URI:spiffe://…`, `email:…`. */
    san: globs.exactOptional(),
  }).refine((value) => countKeys(value, ["subject", "san"]) > 0, {
    message: "subject or san is needed",
    when: keysAreKnown,
  }).exactOptional(),
}).refine((value) => countKeys(value, ["password", "passwordHash"]) < 2, {
  message: "password or passwordHash, not both",
  when: keysAreKnown,
});

const accessRule = z.strictObject({
  access: z.string().toLowerCase().pipe(z.enum(["allow", "deny"])).default("allow"),
  /** Default: every identity. */
  identities: z.array(nonEmpty).readonly().exactOptional(),
  /** Default: every module. */
  moduleRegexp: z.string().check(faultOf(moduleRegexpFault)).exactOptional(),
  /** Default: every module. If `moduleRegexp` is set too, both must match. */
  modules: z.array(nonEmpty.check(faultOf(moduleGlobFault))).min(1).readonly().exactOptional(),
});

const authenticators = z.strictObject({
  /** Issues tokens at `/auth/…`. Default: no tokens are issued. */
  accessToken: accessToken.exactOptional(),
  gceInstanceIdentity: gceInstanceIdentity.exactOptional(),
  oidc: z.array(oidc).default([]),
  clientCertificate: clientCertificate.exactOptional(),
});

export const clientAuth = z.strictObject({
  enabled: z.boolean().default(false),
  /** The first rule that applies decides; if none does, access is denied. */
  acl: z.array(accessRule).default([]),
  authenticators: authenticators.prefault({}),
  identities: z.array(identity).default([]),
  /** A file with tokens that are no longer accepted (revocations.ts), reloaded when it changes. */
  revoked: nonEmpty.exactOptional(),
});

export type ClientAuthConfig = Omit<z.output<typeof clientAuth>, "enabled">;
export type AccessRule = Readonly<z.output<typeof accessRule>>;
export type IdentityConfig = z.output<typeof identity>;
export type IssuerConfig = z.output<typeof oidc>;
export type GceConfig = z.output<typeof gceInstanceIdentity>;

/** A hash in a file or variable is checked when it is read. */
function passwordHashFault(hash: Secret): string | null {
  return typeof hash === "string" ? messageOf(() => PasswordHash.parse(hash)) : null;
}

/** Reports contradictory settings. @param config anything */
export function clientAuthFaults(config: unknown): Fault[] {
  return [...identityFaults(config), ...issuerFaults(config), ...certificateFaults(config)];
}

function identityFaults(config: unknown): Fault[] {
  const identities = textsAt(config, "clientAuth.identities.*.name");
  const names = new Set(identities.map(({ value }) => value));
  const emails = textsAt(config, "clientAuth.identities.*.gceInstanceIdentityBinding.email")
    .map(({ path, value }) => ({ path, value: value.toLowerCase() }));
  return [
    ...duplicateFaults(identities),
    ...duplicateFaults(emails),
    ...valuesAt(config, "clientAuth.acl.*").flatMap(({ path, value }) => {
      const wanted = textsAt(value, "identities.*")
        .map((name) => ({ ...name, path: [...path, ...name.path] }));
      return [
        ...duplicateFaults(wanted),
        ...wanted.filter(({ value }) => !names.has(value)).map(({ path, value }) => ({
          path,
          message: `there is no identity "${value}"${didYouMean(value, names)}`,
        })),
      ];
    }),
  ];
}

/** A binding that no token can satisfy is a mistake. */
function issuerFaults(config: unknown): Fault[] {
  const issuers = textsAt(config, "clientAuth.authenticators.oidc.*.issuer");
  const urls = new Set(issuers.map(({ value }) => value));
  const hasGce = valuesAt(config, "clientAuth.authenticators.gceInstanceIdentity").length > 0;
  return [
    ...duplicateFaults(issuers),
    ...(hasGce ? [] : valuesAt(config, "clientAuth.identities.*.gceInstanceIdentityBinding"))
      .map(({ path }) => ({ path, message: "it needs authenticators.gceInstanceIdentity" })),
    ...textsAt(config, "clientAuth.identities.*.oidcBinding.issuer")
      .filter(({ value }) => !urls.has(value))
      .map(({ path, value }) => ({
        path,
        message: `"${value}" is not an issuer in authenticators.oidc${didYouMean(value, urls)}`,
      })),
  ];
}

function certificateFaults(config: unknown): Fault[] {
  const path = "clientAuth.authenticators.clientCertificate";
  const authenticators = valuesAt(config, path);
  const hasTls = valuesAt(config, "listen.tls").length > 0;
  const bindings = valuesAt(config, "clientAuth.identities.*.clientCertificateBinding");
  return [
    ...(hasTls ? [] : authenticators).map(({ path }) => ({ path, message: "it needs listen.tls" })),
    ...(authenticators.length > 0 ? [] : bindings)
      .map(({ path }) => ({ path, message: "it needs authenticators.clientCertificate" })),
  ];
}

export type SecretKind = "password" | "passwordHash" | "signing";

export interface ClientAuthSecret extends NamedSecret {
  readonly kind: SecretKind;
}

/** Every secret of the section. */
export function clientAuthSecrets(
  { authenticators: { accessToken }, identities }: ClientAuthConfig,
): ClientAuthSecret[] {
  const path = ["clientAuth", "authenticators", "accessToken"];
  const { secret, secrets = [] } = accessToken ?? {};
  const found: ClientAuthSecret[] = secrets.map((secret, i) => {
    return { path: [...path, "secrets", i], secret, kind: "signing" };
  });
  if (secret !== undefined) found.push({ path: [...path, "secret"], secret, kind: "signing" });
  for (const [i, { password, passwordHash }] of identities.entries()) {
    const path = ["clientAuth", "identities", i];
    if (password !== undefined) {
      found.push({ path: [...path, "password"], secret: password, kind: "password" });
    }
    if (passwordHash !== undefined) {
      found.push({ path: [...path, "passwordHash"], secret: passwordHash, kind: "passwordHash" });
    }
  }
  return found;
}

/** What is valid but probably a mistake, if client authentication is enabled. */
export function clientAuthWarnings(config: ClientAuthConfig): Fault[] {
  const secrets = clientAuthSecrets(config).filter(({ kind }) => kind !== "passwordHash");
  return [
    ...secretWarnings(secrets),
    ...identityWarnings(config),
    ...issuerWarnings(config),
    ...ruleWarnings(config),
  ];
}

function identityWarnings({ acl, identities }: ClientAuthConfig): Fault[] {
  const named = new Set(acl.flatMap((rule) => rule.identities ?? []));
  const isForAll = acl.length === 0 || acl.some((rule) => rule.identities === undefined);
  return identities.flatMap((identity, i): Fault[] => {
    const path = ["clientAuth", "identities", i];
    const { name } = identity;
    return [
      ...(Object.keys(identity).length > 1
        ? []
        : [{ path, message: `identity "${name}" has no login method` }]),
      ...(isForAll || named.has(name) ? [] : [{
        path,
        message: `no rule of clientAuth.acl applies to "${name}", so it may read nothing`,
      }]),
    ];
  });
}

function issuerWarnings({ authenticators, identities }: ClientAuthConfig): Fault[] {
  const bound = new Set(identities.map(({ oidcBinding }) => oidcBinding?.issuer));
  const path = ["clientAuth", "authenticators"];
  const isGceUsed = identities.some((identity) => "gceInstanceIdentityBinding" in identity);
  return [
    ...authenticators.oidc.flatMap(({ issuer }, i) =>
      bound.has(issuer) ? [] : [{
        path: [...path, "oidc", i],
        message: `no identity is bound to "${issuer}", so its tokens are rejected`,
      }]
    ),
    ...(authenticators.gceInstanceIdentity === undefined || isGceUsed ? [] : [{
      path: [...path, "gceInstanceIdentity"],
      message: "no identity has a gceInstanceIdentityBinding, so its tokens are rejected",
    }]),
  ];
}

function ruleWarnings({ acl }: ClientAuthConfig): Fault[] {
  if (acl.length === 0) {
    return [{ path: ["clientAuth", "acl"], message: "without a rule, all access is denied" }];
  }
  return acl.flatMap((rule, i) => {
    const first = acl.slice(0, i).findIndex((earlier) => includes(earlier, rule));
    return first < 0 ? [] : [{
      path: ["clientAuth", "acl", i],
      message: "this rule never applies: an earlier rule covers everything that it matches",
      see: ["clientAuth", "acl", first],
    }];
  });
}

/** Whether a rule certainly applies whenever a later one does. Expressions are not compared. */
function includes(earlier: AccessRule, later: AccessRule): boolean {
  const { identities, modules, moduleRegexp, access } = earlier;
  const hasAllIdentities = identities === undefined ||
    later.identities !== undefined && later.identities.every((name) => identities.includes(name));
  // A denial applies to more spellings than a permission.
  const hasAllModules = modules === undefined ||
    later.modules !== undefined && later.modules.every((glob) => modules.includes(glob)) &&
      (access === "deny" || later.access === "allow");
  return hasAllIdentities && hasAllModules && moduleRegexp === undefined;
}
