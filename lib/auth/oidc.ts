/**
 * Any OpenID Connect issuer: GitHub Actions, GitLab, Kubernetes, Azure and others give their jobs a
 * signed token that names the repository, branch or account they run for. The claims determine the
 * identity; of several that match, the first in the configuration.
 */
import { UnauthenticatedError } from "../errors.ts";
import { type Authenticator, type Proof, provenToken } from "./authenticator.ts";
import { type ClaimPatterns, type Claims, claimsMatcher } from "./claims.ts";
import type { Credentials } from "./credentials.ts";
import { type IdentityTokenRules, verifyIdentityToken } from "./identity_token.ts";

export interface OidcOptions extends IdentityTokenRules {
  /** For messages. */
  readonly name: string;
  readonly identities: readonly { readonly name: string; readonly claims: ClaimPatterns }[];
}

export class Oidc implements Authenticator {
  readonly method = "oidc";
  readonly #options: OidcOptions;
  readonly #identities: readonly { readonly name: string; fits(claims: Claims): boolean }[];

  constructor(options: OidcOptions) {
    this.#options = options;
    this.#identities = options.identities.map(({ name, claims }) => ({
      name,
      fits: claimsMatcher(claims),
    }));
  }

  async authenticate(credentials: Credentials): Promise<Proof | null> {
    const { name, issuer } = this.#options;
    if (credentials.kind !== "token" || credentials.claimedIssuer !== issuer) return null;
    const claims = await verifyIdentityToken(credentials.token, this.#options);
    const identity = this.#identities.find(({ fits }) => fits(claims));
    if (identity !== undefined) {
      return { identity: identity.name, expiresMs: claims.exp * 1000, token: provenToken(claims) };
    }
    throw new UnauthenticatedError(
      `Cannot log in: the claims of this token of "${name}" match no identity`,
    );
  }
}
