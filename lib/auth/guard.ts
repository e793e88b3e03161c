/**
 * Who may be answered. A route says what its answer is about ({@linkcode Access}), from the request's path alone, before
 * anything is looked up; a guard says whether this client may have it. So what is forbidden costs nothing and tells
 * nothing, not even whether it exists.
 */
import type { ModulePath } from "../module/path.ts";

/** What an answer is about. */
export type Access =
  /** Nothing of anybody's: that the process is alive. */
  | { readonly kind: "anyone" }
  /** Nothing of one module: whoever has proved who they are may have it. */
  | { readonly kind: "client" }
  | { readonly kind: "module"; readonly path: ModulePath };

export const ANYONE: Access = { kind: "anyone" };
export const ANY_CLIENT: Access = { kind: "client" };

/** What a request says of its sender. */
export interface ClientRequest {
  readonly headers: Headers;
  /** The address of the connection; null where there is none, in tests. */
  readonly address: string | null;
  /** What the client wrote or was given to find this request in the log. */
  readonly requestId: string;
}

/** Somebody who has been let in. */
export interface Client {
  /** The name of their identity; null where nobody is asked for one. */
  readonly identity: string | null;
  /** Whether they may know of this module, for answers about many. */
  mayRead(path: ModulePath): boolean;
}

export interface Guard {
  /** Whether what one client gets, another may not: then nothing between may keep answers for all. */
  readonly answersDiffer: boolean;
  /**
   * Lets the client in. Null where this guard cannot decide and another has to: on threads, for clients that the main
   * thread has not authenticated yet.
   *
   * @throws {UnauthenticatedError} when they did not prove who they are
   * @throws {ForbiddenError} when they may not have this
   * @throws {TooManyRequestsError} when too many wrong passwords came before
   */
  admit(request: ClientRequest, access: Access): Promise<Client | null> | Client | null;
  /**
   * Whether the client has authenticated before, so that {@linkcode admit} has nothing to verify.
   * Absent: it never has.
   */
  recognizes?(request: ClientRequest): boolean;
}

const EVERYBODY: Client = { identity: null, mayRead: () => true };

/** Client authentication is off. */
export const OPEN_GUARD: Guard = { answersDiffer: false, admit: () => EVERYBODY };
