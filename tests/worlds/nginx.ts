/**
 * nginx in front of a server of this machine, as deploy/nginx/go-mod-proxy.conf has it: Debian's
 * package `nginx-light`. Without it the tests say SKIP, also with `CI=true`, because nothing
 * installs it there.
 */
import { join } from "node:path";
import { type Emulator, findEmulator, start } from "./emulator.ts";

const CONFIG = new URL("../../deploy/nginx/go-mod-proxy.conf", import.meta.url);

const NGINX = { name: "nginx", envVar: "NGINX" };

/** Registers a test that needs nginx, which it is given the path of. */
export function nginxTest(
  name: string,
  test: (t: Deno.TestContext, path: string) => Promise<void>,
): void {
  const path = findEmulator(NGINX);
  if (path !== null) Deno.test(name, (t) => test(t, path));
  else Deno.test.ignore(`${name} (SKIP: nginx is missing; apt-get install nginx-light)`, () => {});
}

/** Null where it is not installed. */
export function findNginx(): string | null {
  return findEmulator(NGINX);
}

export interface NginxOptions {
  /** `http://127.0.0.1:<port>`: the server behind it. */
  readonly server: string;
  /** The directory of the server's disk store. */
  readonly store: string;
}

export async function startNginx(path: string, options: NginxOptions): Promise<Emulator> {
  const folder = await Deno.makeTempDir({ prefix: "nginx-" });
  try {
    const nginx = await start(async (port) => {
      await Deno.writeTextFile(join(folder, "nginx.conf"), await configOf(folder, port, options));
      return { path, args: ["-p", folder, "-e", "error.log", "-c", join(folder, "nginx.conf")] };
    });
    return {
      url: nginx.url,
      pid: nginx.pid,
      async [Symbol.asyncDispose]() {
        await nginx[Symbol.asyncDispose]();
        await Deno.remove(folder, { recursive: true });
      },
    };
  } catch (error) {
    const log = await Deno.readTextFile(join(folder, "error.log")).catch(() => "no error.log");
    await Deno.remove(folder, { recursive: true });
    throw new Error(`Cannot start nginx: ${log}`, { cause: error });
  }
}

/** One process, which ends when it is killed, with the user's rights. */
async function configOf(folder: string, port: number, { server, store }: NginxOptions) {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ");
  const ours = replaced(await Deno.readTextFile(CONFIG), {
    "listen 80;": `listen 127.0.0.1:${port};`,
    "server 127.0.0.1:8080;": `server ${new URL(server).host};`,
    "alias /var/lib/go-mod-proxy/data/;": `alias ${store}/;`,
  });
  return `${Deno.uid() === 0 ? "user root root;" : ""}
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
access_log off; ${temporary}
${ours}
}
`;
}

function replaced(text: string, lines: Readonly<Record<string, string>>): string {
  for (const [line, other] of Object.entries(lines)) {
    if (!text.includes(line)) throw new Error(`Cannot find "${line}" in ${CONFIG.pathname}`);
    text = text.replace(line, other);
  }
  return text;
}
