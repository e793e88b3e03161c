/** Binds a provider to the remotes that its credentials are for (P1 of provider.ts). */
import {
  type CredentialContext,
  type CredentialProvider,
  type Credentials,
  type CredentialsOptions,
  originOf,
} from "./provider.ts";

/** Asks a provider about remotes at some origins only. */
export class BoundProvider implements CredentialProvider {
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

  accept(context: CredentialContext, credentials: Credentials): void {
    this.#provider.accept(context, credentials);
  }

  forget(context: CredentialContext, credentials: Credentials): boolean {
    return this.#provider.forget(context, credentials);
  }
}
