/**
 * netrc files by the rules of the `go` command (`GOAUTH=netrc`; its cmd/go/internal/auth/netrc.go
 * and auth.go, Go 1.26):
 *
 * - Tokens come in pairs of name and value, and a pair is on one line. `machine` starts an entry;
 *   it counts once it also has `login` and `password`, which may be on later lines.
 * - `macdef` starts a macro: everything up to an empty line is skipped.
 * - `default` is not an entry. At the end of a line it also ends the file.
 * - Of several entries for one machine the first counts.
 * - A machine may have a path (`git.example.com/team`), which then has to be a prefix by elements;
 *   the longest counts.
 *
 * One rule is older: if no entry matches `host:port`, one for the host alone does, as in curl, git
 * and `go` up to 1.23.
 */
import type {
  CredentialContext,
  CredentialProvider,
  Credentials,
  CredentialsOptions,
} from "./provider.ts";
import { describeSecret, readSecret, type Secret, type SecretPlaces } from "./secret.ts";

export interface NetrcEntry {
  readonly machine: string;
  readonly login: string;
  readonly password: string;
}

/**
 * The complete entries of a netrc file, in their order.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseNetrc("machine git.example.com login ci\n  password p"), [
 *   { machine: "git.example.com", login: "ci", password: "p" },
 * ]);
 * ```
 */
export function parseNetrc(text: string): NetrcEntry[] {
  const entries: NetrcEntry[] = [];
  let entry: Partial<Record<string, string>> = {};
  let inMacro = false;
  for (const line of text.split("\n")) {
    if (inMacro) {
      inMacro = line !== "";
      continue;
    }
    const tokens = line.split(/\s+/).filter((token) => token !== "");
    const pairs = tokens.length - tokens.length % 2;
    for (let i = 0; i < pairs; i += 2) {
      const [name, value] = tokens.slice(i, i + 2);
      if (name === "machine") entry = { machine: value };
      if (name === "login" || name === "password") entry = { ...entry, [name]: value };
      if (name === "macdef") inMacro = true;
      const { machine, login, password } = entry;
      if (machine !== undefined && login !== undefined && password !== undefined) {
        entries.push({ machine, login, password });
        entry = {};
      }
    }
    if (tokens[pairs] === "default") break;
  }
  return entries;
}

/** The entry for a context, or null. */
export function findNetrcEntry(
  entries: readonly NetrcEntry[],
  context: CredentialContext,
): NetrcEntry | null {
  const hostname = context.host.replace(/:[0-9]+$/, "");
  for (const host of new Set([context.host, hostname])) {
    for (let prefix = `${host}/${context.path}`; prefix !== ""; prefix = parentOf(prefix)) {
      const entry = entries.find(({ machine }) => machine === prefix);
      if (entry !== undefined) return entry;
    }
  }
  return null;
}

/** `auth: { netrc: Secret }`; the secret is the file. */
export class NetrcProvider implements CredentialProvider {
  readonly description: string;
  readonly #netrc: Secret;
  readonly #places: SecretPlaces;

  constructor(netrc: Secret, places: SecretPlaces) {
    this.#netrc = netrc;
    this.#places = places;
    this.description = `netrc, ${describeSecret(netrc)}`;
  }

  async credentials(
    context: CredentialContext,
    { onStep }: CredentialsOptions,
  ): Promise<Credentials | null> {
    const entries = parseNetrc(await readSecret(this.#netrc, this.#places));
    const entry = findNetrcEntry(entries, context);
    if (entry === null) {
      onStep?.(`none of the ${entries.length} netrc entries is for ${context.host}`);
      return null;
    }
    onStep?.(`netrc entry "${entry.machine}", login "${entry.login}"`);
    return { username: entry.login, password: entry.password };
  }

  accept(): void {}

  /** Nothing is remembered: what was refused was read just now. */
  forget(): boolean {
    return false;
  }
}

function parentOf(prefix: string): string {
  return prefix.slice(0, Math.max(0, prefix.lastIndexOf("/")));
}
