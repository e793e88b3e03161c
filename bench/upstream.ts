/** The upstream of all contestants: bench/upstream_main.ts in a process of its own. */
import { join } from "node:path";
import { within } from "../tests/support/eventually.ts";

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
  static async start(folders: readonly string[]): Promise<Upstream> {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", join(import.meta.dirname ?? "", "upstream_main.ts"), ...folders],
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

  /** How many requests there were so far. */
  async requests(): Promise<number> {
    return Number(await (await fetch(`${this.url}/requests`)).text());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.close();
    await this.#process.status;
  }
}
