/**
 * Opens the git sources: one for public modules, without credentials, and one for each private
 * prefix, with its own credentials and its own mirrors, so that data readable under one prefix is
 * never served under another.
 */
import { Semaphore } from "../async/semaphore.ts";
import type { Config } from "../config/config.ts";
import { openCredentials, type PrivatePrefix } from "../credentials/open.ts";
import { UpstreamError } from "../errors.ts";
import { Git, type GitEnvironment, MAX_HEAVY, MAX_HUGE } from "../git/command.ts";
import {
  CredentialServer,
  type Grants,
  helperPermissions,
  NO_GRANTS,
} from "../git/credential_server.ts";
import { DEFAULT_GIT_LIMITS } from "../git/limits.ts";
import { Mirrors } from "../git/mirrors.ts";
import { parseRemoteUrl } from "../git/remote_url.ts";
import { type Fetch, isLoopback } from "../http/client.ts";
import type { ModulePath } from "../module/path.ts";
import { type PathPrefix, PrivatePrefixes } from "../module/private_prefixes.ts";
import { GIT_FOLDER, type Scratch } from "../scratch/scratch.ts";
import { Discovery } from "../source/discover.ts";
import { GitSource } from "../source/git_source.ts";
import { MeasuredSource } from "../source/measured.ts";
import { ProxySource } from "../source/proxy_source.ts";
import type { Source } from "../source/source.ts";
import { Upstream } from "../source/upstream.ts";
import { type Egress, openEgress } from "./egress.ts";
import { type Env, userCacheDirectory } from "./environment.ts";
import type { Program, Surroundings } from "./surroundings.ts";

/** How many requests may wait for a git process, and for how long. */
const MAX_WAITING_FOR_GIT = 1000;
const MAX_WAIT_FOR_GIT_MS = 60_000;
const MIB = 1024 * 1024;

export interface GitSources extends AsyncDisposable {
  readonly direct: OpenedGit;
  /** The source of a private path, or null for a public one. */
  findPrivate(path: ModulePath): OpenedGit | null;
}

/** A git source and its parts, for commands that inspect them. */
export interface OpenedGit {
  readonly source: Source;
  readonly discovery: Discovery;
  readonly mirrors: Mirrors;
  /** Null for public modules. */
  readonly prefix: PrivatePrefix | null;
}

/**
 * @param scratch a directory of this process alone; mirrors are stored next to it, in the directory
 * that processes share
 */
export async function openGit(surroundings: Surroundings, scratch: Scratch): Promise<GitSources> {
  const { config, metrics } = surroundings;
  await using opened = new AsyncDisposableStack();
  const emptyDirectory = `${scratch.directory}/empty`;
  await Deno.mkdir(emptyDirectory);
  const processes = new Semaphore({
    what: "start git",
    permits: config.maxChildProcesses,
    reservedPermits: reservedForPrivate(config),
    maxWaiting: MAX_WAITING_FOR_GIT,
    maxWaitMs: MAX_WAIT_FOR_GIT_MS,
  });
  metrics.gauge("gomodproxy_git_processes_running", () => processes.held);
  metrics.gauge("gomodproxy_git_processes_waiting", () => processes.waiting);
  metrics.gauge("gomodproxy_git_clients_waiting", () => processes.waitingOwners);
  metrics.gauge("gomodproxy_git_longest_queue", () => processes.longestLine);
  const environment = gitEnvironment(surroundings.env);
  const prefixes = new PrivatePrefixes(config.privateModules);
  const egress = opened.use(openEgress(surroundings, prefixes));
  const gits = { environment, emptyDirectory, metrics };
  const queue = { maxWaiting: MAX_WAITING_FOR_GIT, maxWaitMs: MAX_WAIT_FOR_GIT_MS };
  const heavy = new Semaphore({
    what: "start git",
    permits: MAX_HEAVY,
    reservedPermits: Math.min(reservedForPrivate(config), Math.floor(MAX_HEAVY / 3)),
    ...queue,
  });
  const huge = new Semaphore({ what: "pack a large file", permits: MAX_HUGE, ...queue });
  const git = opened.use(new Git({ ...gits, processes, memory: { heavy, huge } }));
  const privateGit = opened.use(
    new Git({
      ...gits,
      processes: processes.reserved,
      memory: { heavy: heavy.reserved, huge },
    }),
  );
  const context: Context = { ...surroundings, prefixes, scratch, egress, git, privateGit, opened };
  const direct = await openGitSource(context, {
    folder: "public",
    grants: NO_GRANTS,
    prefix: null,
  });
  const findPrivate = await openPrivateSources(context);
  const disposer = opened.move();
  return {
    direct,
    findPrivate,
    [Symbol.asyncDispose]: () => disposer.disposeAsync(),
  };
}

/** Without private modules, nothing is kept for them. */
function reservedForPrivate({ privateModules, limits, maxChildProcesses }: Config): number {
  if (privateModules.length === 0) return 0;
  return limits.reservedForPrivate ?? Math.floor(maxChildProcesses / 3);
}

interface Context extends Surroundings {
  readonly prefixes: Pick<PrivatePrefixes<PathPrefix>, "isPrivate">;
  readonly scratch: Scratch;
  /** For hosts that public module paths and their pages name. */
  readonly egress: Egress;
  /** For public modules. */
  readonly git: Git;
  /** For private ones, which have the reserved processes too. */
  readonly privateGit: Git;
  readonly opened: AsyncDisposableStack;
}

async function openPrivateSources(
  context: Context,
): Promise<GitSources["findPrivate"]> {
  const { config, secretPlaces: places, env, fetch, log, opened } = context;
  if (config.privateModules.length === 0) return () => null;
  const prefixes = await openCredentials(config, {
    places,
    fetch,
    now: Date.now,
    log,
  });
  const server = opened.use(
    await CredentialServer.start({
      directory: context.scratch.directory,
      helperCommand: (socketPath) => helperCommand(context.program, socketPath),
      helperEnvironment: helperEnvironment(env),
      log,
    }),
  );
  const sources = new Map<PrivatePrefix, OpenedGit>();
  for (const prefix of prefixes.all) {
    const grants = server.grantsFrom(prefix.provider);
    const folder = await folderOf(prefix.pathPrefix);
    sources.set(prefix, await openGitSource(context, { folder, grants, prefix }));
  }
  return (path) => {
    const prefix = prefixes.find(path);
    return prefix === null ? null : sources.get(prefix) ?? null;
  };
}

interface SourceParts {
  /** The name of its mirrors' folder. */
  readonly folder: string;
  readonly grants: Grants;
  readonly prefix: PrivatePrefix | null;
}

async function openGitSource(context: Context, parts: SourceParts): Promise<OpenedGit> {
  const { config, log, metrics, opened, scratch } = context;
  const { folder, grants, prefix } = parts;
  const git = prefix === null ? context.git : context.privateGit;
  const { fetch, findRoute } = accessFor(context, prefix);
  const repository = prefix?.repository ?? null;
  // A stranger's page must not name a place on this machine; the configuration may.
  const isHttpAllowed = (host: string) =>
    config.insecureHosts.includes(host) ||
    repository !== null && host === repository.host && isLoopback(repository.hostname);
  const mirrors = opened.use(
    await Mirrors.start({
      directory: `${scratch.parent}/${GIT_FOLDER}/${folder}`,
      maxTotalSizeBytes: config.gitMirrors.maxSizeMiB * MIB,
      log,
      git,
      grants,
      fetch,
      findRoute,
      limits: DEFAULT_GIT_LIMITS,
      now: Date.now,
    }),
  );
  const discovery = new Discovery({
    fetch,
    repositories: prefix === null || repository === null ? [] : [{
      pathPrefix: prefix.pathPrefix,
      remote: parseRemoteUrl(repository.href, { isHttpAllowed }),
    }],
    privatePrefix: prefix?.pathPrefix,
    isHttpAllowed,
  });
  const gitSource = new GitSource({
    description: prefix === null ? "direct" : `git for ${prefix.pathPrefix}`,
    mirrors,
    locate: (path, signal) => discovery.locate(path, signal),
    // A private module may be in the repository of another prefix: the access list has its names.
    ...prefix === null ? { isPrivate: (names) => context.prefixes.isPrivate(names) } : {},
    openProxy: (url) => {
      if (prefix === null) return new ProxySource(Upstream.ofStranger(url, fetch));
      throw new UpstreamError(
        `Cannot use the module proxy that a page names for private prefix "${prefix.pathPrefix}": ` +
          "private modules come from git alone",
      );
    },
  });
  const kind = prefix === null ? "direct" : "private";
  const source = new MeasuredSource(gitSource, { kind, metrics });
  return { source, discovery, mirrors, prefix };
}

/**
 * How a source reaches its hosts. Those of a private prefix are trusted like the configuration, as
 * are the hosts that their pages and redirects name.
 */
function accessFor(
  { fetch, egress }: Context,
  prefix: PrivatePrefix | null,
): { readonly fetch: Fetch; readonly findRoute: Egress["findRoute"] | undefined } {
  return prefix === null ? egress : { fetch, findRoute: undefined };
}

/** A prefix may be longer than a file name, and contain characters that a file name may not. */
async function folderOf(pathPrefix: string): Promise<string> {
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pathPrefix));
  return `private-${new Uint8Array(sum).subarray(0, 16).toHex()}`;
}

function helperCommand({ executable, module }: Program, socketPath: string): string[] {
  const run = ["run", "--quiet", "--cached-only", ...helperPermissions(socketPath)];
  return [executable, ...module === null ? [] : [...run, module], "credential-helper"];
}

/** git's HOME is an empty folder, so Deno needs the location of its package cache. */
function helperEnvironment(env: Env): Record<string, string> {
  const cache = userCacheDirectory(env);
  const directory = env["DENO_DIR"] ?? (cache === null ? null : `${cache}/deno`);
  return directory === null ? {} : { DENO_DIR: directory };
}

/** git gets the variables that configure the server's own outgoing HTTP. */
function gitEnvironment(env: Env): GitEnvironment {
  return {
    path: env["PATH"] ?? "",
    httpsProxy: env["HTTPS_PROXY"] ?? env["https_proxy"],
    httpProxy: env["HTTP_PROXY"] ?? env["http_proxy"],
    noProxy: env["NO_PROXY"] ?? env["no_proxy"],
    caFile: env["SSL_CERT_FILE"] ?? env["DENO_CERT"],
  };
}
