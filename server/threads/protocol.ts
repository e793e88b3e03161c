/**
 * What the threads of a server say to each other (server/threads/rpc.ts). The main thread has all parts of the server; further
 * threads (serving.ts) answer what the store has of a version's files, and lists where it is known what the source would say
 * of them, and hand every other request over as it came. They also do for the main thread what computes for long: they look
 * through zips.
 */
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { Method } from "./rpc.ts";
import type { Session } from "../../lib/auth/sessions.ts";
import type { Config } from "../../lib/config/config.ts";
import type { LogLevel } from "../../lib/log/log_level.ts";
import type { ModuleVersion } from "../../lib/module/module_version.ts";
import type { ModulePath } from "../../lib/module/path.ts";
import type { KnownVersions } from "../../lib/source/source.ts";
import type { ZipSummary } from "../../lib/zip/read.ts";

/** What a thread is told when it starts. */
export interface ThreadStart {
  readonly config: Config;
  readonly env: Readonly<Record<string, string>>;
  readonly logLevel: LogLevel;
  readonly host: string;
  /** The one that the main thread listens on. */
  readonly port: number;
  readonly via: string;
  /** How many threads the process has, the main one among them. */
  readonly threads: number;
  /** Whether clients have to prove who they are, which the main thread looks at. */
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
  /** Bytes where there are few. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer> | null;
}

/** What the main thread does for the others. */
export interface MainMethods {
  readonly answer: Method<SentRequest, SentResponse>;
  /** Whose a header `Authorization` is; null where that would have to be verified. */
  readonly recognize: Method<string, Session | null>;
  /** What the source of a module has just said of its versions; null where it would have to be asked. */
  readonly knownVersions: Method<ModulePath, KnownVersions | null>;
  /** A manifest was read from the store. */
  readonly seen: Method<ModuleVersion, null>;
}

/** What {@linkcode InspectZip} is about. */
export interface SentZip {
  readonly file: string;
  readonly module: ModuleVersion;
}

/** Its summary, or what is wrong with it (ZipError). */
export type InspectedZip = { readonly summary: ZipSummary } | { readonly fault: string };

/** What a thread does for the main one. */
export interface ThreadMethods {
  /** Ends when the thread listens. */
  readonly start: Method<ThreadStart, null>;
  readonly inspectZip: Method<SentZip, InspectedZip>;
  /** Ends when all requests have ended. */
  readonly stop: Method<null, null>;
  readonly metrics: Method<null, MetricObjectWithValues<MetricValue<string>>[]>;
}
