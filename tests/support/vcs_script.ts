/**
 * Runs the scripts by which the Go distribution describes the repositories of its own tests
 * (`cmd/go/testdata/vcstest/git/*.txt`; the language is that of `cmd/internal/script`, the file
 * format is txtar). The same commits come out at every run, hashes included, and the scripts check
 * that by themselves with `cmp`.
 *
 * ```
 * handle git                        what serves the result: nothing to do here
 * at 2018-07-03T22:31:01-04:00      the time of the next commits
 * env NAME=value                    later words use it as $NAME
 * git commit -a -m 'a message'      everything else is a command; '' in quotes is a quote
 * cmp stdout .git-refs              what the command before wrote
 * -- .git-refs --
 * the content of a file that is there from the start
 * ```
 */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { unquoteGo } from "../../lib/module/go_string.ts";
import { runCommand } from "./run_command.ts";

export interface Txtar {
  /** What comes before the first file. */
  readonly comment: string;
  readonly files: ReadonlyMap<string, string>;
}

export function parseTxtar(text: string): Txtar {
  const [comment = "", ...rest] = text.split(/^-- (.+) --\n/m);
  const files = new Map<string, string>();
  for (let i = 0; i + 1 < rest.length; i += 2) files.set(rest[i]?.trim() ?? "", rest[i + 1] ?? "");
  return { comment, files };
}

/** Runs a script in a folder, which it creates. What it makes is a repository with files. */
export async function runVcsScript(text: string, dir: string): Promise<void> {
  const { comment, files } = parseTxtar(text);
  for (const [name, content] of files) await write(join(dir, name), content);
  const script = new Script(dir);
  for (const [index, line] of comment.split("\n").entries()) {
    try {
      await script.run(line);
    } catch (cause) {
      throw new Error(`Cannot run line ${index + 1} of the script, "${line}"`, { cause });
    }
  }
}

class Script {
  readonly #dir: string;
  readonly #env = new Map<string, string>();
  #stdout = "";

  constructor(dir: string) {
    this.#dir = dir;
    this.#env.set("PATH", Deno.env.get("PATH") ?? "");
    this.#env.set("HOME", "/nonexistent");
    this.#env.set("GIT_CONFIG_NOSYSTEM", "1");
    this.#env.set("GIT_CONFIG_GLOBAL", "/dev/null");
  }

  async run(line: string): Promise<void> {
    const [command, ...args] = this.#words(line);
    switch (command) {
      case undefined:
      case "handle":
      case "[!git-sha256]":
        return;
      case "at":
        for (const who of ["AUTHOR", "COMMITTER"]) this.#env.set(`GIT_${who}_DATE`, args[0] ?? "");
        return;
      case "env":
        for (const pair of args) {
          const [name = "", value = ""] = pair.split(/=(.*)/s);
          this.#env.set(name, value);
        }
        return;
      case "echo":
        this.#stdout = `${args.join(" ")}\n`;
        return;
      case "unquote": {
        const value = unquoteGo(`"${args[0]}"`);
        assert.ok(value !== null);
        this.#stdout = value;
        return;
      }
      case "mkdir":
        await Deno.mkdir(this.#path(args[0]), { recursive: true });
        return;
      case "cp":
        return await this.#copy(args[0] ?? "", this.#path(args[1]));
      case "cmp":
        assert.equal(await this.#read(args[0] ?? ""), await this.#read(args[1] ?? ""));
        return;
      case "git":
        this.#stdout = await this.#git(args);
        return;
      default:
        throw new Error(`no command "${command}" here`);
    }
  }

  /** The words of a line, variables replaced outside of quotes. */
  #words(line: string): string[] {
    const words: string[] = [];
    for (const [, word = ""] of line.matchAll(/[ \t]*(?:#.*|((?:'[^']*'|[^ \t'#])+))/gy)) {
      if (word === "") continue;
      // A quote within quotes is written twice, so it ends one quoted part and begins the next.
      const parts = word.split(/('(?:[^']|'')*')/);
      words.push(parts.map((part) => this.#value(part)).join(""));
    }
    return words;
  }

  #value(part: string): string {
    if (part.startsWith("'")) return part.slice(1, -1).replaceAll("''", "'");
    return part.replace(/\$(\w+)/g, (_, name) => this.#env.get(name) ?? "");
  }

  async #git(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runCommand("git", {
      args: [...args],
      cwd: this.#dir,
      clearEnv: true,
      env: Object.fromEntries(this.#env),
    });
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async #copy(from: string, to: string): Promise<void> {
    const isDir = await Deno.stat(to).then((info) => info.isDirectory, () => false);
    await write(isDir ? join(to, basename(from)) : to, await this.#read(from));
  }

  #read(name: string): Promise<string> {
    return name === "stdout" ? Promise.resolve(this.#stdout) : Deno.readTextFile(this.#path(name));
  }

  #path(name = ""): string {
    return join(this.#dir, name);
  }
}

async function write(file: string, content: string): Promise<void> {
  await Deno.mkdir(dirname(file), { recursive: true });
  await Deno.writeTextFile(file, content);
}
