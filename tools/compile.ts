/**
 * `deno task compile [target…]`: one executable file for each platform, in dist/, with a software
 * bill of materials (tools/sbom.ts), and the SHA-256 sums of all.
 *
 * A compiled program has the permissions and flags that it was compiled with: those of the `start`
 * task. Environment variables are not compiled in; they can be set when it is started. `--bundle`
 * is needed since Deno 2.9.0, which otherwise overflows its stack on these packages
 * (https://github.com/denoland/deno/issues/36746). Deno downloads the runtime of each target.
 * Windows is not supported: git asks for credentials by a unix socket.
 */
import deno from "../deno.json" with { type: "json" };
import { writeBom } from "./sbom.ts";

export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
] as const;

/** The arguments of `deno`, run in the project's root. */
export function compileArguments(target: string, output: string): string[] {
  const start = deno.tasks.start.split(" ");
  const flags = start.slice(start.indexOf("run") + 1, start.indexOf("main.ts"));
  return ["compile", "--bundle", "--target", target, ...flags, "--output", output, "main.ts"];
}

async function compile(target: string): Promise<string> {
  const output = `dist/go-mod-proxy-${target}`;
  const command = new Deno.Command("deno", { args: compileArguments(target, output) });
  const { success } = await command.spawn().status;
  if (!success) throw new Error(`Cannot compile for ${target}`);
  return output.slice("dist/".length);
}

/** A line as sha256sum writes it. */
async function sumOf(name: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(`dist/${name}`));
  return `${new Uint8Array(digest).toHex()}  ${name}\n`;
}

if (import.meta.main) {
  const sums: string[] = [];
  for (const target of Deno.args.length > 0 ? Deno.args : TARGETS) {
    sums.push(await sumOf(await compile(target)));
  }
  sums.push(await sumOf(await writeBom()));
  await Deno.writeTextFile("dist/SHA256SUMS", sums.join(""));
}
