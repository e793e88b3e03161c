/**
 * The command line: a table of commands, one file each. Only the file of the requested command is
 * loaded, because git waits for `credential-helper`, which needs next to nothing.
 *
 * Exit status: 0 for success; 1 for a failure or a fault that was found; 130 after SIGTERM or
 * SIGINT, except for servers, which shut down gracefully and exit with 0.
 */
import { Command, CommanderError } from "commander";
import { ConfigError, describeError, ProxyError } from "../lib/errors.ts";
import { VERSION } from "../lib/open/version.ts";
import type { CommandContext, CommandFile } from "./command.ts";

interface Row {
  /** `config check` is the command `check` of the group `config`. */
  readonly name: string;
  readonly description: string;
  readonly load: () => Promise<CommandFile>;
  /** Left out of the help. */
  readonly isHidden?: boolean;
}

const COMMANDS: readonly Row[] = [
  {
    name: "serve",
    description: "Serve the GOPROXY protocol over HTTP (the default command).",
    load: () => import("./serve.ts"),
  },
  {
    name: "check-source",
    description: "Trace how a module's repository is found and read.",
    load: () => import("./check_source.ts"),
  },
  {
    name: "explain",
    description: "Show what is published of a version, what its sources have, and who may read it.",
    load: () => import("./explain.ts"),
  },
  {
    name: "fsck",
    description: "Check the store for damaged and missing objects; exit with 1 if there are any.",
    load: () => import("./fsck.ts"),
  },
  {
    name: "import",
    description:
      "Import modules from another proxy or a module cache; exit with 1 if any is refused.",
    load: () => import("./import.ts"),
  },
  {
    name: "import-policy",
    description: "Print the policy that does what another proxy's filter does.",
    load: () => import("./import_policy.ts"),
  },
  {
    name: "prefetch",
    description: "Fetch every version that go.sum files name; exit with 1 if any fails.",
    load: () => import("./prefetch.ts"),
  },
  {
    name: "export",
    description: "Write the store's modules to a directory that is a file system proxy.",
    load: () => import("./export.ts"),
  },
  {
    name: "config keygen",
    description: "Generate the key pair of privateSumDatabase.",
    load: () => import("./config_keygen.ts"),
  },
  {
    name: "config check",
    description: "Validate a configuration; exit with 1 if it has faults.",
    load: () => import("./config_check.ts"),
  },
  {
    name: "config explain",
    description: "Show what the configuration says about a module path.",
    load: () => import("./config_explain.ts"),
  },
  {
    name: "policy report",
    description: "Show what the rules of the policy have decided, and about whose requests.",
    load: () => import("./policy_report.ts"),
  },
  {
    name: "policy try",
    description: "Compare a changed policy with the current one; exit with 1 if it denies more.",
    load: () => import("./policy_try.ts"),
  },
  {
    name: "audit",
    description: "Ask a server for its policy about go.sum files; exit with 1 if any is denied.",
    load: () => import("./audit.ts"),
  },
  {
    name: "goauth",
    description: "Log the go command in to a server; for GOAUTH, with Go 1.24 or newer.",
    load: () => import("./goauth.ts"),
  },
  {
    name: "client-forward-proxy",
    description: "Forward the requests of an older go command to a server, authenticated.",
    load: () => import("./client_forward_proxy.ts"),
  },
  {
    name: "hash-password",
    description: "Print the hash of a password on standard input, for clientAuth.identities.",
    load: () => import("./hash_password.ts"),
  },
  {
    name: "doctor",
    description: "Find settings of a go command that lead around the proxy; exit with 1 if any do.",
    load: () => import("./doctor.ts"),
  },
  {
    name: "healthcheck",
    description: "Check the health of the server on this machine; exit with 1 if it is unhealthy.",
    load: () => import("./health_check.ts"),
  },
  {
    name: "completion",
    description: "Print a shell completion script.",
    load: () => import("./completion.ts"),
  },
  {
    name: "credential-helper",
    description: "Answer git's request for a credential; started by git, which the server starts.",
    load: () => import("./credential_helper.ts"),
    isHidden: true,
  },
];

interface Group {
  readonly description: string;
  readonly example: string;
}

const GROUPS: Readonly<Record<string, Group>> = {
  config: {
    description: "Work with the configuration.",
    example: "config check --config-file config.yaml",
  },
  policy: {
    description: "Work with the policy.",
    example: "policy report --config-file config.yaml --since 7d",
  },
};
const DEFAULT_COMMAND = "serve";

export interface RunOptions extends Pick<CommandContext, "environment" | "program"> {
  readonly args: readonly string[];
}

/** Runs the command that `args` name, and returns the exit status. */
export async function run({ args, environment, program }: RunOptions): Promise<number> {
  let status = 0;
  let stop: AbortController | null = null;
  const context: CommandContext = {
    environment,
    program,
    get signal() {
      stop ??= abortedByTheSystem();
      return stop.signal;
    },
    action: (work) => async (...args) => {
      try {
        status = await work(...args) ?? 0;
      } catch (error) {
        if (stop?.signal.aborted !== true) throw error;
        status = 130;
      }
    },
  };
  try {
    const root = await defineProgram(args, context);
    refuseUnknownCommand(root, args);
    await root.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    const message = messageOf(error);
    if (message === null) throw error;
    await Deno.stderr.write(new TextEncoder().encode(`error: ${message}\n`));
    return 1;
  }
}

/** The message for the user; null for a bug in the program. */
function messageOf(error: unknown): string | null {
  if (error instanceof ConfigError) return `invalid configuration\n${error.message}`;
  return error instanceof ProxyError ? describeError(error) : null;
}

async function defineProgram(args: readonly string[], context: CommandContext): Promise<Command> {
  const root = new Command("go-mod-proxy")
    .description("A Go module proxy for teams with private code.")
    .version(VERSION)
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .showHelpAfterError()
    .exitOverride();
  for (const row of COMMANDS) {
    const [group, inner] = row.name.split(" ");
    const parent = inner === undefined ? root : groupOf(root, group ?? "");
    const command = parent.command(inner ?? row.name, {
      hidden: row.isHidden ?? false,
      isDefault: row.name === DEFAULT_COMMAND,
    }).description(row.description);
    if (isAskedFor(row.name, args)) (await row.load()).define(command, context);
  }
  return root;
}

function groupOf(root: Command, name: string): Command {
  const { description = "", example = "" } = GROUPS[name] ?? {};
  return root.commands.find((command) => command.name() === name) ??
    root.command(name)
      .description(description)
      .helpCommand(false)
      .addHelpText("after", `\nExample:\n  go-mod-proxy ${example}`);
}

/** Whether the command's file is needed. `completion` and `help` need all commands. */
function isAskedFor(name: string, args: readonly string[]): boolean {
  const [first = DEFAULT_COMMAND, second] = args;
  if (first === "completion" || first === "help") return true;
  const [outer, inner] = name.split(" ");
  if (first === outer) return inner === undefined || inner === second || second === "--help";
  // A flag or an unknown word: the default command handles it, or reports what is wrong with it.
  return name === DEFAULT_COMMAND && !COMMANDS.some((row) => row.name.split(" ")[0] === first);
}

/** Commander would pass the word to the default command, which takes none. */
function refuseUnknownCommand(root: Command, [first = ""]: readonly string[]): void {
  const names = ["help", ...root.commands.map((command) => command.name())];
  if (first === "" || first.startsWith("-") || names.includes(first)) return;
  root.error(`error: unknown command '${first}'`, { code: "commander.unknownCommand" });
}

function abortedByTheSystem(): AbortController {
  const controller = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => controller.abort());
  }
  return controller;
}
