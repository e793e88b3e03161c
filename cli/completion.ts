/**
 * `completion bash|zsh|fish`: a script that completes subcommands, flags, choices and file names,
 * generated from the commands as commander knows them. The script is self-contained: pressing Tab
 * starts no program, and no word of the line is evaluated. (The libraries for it do both, and
 * complete no file names.)
 *
 * zsh uses bash's script, through its own `bashcompinit`.
 */
import type { CommandContext } from "./command.ts";
import { printLine } from "./print.ts";
import { Argument, type Command, type Option } from "commander";

export function define(command: Command, context: CommandContext): void {
  command
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .addHelpText(
      "after",
      `
Examples:
  source <(go-mod-proxy completion bash)           now; in ~/.bashrc, always
  source <(go-mod-proxy completion zsh)            now; in ~/.zshrc, after compinit, always
  go-mod-proxy completion fish | source            now; in ~/.config/fish/config.fish, always`,
    )
    .action(context.action((shell: Shell) => {
      printLine(completionScript(shell, rootOf(command)).trimEnd());
      return Promise.resolve();
    }));
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * @param program the root of all commands; the one without a name on the command line is its
 * default
 */
export function completionScript(shell: Shell, program: Command): string {
  const commands = visibleCommands(program);
  switch (shell) {
    case "bash":
      return bashScript(program, commands);
    case "zsh":
      return `autoload -Uz bashcompinit && bashcompinit\n${bashScript(program, commands)}`;
    case "fish":
      return fishScript(program, commands);
  }
}

function visibleCommands(program: Command): Command[] {
  return [...program.createHelp().visibleCommands(program)];
}

function visibleOptions(command: Command): Option[] {
  return command.createHelp().visibleOptions(command).filter(({ long }) => long !== undefined);
}

/**
 * What may directly follow a command: its subcommands, the choices of its first argument, or the
 * topics of help.
 */
function choicesAfter(command: Command, commands: readonly Command[]): readonly string[] {
  if (command.name() === "help") return commands.map((other) => other.name());
  if (command.commands.length > 0) return command.commands.map((inner) => inner.name());
  const [first]: readonly Argument[] = command.registeredArguments;
  return first?.argChoices ?? [];
}

/**
 * `complete -o default` completes file names if the function finds nothing. Words are our own
 * names: letters, digits and `-`, which no shell interprets.
 */
function bashScript(program: Command, commands: readonly Command[]): string {
  const name = program.name();
  const words = (list: readonly string[]) =>
    `COMPREPLY=($(compgen -W "${list.join(" ")}" -- "$current"))`;
  const names = commands.map((command) => command.name());
  const values = commands.flatMap((command) =>
    visibleOptions(command).filter(takesValue).map(({ long, argChoices = [] }) =>
      `    "${command.name()} ${long}") ${
        argChoices.length > 0 ? words(argChoices) : "COMPREPLY=()"
      }; return ;;`
    )
  );
  const flags = commands.map((command) =>
    `    "${command.name()} "-*) ${words(visibleOptions(command).map(({ long }) => long ?? ""))} ;;`
  );
  const choices = commands.flatMap((command) => {
    const list = choicesAfter(command, commands);
    return list.length > 0 ? [`    "${command.name()}") ${words(list)} ;;`] : [];
  });
  return `# Completes ${name} in bash:  source <(${name} completion bash)
_${identifier(name)}() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command= word
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do
    case $word in
    ${names.join("|")}) command=$word; break ;;
    esac
  done
  COMPREPLY=()
  case "\${command:-${defaultName(program)}} $before" in
${values.join("\n")}
  esac
  case "\${command:-${defaultName(program)}} $current" in
${flags.join("\n")}
  esac
  [[ $current == -* ]] && return
  if [[ -z $command ]]; then
    ${words(names)}
    return
  fi
  case $before in
${choices.join("\n")}
  esac
}
complete -o default -F _${identifier(name)} ${name}
`;
}

function fishScript(program: Command, commands: readonly Command[]): string {
  const name = program.name();
  const lines = [
    `# Completes ${name} in fish:  ${name} completion fish | source`,
    ...commands.map((command) =>
      `complete -c ${name} -n __fish_use_subcommand -f -a ${command.name()} -d ${
        quote(command.description())
      }`
    ),
  ];
  for (const command of commands) {
    const isDefault = command.name() === defaultName(program);
    const seen = `__fish_seen_subcommand_from ${command.name()}`;
    const when = quote(isDefault ? `${seen}; or __fish_use_subcommand` : seen);
    const choices = choicesAfter(command, commands);
    if (choices.length > 0) {
      lines.push(`complete -c ${name} -n ${when} -f -a ${quote(choices.join(" "))}`);
    }
    for (const option of visibleOptions(command)) {
      const { long, description, argChoices } = option;
      const value = argChoices !== undefined
        ? ` -x -a ${quote(argChoices.join(" "))}`
        : takesValue(option)
        ? " -r"
        : "";
      lines.push(
        `complete -c ${name} -n ${when} -l ${long?.slice(2)}${value} -d ${quote(description)}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

/** The command that runs if the line names none. */
function defaultName(program: Command): string {
  return visibleCommands(program)[0]?.name() ?? "";
}

function identifier(name: string): string {
  return name.replaceAll("-", "_");
}

/** In fish, a text in single quotes has two escapes. */
function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
