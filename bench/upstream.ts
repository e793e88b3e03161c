/** The upstream of all contestants: bench/upstream_main.ts in a process of its own. */
import { join } from "node:path";
import { within } from "../tests/support/eventually.ts";

export interface UpstreamOptions {
  /** By how much every answer starts later, as behind a network. Default: 0. */
  readonly delayMs?: number;
  /**
   * How many records of other modules the checksum database has, among which it has long known
   * those of the folders. Default: 0; the database then learns what is asked.
   */
  readonly otherRecords?: number;
}

export class Upstream implements AsyncDisposable {
  readonly url: string;
  /** The checksum database's, as GOSUMDB has it. */
  readonly verifierKey: string;
  readonly #process: Deno.ChildProcess;

  private constructor(process: Deno.ChildProcess, facts: { url: string; verifierKey: string }) {
    this.#process = process;
    this.url = facts.url;
    this.verifierKey = facts.verifierKey;
  }

  /** @param folders laid out like `cache/download` */
  static async start(folders: readonly string[], options: UpstreamOptions = {}): Promise<Upstream> {
    const { delayMs = 0, otherRecords = 0 } = options;
    const flags = [`--delay-ms=${delayMs}`, `--other-records=${otherRecords}`];
    const main = join(import.meta.dirname ?? "", "upstream_main.ts");
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--allow-all", main, ...flags, ...folders],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await within("the upstream to start", output.read());
    return new Upstream(process, JSON.parse(value ?? ""));
  }

  /** The checksum database's name, `<name>+<hash>+<key>` being its key. */
  get sumdbName(): string {
    return this.verifierKey.split("+")[0] ?? "";
  }

  get sumdbUrl(): string {
    return `${this.url}/sumdb/${this.sumdbName}`;
  }

  /** What the `go` command verifies by, as the value of GOSUMDB. */
  get sumdb(): string {
    return `${this.verifierKey} ${this.sumdbUrl}`;
  }

  /** How many requests there were so far. */
  async requests(): Promise<number> {
    return Number(await (await fetch(`${this.url}/requests`)).text());
  }

  /** Their paths, in order; `from` is how many to leave out. */
  async requested(from = 0): Promise<string[]> {
    const paths: string[] = await (await fetch(`${this.url}/requested`)).json();
    return paths.slice(from);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close();
    await this.#process.status;
  }
}
