/** Opens our own checksum database (sumdb/private_database.ts) from the configuration. */
import type { Config } from "../config/config.ts";
import { readSecretLine, type SecretPlaces } from "../credentials/secret.ts";
import { ConfigError, describeError, NotFoundError, UpstreamError } from "../errors.ts";
import type { ModuleHashes } from "../module/h1.ts";
import type { DatabaseFor } from "../module/hash_database.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import type { ModulePath } from "../module/path.ts";
import type { ModuleService } from "../service/service.ts";
import type { ObjectStore } from "../store/object_store.ts";
import type { SumDatabases } from "../sumdb/databases.ts";
import { PrivateSumDatabase } from "../sumdb/private_database.ts";
import { PrivateLog } from "../sumdb/private_log.ts";
import { SignerKey } from "../sumdb/signer.ts";
import type { Surroundings } from "./surroundings.ts";

export interface OpenPrivateSumDatabaseOptions {
  readonly store: ObjectStore;
  /** The databases of others, with which public modules are verified. */
  readonly databases: SumDatabases;
  readonly isPrivate: (path: ModulePath) => boolean;
}

export interface OpenedPrivateSumDatabase {
  /** The log for private modules, and the other databases for public ones. */
  readonly databaseFor: DatabaseFor;
  /** The database of the modules of this service. */
  over(service: Pick<ModuleService, "copy">): PrivateSumDatabase;
}

/**
 * Null if the configuration names none.
 *
 * @throws {ConfigError} when its key cannot be used
 */
export async function openPrivateSumDatabase(
  { config: { privateSumDatabase: config }, secretPlaces, log }: Surroundings,
  { databases, isPrivate, store }: OpenPrivateSumDatabaseOptions,
): Promise<OpenedPrivateSumDatabase | null> {
  if (config === undefined) return null;
  const { name, combined } = config;
  const key = await readSumDatabaseKey(config, secretPlaces).catch((cause) => {
    if (!(cause instanceof ConfigError)) throw cause;
    throw new ConfigError(`privateSumDatabase.privateKey: ${cause.message}`, { cause });
  });
  const transparencyLog = new PrivateLog({ name, store, log });
  return {
    databaseFor: (path) => isPrivate(path) ? transparencyLog : databases.databaseFor(path),
    over(service) {
      const hashesOf = async (module: ModuleVersion, signal: AbortSignal) => {
        if (isPrivate(module.path)) return await publishedHashes(service, { module, signal });
        if (combined) return await publicHashes(databases, { module, signal });
        throw new NotFoundError(
          `Cannot look up ${
            nameOf(module)
          }: ${name} is about private modules alone, and the path is not private here`,
        );
      };
      return new PrivateSumDatabase({ key, transparencyLog, hashesOf, log });
    },
  };
}

/** @throws {ConfigError} when it cannot be used; the message has no key */
export async function readSumDatabaseKey(
  { name, privateKey }: NonNullable<Config["privateSumDatabase"]>,
  places: SecretPlaces,
): Promise<SignerKey> {
  const fail = (fault: string, cause?: unknown) => new ConfigError(fault, { cause });
  const text = await readSecretLine(privateKey, places).catch((cause) => {
    throw cause instanceof ConfigError ? fail(describeError(cause), cause) : cause;
  });
  const key = parseKey(text, (cause) => fail(describeError(cause)));
  if (key.name === name) return key;
  throw fail(`it is the key of "${key.name}"; generate one with config keygen ${name}`);
}

function parseKey(text: string, failure: (cause: unknown) => ConfigError): SignerKey {
  try {
    return SignerKey.parse(text);
  } catch (cause) {
    throw failure(cause);
  }
}

async function publishedHashes(
  service: Pick<ModuleService, "copy">,
  { module, signal }: { module: ModuleVersion; signal: AbortSignal },
): Promise<ModuleHashes> {
  const { manifest } = await service.copy(module, { mayFetch: true, signal, facts: {} });
  return { zipH1: manifest.zip.h1, goModH1: manifest.goMod.h1 };
}

async function publicHashes(
  databases: SumDatabases,
  { module, signal }: { module: ModuleVersion; signal: AbortSignal },
): Promise<ModuleHashes> {
  const hashes = await databases.databaseFor(module.path)?.find(module, signal) ?? null;
  if (hashes === "unrecorded") {
    throw new NotFoundError(
      `Cannot look up ${nameOf(module)}: the public checksum database has no record of it`,
    );
  }
  if (hashes !== null) return hashes;
  throw new UpstreamError(
    `Cannot look up ${
      nameOf(module)
    }: no upstream supports the public checksum database; set publicModules.sumDatabase`,
  );
}
