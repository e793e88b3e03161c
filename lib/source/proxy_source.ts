/**
 * One upstream that speaks the GOPROXY protocol (Go Modules Reference, "GOPROXY protocol").
 *
 * Every response is checked: `.info` names the requested version, the zip follows the rules of
 * module zips and has the prefix of this version, and the go.mod in it equals `.mod`. A failed
 * check is an {@linkcode UpstreamError}.
 */
import { atPace, eachStep, Pace, sortSteps, type Steps } from "../async/pace.ts";
import { LimitExceededError, NotFoundError, UpstreamError } from "../errors.ts";
import { escapePath, escapeVersion } from "../module/escape.ts";
import { isGoModOfZip, MAX_GO_MOD_SIZE_BYTES, scanGoMod } from "../module/go_mod.ts";
import { type Info, MAX_INFO_SIZE_BYTES, parseInfo } from "../module/info.ts";
import { pickLatest } from "../module/latest.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import { isPseudoVersion, parsePseudoVersion } from "../module/pseudo_version.ts";
import { timePartsOf } from "../module/rfc3339.ts";
import {
  compareParsedVersions,
  isVersionOf,
  type ParsedVersion,
  parsedVersion,
  parseVersion,
  type Query,
  type Version,
} from "../module/version.ts";
import {
  type InspectOptions,
  type InspectZip,
  inspectZip,
  ZipError,
  type ZipSummary,
} from "../zip/read.ts";
import { MAX_ZIP_BYTES } from "../zip/rules.ts";
import { MAX_VERSIONS } from "./git_tags.ts";
import type {
  DescribedCopy,
  FetchedCopy,
  FetchedZip,
  FetchOptions,
  KnownVersions,
  ModuleQuery,
  Source,
  VersionInfo,
} from "./source.ts";
import type { GetOptions, Upstream } from "./upstream.ts";

/** Far more than versions need: lines may have more words than the first. */
const MAX_LIST_BYTES = 8 * 1024 * 1024;

/** What is read of an upstream, at most. */
export const PROXY_READS = {
  list: { name: "version list", limitBytes: MAX_LIST_BYTES },
  info: { name: ".info", limitBytes: MAX_INFO_SIZE_BYTES },
  goMod: { name: ".mod", limitBytes: MAX_GO_MOD_SIZE_BYTES },
  zip: { name: "module zip", limitBytes: MAX_ZIP_BYTES },
} satisfies Record<string, Omit<GetOptions, "signal">>;

/** What is looked at of a line. A version that is longer has no place in a store. */
const MAX_LINE_CHARS = 4096;

export interface ProxySourceOptions {
  /** Default: in this thread. */
  readonly inspect?: InspectZip | undefined;
}

export class ProxySource implements Source {
  readonly description: string;
  readonly #upstream: Upstream;
  readonly #inspectZip: InspectZip;

  constructor(upstream: Upstream, options: ProxySourceOptions = {}) {
    this.#upstream = upstream;
    this.#inspectZip = options.inspect ?? inspectZip;
    this.description = `proxy ${upstream.url}`;
  }

  async list(path: ModulePath, signal: AbortSignal): Promise<KnownVersions> {
    const { tagged, freshMs } = await this.#listed(path, signal);
    return { versions: tagged, freshMs };
  }

  async #listed(
    path: ModulePath,
    signal: AbortSignal,
  ): Promise<Listed & { readonly freshMs: number }> {
    const { bytes, freshMs } = await this.#upstream.getFresh(url(path, "@v/list"), {
      ...PROXY_READS.list,
      signal,
    });
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    return { ...await atPace(this.#parseList(path, text), new Pace(signal)), freshMs };
  }

  /**
   * `@latest` is optional in the protocol. Where it is missing, the list decides, as for the `go`
   * command: the latest tagged version that the module has not retracted, else the pseudo-version
   * of the latest commit.
   */
  async latest(path: ModulePath, signal: AbortSignal): Promise<VersionInfo> {
    try {
      return await this.#info(path, { file: "@latest", signal });
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      const version = await this.#latestListed(path, signal);
      if (version === null) throw error;
      return await this.#versionInfo({ path, version: parseVersion(path, version) }, signal);
    }
  }

  async #latestListed(path: ModulePath, signal: AbortSignal): Promise<Version | null> {
    const { tagged, newestCommit } = await this.#listed(path, signal);
    const pace = new Pace(signal);
    const best = await atPace(pickLatest(tagged, []), pace);
    if (best === null) return newestCommit;
    const goMod = await this.#goMod({ path, version: best }, signal);
    const { retractions } = await atPace(scanGoMod(goMod), pace);
    return await atPace(pickLatest(tagged, retractions), pace) ?? newestCommit ?? best;
  }

  resolve({ path, query }: ModuleQuery, signal: AbortSignal): Promise<VersionInfo> {
    return this.#info(path, { file: versionFile(query, "info"), signal });
  }

  async describe(module: ModuleVersion, signal: AbortSignal): Promise<DescribedCopy> {
    const [info, mod] = await Promise.allSettled([
      this.#versionInfo(module, signal),
      this.#goMod(module, signal),
    ]);
    // As for the go command, which asks for .info first: where that fails, an absent .mod does not
    // mean that there is no such version.
    if (info.status === "rejected") throw info.reason;
    if (mod.status === "rejected") throw mod.reason;
    return { info: info.value, goMod: mod.value, source: this.description };
  }

  async fetchZip(
    module: ModuleVersion,
    { file, spool, signal }: FetchOptions,
  ): Promise<FetchedZip & ZipSummary> {
    const { path, version } = module;
    await this.#upstream.spool(url(path, versionFile(version, "zip")), file, {
      ...PROXY_READS.zip,
      spool,
      signal,
    });
    return { file, ...await this.#inspect(file, { module, signal }) };
  }

  async fetch(module: ModuleVersion, options: FetchOptions): Promise<FetchedCopy> {
    // The zip of a version that does not exist is not asked for.
    const described = await this.describe(module, options.signal);
    const zip = await this.fetchZip(module, options);
    if (!isGoModOfZip(described.goMod, { path: module.path, inZip: zip.goMod })) {
      throw this.#refusal(module, "the go.mod in its zip differs from its .mod");
    }
    return { ...described, zip };
  }

  #goMod({ path, version }: ModuleVersion, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const file = versionFile(version, "mod");
    return this.#get(path, { file, ...PROXY_READS.goMod, signal });
  }

  async #versionInfo(module: ModuleVersion, signal: AbortSignal): Promise<VersionInfo> {
    const { path, version } = module;
    const info = await this.#info(path, { file: versionFile(version, "info"), signal });
    if (info.version === version) return info;
    const other = this.#upstream.isStranger ? "another version" : `version "${info.version}"`;
    throw this.#refusal(module, `its .info names ${other}`);
  }

  async #info(
    path: ModulePath,
    { file, signal }: { file: string; signal: AbortSignal },
  ): Promise<VersionInfo> {
    const body = await this.#get(path, { file, ...PROXY_READS.info, signal });
    try {
      const info: Info = parseInfo(body);
      return { ...info, version: parseVersion(path, info.version) };
    } catch (cause) {
      const what = `${this.#upstream.url}/${url(path, file)}`;
      const reason = this.#upstream.isStranger ? "it is not a valid .info" : messageOf(cause);
      throw new UpstreamError(`Cannot use ${what}: ${reason}`, { cause });
    }
  }

  /**
   * The versions that a list names, in steps and in order. Like the `go` command, it takes the
   * first word of each line and skips lines that are not versions of this module. A second word,
   * which the protocol does not document, is the time of a commit.
   */
  *#parseList(path: ModulePath, text: string): Steps<Listed> {
    const versions = new Map<Version, ParsedVersion>();
    let newestCommit: Version | null = null;
    let newestMs = -Infinity;
    yield* eachStep(linesOf(`${text}\n`), (line) => {
      const [word = "", time] = line.split(/\p{White_Space}+/u, 2);
      if (!isVersionOf(path, word)) return;
      if (isPseudoVersion(word)) {
        const timeMs = timeOfCommit(word, time);
        if (timeMs > newestMs) [newestCommit, newestMs] = [word, timeMs];
        return;
      }
      versions.set(word, parsedVersion(word));
      if (versions.size <= MAX_VERSIONS) return;
      throw new LimitExceededError(
        `Cannot use the list of ${path} from ${this.#upstream.url}: ` +
          `it has more than ${MAX_VERSIONS} versions`,
      );
    });
    const sorted = yield* sortSteps([...versions.values()], compareParsedVersions);
    return { tagged: sorted.map(({ text }) => text), newestCommit };
  }

  async #inspect(file: string, options: InspectOptions): Promise<ZipSummary> {
    try {
      return await this.#inspectZip(file, options);
    } catch (error) {
      if (!(error instanceof ZipError)) throw error;
      throw this.#refusal(options.module, error.message, { cause: error });
    }
  }

  #refusal(module: ModuleVersion, reason: string, options?: ErrorOptions): UpstreamError {
    const message = `Cannot use ${nameOf(module)} from ${this.#upstream.url}: ${reason}`;
    return new UpstreamError(message, options);
  }

  #get(
    path: ModulePath,
    { file, ...options }: { file: string } & GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#upstream.get(url(path, file), options);
  }
}

interface Listed {
  /** Lowest first. */
  readonly tagged: readonly Version[];
  /** Of those of commits without a tag, which some proxies list too, the newest by time. */
  readonly newestCommit: Version | null;
}

/** In milliseconds; -Infinity for what has no time. */
function timeOfCommit(version: Version, listed: string | undefined): number {
  if (!listed) return parsePseudoVersion(version)?.time.getTime() ?? -Infinity;
  const timeMs = timePartsOf(listed) === null ? NaN : Date.parse(listed);
  return Number.isNaN(timeMs) ? -Infinity : timeMs;
}

/**
 * The lines of a text that are not blank, without blanks before them, and as far as they can be
 * versions. The last one ends as well.
 */
function* linesOf(text: string): Generator<string> {
  const word = /\P{White_Space}/gu;
  for (let match = word.exec(text); match !== null; match = word.exec(text)) {
    const end = text.indexOf("\n", match.index);
    yield text.slice(match.index, Math.min(end, match.index + MAX_LINE_CHARS));
    word.lastIndex = end;
  }
}

function versionFile(version: Version | Query, extension: "info" | "mod" | "zip"): string {
  return `@v/${escapeVersion(version)}.${extension}`;
}

/** Escaped for a URL as the `go` command does it: `!` becomes `%21`, while `+` and `@` stay. */
function url(path: ModulePath, file: string): string {
  return `${escapePath(path)}/${file}`
    .split("/")
    .map((segment) =>
      encodeURIComponent(segment)
        .replaceAll("!", "%21").replaceAll("%2B", "+").replaceAll("%40", "@")
    )
    .join("/");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
