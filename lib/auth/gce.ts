/**
 * Instances of Google Compute Engine, by the identity tokens that their metadata server gives them,
 * with `format=full`: https://cloud.google.com/compute/docs/instances/verifying-instance-identity
 *
 * ```json
 * { "iss": "https://accounts.google.com", "aud": "https://proxy.example.com", "exp": 1700003600,
 *   "email": "ci@my-project.iam.gserviceaccount.com", "email_verified": true,
 *   "google": { "compute_engine": {
 *     "project_id": "my-project", "zone": "us-central1-a", "instance_name": "ci-1", … } } }
 * ```
 *
 * A token without the claims of the instance is rejected: anyone who can act as the service account
 * could have got it.
 */
import { UnauthenticatedError } from "../errors.ts";
import { type Authenticator, type Proof, provenToken } from "./authenticator.ts";
import { type Claims, claimsMatcher } from "./claims.ts";
import type { Credentials } from "./credentials.ts";
import { type IdentityTokenRules, verifyIdentityToken } from "./identity_token.ts";

export interface GceIdentity {
  readonly name: string;
  /** Of the service account. */
  readonly email: string;
  /** Globs, one of which must match; each may be left out. */
  readonly project?: readonly string[] | undefined;
  readonly zone?: readonly string[] | undefined;
  readonly instance?: readonly string[] | undefined;
}

export interface GceOptions extends Omit<IdentityTokenRules, "issuer"> {
  readonly identities: readonly GceIdentity[];
}

export const GOOGLE_ISSUER = "https://accounts.google.com";
export const GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs";

export class Gce implements Authenticator {
  readonly method = "gce";
  readonly #rules: IdentityTokenRules;
  readonly #identities: readonly {
    readonly name: string;
    readonly email: string;
    fits(instance: Claims): boolean;
  }[];

  constructor({ identities, ...rules }: GceOptions) {
    this.#rules = { ...rules, issuer: GOOGLE_ISSUER };
    this.#identities = identities.map(({ name, email, project, zone, instance }) => ({
      name,
      email: email.toLowerCase(),
      fits: claimsMatcher({
        ...(project === undefined ? {} : { project_id: project }),
        ...(zone === undefined ? {} : { zone }),
        ...(instance === undefined ? {} : { instance_name: instance }),
      }),
    }));
  }

  async authenticate(credentials: Credentials): Promise<Proof | null> {
    if (credentials.kind !== "token" || credentials.claimedIssuer !== GOOGLE_ISSUER) return null;
    const claims = await verifyIdentityToken(credentials.token, this.#rules);
    const { email, email_verified: isVerified, exp } = claims;
    if (typeof email !== "string" || isVerified !== true) {
      throw refused("it has no verified email; ask the metadata server for format=full");
    }
    const instance = instanceOf(claims);
    if (instance === null) {
      throw refused("it names no instance; ask the metadata server for format=full");
    }
    const identity = this.#identities.find((known) => known.email === email.toLowerCase());
    if (identity === undefined) throw refused("no identity is bound to its service account");
    if (!identity.fits(instance)) {
      throw refused("its project, zone or instance does not match the identity");
    }
    return { identity: identity.name, expiresMs: exp * 1000, token: provenToken(claims) };
  }
}

/** The claims of `google.compute_engine`, or null. */
function instanceOf({ google }: Claims): Claims | null {
  const instance = isObject(google) ? google["compute_engine"] : null;
  return isObject(instance) && typeof instance["instance_id"] === "string" ? instance : null;
}

function isObject(value: unknown): value is Claims {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refused(why: string): UnauthenticatedError {
  return new UnauthenticatedError(`Cannot accept the instance identity token: ${why}`);
}
