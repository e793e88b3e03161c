/** Where a secret is: the one form that all sections have for it. */
import { z } from "zod";
import type { Fault, Path } from "./fault.ts";
import { expected } from "./fields.ts";

/** `{file: path}`, relative to the file's directory, `{envVar: NAME}`, or the secret itself. */
export const secret = z.union([
  z.strictObject({ file: z.string().min(1) }).readonly(),
  z.strictObject({ envVar: z.string().min(1) }).readonly(),
  z.string().min(1),
], expected("not a secret: use {file: path}, {envVar: NAME} or a text"));

export type Secret = z.output<typeof secret>;

/** A secret that a configuration names. */
export interface NamedSecret {
  /** Where the configuration has it. */
  readonly path: Path;
  readonly secret: Secret;
}

/** One for each secret that is written in the configuration itself. */
export function secretWarnings(secrets: readonly NamedSecret[]): Fault[] {
  return secrets.flatMap(({ path, secret }) =>
    typeof secret !== "string" ? [] : [{
      path,
      message: "the secret is written in the configuration: use {file: …} or {envVar: …} instead",
    }]
  );
}
