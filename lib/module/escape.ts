/**
 * Escaped module paths and versions, the form they have in URLs and in stored names:
 * https://go.dev/ref/mod#goproxy-protocol
 *
 * Each upper-case letter becomes `!` and its lower case, so that two names differ on a file system
 * that folds case too:
 *
 * ```
 * github.com/Azure/azure-sdk-for-go   ↔   github.com/!azure/azure-sdk-for-go
 * v1.0.0-RC1                          ↔   v1.0.0-!r!c1
 * ```
 *
 * Follows `EscapePath`, `UnescapePath`, `EscapeVersion` and `UnescapeVersion` of
 * golang.org/x/mod/module. Input is what is left after percent-decoding. There is exactly one
 * escaped form: an upper-case letter, a `!` before anything but a lower-case letter, and anything
 * outside ASCII is refused, never repaired.
 */
import { InvalidRequestError } from "../errors.ts";
import { type ModulePath, parseModulePath } from "./path.ts";
import { elementFault } from "./path_element.ts";
import { quoted } from "./quoted.ts";

/** The escaped form of a module path. */
export function escapePath(path: ModulePath): string {
  return escapeCapitals(path);
}

/** @throws {InvalidRequestError} when `text` is not the escaped form of a module path. */
export function unescapePath(text: string): ModulePath {
  const path = unescapeCapitals(text);
  if (path === null) {
    throw new InvalidRequestError(
      `Cannot read module path ${
        quoted(text)
      }: invalid escape, a capital is "!" and its lower case`,
    );
  }
  return parseModulePath(path);
}

/**
 * The escaped form of a version or of any other revision name.
 *
 * @throws {InvalidRequestError} when a URL cannot hold it: it is not one ASCII file name, or has a
 * `!`.
 */
export function escapeVersion(version: string): string {
  const fault = revisionFault(version);
  if (fault !== null) {
    throw new InvalidRequestError(`Cannot escape version ${quoted(version)}: ${fault}`);
  }
  return escapeCapitals(version);
}

/**
 * The version or other revision name that `text` stands for. It is one file name in ASCII, without
 * `/` and `!`; whether it is a version is for `parseVersion` to say.
 *
 * @throws {InvalidRequestError} when `text` is not an escaped form.
 */
export function unescapeVersion(text: string): string {
  const version = unescapeCapitals(text);
  if (version === null) {
    throw new InvalidRequestError(
      `Cannot read version ${quoted(text)}: invalid escape, a capital is "!" and its lower case`,
    );
  }
  const fault = revisionFault(version);
  if (fault !== null) {
    throw new InvalidRequestError(`Cannot read version ${quoted(version)}: ${fault}`);
  }
  return version;
}

/** Why `name` cannot be asked for as a version, or null. */
export function revisionFault(name: string): string | null {
  const wrong = /[!/]|[^\0-\x7f]/u.exec(name);
  return wrong === null ? elementFault(name, "file") : `invalid character ${quoted(wrong[0])}`;
}

function escapeCapitals(text: string): string {
  return text.replace(/[A-Z]/g, (capital) => `!${capital.toLowerCase()}`);
}

function unescapeCapitals(text: string): string | null {
  if (/[A-Z\x80-\uffff]|!(?![a-z])/.test(text)) return null;
  return text.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
