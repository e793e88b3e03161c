/**
 * What a checksum database, or an upstream in front of it, can be refused for.
 */
import { UpstreamError } from "../errors.ts";

/** It said what does not verify. Nothing of it is used or kept; the next answer may be right. */
export class UnverifiedError extends UpstreamError {}

/** It has signed two trees that exclude each other. Nothing of it is used any more. */
export class ForkError extends UpstreamError {}
