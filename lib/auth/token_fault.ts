/** Why a token is rejected, in words for its sender. */
import { errors } from "jose";
import { UnauthenticatedError } from "../errors.ts";

/**
 * Turns an error of jose's into an {@linkcode UnauthenticatedError}. Other errors are returned
 * unchanged.
 *
 * @param what as in "access token"
 */
export function tokenFault(error: unknown, what: string): unknown {
  if (!(error instanceof errors.JOSEError)) return error;
  return new UnauthenticatedError(`Cannot accept the ${what}: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** Whether another key may still match. */
export function isWrongSignature(error: unknown): boolean {
  return error instanceof errors.JWSSignatureVerificationFailed;
}

function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return "it has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return CLAIMS[error.claim] ?? `its claim "${error.claim}" is missing or wrong`;
  }
  if (isWrongSignature(error)) return "its signature is invalid";
  if (error instanceof errors.JOSEAlgNotAllowed) return "its algorithm is not allowed";
  if (error instanceof errors.JWKSNoMatchingKey) return "its issuer has no such key";
  if (error instanceof errors.JWKSMultipleMatchingKeys) return "it does not name its key";
  return "it is malformed";
}

const CLAIMS: Readonly<Record<string, string>> = {
  aud: "it is for another audience",
  iss: "it is from another issuer",
  nbf: "it is not valid yet",
};
