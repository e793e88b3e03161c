/**
 * The `.info` of a module version: https://go.dev/ref/mod#goproxy-protocol
 *
 * ```
 * {"Version":"v1.2.3","Time":"2026-01-02T03:04:05Z","Origin":{"VCS":"git",…}}
 * ```
 *
 * Read as Go's encoding/json reads it into the `go` command's own structure: names in any case,
 * unknown names ignored, a wrong type refused, `null` the same as nothing, white space around it
 * allowed and a byte order mark refused. Without a `Time` the time is {@linkcode UNKNOWN_TIME}.
 * `Origin` says where a version came from; it is not authenticated.
 */

/** Where a version came from. Only provenance for tools; fields that are unknown are left out. */
export interface Origin {
  readonly vcs?: string;
  /** Never with user name or password. */
  readonly url?: string;
  readonly subdir?: string;
  /** The commit. */
  readonly hash?: string;
  readonly tagPrefix?: string;
  readonly tagSum?: string;
  /** `refs/tags/v1.2.3`, `refs/heads/main`, `HEAD`. */
  readonly ref?: string;
  readonly repoSum?: string;
}

/** The `.info` of a version. */
export interface Info {
  readonly version: string;
  /**
   * The commit's time: RFC 3339 in UTC, ends in `Z`, at most nine decimals and no zero at their
   * end. {@linkcode UNKNOWN_TIME} where nobody knows it.
   */
  readonly time: string;
  readonly origin?: Origin;
}

/** Bytes that are not an `.info`. The caller knows where they came from and says so. */
export class InvalidInfoError extends Error {
  override readonly name = "InvalidInfoError";
}

/** The zero value of Go's `time.Time`: the `go` command prints no time for it. */
export const UNKNOWN_TIME = "0001-01-01T00:00:00Z";

/**
 * The longest `.info` that is read: some hundred times the usual. JSON of a megabyte may take 100
 * ms.
 */
export const MAX_INFO_SIZE_BYTES = 128 * 1024;

/** The names in JSON, in the order in which Go writes them. */
const ORIGIN_NAMES: readonly (readonly [keyof Origin, string])[] = [
  ["vcs", "VCS"],
  ["url", "URL"],
  ["subdir", "Subdir"],
  ["hash", "Hash"],
  ["tagPrefix", "TagPrefix"],
  ["tagSum", "TagSum"],
  ["ref", "Ref"],
  ["repoSum", "RepoSum"],
];

/**
 * @throws {InvalidInfoError} when the bytes are too many, are not JSON, lack a version, or have a
 * time that cannot be read.
 */
export function parseInfo(bytes: Uint8Array): Info {
  if (bytes.length > MAX_INFO_SIZE_BYTES) {
    throw invalid(`longer than ${MAX_INFO_SIZE_BYTES} bytes`);
  }
  const fields = fieldsOf(parseJson(bytes), "the .info");
  const version = textField(fields, "Version");
  if (version === "") throw invalid("no Version");
  const time = fields.has("time") ? normalizedTime(textField(fields, "Time")) : UNKNOWN_TIME;
  if (time === null) throw invalid("no Time in the form of RFC 3339");
  const origin = fields.get("origin");
  return origin === undefined ? { version, time } : { version, time, origin: parseOrigin(origin) };
}

/** The JSON of an `.info`, in one line without its end. */
export function formatInfo({ version, time, origin }: Info): string {
  return JSON.stringify({
    Version: version,
    Time: time,
    ...(origin !== undefined && {
      Origin: Object.fromEntries(
        ORIGIN_NAMES.filter(([key]) => origin[key] !== undefined)
          .map(([key, name]) => [name, origin[key]]),
      ),
    }),
  });
}

function parseOrigin(value: unknown): Origin {
  const fields = fieldsOf(value, "Origin");
  const origin: { -readonly [key in keyof Origin]: string } = {};
  for (const [key, name] of ORIGIN_NAMES) {
    const text = textField(fields, name);
    const clean = key === "url" ? withoutUserinfo(text) : text;
    if (clean !== "") origin[key] = clean;
  }
  return origin;
}

function parseJson(bytes: Uint8Array): unknown {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  try {
    return JSON.parse(text);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw invalid("not JSON", { cause });
    throw cause;
  }
}

/**
 * The fields of a JSON object by lower-case name, without those that are null. The last of several
 * wins.
 */
function fieldsOf(value: unknown, what: string): ReadonlyMap<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`${what} is not a JSON object`);
  }
  const entries: [string, unknown][] = Object.entries(value);
  return new Map(
    entries.filter(([, v]) => v !== null).map(([name, v]) => [name.toLowerCase(), v]),
  );
}

function textField(fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = fields.get(name.toLowerCase()) ?? "";
  if (typeof value !== "string") throw invalid(`${name} is not a string`);
  return value;
}

/**
 * RFC 3339 as Go's `time.Time` reads it from JSON, which also takes an hour of one digit, a comma
 * before the decimals, and zones up to 24 hours and 60 minutes (go.dev/issue/54580).
 */
const TIME =
  /^(?<date>\d{4}-\d\d-\d\d)T(?<hour>\d{1,2})(?<rest>:\d\d:\d\d)(?:[.,](?<fraction>\d+))?(?:Z|(?<sign>[+-])(?<hours>[01]\d|2[0-4]):(?<minutes>[0-5]\d|60))$/;

/**
 * The same instant in UTC, or null for what Go does not read as a time, or is outside the years 0
 * to 9999.
 */
function normalizedTime(text: string): string | null {
  const parts = TIME.exec(text)?.groups;
  if (parts === undefined) return null;
  const { date, hour = "", rest, fraction = "", sign, hours = "0", minutes = "0" } = parts;
  const local = `${date}T${hour.padStart(2, "0")}${rest}`;
  const asUtc = new Date(`${local}Z`);
  // Date takes February 30 for March 2, and 24:00 for the next day.
  if (Number.isNaN(asUtc.getTime()) || isoSeconds(asUtc) !== local) return null;
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000;
  const utc = isoSeconds(new Date(asUtc.getTime() + (sign === "-" ? offsetMs : -offsetMs)));
  if (!/^[0-9]{4}-/.test(utc)) return null;
  const decimals = fraction.slice(0, 9).replace(/0+$/, "");
  return decimals === "" ? `${utc}Z` : `${utc}.${decimals}Z`;
}

function isoSeconds(time: Date): string {
  return time.toISOString().replace(/\.[0-9]{3}Z$/, "");
}

/**
 * A repository's address without what could be a secret: all before an `@`, if the address is not a
 * URL with a host.
 */
function withoutUserinfo(address: string): string {
  const url = URL.parse(address);
  if (url === null || url.host === "") return address.slice(address.lastIndexOf("@") + 1);
  if (url.username === "" && url.password === "") return address;
  url.username = "";
  url.password = "";
  return url.href;
}

function invalid(reason: string, options?: ErrorOptions): InvalidInfoError {
  return new InvalidInfoError(`Cannot read .info: ${reason}`, options);
}
