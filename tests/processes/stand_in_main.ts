/**
 * Stands in for main.ts in server_test.ts: listens, logs how it was started, and ends at SIGTERM.
 */

log({
  msg: "started",
  args: Deno.args,
  cwd: Deno.cwd(),
  env: Object.keys(Deno.env.toObject()).sort(),
  mayRun: {
    git: Deno.permissions.querySync({ name: "run", command: "git" }).state,
    sh: Deno.permissions.querySync({ name: "run", command: "sh" }).state,
  },
});
const mode = Deno.env.get("MODE");
if (mode === "crash") {
  write("cannot start: no disk\n");
  Deno.exit(1);
}

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => log({ msg: "listening", url: `http://127.0.0.1:${port}` }),
}, () => new Response("hello", { status: mode === "unready" ? 503 : 200 }));
Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
await server.finished;

function log(line: Record<string, unknown>): void {
  write(`${JSON.stringify(line)}\n`);
}

function write(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}
