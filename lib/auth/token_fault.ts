/** Why a token is refused, in words for the one who sent it. */
import { errors } from "jose";
import { UnauthenticatedError } from "../errors.ts";

/**
 * What a failure of jose's means: the token is not accepted. Everything else goes on as it is.
 *
 * @param what as in "access token"
 */
export function tokenFault(error: unknown, what: string): unknown {
  if (!(error instanceof errors.JOSEError)) return error;
  return new UnauthenticatedError(`Cannot accept the ${what}: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** Whether another key may still fit. */
export function isWrongSignature(error: unknown): boolean {
  return error instanceof errors.JWSSignatureVerificationFailed;
}

function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return "it has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return CLAIMS[error.claim] ?? `its claim "${error.claim}" is missing or wrong`;
  }
  if (isWrongSignature(error)) return "its signature is wrong";
  if (error instanceof errors.JOSEAlgNotAllowed) return "its algorithm is not allowed";
  if (error instanceof errors.JWKSNoMatchingKey) return "its issuer has no such key";
  if (error instanceof errors.JWKSMultipleMatchingKeys) return "it does not say which key it has";
  return "it is malformed";
}

const CLAIMS: Readonly<Record<string, string>> = {
  aud: "it is for another audience",
  iss: "it is of another issuer",
  nbf: "it is not valid yet",
};
