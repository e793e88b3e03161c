/**
 * Reads a commit in a bare repository.
 */
import { UnusableError } from "../errors.ts";
import type { BareRepository } from "./bare_repository.ts";
import { isHash } from "./refs.ts";
import type { CallOptions, Commit } from "./repository.ts";

/** git's exit code when what was asked for is not there. */
export const FATAL = 128;

/**
 * The commit that a revision leads to, through tags; null when there is none.
 *
 * @param revision a full hash or ref name
 * @throws {UnusableError} when the commit has no time that git can read
 */
export async function readCommit(
  repository: BareRepository,
  revision: string,
  options: CallOptions = {},
): Promise<Commit | null> {
  const { exitCode, stdout } = await repository.run(
    ["log", "-1", "--format=%H%n%T%n%ct", "--end-of-options", `${revision}^{commit}`, "--"],
    { ...options, what: `read commit ${revision}`, exitCodes: [0, FATAL] },
  );
  if (exitCode === FATAL) return null;
  const [hash = "", tree = "", time = ""] = new TextDecoder().decode(stdout).split("\n");
  const timeSeconds = Number(time);
  if (!isHash(hash) || !isHash(tree) || time === "" || !Number.isSafeInteger(timeSeconds)) {
    throw new UnusableError(`Cannot use commit ${revision}: it has no valid time`);
  }
  return { hash, tree, timeSeconds };
}
