/**
 * What the threads of a server say to each other (lib/async/rpc.ts). The main thread has all parts of the server; further
 * threads (serving.ts) answer what the store has of a version's files, and hand every other request over as it came.
 */
import type { MetricObjectWithValues, MetricValue } from "prom-client";
import type { Method } from "../../async/rpc.ts";
import type { Config } from "../../config/config.ts";
import type { ModuleVersion } from "../../index/entry.ts";
import type { LogLevel } from "../../log_level.ts";
import type { ModulePath } from "../../module/path.ts";

/** What a thread is told when it starts. */
export interface ThreadStart {
  readonly config: Config;
  readonly env: Readonly<Record<string, string>>;
  readonly logLevel: LogLevel;
  readonly host: string;
  /** The one that the main thread listens on. */
  readonly port: number;
  readonly via: string;
  /** Whether clients have to be let in, which the main thread decides. */
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

export interface SentKnock {
  readonly headers: readonly (readonly [string, string])[];
  readonly address: string | null;
  readonly requestId: string;
  readonly path: ModulePath;
}

/** What the main thread does for the others. */
export interface MainMethods {
  readonly answer: Method<SentRequest, SentResponse>;
  /** The client's identity; null for one that is not let in. */
  readonly admit: Method<SentKnock, string | null>;
  /** A manifest was read from the store. */
  readonly seen: Method<ModuleVersion, null>;
}

/** What a thread does for the main one. */
export interface ThreadMethods {
  /** Ends when the thread listens. */
  readonly start: Method<ThreadStart, null>;
  /** Ends when all requests have ended. */
  readonly stop: Method<null, null>;
  readonly metrics: Method<null, MetricObjectWithValues<MetricValue<string>>[]>;
}
