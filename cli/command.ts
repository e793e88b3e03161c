/**
 * What all commands have in common. A command is a file of this folder and a row in program.ts; the
 * file defines its flags, its help and its action.
 */
import type { Command } from "commander";
import type { Program } from "../lib/open/surroundings.ts";

/** What a command gets from its environment. */
export interface CommandContext {
  readonly environment: Environment;
  /** How git starts this program. */
  readonly program: Program;
  /**
   * Aborted by SIGTERM and SIGINT, which end the process directly until this is read for the first
   * time.
   */
  readonly signal: AbortSignal;
  /**
   * Makes the action of a command. `work` returns the exit status; undefined is 0. A ProxyError is
   * printed on standard error and gives status 1; an error thrown after {@linkcode signal} was
   * aborted gives status 130, as in shells.
   */
  // deno-lint-ignore no-explicit-any -- commander passes arguments, flags and the command, whose types the action states
  action(work: (...args: any[]) => Promise<number | void>): (...args: unknown[]) => Promise<void>;
}

/** The variables of the process. They are set only for libraries and git, which read them there. */
export type Environment = Pick<Deno.Env, "get" | "set" | "delete" | "toObject">;

/** The exports of a command's file. */
export interface CommandFile {
  /** Adds flags, help and action to a command that has its name and description. */
  define(command: Command, context: CommandContext): void;
}
