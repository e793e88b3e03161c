/** Runs the output of `completion` in bash, zsh and fish. */
import assert from "node:assert/strict";
import { runProgram } from "./worlds/server.ts";
import { runCommand } from "./support/run_command.ts";

const SCRIPT = (await runProgram(["completion", "bash"])).stdout;

/** What bash offers for the last of these words. */
async function complete(...words: string[]): Promise<string[]> {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const code = `${SCRIPT}
COMP_WORDS=(go-mod-proxy ${quoted}); COMP_CWORD=${words.length}
_go_mod_proxy
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code: status, stdout, stderr } = await runCommand("bash", {
    args: ["--norc", "-uc", code],
  });
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout.split("\n").filter((line) => line !== "");
}

for (
  const { words, want } of [
    { words: ["pre"], want: ["prefetch"] },
    { words: ["imp"], want: ["import", "import-policy"] },
    { words: ["cred"], want: [] },
    { words: ["import", ""], want: ["gomodcache", "athens", "original"] },
    { words: ["import", "a"], want: ["athens"] },
    // A file name: bash's own completion takes over.
    { words: ["import", "athens", "/etc/pass"], want: [] },
    { words: ["import", "athens", ".", "--ti"], want: ["--times"] },
    { words: ["fsck", "--re"], want: ["--repair"] },
    { words: ["fsck", "--config-file", ""], want: [] },
    { words: ["--ho"], want: ["--host"] },
    { words: ["serve", "--log-level", "d"], want: ["debug"] },
    { words: ["--log-level", "d"], want: ["debug"] },
    { words: ["completion", ""], want: ["bash", "zsh", "fish"] },
    { words: ["help", "expo"], want: ["export"] },
    { words: ["config", "k"], want: ["keygen"] },
    // Nothing of the line is run.
    { words: ["$(exit 1)", ""], want: await complete("") },
  ]
) {
  Deno.test(`bash completes ${JSON.stringify(words)}`, async () => {
    assert.deepEqual(await complete(...words), want);
  });
}

Deno.test("bash offers every subcommand, and every subcommand has help with an example", async (t) => {
  const names = await complete("");
  assert.ok(names.includes("serve") && !names.includes("credential-helper"));
  for (const name of names.filter((name) => name !== "help")) {
    await t.step(name, async () => {
      const { code, stdout } = await runProgram([name, "--help"]);
      assert.equal(code, 0);
      assert.match(
        stdout,
        new RegExp(`^Examples?:\\n(?:.*\\n)*? .*go-mod-proxy(?: .*)?\\b${name}\\b`, "m"),
      );
    });
  }
});

for (const shell of ["zsh", "fish"] as const) {
  const available = await isThere(shell);
  Deno.test({
    name: `${shell} takes its script${available ? "" : ` (SKIP: no ${shell} in PATH)`}`,
    ignore: !available,
    async fn() {
      const script = (await runProgram(["completion", shell])).stdout;
      const code = shell === "fish"
        ? `${script}\ncomplete -C 'go-mod-proxy import '`
        : `autoload -Uz compinit && compinit -D -u\n${script}\nprint -r -- $_comps[go-mod-proxy]`;
      const args = shell === "fish" ? ["--no-config", "-c", code] : ["-f", "-c", code];
      const { code: status, stdout, stderr } = await runCommand(shell, { args });
      assert.equal(status, 0, stderr);
      assert.match(stdout, shell === "fish" ? /^gomodcache$/m : /_go_mod_proxy/);
    },
  });
}

async function isThere(program: string): Promise<boolean> {
  try {
    return (await runCommand(program, { args: ["--version"] })).code === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
