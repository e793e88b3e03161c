/**
 * `check-source <module>`: follows the path to a module's repository step by step, prints the
 * result of each step, and gives a remedy for the first one that fails. Contacts the sources and
 * changes nothing except the mirrors. Prints no secret.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { load, type Loaded } from "./load_config.ts";
import { type CommonFlags, configFileOption, logLevelOption, scratchDirOption } from "./options.ts";
import { printLine } from "./print.ts";
import { contextOf, originOf } from "../lib/credentials/provider.ts";
import { describeError } from "../lib/errors.ts";
import { parseModulePath } from "../lib/module/path.ts";
import { openScratch } from "../lib/scratch/scratch.ts";
import { type OpenedGit, openGit } from "../lib/open/git.ts";
import { openSurroundings } from "../lib/open/surroundings.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .argument("<module>", "module path, such as github.com/my-org/lib")
    .addOption(configFileOption())
    .addOption(scratchDirOption())
    .addOption(logLevelOption("warn"))
    .addHelpText(
      "after",
      `
Prints one line for each step. The first step that fails is followed by a remedy, and the program exits with status 1.
The repository is read; nothing is published.

Example:
  go-mod-proxy check-source --config-file config.yaml github.com/my-org/lib`,
    )
    .action(context.action(async (module: string, flags: CommonFlags) => {
      const isFine = await checkSource({
        ...await load(flags, context),
        module,
        print: printLine,
      });
      return isFine ? 0 : 1;
    }));
}

export interface CheckSourceOptions extends Loaded {
  readonly module: string;
  /** Receives a line of output. */
  readonly print: (line: string) => void;
}

/** Whether every step succeeded. */
export async function checkSource(options: CheckSourceOptions): Promise<boolean> {
  const { module, print, signal } = options;
  const steps = new Steps(print);
  const path = await steps.take("module path", () => parseModulePath(module), {
    says: (path) => path,
    remedy: "see https://go.dev/ref/mod#module-path for the rules of module paths",
  });
  if (path === null) return false;

  await using scratch = await openScratch(options.scratchDir);
  await using git = await openGit(await openSurroundings(options), scratch);

  const opened = await steps.take("source", () => git.findPrivate(path) ?? git.direct, {
    says: ({ prefix }) =>
      prefix === null
        ? "git without credentials: no private prefix covers the path"
        : `private prefix "${prefix.pathPrefix}", ${prefix.provider.description}`,
    remedy: "use the upper and lower case of the private prefix",
  });
  if (opened === null) return false;

  const location = await steps.take(
    "repository",
    () => opened.discovery.locate(path, signal),
    {
      says: (location) =>
        location.kind === "proxy"
          ? `at the module proxy ${location.url.origin}${location.url.pathname}`
          : `${location.remote}, whose root is module path ${location.root}`,
      remedy:
        `serve a go-import tag at https://${module}?go-get=1, or set "repository" for the prefix`,
    },
  );
  if (location === null) return false;
  if (location.kind === "git") {
    if (!await stepsOfGit(steps, opened, { remote: location.remote, signal })) return false;
  }

  const versions = await steps.take("versions", () => opened.source.list(path, signal), {
    says: ({ versions }) => versions.length === 0 ? "none are tagged" : versions.join(" "),
    remedy: "the repository is readable; check its tags",
  });
  const latest = await steps.take("latest", () => opened.source.latest(path, signal), {
    says: ({ version, time }) => `${version} of ${time}`,
    remedy: "the repository is readable; check its go.mod and its default branch",
  });
  return versions !== null && latest !== null;
}

async function stepsOfGit(
  steps: Steps,
  { prefix, mirrors }: OpenedGit,
  { remote, signal }: { remote: Parameters<OpenedGit["mirrors"]["open"]>[0]; signal: AbortSignal },
): Promise<boolean> {
  if (prefix !== null) {
    const context = contextOf(new URL(remote));
    const onStep = (text: string) => steps.detail(text);
    const credentials = await steps.take(
      "credentials",
      async () => ({ found: await prefix.provider.credentials(context, { signal, onStep }) }),
      {
        says: ({ found }) =>
          found === null
            ? `none for ${originOf(context)}`
            : `user "${found.username}" and a password (not shown)`,
        remedy: "follow the message, or check the secret that the configuration names",
      },
    );
    if (credentials === null) return false;
  }
  await using lease = await mirrors.open(remote);
  const refs = await steps.take("refs", () => lease.repository.refs({ signal }), {
    says: (refs) => {
      const count = (kind: string) => [...refs.keys()].filter((ref) => ref.startsWith(kind)).length;
      return `${count("refs/heads/")} branches, ${count("refs/tags/")} tags`;
    },
    remedy: prefix === null
      ? "if the repository is private, configure a prefix for it in privateModules"
      : "check that the repository exists and that the credentials may read it",
  });
  return refs !== null;
}

interface StepOptions<T> {
  /** Describes the result. */
  readonly says: (result: T) => string;
  /** What to do if the step fails. */
  readonly remedy: string;
}

class Steps {
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  detail(text: string): void {
    this.#print(`${" ".repeat(16)}${text}`);
  }

  /** The result of a step, or null if it failed; the failure has been printed then. */
  async take<T>(
    name: string,
    work: () => T | Promise<T>,
    { says, remedy }: StepOptions<T>,
  ): Promise<T | null> {
    try {
      const result = await work();
      this.#print(`${name.padEnd(15)} ${says(result)}`);
      return result;
    } catch (error) {
      this.#print(`${name.padEnd(15)} FAILED: ${describeError(error)}`);
      this.#print(`${"remedy".padEnd(15)} ${remedy}`);
      return null;
    }
  }
}
