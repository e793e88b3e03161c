/**
 * go-mod-proxy: a Go module proxy for teams with private code. Passes the environment in and the
 * exit status out; the commands are in cli/. No other file reads the environment.
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
// Whatever is still running must not keep the process alive.
Deno.exit(status);
