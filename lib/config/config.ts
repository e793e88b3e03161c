/**
 * The configuration file: YAML, strict. Every key is optional and unknown keys are errors, so that a misspelt key is not
 * a silent default. All faults of a file are reported in one go, each with its path in the file.
 */
import { parse, YAMLError } from "yaml";
import { z } from "zod";
import { credentialsFaults } from "../credentials/open.ts";
import { ConfigError } from "../errors.ts";
import { parseModulePath } from "../module/path.ts";
import { parseSourceList } from "../source/source_list.ts";

/** A text that `parse` takes; its error is the fault. */
function textFor(parse: (text: string) => unknown) {
  return z.string().check((context) => {
    try {
      parse(context.value);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      context.issues.push({ code: "custom", input: context.value, message });
    }
  });
}

/** `{file: path}`, relative to the configuration file's directory, `{envVar: NAME}`, or the secret itself. */
const secret = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ envVar: z.string().min(1) }),
  z.string().min(1),
], "a secret is {file: path}, {envVar: NAME} or a text");

const auth = z.union([
  /** The id of a GitHub App that `gitHub` lists. */
  z.strictObject({ gitHubApp: z.int().positive() }),
  /** An access token of GitLab, Gitea, Bitbucket, Azure DevOps …, which is sent as the password. */
  z.strictObject({ token: secret }),
  z.strictObject({ userPassword: z.strictObject({ user: z.string().min(1), password: secret }) }),
  /** The text of a netrc file. */
  z.strictObject({ netrc: secret }),
  z.strictObject({ none: z.literal(true) }),
], "auth is one of gitHubApp, token, userPassword, netrc, none: true");

const httpUrl = textFor((text) => {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error("not an http or https URL");
  if (url.username !== "" || url.password !== "") {
    throw new Error("a URL here has no user or password");
  }
});

const schema = z.strictObject({
  /** Where modules are kept: exactly one store. */
  storage: z.strictObject({
    /** A directory that is made when it is missing. */
    disk: z.strictObject({ path: z.string().min(1) }),
  }).default({ disk: { path: "./data" } }),
  /** Where public modules come from: a list as in `GOPROXY`. Default: that variable, else `direct`. */
  parentProxy: z.strictObject({ url: textFor(parseSourceList) }).optional(),
  /** Hosts (`host` or `host:port`) that may be reached by plain http, besides loopback. Default: none. */
  insecureHosts: z.array(z.string().min(1)).default([]),
  /** Module paths that come from git with credentials, and from nowhere else. No two prefixes may overlap. */
  privateModules: z.array(z.strictObject({
    /** Whole elements of a module path: `github.com/my-org`. */
    pathPrefix: textFor(parseModulePath),
    auth,
    /** Where the repository is, for servers that do not tell by `?go-get=1`. */
    repository: httpUrl.exactOptional(),
  })).default([]),
  gitHub: z.array(z.strictObject({
    host: z.string().min(1).toLowerCase(),
    /** Default: that of github.com; else GitHub Enterprise's `https://<host>/api/v3`. */
    apiBaseUrl: httpUrl.exactOptional(),
    gitHubApps: z.array(z.strictObject({
      id: z.int().positive(),
      /** One PEM block, PKCS#1 or PKCS#8. */
      privateKey: secret,
    })),
  })).default([]),
  gitMirrors: z.strictObject({
    /** What the git repositories of public modules, and of each private prefix, may take in the scratch directory. */
    maxSizeMiB: z.int().positive().default(20 * 1024),
  }).prefault({}),
  /** How many git processes may run at once. Default 30. */
  maxChildProcesses: z.int().positive().default(30),
}).check((context) => {
  for (const message of credentialsFaults(context.value)) {
    context.issues.push({ code: "custom", input: context.value, message });
  }
});

export type Config = z.output<typeof schema>;

/**
 * The configuration that a YAML text says; an empty text says nothing but defaults.
 *
 * @throws {ConfigError}
 */
export function parseConfig(yaml: string): Config {
  const result = schema.safeParse(parseYaml(yaml) ?? {});
  if (result.success) return result.data;
  throw new ConfigError(result.error.issues.map(describeIssue).join("\n"));
}

function parseYaml(yaml: string): unknown {
  try {
    return parse(yaml);
  } catch (cause) {
    if (cause instanceof YAMLError) throw new ConfigError(cause.message, { cause });
    throw cause;
  }
}

function describeIssue({ path, message }: z.core.$ZodIssue): string {
  const place = path.map((step) => typeof step === "number" ? `[${step}]` : `.${String(step)}`);
  const where = place.join("").replace(/^\./, "");
  return where === "" ? message : `${where}: ${message}`;
}
