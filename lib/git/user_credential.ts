/**
 * What the user's own git knows of a server: the password in their keychain, by way of the credential helpers that they
 * have configured (`git credential fill`; git-credential(1)).
 */
import { runGitOfUser } from "./command.ts";

export interface UserCredential {
  readonly user: string;
  readonly password: string;
}

/** A keychain may have to be unlocked, by a person. */
const FILL_TIMEOUT_MS = 60_000;
const MAX_FILL_BYTES = 64 * 1024;
/** What git ends with when no helper knows and nobody may be asked. */
const NOBODY_KNOWS = 128;

type Env = Readonly<Record<string, string>>;

/** @returns null where git knows none, or there is no git */
export async function findUserCredential(
  server: URL,
  { env }: { readonly env: Env },
): Promise<UserCredential | null> {
  const answer = await fill(server, env);
  if (answer === null) return null;
  const facts = new Map(
    answer.split("\n").map((line) => {
      const [key = "", ...value] = line.split("=");
      return [key, value.join("=")] as const;
    }),
  );
  const [user, password] = [facts.get("username"), facts.get("password")];
  return user && password ? { user, password } : null;
}

async function fill(server: URL, env: Env): Promise<string | null> {
  try {
    const { exitCode, stdout } = await runGitOfUser(["credential", "fill"], {
      what: `ask git for the password of ${server.origin}`,
      input: `url=${server.href}\n\n`,
      timeoutMs: FILL_TIMEOUT_MS,
      maxOutputBytes: MAX_FILL_BYTES,
      exitCodes: [0, NOBODY_KNOWS],
      env,
    });
    return exitCode === 0 ? new TextDecoder().decode(stdout) : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
