/**
 * git outside the fence: run as the user who started us would run it, with their environment,
 * configuration and helpers, in the current directory. But it never prompts.
 *
 * It is asked for one thing: what the user's git knows of a server, which is the password in their
 * keychain, found by the credential helpers that they have configured (`git credential fill`;
 * git-credential(1)).
 */
import { type GitOutput, GitProcess, type OutputOptions } from "./process.ts";

export interface UserCredential {
  readonly user: string;
  readonly password: string;
}

/** A person may have to unlock the keychain. */
const FILL_TIMEOUT_MS = 60_000;
const MAX_FILL_BYTES = 64 * 1024;
/** git's exit code when no helper knows a password and nobody may be asked. */
const UNKNOWN = 128;

type Env = Readonly<Record<string, string>>;

/** @returns null when git knows none, or is not installed */
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
    const { exitCode, stdout } = await runUserGit(["credential", "fill"], {
      what: `ask git for the password of ${server.origin}`,
      input: `url=${server.href}\n\n`,
      timeoutMs: FILL_TIMEOUT_MS,
      maxOutputBytes: MAX_FILL_BYTES,
      exitCodes: [0, UNKNOWN],
      env,
    });
    return exitCode === 0 ? new TextDecoder().decode(stdout) : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

interface UserGitOptions extends OutputOptions {
  readonly what: string;
  readonly input: string;
  readonly timeoutMs: number;
  readonly env: Env;
}

/** Throws as {@linkcode GitProcess.output}; NotFound when there is no git. */
async function runUserGit(args: readonly string[], options: UserGitOptions): Promise<GitOutput> {
  const { what, input, timeoutMs } = options;
  // Deno starts no program with these variables unless it may start every program.
  const env = Object.entries(options.env).filter(([name]) => !/^(LD|DYLD)_/.test(name));
  const command = {
    args,
    env: {
      ...Object.fromEntries(env),
      GCM_INTERACTIVE: "never",
      GIT_ASKPASS: "",
      GIT_TERMINAL_PROMPT: "0",
      SSH_ASKPASS: "",
    },
    input,
    guard: null,
  };
  await using process = new GitProcess(command, { what, timeoutMs, secrets: [], signals: [] });
  return await process.output(options);
}
