/**
 * go-mod-proxy: a Go module proxy for teams with private code. The environment in, the exit status out; the commands are
 * in cli/. No other file reads the environment.
 */
import { run } from "./cli/program.ts";

const status = await run({
  args: Deno.args,
  environment: Deno.env,
  program: {
    executable: Deno.execPath(),
    module: Deno.build.standalone ? null : import.meta.filename ?? null,
  },
});
// What has not ended by now must not keep the process alive.
Deno.exit(status);
