/** Where benchmarks keep what takes long to make, from one run to the next. */
import { join } from "node:path";

/** In the system's temporary directory. */
export function benchFolder(): string {
  return join(Deno.env.get("TMPDIR") ?? "/tmp", "go-mod-proxy-bench");
}
