/** Where an identity may come from, in the order in which they are tried; see identity.ts. Loads nothing. */
export const PROVIDERS = ["env", "github", "file", "netrc", "gce", "git"] as const;
export type ProviderName = typeof PROVIDERS[number];
