/** Why answers of a checksum database, or of an upstream in front of it, are rejected. */
import { UpstreamError } from "../errors.ts";

/**
 * The answer failed verification. Nothing of it is used or stored; the next answer may be right.
 */
export class UnverifiedError extends UpstreamError {}

/** The database has signed two trees that exclude each other. Nothing of it is used any more. */
export class ForkError extends UpstreamError {}
