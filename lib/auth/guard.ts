/**
 * Authorization of requests. A route derives what its answer is about ({@linkcode Access}) from the
 * request's path alone, before any lookup; a guard decides whether this client may have it. A
 * denied request therefore costs nothing and reveals nothing, not even whether the module exists.
 */
import type { ModulePath } from "../module/path.ts";
import type { RepositoryName } from "../module/repository_identity.ts";

/** What an answer is about. */
export type Access =
  /** Public information: that the process is alive. */
  | { readonly kind: "anyone" }
  /** Not about one module: every authenticated client may have it. */
  | { readonly kind: "client" }
  | { readonly kind: "module"; readonly path: ModulePath };

export const ANYONE: Access = { kind: "anyone" };
export const ANY_CLIENT: Access = { kind: "client" };

/** What a request reveals about its sender. */
export interface ClientRequest {
  readonly headers: Headers;
  /** The address of the connection; null if there is none, in tests. */
  readonly address: string | null;
  /** What the client has shown in the TLS handshake, verified, in DER. Absent or null: nothing. */
  readonly certificate?: Uint8Array | null;
  /** The id of this request in the log, from the client or assigned to it. */
  readonly requestId: string;
}

/** A client that has been admitted. */
export interface Client {
  /** The name of its identity; null without client authentication. */
  readonly identity: string | null;
  /**
   * Whether it may read this module, for answers about many modules.
   *
   * @param names those that the module has because of where its code is (`namesByPlace`)
   */
  mayRead(path: ModulePath, names?: readonly RepositoryName[]): boolean;
  /** Whether such names can make a difference to {@linkcode mayRead}. */
  dependsOnRepository(path: ModulePath): boolean;
  /**
   * Decides about the module that it was admitted to once it is known where the code is: before
   * anything of it is sent. Null if that makes no difference.
   */
  readonly admitTo: AdmitTo | null;
}

/**
 * Whether the client may have what has these names. False where this guard leaves the denial to
 * another, as {@linkcode Guard.admit} does with null.
 *
 * @throws {ForbiddenError} when they may not
 */
export type AdmitTo = (names: readonly RepositoryName[]) => boolean;

export interface Guard {
  /** Whether clients may get different answers: then shared caches must not store them. */
  readonly answersDiffer: boolean;
  /**
   * Admits the client. Null if this guard cannot decide and another must: on threads, for clients
   * that the main thread has not authenticated yet.
   *
   * @throws {UnauthenticatedError} when it is not authenticated
   * @throws {ForbiddenError} when it may not have this
   * @throws {TooManyRequestsError} after too many wrong passwords
   */
  admit(request: ClientRequest, access: Access): Promise<Client | null> | Client | null;
  /**
   * Whether the client has authenticated before, so that {@linkcode admit} has nothing to verify.
   * Absent: it never has.
   */
  recognizes?(request: ClientRequest): boolean;
}

const EVERYBODY: Client = {
  identity: null,
  mayRead: () => true,
  dependsOnRepository: () => false,
  admitTo: null,
};

/** Client authentication is off. */
export const OPEN_GUARD: Guard = { answersDiffer: false, admit: () => EVERYBODY };
