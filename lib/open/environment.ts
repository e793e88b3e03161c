/** The variables of the process, as main.ts reads them. */
export type Env = Readonly<Record<string, string>>;

/**
 * The directory for the user's cached files (XDG Base Directory Specification); null without a
 * home.
 */
export function userCacheDirectory(env: Env): string | null {
  const home = env["HOME"];
  return env["XDG_CACHE_HOME"] ?? (home === undefined ? null : `${home}/.cache`);
}
