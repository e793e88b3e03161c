/**
 * Implements {@linkcode Repository} with two bare repositories in one folder, `history.git` and
 * `content.git`, described in the files of these names. Beside them lie the seeds of module zips
 * (zip/reusable_zips.ts).
 *
 * A commit is fetched by a ref that leads to it; without one, only after the history has shown that
 * it is reachable.
 */
import { SingleFlight } from "../async/single_flight.ts";
import { Seeds } from "../zip/reusable_zips.ts";
import { BareRepository } from "./bare_repository.ts";
import { ContentMirror } from "./content.ts";
import { HistoryMirror } from "./history.ts";
import type { Hash, Refs } from "./refs.ts";
import { Remote, type RemoteOptions } from "./remote.ts";
import type { RemoteUrl } from "./remote_url.ts";
import type { CallOptions, History, RefsOptions, Repository, Snapshot } from "./repository.ts";

/** The files in the folder that are locked while something is fetched. */
export const LOCKS: readonly string[] = ["history.lock", "content.lock"];

export interface MirrorOptions extends RemoteOptions {
  readonly remote: RemoteUrl;
  readonly folder: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class Mirror implements Repository {
  readonly remote: RemoteUrl;
  readonly seeds: Seeds;
  readonly #remote: Remote;
  readonly #now: () => number;
  readonly #history: HistoryMirror;
  readonly #content: ContentMirror;
  readonly #listing = new SingleFlight<Refs>(1, { graceMs: 0 });
  #listed: { readonly refs: Refs; readonly askedAtMs: number } | null = null;

  constructor(options: MirrorOptions) {
    const { remote, folder, git, limits, now } = options;
    const common = { git, folder, limits, now };
    const history = new BareRepository({ ...common, name: "history", repackArgs: ["-a"] });
    const content = new BareRepository({
      ...common,
      name: "content",
      repackArgs: ["--geometric=2"],
    });
    this.remote = remote;
    this.seeds = new Seeds(`${folder}/seeds`);
    this.#now = now;
    this.#remote = new Remote(remote, options);
    this.#history = new HistoryMirror(history, this.#remote);
    this.#content = new ContentMirror(content, { remote: this.#remote, limits });
  }

  async refs({ maxAgeMs = 0, signal }: RefsOptions = {}): Promise<Refs> {
    const listed = this.#listed;
    if (listed !== null && this.#now() - listed.askedAtMs < maxAgeMs) return listed.refs;
    return await this.#listing.run("refs", async ({ signal }) => {
      const askedAtMs = this.#now();
      const refs = await this.#remote.refs(signal);
      this.#listed = { refs, askedAtMs };
      return refs;
    }, signal);
  }

  async movedTo({ signal }: CallOptions = {}): Promise<RemoteUrl | null> {
    return await this.#remote.movedTo(signal);
  }

  async history(refs: Refs, options: CallOptions = {}): Promise<History> {
    return await this.#history.at(refs, options);
  }

  async snapshot(refs: Refs, hash: Hash, options: CallOptions = {}): Promise<Snapshot | null> {
    const ref = nameFor(refs, hash);
    if (ref === null) {
      const history = await this.history(refs, options);
      if (await history.commit(hash, options) === null) return null;
    }
    return await this.#content.snapshot({ hash, ref, hasHead: refs.has("HEAD") }, options);
  }
}

/** A ref that leads to the commit: a tag, which rarely moves, rather than a branch or HEAD. */
function nameFor(refs: Refs, hash: Hash): string | null {
  const names = [...refs].filter(([, value]) => value === hash).map(([name]) => name);
  return names.find((name) => name.startsWith("refs/tags/")) ?? names[0] ?? null;
}
