/**
 * The sources of an identity in the order in which they are tried; see identity.ts. Imports
 * nothing.
 */
export const PROVIDERS = ["env", "github", "file", "netrc", "gce", "git"] as const;
export type ProviderName = typeof PROVIDERS[number];
