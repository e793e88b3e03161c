/**
 * The GOPROXY protocol (Go Modules Reference, "GOPROXY protocol"):
 *
 * | path below the base, percent-decoded           | answer                                             |
 * | ---------------------------------------------- | -------------------------------------------------- |
 * | `<escaped module path>/@v/list`                | tagged versions, one a line; empty if there is none |
 * | `<escaped module path>/@v/<version>.info`      | JSON; the version may be a branch, commit or prefix |
 * | `<escaped module path>/@v/<version>.mod`       | go.mod                                             |
 * | `<escaped module path>/@v/<version>.zip`       | the module zip                                     |
 * | `<escaped module path>/@latest`                | JSON                                               |
 *
 * Below `cached-only/`, and with the header `Disable-Module-Fetch: true`, everything is answered
 * from the store alone.
 */
import { LRUCache } from "lru-cache";
import type { AdmitTo, Client } from "../lib/auth/guard.ts";
import { InvalidRequestError } from "../lib/errors.ts";
import { networkOf } from "../lib/http/address.ts";
import { unescapePath, unescapeVersion } from "../lib/module/escape.ts";
import type { H1 } from "../lib/module/h1.ts";
import type { ModuleVersion } from "../lib/module/module_version.ts";
import type { ModulePath } from "../lib/module/path.ts";
import {
  isCanonicalVersion,
  isVersionOf,
  parseQuery,
  parseVersion,
  type Version,
} from "../lib/module/version.ts";
import { infoText, listText } from "../lib/service/protocol_text.ts";
import { namesOfCopy } from "../lib/service/copy_names.ts";
import {
  type ModuleAnswers,
  type ModuleList,
  noteHit,
  type ServiceOptions,
} from "../lib/service/stored_modules.ts";
import type { Copy } from "../lib/store/manifest.ts";
import type { Answer } from "./answer.ts";
import type { Route, RouteRequest } from "./app.ts";
import { ReadyText } from "./ready_text.ts";
import {
  blobAnswer,
  FRESH,
  freshFor,
  IMMUTABLE,
  PLAIN_TEXT,
  STALE,
  textAnswer,
  wholeBlobAnswer,
} from "./respond.ts";
import { SENT_FROM_HERE, type ZipDelivery } from "./zip_delivery.ts";

const CACHED_ONLY = "cached-only/";

const TEMPLATES: Readonly<Record<Target["file"], string>> = {
  list: "/{module}/@v/list",
  latest: "/{module}/@latest",
  info: "/{module}/@v/{version}.info",
  mod: "/{module}/@v/{version}.mod",
  zip: "/{module}/@v/{version}.zip",
};

export function moduleRoute(
  service: ModuleAnswers,
  delivery: ZipDelivery = SENT_FROM_HERE,
): Route {
  const targetOf = rememberTargets();
  const answers: Answers = {
    service,
    delivery,
    texts: new WeakMap(),
    listTexts: new WeakMap(),
    admitted: new Admitted(),
  };
  return {
    name: "module",
    matches: (path) => /\/@(v\/|latest$)/.test(path),
    read: (request) => {
      const cachedOnly = request.path.startsWith(CACHED_ONLY);
      const target = targetOf(cachedOnly ? request.path.slice(CACHED_ONLY.length) : request.path);
      const mayFetch = !cachedOnly && !isTrue(request.headers.get("Disable-Module-Fetch"));
      const options = new RequestOptions(request, mayFetch);
      request.facts["module"] = target.path;
      return {
        template: TEMPLATES[target.file],
        access: { kind: "module", path: target.path },
        answerAtOnce: (client) => answerFromMemory(answers, { target, request, options, client }),
        answer: (client) => {
          options.admitTo = client.admitTo;
          options.identity = client.identity;
          return answer(answers, { target, request, options, client });
        },
      };
    },
  };
}

/** The signal is created on demand; answers from memory need none. */
class RequestOptions implements ServiceOptions {
  readonly mayFetch: boolean;
  readonly facts: Record<string, unknown>;
  admitTo: AdmitTo | null = null;
  identity: string | null = null;
  readonly #request: RouteRequest;

  constructor(request: RouteRequest, mayFetch: boolean) {
    this.#request = request;
    this.mayFetch = mayFetch;
    this.facts = request.facts;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }
}

/** The service, and texts prepared from its answers. */
interface Answers {
  readonly service: ModuleAnswers;
  readonly delivery: ZipDelivery;
  /** They stay as long as the copy is remembered (store/copies.ts). */
  readonly texts: WeakMap<Copy, CopyTexts>;
  /** By the list, which is the same array as long as it is the same (version_lists.ts). */
  readonly listTexts: WeakMap<readonly Version[], ReadyText>;
  readonly admitted: Admitted;
}

/**
 * Who may have which copies and lists, of those for whom it depends on the repository that they are
 * from: a copy and a list stay from where they are.
 */
class Admitted {
  readonly #identities = new WeakMap<Copy | readonly Version[], Set<string | null>>();

  /** Whether a client may have a list; false also where that has not been decided. */
  mayHaveList({ identity, admitTo }: Client, versions: readonly Version[]): boolean {
    return admitTo === null || this.#identities.get(versions)?.has(identity) === true;
  }

  /**
   * Whether a client may have a copy. Answers and throws as {@linkcode AdmitTo}.
   */
  mayHave({ identity, admitTo }: Client, copy: Copy): boolean {
    if (admitTo === null || this.#identities.get(copy)?.has(identity) === true) return true;
    if (!admitTo(namesOfCopy(copy.manifest))) return false;
    this.add(identity, copy);
    return true;
  }

  add(identity: string | null, thing: Copy | readonly Version[]): void {
    const identities = this.#identities.get(thing) ?? new Set();
    this.#identities.set(thing, identities.add(identity));
  }
}

/** The small files of a copy. */
interface CopyTexts {
  readonly info: ReadyText;
  readonly mod: ReadyText;
}

function textsOf({ texts }: Answers, copy: Copy): CopyTexts {
  const known = texts.get(copy);
  if (known !== undefined) return known;
  const made = {
    info: new ReadyText(new TextEncoder().encode(infoText(copy))),
    mod: new ReadyText(copy.goMod),
  };
  texts.set(copy, made);
  return made;
}

/**
 * Lists and files of versions that are in memory, which cover nearly all requests; null for all
 * others.
 */
function answerFromMemory(
  answers: Answers,
  { target, request, options, client }: Context<Target>,
): Answer | null {
  if (target.file === "list" && options.mayFetch) {
    const list = answers.service.rememberedList(target.path, client.identity);
    if (list === null || !answers.admitted.mayHaveList(client, list.versions)) return null;
    request.facts["cache"] = "hit";
    return listAnswer(answers, { ...list, request, stale: false });
  }
  if (!("version" in target) || target.module === null) return null;
  const { service } = answers;
  const { module, version, file } = target;
  const copy = service.remembered(module, client.identity);
  if (copy === null || !answers.admitted.mayHave(client, copy)) return null;
  request.facts["version"] = version;
  noteHit(copy, request.facts);
  if (file !== "zip") {
    noteAnswered(service, { copy, file, request, options, client });
    return copyAnswer(textsOf(answers, copy), { file, request });
  }
  if (answers.delivery.appliesTo(request)) return null;
  const bytes = service.rememberedZip(copy, client.identity);
  if (bytes === null) return null;
  noteAnswered(service, { copy, file, request, options, client });
  return wholeBlobAnswer(bytes, zipOptions(copy.manifest.zip, request));
}

/** Tells the service, which may walk ahead of the client. */
function noteAnswered(
  service: ModuleAnswers,
  { copy, file, request, options, client }: Omit<Context<Target>, "target"> & {
    readonly copy: Copy;
    readonly file: "info" | "mod" | "zip";
  },
): void {
  if (!options.mayFetch) return;
  service.answered({
    copy,
    file,
    isHit: options.facts["cache"] === "hit",
    client: {
      identity: client.identity,
      key: () => client.identity ?? networkOf(request.address ?? ""),
      mayRead: client.mayRead,
    },
  });
}

async function answer(
  answers: Answers,
  { target, ...context }: Context<Target>,
): Promise<Answer | null> {
  if ("version" in target) return await versionFile(answers, { target, ...context });
  const file = target.file === "list" ? list : latest;
  return await file(answers, { target, ...context });
}

/** The target of a path of the protocol. */
export type Target =
  | { readonly file: "list" | "latest"; readonly path: ModulePath }
  | VersionTarget;

interface VersionTarget {
  readonly file: "info" | "mod" | "zip";
  readonly path: ModulePath;
  /** As requested: a canonical version or, for `.info`, any other name of a revision. */
  readonly version: string;
  /**
   * Path and version, if the module can have such a version. Remembered targets share the object.
   */
  readonly module: ModuleVersion | null;
}

/**
 * Parses a path.
 *
 * @throws {InvalidRequestError} with the reason
 */
export function parseTarget(text: string): Target {
  const latest = /^(.*)\/@latest$/s.exec(text);
  if (latest !== null) return { file: "latest", path: unescapePath(latest[1] ?? "") };
  const separator = text.indexOf("/@v/");
  const path = unescapePath(text.slice(0, separator));
  const name = text.slice(separator + "/@v/".length);
  if (name === "list") return { file: "list", path };
  const [, escaped = "", extension = ""] = /^(.*)\.(info|mod|zip)$/s.exec(name) ?? [];
  if (extension !== "info" && extension !== "mod" && extension !== "zip") {
    throw new InvalidRequestError(
      `Cannot read "@v/${name}": not list, <version>.info, <version>.mod or <version>.zip`,
    );
  }
  const version = unescapeVersion(escaped);
  const module = isVersionOf(path, version) ? { path, version } : null;
  return { file: extension, path, version, module };
}

/** Recently requested paths; with their targets they take a few megabytes. */
const MAX_TARGETS = 5_000;
/** Longer ones are not worth remembering. */
const MAX_REMEMBERED_PATH_LENGTH = 256;

/** {@linkcode parseTarget} with a cache. */
function rememberTargets(): (path: string) => Target {
  const targets = new LRUCache<string, Target>({ max: MAX_TARGETS });
  return (path) => {
    const known = targets.get(path);
    if (known !== undefined) return known;
    const target = parseTarget(path);
    if (path.length <= MAX_REMEMBERED_PATH_LENGTH) targets.set(path, target);
    return target;
  };
}

interface Context<T extends Target> {
  readonly target: T;
  readonly request: RouteRequest;
  readonly options: ServiceOptions;
  readonly client: Client;
}

async function list(answers: Answers, { target, request, options, client }: Context<Target>) {
  const { service, admitted } = answers;
  const { path } = target;
  const list = await service.list(path, options);
  if (list === null) return null;
  if (!admitted.mayHaveList(client, list.versions)) {
    // A list tells of all copies: whoever may not have one of them may not have the list.
    const names = [...list.names ?? [], ...await service.publishedNames(path, options.signal)];
    if (client.admitTo?.(names) === false) return null;
    admitted.add(client.identity, list.versions);
  }
  return listAnswer(answers, { ...list, request });
}

function listAnswer(
  { listTexts }: Answers,
  { versions, request, ...freshness }: ModuleList & { readonly request: RouteRequest },
): Answer {
  let text = listTexts.get(versions);
  if (text === undefined) {
    text = new ReadyText(new TextEncoder().encode(listText(versions)));
    listTexts.set(versions, text);
  }
  return textAnswer(text, {
    request,
    contentType: PLAIN_TEXT,
    cacheControl: cacheControlOf(freshness),
  });
}

async function latest(answers: Answers, { target, request, options, client }: Context<Target>) {
  const latest = await answers.service.latest(target.path, options);
  if (latest === null || !answers.admitted.mayHave(client, latest.copy)) return null;
  const cacheControl = cacheControlOf(latest);
  return infoAnswer(textsOf(answers, latest.copy), { request, cacheControl });
}

/** A cache must not keep a list for longer than a policy withholds what is not in it. */
function cacheControlOf(
  { stale, unchangedMs = Infinity }: Pick<ModuleList, "stale" | "unchangedMs">,
): string {
  return stale ? STALE : freshFor(unchangedMs);
}

async function versionFile(
  answers: Answers,
  { target, request, options, client }: Context<VersionTarget>,
) {
  const { service, admitted, delivery } = answers;
  const { path, version, file } = target;
  request.facts["version"] = version;
  if (file === "info" && target.module === null) {
    const copy = await service.query({ path, query: parseQuery(version) }, options);
    if (copy === null || !admitted.mayHave(client, copy)) return null;
    return infoAnswer(textsOf(answers, copy), { request, cacheControl: FRESH });
  }
  const module = target.module ?? parseRequestedVersion(target);
  if (file === "zip") {
    const zip = await service.zip(module, options);
    if (zip === null || !admitted.mayHave(client, zip.copy)) return null;
    noteAnswered(service, { copy: zip.copy, file, request, options, client });
    const blob = zipOptions(zip, request);
    const { open, follow } = zip;
    return await delivery.answer(zip, blob) ?? await blobAnswer({ ...blob, open, follow });
  }
  const copy = await service.copy(module, options);
  if (copy === null || !admitted.mayHave(client, copy)) return null;
  noteAnswered(service, { copy, file, request, options, client });
  return copyAnswer(textsOf(answers, copy), { file, request });
}

function copyAnswer(
  texts: CopyTexts,
  { file, request }: { file: "info" | "mod"; request: RouteRequest },
): Answer {
  if (file === "info") return infoAnswer(texts, { request, cacheControl: IMMUTABLE });
  return textAnswer(texts.mod, { request, contentType: PLAIN_TEXT, cacheControl: IMMUTABLE });
}

function parseRequestedVersion({ path, version, file }: VersionTarget): ModuleVersion {
  if (isCanonicalVersion(version)) return { path, version: parseVersion(path, version) };
  throw new InvalidRequestError(
    `Cannot give .${file} of "${version}": only canonical versions have one; ask for its .info first`,
  );
}

function infoAnswer(
  { info }: CopyTexts,
  options: { request: RouteRequest; cacheControl: string },
): Answer {
  return textAnswer(info, { ...options, contentType: "application/json" });
}

function zipOptions({ h1 }: { readonly h1: H1 }, request: RouteRequest) {
  return { request, contentType: "application/zip", etag: `"${h1}"` };
}

/** As the `go` tools parse booleans (strconv.ParseBool); anything else is false. */
function isTrue(value: string | null): boolean {
  return value !== null && /^(1|t|true)$/i.test(value.trim());
}
