/**
 * The configuration file: YAML, strict. Every key is optional and unknown keys are faults, so that
 * a misspelt key is not a silent default. All faults of a file are reported at once, each with its
 * place.
 *
 * Each subject has the schema of its sections in its own config.ts. Here they are put together.
 */
import { z } from "zod";
import { advisories, advisoriesFaults, advisoriesWarnings } from "../advisories/config.ts";
import { clientAuth, clientAuthFaults, clientAuthWarnings } from "../auth/config.ts";
import {
  credentialsFaults,
  credentialsWarnings,
  gitHub,
  privateModules,
} from "../credentials/config.ts";
import { ConfigError } from "../errors.ts";
import { gitMirrors, maxChildProcesses } from "../git/config.ts";
import {
  caFile,
  connectionsWarnings,
  egress,
  httpProxy,
  insecureHosts,
  listen,
  tls,
} from "../http/config.ts";
import { index } from "../index/config.ts";
import { policy, policyFaults, policyWarnings } from "../policy/config.ts";
import { check } from "../schema/check.ts";
import { type Fault, pathText } from "../schema/fault.ts";
import { valuesAt } from "../schema/query.ts";
import { fetch, parentProxy, parentProxyWarnings, sourceListWarning } from "../source/config.ts";
import { storage } from "../store/config.ts";
import {
  privateSumDatabase,
  privateSumDatabaseWarnings,
  publicModules,
  sumDatabaseFaults,
  sumDatabaseProxy,
} from "../sumdb/config.ts";
import { usage } from "../usage/config.ts";
import { limits, limitsFaults } from "./limits.ts";
import { type Spot, YamlFile } from "./yaml_file.ts";

export const schema = z.strictObject({
  listen: listen.prefault({}),
  tls: tls.prefault({}),
  httpProxy: httpProxy.prefault({}),
  egress: egress.prefault({}),
  caFile: caFile.exactOptional(),
  storage: storage.default({ disk: { path: "./data" } }),
  parentProxy: parentProxy.exactOptional(),
  fetch: fetch.prefault({}),
  insecureHosts,
  privateModules,
  gitHub,
  publicModules: publicModules.prefault({}),
  sumDatabaseProxy: sumDatabaseProxy.prefault({}),
  privateSumDatabase: privateSumDatabase.exactOptional(),
  index,
  policy: policy.prefault({}),
  usage,
  advisories: advisories.prefault({}),
  clientAuth: clientAuth.prefault({}),
  gitMirrors: gitMirrors.prefault({}),
  limits: limits.prefault({}),
  maxChildProcesses,
});

export type Config = z.output<typeof schema>;

/** More than a person reads. */
const MAX_FAULTS = 100;

/** A fault or a warning, for a person. */
export interface Finding {
  /** `config.yaml:12:5`; null where it is not about a place in a file. */
  readonly place: string | null;
  /** `clientAuth.acl[0].access`, or the name of a variable; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** One line, as compilers write it: `config.yaml:12:5: clientAuth.acl[0].access: …`. */
export function findingText({ place, path, message }: Finding): string {
  return [place ?? "", path, message].filter((part) => part !== "").join(": ");
}

export interface ReadConfigOptions {
  /** The name of the file for messages. Default: none, and messages have no lines. */
  readonly file?: string | undefined;
  /** What the environment says about outgoing connections is looked at too. Default: nothing. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ConfigReading {
  /** Null where there are faults. */
  readonly config: Config | null;
  readonly faults: readonly Finding[];
  /** What is legal and likely wrong. None are looked for where there are faults. */
  readonly warnings: readonly Finding[];
  /** Gives a fault that was found elsewhere its place in the file. */
  locate(fault: Fault): Finding;
}

/** Reads a YAML text; an empty one says nothing but defaults. */
export function readConfig(
  text: string,
  { file, env = {} }: ReadConfigOptions = {},
): ConfigReading {
  const yaml = new YamlFile(text);
  const { config, faults } = yaml.isReadable
    ? checkValue(yaml.value ?? {})
    : { config: null, faults: [] };
  const found = [
    ...yaml.faults.map(({ spot, message }) => ({
      spot,
      finding: {
        place: placeOf(spot),
        path: file === undefined ? `line ${spot.line}` : "",
        message,
      },
    })),
    ...faults.map((fault) => ({ spot: spotOf(fault), finding: locate(fault) })),
  ].sort((a, b) => a.spot.line - b.spot.line || a.spot.column - b.spot.column)
    .map(({ finding }) => finding);
  if (config === null || found.length > 0) {
    return { config: null, faults: firstOf(found), warnings: [], locate };
  }
  const warnings = [
    ...warningsAbout(config, yaml.value).map(locate),
    ...environmentWarnings(config, env),
  ];
  return { config, faults: [], warnings, locate };

  function locate(fault: Fault): Finding {
    const { path, message, see } = fault;
    const line = file === undefined || see === undefined ? "" : `, line ${yaml.spotOf(see).line}`;
    return {
      place: placeOf(spotOf(fault)),
      path: pathText(path),
      message: see === undefined ? message : `${message} (see ${pathText(see)}${line})`,
    };
  }

  function spotOf({ path, at }: Fault): Spot {
    return at === undefined ? yaml.spotOf(path) : yaml.spotOfKey(at);
  }

  function placeOf({ line, column }: Spot): string | null {
    return file === undefined ? null : `${file}:${line}:${column}`;
  }
}

/**
 * The configuration that a YAML text says.
 *
 * @throws {ConfigError} with a line for each fault
 */
export function parseConfig(text: string): Config {
  const { config, faults } = readConfig(text);
  if (config !== null) return config;
  throw new ConfigError(faults.map(findingText).join("\n"));
}

/**
 * What sections have wrong in themselves and what does not go together, at once. The latter is
 * looked for in the value as it is; a place that is faulty already is not complained about again.
 */
function checkValue(value: unknown): { config: Config | null; faults: Fault[] } {
  const { value: config, faults } = check(schema, value);
  const faulty = new Set(faults.map(({ path, at = path }) => pathText(at)));
  const together = [
    credentialsFaults,
    sumDatabaseFaults,
    clientAuthFaults,
    policyFaults,
    advisoriesFaults,
  ]
    .flatMap((faultsOf) => faultsOf(value))
    .concat(config === null ? [] : limitsFaults(config))
    .filter(({ path, see = path }) => !faulty.has(pathText(path)) && !faulty.has(pathText(see)));
  return { config, faults: [...faults, ...together] };
}

function firstOf(faults: readonly Finding[]): Finding[] {
  const left = faults.length - MAX_FAULTS;
  return left <= 0 ? [...faults] : [
    ...faults.slice(0, MAX_FAULTS),
    { place: null, path: "", message: `and ${left} more` },
  ];
}

function warningsAbout(config: Config, value: unknown): Fault[] {
  const { advisories, clientAuth, parentProxy, privateSumDatabase } = config;
  return [
    ...connectionsWarnings(config),
    ...zipDeliveryWarnings(config),
    ...(parentProxy === undefined ? [] : parentProxyWarnings(parentProxy)),
    ...credentialsWarnings(config),
    ...(privateSumDatabase === undefined ? [] : privateSumDatabaseWarnings(privateSumDatabase)),
    ...policyWarnings(config.policy, {
      hasSumDatabase: config.publicModules.sumDatabase !== "off",
      index: config.index,
      hasPrivateModules: config.privateModules.length > 0,
    }),
    ...advisoriesWarnings(advisories),
    ...(clientAuth.enabled ? clientAuthWarnings(clientAuth) : openServerWarnings(config, value)),
  ];
}

/** `listen.accelRedirect` and `storage` are of two subjects. */
function zipDeliveryWarnings({ listen, storage }: Config): Fault[] {
  return listen.accelRedirect === undefined || "disk" in storage ? [] : [{
    path: ["listen", "accelRedirect"],
    message: "it has no effect with a bucket, which has redirect; it is for storage.disk",
  }];
}

/** `enabled: false` in the file is meant. */
function openServerWarnings({ clientAuth, privateModules }: Config, value: unknown): Fault[] {
  if (valuesAt(value, "clientAuth.enabled").length > 0) return [];
  if (clientAuth.acl.length > 0 || clientAuth.identities.length > 0) {
    return [{
      path: ["clientAuth"],
      message: "it has no effect without enabled: true; anyone may read every module",
    }];
  }
  return privateModules.length === 0 ? [] : [{
    path: ["privateModules"],
    message: "anyone who reaches the server may read them; set clientAuth, " +
      "or clientAuth.enabled: false if that is meant on loopback",
  }];
}

function environmentWarnings(
  { httpProxy, parentProxy }: Config,
  env: Readonly<Record<string, string>>,
): Finding[] {
  const warnings: Finding[] = [];
  const isHttpProxySet = env["HTTP_PROXY"] || env["http_proxy"];
  const isHttpsProxySet = env["HTTPS_PROXY"] || env["https_proxy"];
  if (httpProxy.url === undefined && isHttpProxySet && !isHttpsProxySet) {
    warnings.push({
      place: null,
      path: "HTTP_PROXY",
      message: "it is for plain http alone; for https, set HTTPS_PROXY or httpProxy.url",
    });
  }
  const list = parentProxy === undefined ? sourceListWarning(env["GOPROXY"] ?? "") : null;
  if (list !== null) warnings.push({ place: null, path: "GOPROXY", message: list });
  return warnings;
}
