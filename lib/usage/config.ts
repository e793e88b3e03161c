/**
 * The section `usage`: whether the server records which versions are used.
 *
 * ```yaml
 * usage: identities     # or anonymous; default: off
 * ```
 */
import { z } from "zod";

/** `anonymous` records no identities. */
export const usage = z.enum(["off", "anonymous", "identities"]).default("off");

export type UsageMode = z.output<typeof usage>;
