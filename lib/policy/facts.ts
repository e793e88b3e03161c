/**
 * The facts that rules of a policy ask for. Each says where it is from, for `explain`.
 *
 * A fact that cannot be determined is an {@linkcode UnknownFactError}, and never "no": a database
 * that cannot be read has not said that a version is harmless.
 */
import { ProxyError } from "../errors.ts";
import type { Retraction } from "../module/go_mod.ts";
import type { ModuleVersion } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";

/** A fact that a rule needs cannot be determined now. */
export class UnknownFactError extends ProxyError {
  readonly meaning = "undetermined";
  /** The name of the fact: `age`, `advisories`. */
  readonly fact: string;

  constructor(fact: string, reason: string, options?: ErrorOptions) {
    super(`Cannot determine the ${fact} that the policy asks for: ${reason}`, options);
    this.fact = fact;
  }
}

export const SEVERITIES = ["low", "medium", "high", "critical"] as const;

export type Severity = (typeof SEVERITIES)[number];

/** An advisory that affects a version. */
export interface Advisory {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly summary: string;
  /** Whether a person has reviewed it. */
  readonly isReviewed: boolean;
  /** The code is malware, and not just faulty. */
  readonly isMalicious: boolean;
  /** Null where nobody has rated it. */
  readonly severity: Severity | null;
  /** Versions that are not affected any more. */
  readonly fixed: readonly string[];
  /** The name of the database. */
  readonly source: string;
}

/** How long a version is known to have existed, at least. */
export interface Age {
  /**
   * The earliest moment at which its existence is proven, in milliseconds since 1970; in the future
   * where it is about to be. Null where nothing proves it.
   */
  readonly provenAtMs: number | null;
  /** What proves it, or that nothing does, in words. */
  readonly basis: string;
}

/** Why a version is wanted, however young it is. */
export interface Fix {
  /** The id of the advisory that names it. */
  readonly advisory: string;
  /** The affected version, which was published here. */
  readonly of: string;
}

export interface Licences {
  /** SPDX identifiers of all licences that were detected; `UNKNOWN` and `NONE` are among them. */
  readonly found: readonly string[];
  /** Which files, and how much of them, in words. */
  readonly basis: string;
}

/** What a module's newest go.mod file says about its versions. */
export interface ModuleStatus {
  readonly retractions: readonly (Retraction & { readonly rationale?: string })[];
  /** Why its author advises against the module; null if its author does not. */
  readonly deprecation: string | null;
  /** The version whose go.mod file it is; null where there is none. */
  readonly version: string | null;
}

/** What a rule may ask for. */
export type FactName = Exclude<keyof Facts, "isPrivate">;

/** Each throws an {@linkcode UnknownFactError} where the fact cannot be determined. */
export interface Facts {
  isPrivate(path: ModulePath): boolean;
  advisories(module: ModuleVersion): readonly Advisory[];
  age(module: ModuleVersion, signal: AbortSignal): Promise<Age>;
  /** Of the first version of the module; of this one where none is tagged. */
  moduleAge(module: ModuleVersion, signal: AbortSignal): Promise<Age>;
  /** Whether a reviewed advisory names the version as the fix of one that was published here. */
  fix(module: ModuleVersion, signal: AbortSignal): Promise<Fix | null>;
  /**
   * @param onlyKnown nothing is fetched: null where the licences have not been detected yet
   */
  licences(
    module: ModuleVersion,
    options: { readonly onlyKnown: boolean; readonly signal: AbortSignal },
  ): Promise<Licences | null>;
  status(path: ModulePath, signal: AbortSignal): Promise<ModuleStatus>;
}
