/**
 * `config explain <module>`: what the configuration says about a module path, and why. Contacts no
 * server and reads no secret.
 */
import type { Command } from "commander";
import type { CommandContext } from "./command.ts";
import { loadConfig } from "./load_config.ts";
import { configFileOption } from "./options.ts";
import { printLine } from "./print.ts";
import { AccessList } from "../lib/auth/access_list.ts";
import type { AccessRule } from "../lib/auth/config.ts";
import type { Config } from "../lib/config/config.ts";
import type { PrivateModules } from "../lib/credentials/config.ts";
import { describeSecret } from "../lib/credentials/secret.ts";
import { ForbiddenError, InvalidRequestError } from "../lib/errors.ts";
import { display } from "../lib/http/client.ts";
import { parsePathList } from "../lib/module/glob.ts";
import {
  hasPathPrefix,
  type ModulePath,
  parseModulePath,
  splitPathVersion,
} from "../lib/module/path.ts";
import { PrivatePrefixes } from "../lib/module/private_prefixes.ts";
import { namesByPlace, type RepositoryName } from "../lib/module/repository_identity.ts";
import { type ListEntry, parseSourceList } from "../lib/source/source_list.ts";
import { DEFAULT_SUM_DATABASE } from "../lib/sumdb/config.ts";

export function define(command: Command, context: CommandContext): void {
  command
    .argument("<module>", "module path, such as github.com/my-org/lib")
    .addOption(configFileOption())
    .option("--identity <name>", "one identity (default: all of them)")
    .addHelpText(
      "after",
      `
Shows where the module comes from, with which credential, how it is verified, and who may read it. Nothing is contacted,
and no secret is read. The exit status is 1 if the identity, or without --identity every identity, may not read it.

Example:
  go-mod-proxy config explain --config-file config.yaml --identity ci github.com/my-org/lib`,
    )
    .action(
      context.action(
        async (module: string, flags: { configFile?: string; identity?: string }) => {
          const { environment } = context;
          const { config } = await loadConfig(flags.configFile, environment);
          const mayRead = explainConfig({
            config,
            module,
            identity: flags.identity ?? null,
            env: environment.toObject(),
            print: printLine,
          });
          return mayRead ? 0 : 1;
        },
      ),
    );
}

export interface ExplainConfigOptions {
  readonly config: Config;
  readonly module: string;
  /** Default: all of them. */
  readonly identity: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Receives a line of output. */
  readonly print: (line: string) => void;
}

/**
 * Whether any of the selected identities may read the module.
 *
 * @throws {InvalidRequestError} when there is no such module path or identity
 */
export function explainConfig(options: ExplainConfigOptions): boolean {
  const { config, env, print } = options;
  const path = parseModulePath(options.module);
  const say = (name: string, text: string) => print(`${name.padEnd(12)}${text}`);
  say("module", path);
  for (const [name, text] of explainSource(path, { config, env })) say(name, text);
  const verdicts = explainAccess(path, options);
  for (const { text } of verdicts) say("access", text);
  return verdicts.some(({ isAllowed }) => isAllowed);
}

type Lines = readonly (readonly [name: string, text: string])[];

function explainSource(
  path: ModulePath,
  { config, env }: Pick<ExplainConfigOptions, "config" | "env">,
): Lines {
  const { privateModules, publicModules, privateSumDatabase: own } = config;
  let found: PrivateModules | null;
  try {
    found = new PrivatePrefixes(privateModules).find(path);
  } catch (error) {
    if (error instanceof ForbiddenError) return [["source", `none. ${error.message}`]];
    throw error;
  }
  if (found !== null) {
    const key = `privateModules[${privateModules.findIndex((modules) => modules === found)}]`;
    return [
      ["source", `git alone: private prefix "${found.pathPrefix}" (${key})`],
      ["repository", describeRepository(path, found)],
      ["credential", describeAuth(found, config)],
      [
        "database",
        own === undefined
          ? "none: the path is not disclosed"
          : `${own.name} (privateSumDatabase): the path is not disclosed to others`,
      ],
      ["zips", "eager: with the rest"],
    ];
  }
  const isUnknown = parsePathList(publicModules.noSumDatabase ?? "")(path);
  return [
    ["source", `${describeUpstreams(config, env)}: no private prefix covers the path`],
    [
      "database",
      isUnknown
        ? "none: publicModules.noSumDatabase has the path"
        : describeDatabase(publicModules.sumDatabase),
    ],
    ...(own?.combined
      ? [["database", `${own.name} (privateSumDatabase), for clients that verify with it`] as const]
      : []),
    [
      "zips",
      publicModules.sumDatabase === "off" || isUnknown
        ? "eager: fetching later needs the hash of a checksum database"
        : publicModules.zips === "lazy"
        ? "lazy: on the first request, if the database has the hash"
        : "eager: with the rest",
    ],
  ];
}

function describeRepository(path: ModulePath, { repository }: PrivateModules): string {
  return repository === undefined
    ? `from https://${path}?go-get=1 or the path layout of its host`
    : display(new URL(repository));
}

function describeAuth({ auth }: PrivateModules, { gitHub }: Config): string {
  if ("none" in auth) return "none";
  if ("netrc" in auth) return `netrc: ${describeSecret(auth.netrc)}`;
  if ("token" in auth) return `token: ${describeSecret(auth.token)}`;
  if ("userPassword" in auth) {
    const { user, password } = auth.userPassword;
    return `user "${user}": ${describeSecret(password)}`;
  }
  const host = gitHub.find(({ gitHubApps }) => gitHubApps.some(({ id }) => id === auth.gitHubApp));
  return `GitHub App ${auth.gitHubApp} at ${host?.host}: one token per repository`;
}

function describeUpstreams({ parentProxy }: Config, env: ExplainConfigOptions["env"]): string {
  if (parentProxy !== undefined) {
    return `${describeEntries(parseSourceList(parentProxy.url))} (parentProxy.url)`;
  }
  const variable = env["GOPROXY"];
  return variable ? `${describeEntries(parseSourceList(variable))} (GOPROXY)` : "direct (default)";
}

function describeEntries(entries: readonly ListEntry[]): string {
  return entries.map((entry, i) => {
    const isLast = i === entries.length - 1;
    if (entry.kind !== "proxy") return entry.kind;
    return `${display(entry.url)}${isLast ? "" : entry.onAnyError ? "|" : ","}`;
  }).join("");
}

function describeDatabase(database: Config["publicModules"]["sumDatabase"]): string {
  if (database === "off") return "none: publicModules.sumDatabase is off";
  return database === undefined
    ? `${DEFAULT_SUM_DATABASE.name}, if an upstream supports it (default)`
    : `${database.name} (publicModules.sumDatabase)`;
}

interface Verdict {
  readonly isAllowed: boolean;
  readonly text: string;
}

function explainAccess(
  path: ModulePath,
  { config, identity }: Pick<ExplainConfigOptions, "config" | "identity">,
): Verdict[] {
  const { enabled, acl, identities } = config.clientAuth;
  const names = identities.map(({ name }) => name);
  if (identity !== null && !names.includes(identity)) {
    throw new InvalidRequestError(`Cannot explain: there is no identity "${identity}"`);
  }
  if (!enabled) return [{ isAllowed: true, text: "everyone: clientAuth.enabled is false" }];
  const list = new AccessList(acl);
  return (identity === null ? names : [identity]).map((name) => {
    const { isAllowed, rule, name: by } = list.decide(name, path, repositoryNames(path, config));
    const verdict = isAllowed ? "may read it" : "may not read it";
    const why = rule === null
      ? "no rule of clientAuth.acl applies"
      : `clientAuth.acl[${rule}] (${describeRule(acl[rule])})` +
        (by === undefined ? "" : `, by its name ${by}`);
    return { isAllowed, text: `${name} ${verdict}: ${why}` };
  });
}

/** The names that the module has if the configuration says where its repository is. */
function repositoryNames(path: ModulePath, { privateModules }: Config): readonly RepositoryName[] {
  const found = privateModules.find(({ pathPrefix }) => hasPathPrefix(path, pathPrefix));
  if (found?.repository === undefined) return [];
  const inside = (splitPathVersion(path)?.prefix ?? path).slice(found.pathPrefix.length);
  return namesByPlace(path, { remote: found.repository, subdir: inside });
}

function describeRule(rule: AccessRule | undefined): string {
  const { access, identities, moduleRegexp, modules } = rule ?? { access: "deny" };
  return [
    access,
    identities === undefined ? "everybody" : identities.join(", "),
    ...(moduleRegexp === undefined ? [] : [`moduleRegexp ${moduleRegexp}`]),
    ...(modules === undefined ? [] : [`modules ${modules.join(", ")}`]),
  ].join(", ");
}
