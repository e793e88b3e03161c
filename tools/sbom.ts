/**
 * `deno task sbom`: a software bill of materials of the program, in dist/sbom.cdx.json. The format
 * is CycloneDX 1.6 in JSON (https://cyclonedx.org/docs/1.6/json/).
 *
 * It lists the npm packages of deno.lock with their hashes, licenses and dependencies, Deno, and
 * git. Two runs for one commit and one version of Deno write the same bytes: there is no random
 * serial number, and a timestamp only where `SOURCE_DATE_EPOCH` is set
 * (https://reproducible-builds.org/specs/source-date-epoch/).
 *
 * Licenses are what the packages' own package.json files say, which are in Deno's cache after an
 * installation.
 */
import deno from "../deno.json" with { type: "json" };

export interface Bom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly version: 1;
  readonly metadata: { readonly timestamp?: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

export interface Component {
  readonly type: "application" | "library" | "platform";
  readonly "bom-ref": string;
  readonly name: string;
  readonly group?: string;
  readonly version?: string;
  readonly description?: string;
  /** `excluded` is what only the type check reads. */
  readonly scope?: "required" | "excluded";
  readonly hashes?: readonly { readonly alg: "SHA-512"; readonly content: string }[];
  readonly licenses?: readonly License[];
  readonly purl?: string;
}

type License =
  | { readonly license: { readonly id: string } | { readonly name: string } }
  | { readonly expression: string };

/** The parts of deno.lock, version 5, that are read here. */
export interface Lock {
  readonly version: string;
  /** From `npm:<name>@<requirement>` to `<version>`, with a suffix where the package has peers. */
  readonly specifiers: Readonly<Record<string, string>>;
  /** By `<name>@<version>`, with the same suffix. */
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

export interface LockedPackage {
  /** `sha512-` and the hash in base64. */
  readonly integrity: string;
  /** Names, with a version only where the lock has several of the package. */
  readonly dependencies?: readonly string[];
  readonly optionalDependencies?: readonly string[];
  readonly optionalPeers?: readonly string[];
}

export interface BomOptions {
  readonly denoVersion: string;
  /** What a package says of its license; null where it says nothing. */
  readonly licenseOf: (name: string, version: string) => Promise<string | null>;
  /** The value of `SOURCE_DATE_EPOCH`: seconds since 1970. */
  readonly sourceDateEpoch?: string | undefined;
}

const PROGRAM = `${deno.name}@${deno.version}`;
const DENO = "deno";
const GIT = "git";

/**
 * @throws {Error} when the lock has a format that is not known here, or contradicts itself, or
 *   `SOURCE_DATE_EPOCH` is not a number of seconds
 */
export async function createBom(lock: Lock, options: BomOptions): Promise<Bom> {
  if (lock.version !== "5") {
    throw new Error(`Cannot read deno.lock: its version is "${lock.version}", and not "5"`);
  }
  const { denoVersion, licenseOf, sourceDateEpoch } = options;
  const graph = new Graph(lock);
  const required = graph.reachedFrom(graph.direct.filter((id) => !id.startsWith("@types/")));
  const libraries = new Map<string, Component>();
  const dependencies = new Map<string, string[]>();
  for (const [id, entry] of Object.entries(lock.npm)) {
    const { name, version, purl } = parseId(id);
    libraries.set(purl, {
      type: "library",
      "bom-ref": purl,
      ...nameAndGroup(name),
      version,
      scope: required.has(id) ? "required" : "excluded",
      hashes: [{ alg: "SHA-512", content: hexOf(entry.integrity) }],
      ...licensesOf(await licenseOf(name, version)),
      purl,
    });
    // A package with other peers is another entry of the lock, and one component.
    const others = dependencies.get(purl) ?? [];
    dependencies.set(purl, [...others, ...graph.neededBy(id).map((other) => parseId(other).purl)]);
  }
  dependencies.set(PROGRAM, [...graph.direct.map((id) => parseId(id).purl), DENO, GIT]);
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      ...(sourceDateEpoch !== undefined && { timestamp: timestampOf(sourceDateEpoch) }),
      component: {
        type: "application",
        "bom-ref": PROGRAM,
        name: deno.name,
        version: deno.version,
        ...licensesOf(deno.license),
      },
    },
    components: [...runtimes(denoVersion), ...[...libraries.values()].sort(byRef)],
    dependencies: [...dependencies]
      .map(([ref, others]) => ({ ref, dependsOn: [...new Set(others)].sort() }))
      .sort((a, b) => compare(a.ref, b.ref)),
  };
}

function runtimes(denoVersion: string): Component[] {
  return [
    {
      type: "platform",
      "bom-ref": DENO,
      name: "deno",
      version: denoVersion,
      description: "The runtime. Executables and the container image contain it.",
      scope: "required",
      ...licensesOf("MIT"),
      purl: `pkg:github/denoland/deno@v${denoVersion}`,
    },
    {
      type: "application",
      "bom-ref": GIT,
      name: "git",
      description:
        "Started as a program. It comes from the machine, or from the image's distribution, whose version it has.",
      scope: "required",
      ...licensesOf("GPL-2.0-only"),
    },
  ];
}

/** Which package needs which, by the keys of the lock. */
class Graph {
  readonly #lock: Lock;
  /** The packages that the program itself imports. */
  readonly direct: readonly string[];
  readonly #idsByName = new Map<string, string>();

  constructor(lock: Lock) {
    this.#lock = lock;
    for (const id of Object.keys(lock.npm)) this.#idsByName.set(parseId(id).name, id);
    this.direct = Object.entries(lock.specifiers).map(([specifier, version]) => {
      const { name } = parseId(specifier.replace(/^npm:/, ""));
      return this.#find(`${name}@${version}`) ?? fail(specifier);
    });
  }

  neededBy(id: string): string[] {
    const entry = this.#lock.npm[id] ?? fail(id);
    const needed = (entry.dependencies ?? []).map((name) => this.#find(name) ?? fail(name));
    const optional = [...entry.optionalDependencies ?? [], ...entry.optionalPeers ?? []]
      .map((name) => this.#find(name)).filter((found) => found !== undefined);
    return [...needed, ...optional];
  }

  reachedFrom(ids: readonly string[]): Set<string> {
    const reached = new Set(ids);
    // A set that grows while it is iterated gives the new elements too.
    for (const id of reached) for (const other of this.neededBy(id)) reached.add(other);
    return reached;
  }

  #find(nameOrId: string): string | undefined {
    return nameOrId in this.#lock.npm ? nameOrId : this.#idsByName.get(nameOrId);
  }
}

function fail(id: string): never {
  throw new Error(`Cannot read deno.lock: "${id}" is not among its packages`);
}

/**
 * The parts of `<name>@<version>`, to which the lock appends the peers of a package as
 * `_<name>@<version>`. A purl as https://github.com/package-url/purl-spec has it.
 */
function parseId(id: string): { name: string; version: string; purl: string } {
  const at = id.indexOf("@", 1);
  const name = id.slice(0, at);
  const [version = ""] = id.slice(at + 1).split("_");
  const purl = `pkg:npm/${name.replace("@", "%40")}@${encodeURIComponent(version)}`;
  return { name, version, purl };
}

function nameAndGroup(fullName: string): { name: string; group?: string } {
  const [group, name] = fullName.split("/");
  return name === undefined || group === undefined ? { name: fullName } : { group, name };
}

function hexOf(integrity: string): string {
  const base64 = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(integrity)?.[1];
  if (base64 === undefined) throw new Error(`Cannot read deno.lock: "${integrity}" is not SHA-512`);
  return Uint8Array.fromBase64(base64).toHex();
}

function licensesOf(text: string | null): { licenses?: License[] } {
  if (text === null) return {};
  if (/ (AND|OR|WITH) /.test(text)) return { licenses: [{ expression: text }] };
  const isId = /^[A-Za-z0-9.+-]+$/.test(text);
  return { licenses: [{ license: isId ? { id: text } : { name: text } }] };
}

function timestampOf(sourceDateEpoch: string): string {
  if (!/^\d{1,11}$/.test(sourceDateEpoch)) {
    throw new Error(`Cannot use SOURCE_DATE_EPOCH: "${sourceDateEpoch}" is not in seconds`);
  }
  return new Date(Number(sourceDateEpoch) * 1000).toISOString().replace(".000Z", "Z");
}

function byRef(a: Component, b: Component): number {
  return compare(a["bom-ref"], b["bom-ref"]);
}

/** By code unit, so that the order is that of every machine. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * What package.json files in Deno's cache say.
 *
 * @throws {Error} when a package is not in the cache
 */
export async function cachedLicenses(): Promise<BomOptions["licenseOf"]> {
  const command = new Deno.Command("deno", { args: ["info", "--json"], stderr: "inherit" });
  const { success, stdout } = await command.output();
  if (!success) throw new Error("Cannot ask Deno where its cache is");
  const { npmCache }: { npmCache: string } = JSON.parse(new TextDecoder().decode(stdout));
  // Below it is a folder for each registry.
  const registries: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(npmCache)) {
    if (isDirectory) registries.push(`${npmCache}/${name}`);
  }
  return async (name, version) => {
    for (const registry of registries) {
      const text = await readIfExists(`${registry}/${name}/${version}/package.json`);
      if (text === null) continue;
      const { license }: { license?: unknown } = JSON.parse(text);
      return typeof license === "string" ? license : null;
    }
    throw new Error(
      `Cannot read the license of ${name}@${version}: it is not in Deno's cache (deno install --entrypoint main.ts)`,
    );
  };
}

async function readIfExists(file: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Writes dist/sbom.cdx.json, in the project's root, and returns its name in dist. */
export async function writeBom(): Promise<string> {
  const bom = await createBom(JSON.parse(await Deno.readTextFile("deno.lock")), {
    denoVersion: Deno.version.deno,
    licenseOf: await cachedLicenses(),
    sourceDateEpoch: Deno.env.get("SOURCE_DATE_EPOCH"),
  });
  await Deno.mkdir("dist", { recursive: true });
  await Deno.writeTextFile("dist/sbom.cdx.json", `${JSON.stringify(bom, null, 2)}\n`);
  return "sbom.cdx.json";
}

if (import.meta.main) await writeBom();
