/**
 * Messages between the threads of a server (server/threads/rpc.ts). The main thread has all parts
 * of the server. Further threads (serving.ts) answer files of versions that are in the store, and
 * lists while the source's last answer is fresh, and pass every other request on unchanged. They
 * also inspect zips for the main thread, which takes much CPU time.
 */
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { Method } from "./rpc.ts";
import type { Session } from "../../lib/auth/sessions.ts";
import type { Config } from "../../lib/config/config.ts";
import type { LogLevel } from "../../lib/log/log_level.ts";
import type { ModuleVersion } from "../../lib/module/module_version.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import type { Version } from "../../lib/module/version.ts";
import type { JudgeOptions } from "../../lib/policy/judge.ts";
import type { FilteredList } from "../../lib/policy/policy.ts";
import type { Verdict } from "../../lib/policy/verdict.ts";
import type { AnsweredByThread } from "../../lib/service/stored_modules.ts";
import type { KnownVersions } from "../../lib/source/source.ts";
import type { UsageRow } from "../../lib/usage/usage_row.ts";
import type { ZipSummary } from "../../lib/zip/read.ts";

export type ThreadPolicy = Pick<JudgeOptions, "gate" | "dependsOnIdentity">;

/** Sent to a thread when it starts. */
export interface ThreadStart {
  readonly config: Config;
  readonly env: Readonly<Record<string, string>>;
  readonly logLevel: LogLevel;
  readonly host: string;
  /** The one that the main thread listens on. */
  readonly port: number;
  readonly via: string;
  /** How many threads the process has, including the main one. */
  readonly threads: number;
  /** How many connections this thread may have. */
  readonly maxConnections: number;
  /** What the thread must know of the policy; null if there is none. */
  readonly policy: ThreadPolicy | null;
  /** Whether clients must authenticate, which the main thread verifies. */
  readonly isGuarded: boolean;
}

/** A request as data. */
export interface SentRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  readonly address: string | null;
}

export interface SentResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  /** Bytes if it is small. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer> | null;
}

/** What the main thread does for the others. */
export interface MainMethods {
  readonly answer: Method<SentRequest, SentResponse>;
  /** The session of a header `Authorization`; null if the header would have to be verified. */
  readonly recognize: Method<string, Session | null>;
  /**
   * The recent answer of a module's source about its versions; null if the source would have to be
   * asked.
   */
  readonly knownVersions: Method<ModulePath, KnownVersions | null>;
  /** What the policy decides about a version; null if that cannot be determined. */
  readonly judge: Method<JudgeRequest, Verdict | null>;
  /** What the policy leaves of a list; null if that cannot be determined. */
  readonly filterList: Method<FilterRequest, FilteredList | null>;
  /** A manifest was read from the store. */
  readonly seen: Method<ModuleVersion, null>;
  /** A client was given a file that may have been fetched ahead of it. */
  readonly answered: Method<AnsweredByThread, null>;
}

export interface JudgeRequest {
  readonly module: ModuleVersion;
  readonly identity: string | null;
}

export interface FilterRequest {
  readonly path: ModulePath;
  readonly versions: readonly Version[];
  readonly identity: string | null;
}

/** What {@linkcode InspectZip} is about. */
export interface SentZip {
  readonly file: string;
  readonly module: ModuleVersion;
}

/** Its summary, or its fault (ZipError). */
export type InspectedZip = { readonly summary: ZipSummary } | { readonly fault: string };

/** What a thread does for the main one. */
export interface ThreadMethods {
  /** Returns when the thread listens. */
  readonly start: Method<ThreadStart, null>;
  readonly inspectZip: Method<SentZip, InspectedZip>;
  /** The usage that was counted since the last call. */
  readonly usage: Method<null, UsageRow[]>;
  /** Remembered verdicts of the policy do not count any more. */
  readonly policyChanged: Method<null, null>;
  /** Returns when all requests have ended, with the usage that is left. */
  readonly stop: Method<null, UsageRow[]>;
  readonly metrics: Method<null, MetricObjectWithValues<MetricValue<string>>[]>;
}
