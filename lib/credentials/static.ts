/**
 * Credentials from the configuration: an access token, a user and password, or none.
 *
 * A token takes the place of the password; the user name that goes with it depends on the host:
 *
 * | host | user name | why |
 * | --- | --- | --- |
 * | github.com, GitHub Enterprise | `x-access-token` | fits every kind of token |
 * | bitbucket.org, Bitbucket Data Center | `x-token-auth` | repository and project tokens need it |
 * | GitLab | `oauth2` | OAuth tokens need it; other tokens accept any |
 * | Gitea, Forgejo, Azure DevOps and others | `oauth2` | any name works, but not an empty one |
 *
 * Tokens that need another name (a GitLab deploy token, an Atlassian API token) are configured as
 * `userPassword`.
 */
import type {
  CredentialContext,
  CredentialProvider,
  Credentials,
  CredentialsOptions,
} from "./provider.ts";
import { describeSecret, readSecretLine, type Secret, type SecretPlaces } from "./secret.ts";

/** The user name that goes with a token at this host (the table above). */
export function tokenUsername(host: string): string {
  const labels = host.split(/[.:]/);
  if (labels.includes("github")) return "x-access-token";
  if (labels.includes("bitbucket")) return "x-token-auth";
  return "oauth2";
}

/** `auth: { token: Secret }` */
export class TokenProvider implements CredentialProvider {
  readonly description: string;
  readonly #token: Secret;
  readonly #places: SecretPlaces;

  constructor(token: Secret, places: SecretPlaces) {
    this.#token = token;
    this.#places = places;
    this.description = `token, ${describeSecret(token)}`;
  }

  async credentials(
    { host }: CredentialContext,
    { onStep }: CredentialsOptions,
  ): Promise<Credentials> {
    const password = await readSecretLine(this.#token, this.#places);
    const username = tokenUsername(host);
    onStep?.(`the configured token, with user name "${username}"`);
    return { username, password };
  }

  accept(): void {}

  /** Nothing is remembered: what was refused was read just now. */
  forget(): boolean {
    return false;
  }
}

/** `auth: { userPassword: { user, password: Secret } }` */
export class UserPasswordProvider implements CredentialProvider {
  readonly description: string;
  readonly #user: string;
  readonly #password: Secret;
  readonly #places: SecretPlaces;

  constructor(config: { user: string; password: Secret }, places: SecretPlaces) {
    this.#user = config.user;
    this.#password = config.password;
    this.#places = places;
    this.description = `user "${config.user}"`;
  }

  async credentials(
    _context: CredentialContext,
    { onStep }: CredentialsOptions,
  ): Promise<Credentials> {
    const password = await readSecretLine(this.#password, this.#places);
    onStep?.(`the configured password of user "${this.#user}"`);
    return { username: this.#user, password };
  }

  accept(): void {}

  /** Nothing is remembered: what was refused was read just now. */
  forget(): boolean {
    return false;
  }
}

/** `auth: { none: true }`: private by policy, readable without credentials. */
export const NO_CREDENTIALS: CredentialProvider = {
  description: "no credentials",
  credentials: (_context, { onStep }) => {
    onStep?.("no credentials are configured here");
    return Promise.resolve(null);
  },
  accept: () => {},
  forget: () => false,
};
