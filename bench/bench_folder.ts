/** The folder in which benchmarks keep expensive inputs between runs. */
import { join } from "node:path";

/** In the system's temporary directory. */
export function benchFolder(): string {
  return join(Deno.env.get("TMPDIR") ?? "/tmp", "go-mod-proxy-bench");
}
