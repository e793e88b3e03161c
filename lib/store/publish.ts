/**
 * The protocol by which a copy comes into being and is read again, over any store.
 *
 * - Eager: the zip's blob is created first, then the manifest. A reader that sees the manifest
 *   finds the blob.
 * - Lazy: the manifest alone. A signed record of the checksum database has fixed the zip's hash
 *   already, and {@linkcode storeBlob} adds the blob when it is first requested.
 *
 * Creating the manifest is the deciding step: of all publishers of a version, on all replicas, one
 * gets "created", and its content is the copy (C1, C2). All others continue with what they read
 * afterwards. A create that throws may have happened (C5), so it is followed by the same read: an
 * object that is found counts, and only where none is found is the failure thrown. Nothing is
 * retried here; a back end knows best which of its requests are worth repeating, and a later
 * request starts over without loss.
 *
 * What failures leave: a blob without a manifest, which the next publisher of the same zip finds
 * and uses. When the next one's zip has another hash, the blob is an orphan, which only `fsck`
 * finds.
 */
import { StorageError, UpstreamError } from "../errors.ts";
import type { H1 } from "../module/h1.ts";
import { type ModuleVersion, nameOf } from "../module/module_version.ts";
import { manifestKey, zipKey } from "./keys.ts";
import {
  type Copy,
  decodeManifest,
  encodeManifest,
  InvalidManifestError,
  type Manifest,
  MAX_MANIFEST_BYTES,
} from "./manifest.ts";
import { bytesContent, type Content, type ObjectStore, readSmall } from "./object_store.ts";

/** What a publisher brings. */
export interface Publication extends Copy {
  /**
   * The zip whose h1 the manifest names (the caller has checked it), or null for a lazy
   * publication.
   */
  readonly zip: Content | null;
}

export interface Published {
  /** The copy that counts: ours, or the one that was published first. */
  readonly copy: Copy;
  /** The store said that our manifest was the first. False also where it may have been. */
  readonly created: boolean;
  /**
   * The copy that counts has another hash than ours: a tag was moved, or the upstream changed its
   * content. To be logged and counted.
   */
  readonly mismatch: boolean;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A zip that a copy lacks. */
export interface MissingZip {
  readonly manifest: Manifest;
  /** Of the zip; the caller has computed it. */
  readonly h1: H1;
  readonly content: Content;
}

/** A zip with another hash than the one its copy was published with. */
export class ZipMismatchError extends UpstreamError {}

/**
 * The published copy of a version, or null where there is none.
 *
 * @throws {StorageError} when the store cannot say
 * @throws {InvalidManifestError} when its manifest must not be served
 */
export async function readCopy(
  store: ObjectStore,
  module: ModuleVersion,
  { signal }: CallOptions = {},
): Promise<Copy | null> {
  const bytes = await readSmall(store, manifestKey(module), {
    limitBytes: MAX_MANIFEST_BYTES,
    tooLarge: (sizeBytes) =>
      new InvalidManifestError(
        `Cannot use the manifest of ${nameOf(module)}: it has ${sizeBytes} bytes`,
      ),
    signal,
  });
  return bytes === null ? null : decodeManifest(bytes, module);
}

/**
 * Publishes a copy unless there is one, and returns the one that counts.
 *
 * @throws {StorageError} when the outcome is not known; the copy may exist then
 */
export async function publishManifest(
  store: ObjectStore,
  { manifest, goMod, zip }: Publication,
  options: CallOptions = {},
): Promise<Published> {
  const bytes = encodeManifest({ manifest, goMod });
  if (zip !== null) await createSurely(store, { key: blobKey(manifest), content: zip }, options);

  const key = manifestKey(manifest);
  const outcome = await createSurely(store, { key, content: bytesContent(bytes) }, options);
  const copy = outcome === "created"
    ? decodeManifest(bytes, manifest)
    : await readCopy(store, manifest, options);
  if (copy === null) {
    throw new StorageError(
      `Cannot publish ${nameOf(manifest)}: ${store.description} has lost it`,
    );
  }
  const mismatch = copy.manifest.goMod.h1 !== manifest.goMod.h1 ||
    copy.manifest.zip.h1 !== manifest.zip.h1;
  return { copy, created: outcome === "created", mismatch };
}

/**
 * Adds the zip to a copy whose blob is missing: it was published lazily, or the blob is lost.
 *
 * @returns "exists" also where ours may have been the first; the stored one may be compressed in
 *   another way
 * @throws {ZipMismatchError} when the zip is not the one that the copy was published with; nothing
 * is stored then
 * @throws {StorageError} when the outcome is not known
 */
export async function storeBlob(
  store: ObjectStore,
  { manifest, h1, content }: MissingZip,
  options: CallOptions = {},
): Promise<"created" | "exists"> {
  if (h1 !== manifest.zip.h1) {
    throw new ZipMismatchError(
      `Cannot use the zip of ${
        nameOf(manifest)
      }: its hash is ${h1}, and ${manifest.zip.h1} was published`,
    );
  }
  return await createSurely(store, { key: blobKey(manifest), content }, options);
}

function blobKey(manifest: Manifest): string {
  return zipKey(manifest, manifest.zip.h1);
}

/** Creates an object; where that throws, checks whether it was created nevertheless. */
async function createSurely(
  store: ObjectStore,
  { key, content }: { key: string; content: Content },
  options: CallOptions,
): Promise<"created" | "exists"> {
  try {
    return await store.create(key, content, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const object = await store.get(key, options);
    if (object === null) throw error;
    await object.body.cancel();
    return "exists";
  }
}
