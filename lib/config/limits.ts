/** The section `limits`: what the server takes on. */
import { z } from "zod";
import type { Fault } from "../schema/fault.ts";

export const limits = z.strictObject({
  /**
   * How many connections from clients the process may have. Default: 80 % of the files that it may
   * have open, less what it needs otherwise.
   */
  connections: z.int().positive().exactOptional(),
  /** How many requests may be under way at once. More are answered with 503. */
  maxConcurrentRequests: z.int().positive().default(2000),
  /**
   * How many of one identity, or of one address where clients do not authenticate. More are
   * answered with 429. Behind a load balancer, all clients without an identity have its address.
   */
  maxConcurrentRequestsPerClient: z.int().positive().default(500),
  /**
   * How many of clients that must authenticate and have not: log-ins, and requests whose
   * credentials are being verified. One address gets a part of them. More are answered with 429 or
   * 503.
   */
  maxConcurrentUnauthenticatedRequests: z.int().positive().default(200),
  /**
   * How many of the git processes (`maxChildProcesses`) are kept for private modules, so that
   * public ones never take all. Default: a third of them, where there are private modules.
   */
  reservedForPrivate: z.int().nonnegative().exactOptional(),
  /**
   * What fetches may take in the scratch directory, in MiB. While it is used up, fetches are
   * answered with 503.
   */
  scratchMaxMiB: z.int().positive().default(10 * 1024),
  /**
   * For how many seconds a client may take nothing of a large body, before its connection is ended.
   */
  slowClientTimeoutSeconds: z.int().positive().default(60),
});

/** What does not go together. */
export function limitsFaults(
  { limits: { reservedForPrivate = 0 }, maxChildProcesses }: {
    readonly limits: z.output<typeof limits>;
    readonly maxChildProcesses: number;
  },
): Fault[] {
  return reservedForPrivate < maxChildProcesses ? [] : [{
    path: ["limits", "reservedForPrivate"],
    message: `it must be less than maxChildProcesses, which is ${maxChildProcesses}`,
  }];
}
