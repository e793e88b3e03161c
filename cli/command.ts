/**
 * What every command of the program has in common. A command is a file of this folder and a row in program.ts; it
 * describes its flags and its help, and what it runs.
 */
import type { Command } from "commander";
import type { Program } from "../lib/open/surroundings.ts";

/** What a command takes from outside. */
export interface CommandContext {
  readonly environment: Environment;
  /** How git calls this program back. */
  readonly program: Program;
  /** Aborted by SIGTERM and SIGINT, which end the process by themselves until this is read for the first time. */
  readonly signal: AbortSignal;
  /**
   * Makes the action of a command: it returns the exit status, 0 for none. A ProxyError becomes a message on standard
   * error and status 1; whatever is thrown after {@linkcode signal} was aborted is status 130, as shells have it.
   */
  // deno-lint-ignore no-explicit-any -- commander passes arguments, flags and the command, whose types the action states
  action(work: (...args: any[]) => Promise<number | void>): (...args: unknown[]) => Promise<void>;
}

/** The variables of the process. Setting one is for what libraries and git read there. */
export type Environment = Pick<Deno.Env, "get" | "set" | "delete" | "toObject">;

/** What a file of a command exports. */
export interface CommandFile {
  /** Adds flags, help and action to a command that has its name and description. */
  define(command: Command, context: CommandContext): void;
}
