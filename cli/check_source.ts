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
import { contextOf, type Credentials, originOf } from "../lib/credentials/provider.ts";
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
  { remote: configured, signal }: {
    remote: Parameters<OpenedGit["mirrors"]["open"]>[0];
    signal: AbortSignal;
  },
): Promise<boolean> {
  await using lease = await mirrors.open(configured);
  const first = await askProvider(prefix, { remote: configured, signal });
  const moved = await steps.takeQuietly("moved", () => lease.repository.movedTo({ signal }), {
    says: (moved) => moved === null ? null : `to ${moved}, which is used instead`,
    remedy: 'set "repository" for the prefix to the URL of the repository',
  });
  if (moved === "failed") return false;
  if (moved !== null) {
    steps.detail(
      prefix?.repository
        ? `change "repository" of "${prefix.pathPrefix}" to ${moved}`
        : `configure ${moved} as "repository" of a private prefix for this path`,
    );
  }
  const asked = moved === null ? first : await askProvider(prefix, { remote: moved, signal });
  if (asked !== null) {
    for (const detail of asked.details) steps.detail(detail);
    const credentials = await steps.take("credentials", () => asked.result(), {
      says: ({ found }) =>
        found === null
          ? `none for ${asked.origin}`
          : `user "${found.username}" and a password (not shown)`,
      remedy: "follow the message, or check the secret that the configuration names",
    });
    if (credentials === null) return false;
  }
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

interface AskedProvider {
  readonly origin: string;
  readonly details: readonly string[];
  /** Throws what the provider threw. */
  readonly result: () => { readonly found: Credentials | null };
}

/** Asks for the credentials of a remote; null if the prefix is not private. */
async function askProvider(
  prefix: OpenedGit["prefix"],
  { remote, signal }: { readonly remote: string; readonly signal: AbortSignal },
): Promise<AskedProvider | null> {
  if (prefix === null) return null;
  const context = contextOf(new URL(remote));
  const details: string[] = [];
  const onStep = (text: string) => void details.push(text);
  const [asked] = await Promise.allSettled([
    prefix.provider.credentials(context, { signal, onStep }),
  ]);
  const result = () => {
    if (asked.status === "rejected") throw asked.reason;
    return { found: asked.value };
  };
  return { origin: originOf(context), details, result };
}

interface StepOptions<T, Text = string> {
  /** Describes the result. */
  readonly says: (result: T) => Text;
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

  /** The result of a step that is only printed if it says something, or fails. */
  async takeQuietly<T>(
    name: string,
    work: () => Promise<T>,
    { says, remedy }: StepOptions<T, string | null>,
  ): Promise<T | "failed"> {
    const [outcome] = await Promise.allSettled([work()]);
    if (outcome.status === "fulfilled" && says(outcome.value) === null) return outcome.value;
    const taken = await this.take(name, () => {
      if (outcome.status === "rejected") throw outcome.reason;
      return { value: outcome.value };
    }, { says: ({ value }) => says(value) ?? "", remedy });
    return taken === null ? "failed" : taken.value;
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
