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
import { sumDatabaseFaults } from "../sumdb/open.ts";
import { keyFault, MAX_KEY_BYTES } from "../store/object_store.ts";
import type { StorageConfig } from "../store/open.ts";
import { clientAuth } from "./client_auth.ts";
import { httpProxy } from "./http_proxy.ts";
import { httpUrl, parseHttpUrl, secret, textFor } from "./fields.ts";
import { privateSumDatabase, privateSumDatabaseFaults } from "./private_sum_database.ts";

/** Names in a bucket have at most 1024 bytes, on GCS and on S3. */
const MAX_PREFIX_BYTES = 1024 - MAX_KEY_BYTES - 1;

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

const bucket = z.string().regex(
  /^[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]$/,
  "not the name of a bucket",
);

/** A folder of the bucket, so that others may use the rest of it. Default: empty, the whole bucket. */
const prefix = textFor((text) => {
  if (text === "") return;
  if (text.length > MAX_PREFIX_BYTES) throw new Error(`longer than ${MAX_PREFIX_BYTES} bytes`);
  const fault = keyFault(text);
  if (fault !== null) throw new Error(`not a folder as in "team/modules": ${fault}`);
}).default("");

/** Where a server of the bucket is that is not the usual one. Default: empty, the usual one. */
const endpoint = textFor((text) => {
  if (text !== "") parseHttpUrl(text);
}).default("");

const storage = z.strictObject({
  disk: z.strictObject({
    /** A directory that is made when it is missing. */
    path: z.string().min(1),
  }).exactOptional(),
  /** Google Cloud Storage, with the credentials that Google's clients find by themselves. */
  gcs: z.strictObject({
    bucket,
    prefix,
    /** A private endpoint, or an emulator on this machine. Default: `STORAGE_EMULATOR_HOST`, else Google's. */
    apiEndpoint: endpoint,
  }).exactOptional(),
  /** Amazon S3 or a server like it, with the credentials that Amazon's clients find by themselves. */
  s3: z.strictObject({
    bucket,
    prefix,
    /** Default: `AWS_REGION`, else `AWS_DEFAULT_REGION`, else, with an endpoint, `us-east-1`. */
    region: z.string().regex(/^[a-z0-9-]*$/, "not the name of a region").default(""),
    /** Default: `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`, else Amazon's of the region. */
    endpoint,
    /** The bucket stands in the path of URLs and not in the host name. Default: false. */
    forcePathStyle: z.boolean().default(false),
  }).exactOptional(),
  /** What was read from the bucket is kept on a disk of this machine. Default: nothing is. */
  cache: z.strictObject({
    /** A directory that is made when it is missing. Processes of one machine may share it. */
    path: z.string().min(1),
    /** What it may take, in MiB. */
    maxMiB: z.int().positive().default(10 * 1024),
  }).exactOptional(),
}).transform(({ disk, gcs, s3, cache }, context): StorageConfig => {
  const cached = cache === undefined ? {} : { cache };
  const stores = [disk && { disk }, gcs && { gcs, ...cached }, s3 && { s3, ...cached }]
    .filter((store) => !!store);
  const [store] = stores;
  const fault = store === undefined || stores.length > 1
    ? "exactly one of disk, gcs, s3"
    : "disk" in store && cache !== undefined
    ? "cache is for gcs and s3; disk is on a disk already"
    : null;
  if (store !== undefined && fault === null) return store;
  context.issues.push({ code: "custom", input: context.value, message: fault ?? "" });
  return z.NEVER;
});

const sumDatabase = z.strictObject({
  name: z.string(),
  /** What follows the name in GOSUMDB: `<key hash>+<key>`. */
  publicKey: z.string(),
  /** Where it is, if no upstream supports it. */
  url: httpUrl,
});

/** Of what a configuration file says. */
export const schema = z.strictObject({
  listen: z.strictObject({
    /** Serve https. Default: http. */
    tls: z.strictObject({
      /** The chain in PEM, the server's own certificate first. Is read again when it is replaced. */
      certificate: secret,
      /** PEM. */
      privateKey: secret,
      /** The oldest protocol that clients may use. */
      minVersion: z.enum(["TLS1.2", "TLS1.3"]).default("TLS1.2"),
    }).exactOptional(),
  }).prefault({}),
  /** Outgoing connections. They never use less than TLS 1.2, and more cannot be asked for. */
  tls: z.strictObject({
    minVersion: z.string().regex(/^TLS1\.[0-3]$/i, "not one of TLS1.0 to TLS1.3").exactOptional(),
  }).prefault({}),
  /** Default: what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say. */
  httpProxy: httpProxy.prefault({}),
  /**
   * A file of root certificates in PEM that count besides the usual ones, relative to this file's directory. Default: the
   * file that SSL_CERT_FILE names.
   */
  caFile: z.string().min(1).exactOptional(),
  /** Where modules are kept: exactly one store. Default: the directory `./data`. */
  storage: storage.default({ disk: { path: "./data" } }),
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
  publicModules: z.strictObject({
    /** What public modules are verified with. Default: the `go` command's own, where an upstream supports it. */
    sumDatabase: z.union(
      [z.literal("off"), sumDatabase],
      "sumDatabase is {name, publicKey, url} or off",
    ).exactOptional(),
    /** When the zips of verified modules are fetched: when somebody asks for one, or with the rest. */
    zips: z.enum(["lazy", "eager"]).default("lazy"),
  }).prefault({}),
  sumDatabaseProxy: z.strictObject({
    /** Is accepted for old configurations; the `go` command asks for each database by its name. */
    discourageClientDirectSumDatabaseConnections: z.boolean().default(false),
    /** More databases that are served verified to clients, besides the one above and the `go` command's default. */
    sumDatabases: z.array(sumDatabase).default([]),
  }).prefault({}),
  /** Our own checksum database, about private modules. Default: none. */
  privateSumDatabase: privateSumDatabase.exactOptional(),
  /** Which published modules `/index` tells of. */
  index: z.enum(["private", "all", "off"]).default("private"),
  /** Who clients are and what they may read. Default: nobody is asked, and everybody may read everything. */
  clientAuth: clientAuth.prefault({}),
  gitMirrors: z.strictObject({
    /** What the git repositories of public modules, and of each private prefix, may take in the scratch directory. */
    maxSizeMiB: z.int().positive().default(20 * 1024),
  }).prefault({}),
  limits: z.strictObject({
    /** How many requests may be under way at once. More are answered with 503. */
    maxConcurrentRequests: z.int().positive().default(2000),
    /**
     * How many of one identity, or of one address where nobody says who they are. More are answered with 429. Behind a
     * load balancer, all clients without an identity have its address.
     */
    maxConcurrentRequestsPerClient: z.int().positive().default(500),
    /** What fetches may take in the scratch directory, in MiB. While it is used up, fetches are answered with 503. */
    scratchMaxMiB: z.int().positive().default(10 * 1024),
    /** For how many seconds a client may take nothing of a large body, before its connection is ended. */
    slowClientTimeoutSeconds: z.int().positive().default(60),
  }).prefault({}),
  /** How many git processes may run at once. Default 30. */
  maxChildProcesses: z.int().positive().default(30),
}).check((context) => {
  const faults = [credentialsFaults, sumDatabaseFaults, privateSumDatabaseFaults]
    .flatMap((faultsOf) => faultsOf(context.value));
  for (const message of faults) {
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
    // With `<<`, which YAML 1.1 had and configurations of the original use.
    return parse(yaml, { merge: true });
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
