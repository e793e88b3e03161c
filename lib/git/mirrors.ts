/**
 * The set of repositories that this server has asked for, each with its mirror in the scratch directory.
 *
 * A repository is used under a lease. When the mirrors together are larger than their limit, those that nobody uses are
 * removed, the one that was used longest ago first.
 */
import type { RemoteUrl } from "./remote_url.ts";
import type { Repository } from "./repository.ts";

/** While it is held, the mirror stays. Whoever opens one disposes of it, after the last stream from it has ended. */
export interface Lease extends AsyncDisposable {
  readonly repository: Repository;
}

export interface Mirrors {
  /** Starts nothing and fetches nothing. */
  open(remote: RemoteUrl): Promise<Lease>;
}
