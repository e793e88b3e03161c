/**
 * The section `clientAuth`: who clients are, how they prove it, and what they may read. All keys of the original
 * go-mod-proxy mean what they meant there; `config_example_clientauth.yaml` shows and explains every key.
 *
 * What hangs together is checked here, so that each fault has its place in the file. Secrets are read at start.
 */
import { z } from "zod";
import { moduleGlobFault, moduleRegexpFault } from "../auth/access_list.ts";
import { globSource } from "../auth/glob.ts";
import { PasswordHash } from "../auth/password_hash.ts";
import type { Secret } from "../credentials/secret.ts";
import { parseDurationMs } from "./duration.ts";
import { httpUrl, secret } from "./fields.ts";

const MIN_TIME_TO_LIVE_MS = 1000;
/** A token that lives longer would be a password. */
const MAX_TIME_TO_LIVE_MS = 7 * 24 * 3_600_000;
/** The first signs, all verify: two are enough to change one for another. */
const MAX_SIGNING_SECRETS = 8;

/** In milliseconds. */
const timeToLive = z.string().transform((text, context) => {
  try {
    const ms = parseDurationMs(text);
    if (ms >= MIN_TIME_TO_LIVE_MS && ms <= MAX_TIME_TO_LIVE_MS) return ms;
    throw new Error("a token lives from 1s to 168h");
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    context.issues.push({ code: "custom", input: text, message });
    return z.NEVER;
  }
}).prefault("1h");

const nonEmpty = z.string().min(1);
const oneOrMore = z.union(
  [nonEmpty.transform((text) => [text]), z.array(nonEmpty).min(1)],
  "a text or a list of texts",
);

/** `*` matches within an element between slashes, and the whole value must match. */
const glob = nonEmpty.check(faultOf(globFault));
const globs = z.union(
  [glob.transform((text) => [text]), z.array(glob).min(1)],
  "a pattern or a list of patterns",
);

const accessToken = z.strictObject({
  /** What tokens are for: the address of this server is a good name. */
  audience: nonEmpty,
  secret: secret.exactOptional(),
  /** In place of `secret`, to change it: the first signs, all verify. */
  secrets: z.array(secret).min(1).max(MAX_SIGNING_SECRETS).exactOptional(),
  timeToLive,
}).check((context) => {
  const { secret, secrets } = context.value;
  if ((secret === undefined) !== (secrets === undefined)) return;
  context.issues.push({
    code: "custom",
    input: context.value,
    path: ["secret"],
    message: "exactly one of secret and secrets is needed",
  });
}).transform(({ timeToLive: timeToLiveMs, ...rest }) => ({ ...rest, timeToLiveMs }));

const gceInstanceIdentity = z.strictObject({
  audience: oneOrMore,
  /** Where Google's keys are. */
  jwksUri: httpUrl.exactOptional(),
});

const oidc = z.strictObject({
  /** For logs and messages. Default: the issuer. */
  name: nonEmpty.exactOptional(),
  /** As in the claim `iss`, letter by letter. */
  issuer: httpUrl,
  audience: oneOrMore,
  /** Where its keys are, for an issuer without a discovery document. */
  jwksUri: httpUrl.exactOptional(),
});

type ClaimPatterns = { readonly [claim: string]: readonly string[] | ClaimPatterns };

/** Claims that are objects have their own claims inside. */
const claims: z.ZodType<ClaimPatterns> = z.lazy(() =>
  z.record(nonEmpty, z.union([globs, claims], "a pattern, a list of patterns, or claims inside"))
    .refine((patterns) => Object.keys(patterns).length > 0, "at least one claim is needed")
);

const identity = z.strictObject({
  name: z.string().regex(
    /^[^:\p{Cc}]+$/u,
    "a name has no colon and no control character, and is not empty",
  ),
  password: secret.exactOptional(),
  /** In place of `password`: `$scrypt$…`, as the subcommand hash-password prints it. */
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
}).refine(
  ({ password, passwordHash }) => password === undefined || passwordHash === undefined,
  "password or passwordHash, not both",
);

const accessRule = z.strictObject({
  access: z.string().toLowerCase().pipe(z.enum(["allow", "deny"])).default("allow"),
  identities: z.array(nonEmpty).exactOptional(),
  moduleRegexp: z.string().check(faultOf(moduleRegexpFault)).exactOptional(),
  modules: z.array(nonEmpty.check(faultOf(moduleGlobFault))).min(1).exactOptional(),
});

const authenticators = z.strictObject({
  /** Issues tokens at `/auth/…`. Default: none are issued. */
  accessToken: accessToken.exactOptional(),
  gceInstanceIdentity: gceInstanceIdentity.exactOptional(),
  oidc: z.array(oidc).default([]),
});

export const clientAuth = z.strictObject({
  enabled: z.boolean().default(false),
  /** The first rule that applies decides; where none does, access is denied. */
  acl: z.array(accessRule).default([]),
  authenticators: authenticators.prefault({}),
  identities: z.array(identity).default([]),
}).check((context) => {
  const { value } = context;
  for (const { path, message } of [...identityFaults(value), ...issuerFaults(value)]) {
    context.issues.push({ code: "custom", input: value, path, message });
  }
});

interface Fault {
  readonly path: (string | number)[];
  readonly message: string;
}

interface Section {
  readonly acl: readonly z.output<typeof accessRule>[];
  readonly authenticators: z.output<typeof authenticators>;
  readonly identities: readonly z.output<typeof identity>[];
}

function identityFaults({ acl, identities }: Section): Fault[] {
  const names = identities.map(({ name }) => name);
  const emails = identities.map(({ gceInstanceIdentityBinding }) =>
    gceInstanceIdentityBinding?.email.toLowerCase()
  );
  return [
    ...duplicates(names, (i) => ["identities", i, "name"]),
    ...duplicates(emails, (i) => ["identities", i, "gceInstanceIdentityBinding", "email"]),
    ...acl.flatMap((rule, i) => [
      ...duplicates(rule.identities ?? [], (j) => ["acl", i, "identities", j]),
      ...(rule.identities ?? []).flatMap((name, j) =>
        names.includes(name) ? [] : [{
          path: ["acl", i, "identities", j],
          message: `there is no identity "${name}"`,
        }]
      ),
    ]),
  ];
}

/** A binding that nothing can fulfil is a mistake. */
function issuerFaults({ identities, authenticators }: Section): Fault[] {
  const issuers = authenticators.oidc.map(({ issuer }) => issuer);
  return [
    ...duplicates(issuers, (i) => ["authenticators", "oidc", i, "issuer"]),
    ...identities.flatMap(({ gceInstanceIdentityBinding: gce, oidcBinding: oidc }, i) => [
      ...(gce !== undefined && authenticators.gceInstanceIdentity === undefined
        ? [{
          path: ["identities", i, "gceInstanceIdentityBinding"],
          message: "it needs authenticators.gceInstanceIdentity",
        }]
        : []),
      ...(oidc !== undefined && !issuers.includes(oidc.issuer)
        ? [{
          path: ["identities", i, "oidcBinding", "issuer"],
          message: `"${oidc.issuer}" is not an issuer in authenticators.oidc`,
        }]
        : []),
    ]),
  ];
}

function duplicates(
  values: readonly (string | undefined)[],
  path: (index: number) => Fault["path"],
): Fault[] {
  return values.flatMap((value, i) =>
    value !== undefined && values.indexOf(value) < i
      ? [{ path: path(i), message: `"${value}" is there twice` }]
      : []
  );
}

/** A check of zod that takes the fault which `find` finds. */
function faultOf<T>(find: (value: T) => string | null) {
  return (context: z.core.ParsePayload<T>) => {
    const message = find(context.value);
    if (message !== null) {
      context.issues.push({ code: "custom", input: context.value, message });
    }
  };
}

function globFault(text: string): string | null {
  return messageOf(() => globSource(text));
}

/** A hash that is kept elsewhere is looked at when it is read. */
function passwordHashFault(hash: Secret): string | null {
  return typeof hash === "string" ? messageOf(() => PasswordHash.parse(hash)) : null;
}

function messageOf(parse: () => unknown): string | null {
  try {
    parse();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
