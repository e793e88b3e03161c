/**
 * Git repositories made on the spot, the same hashes at every run.
 *
 * A commit adds files to those of the commit before it, through `git fast-import`: trees with
 * symlinks, submodules and names that no file system here would take cost no more than others.
 */
import assert from "node:assert/strict";
import { runCommand } from "../support/run_command.ts";

export interface TreeFile {
  /** 100644, 100755, 120000 (symlink) or 160000 (submodule). */
  readonly mode: string;
  /** The bytes; for a submodule the hash. */
  readonly content: string | Uint8Array<ArrayBuffer>;
}

/**
 * What a commit changes: path → new content, or null to remove the file or folder. In a path,
 * U+DC80 to U+DCFF stand for the bytes 0x80 to 0xFF, so that names which are not UTF-8 can be
 * written.
 */
export type Files = Readonly<Record<string, string | Uint8Array<ArrayBuffer> | TreeFile | null>>;

export interface CommitOptions {
  /** Default: "main". A new branch starts empty, unless `from` is given. */
  readonly branch?: string;
  /** The parent: a commit's hash. Default: the tip of the branch. */
  readonly from?: string;
  /** Further parents. */
  readonly merge?: readonly string[];
  readonly message?: string;
  /**
   * The committer's and author's time. Default: one minute after the commit made before; the first
   * in 2020.
   */
  readonly date?: Date;
  /** As git writes it. Default: "+0000". */
  readonly timeZone?: string;
  /** A light tag on the new commit. */
  readonly tag?: string;
}

export interface TagOptions {
  /** With a message the tag is annotated: an object of its own. */
  readonly message?: string;
}

export interface RepoOptions {
  readonly objectFormat?: "sha1" | "sha256";
}

export function symlink(target: string): TreeFile {
  return { mode: "120000", content: target };
}

export function executable(content: string): TreeFile {
  return { mode: "100755", content };
}

export function submodule(hash: string): TreeFile {
  return { mode: "160000", content: hash };
}

const WHO = "Gopher <gopher@example.com>";

export class TestRepo {
  /** The bare repository's folder. */
  readonly path: string;
  #timeSeconds = Date.UTC(2020, 0, 1) / 1000;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * A new, empty, bare repository in a folder that does not exist yet. HEAD points to
   * `refs/heads/main`.
   */
  static async create(path: string, options: RepoOptions = {}): Promise<TestRepo> {
    const repo = new TestRepo(path);
    await Deno.mkdir(path, { recursive: true });
    await repo.git([
      "init",
      "--quiet",
      "--bare",
      "--initial-branch=main",
      `--object-format=${options.objectFormat ?? "sha1"}`,
    ]);
    return repo;
  }

  /** Commits changes and moves the branch. Returns the new commit's hash. */
  async commit(files: Files, options: CommitOptions = {}): Promise<string> {
    const { branch = "main", merge = [], message = "change", timeZone = "+0000" } = options;
    this.#timeSeconds += 60;
    const timeSeconds = options.date === undefined
      ? this.#timeSeconds
      : options.date.getTime() / 1000;
    const from = options.from ?? await this.#tip(branch);
    const stream = new ByteWriter();
    stream.text(`commit refs/heads/${branch}\n`);
    stream.text(`committer ${WHO} ${timeSeconds} ${timeZone}\n`);
    stream.data(message);
    if (from !== null) stream.text(`from ${from}\n`);
    for (const parent of merge) stream.text(`merge ${parent}\n`);
    for (const [path, file] of Object.entries(files)) writeChange(stream, path, file);
    await this.git(
      ["fast-import", "--quiet", "--force", "--date-format=raw-permissive"],
      stream.bytes(),
    );
    const hash = await this.#tip(branch);
    assert.ok(hash !== null);
    if (options.tag !== undefined) await this.tag(options.tag, hash);
    return hash;
  }

  /** Sets a tag, also one that exists. */
  async tag(name: string, object: string, options: TagOptions = {}): Promise<void> {
    const message = options.message === undefined ? [] : ["-a", "-m", options.message];
    await this.git(["tag", "--force", ...message, name, object]);
  }

  /** Sets any ref: `refs/heads/x`, `refs/pull/1/head`. */
  async setRef(name: string, object: string): Promise<void> {
    await this.git(["update-ref", name, object]);
  }

  async deleteRef(name: string): Promise<void> {
    await this.git(["update-ref", "-d", name]);
  }

  /** Points HEAD to a branch (`refs/heads/x`), which need not exist. */
  async setHead(name: string): Promise<void> {
    await this.git(["symbolic-ref", "HEAD", name]);
  }

  /** Runs git in the repository and returns what it wrote, without white space around it. */
  async git(args: readonly string[], input?: Uint8Array<ArrayBuffer>): Promise<string> {
    const { code, stdout, stderr } = await runCommand("git", {
      args: [...args],
      clearEnv: true,
      env: this.#environment(),
      ...input && { input },
    });
    assert.equal(code, 0, `git ${args[0]}: ${stderr}`);
    return stdout.trim();
  }

  async #tip(branch: string): Promise<string | null> {
    const ref = `refs/heads/${branch}`;
    return await this.git(["for-each-ref", "--format=%(objectname)", ref]) || null;
  }

  #environment(): Record<string, string> {
    const date = `@${this.#timeSeconds} +0000`;
    return {
      PATH: Deno.env.get("PATH") ?? "",
      HOME: "/nonexistent",
      GIT_DIR: this.path,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_AUTHOR_NAME: "Gopher",
      GIT_AUTHOR_EMAIL: "gopher@example.com",
      GIT_AUTHOR_DATE: date,
      GIT_COMMITTER_NAME: "Gopher",
      GIT_COMMITTER_EMAIL: "gopher@example.com",
      GIT_COMMITTER_DATE: date,
    };
  }
}

function writeChange(stream: ByteWriter, path: string, file: Files[string]): void {
  const name = quotePath(path);
  if (file === null || file === undefined) {
    stream.text(`D ${name}\n`);
  } else if (typeof file === "string" || file instanceof Uint8Array) {
    stream.text(`M 100644 inline ${name}\n`);
    stream.data(file);
  } else if (file.mode === "160000") {
    stream.text(`M 160000 ${file.content} ${name}\n`);
  } else {
    stream.text(`M ${file.mode} inline ${name}\n`);
    stream.data(file.content);
  }
}

/** A path as fast-import reads it: quoted as in C, with octal escapes. */
function quotePath(path: string): string {
  const bytes = [...path].flatMap((character) => {
    const code = character.codePointAt(0) ?? 0;
    return code >= 0xdc80 && code <= 0xdcff
      ? [code - 0xdc00]
      : [...new TextEncoder().encode(character)];
  });
  const escaped = bytes.map((byte) => `\\${byte.toString(8).padStart(3, "0")}`);
  return `"${escaped.join("")}"`;
}

class ByteWriter {
  readonly #parts: (string | Uint8Array<ArrayBuffer>)[] = [];

  text(text: string): void {
    this.#parts.push(text);
  }

  data(content: string | Uint8Array<ArrayBuffer>): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    this.#parts.push(`data ${bytes.length}\n`, bytes, "\n");
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const encoder = new TextEncoder();
    const parts = this.#parts.map((part) => typeof part === "string" ? encoder.encode(part) : part);
    const all = new Uint8Array(parts.reduce((sizeBytes, part) => sizeBytes + part.length, 0));
    let offset = 0;
    for (const part of parts) {
      all.set(part, offset);
      offset += part.length;
    }
    return all;
  }
}
