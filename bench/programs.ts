/**
 * The module graphs of 20 well-known programs and libraries, from 20 to 900 modules each: all
 * go.mod files, and nothing else of the modules. They come once through the machine's own GOPROXY
 * and GOSUMDB and are kept in the system's temporary directory; benchmarks themselves ask nobody
 * outside.
 *
 * None of them replaces modules by folders of its own repository, which a go.mod file alone does
 * not have.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { exists } from "../tests/support/exists.ts";
import { benchFolder } from "./bench_folder.ts";

const PROGRAMS = [
  "github.com/caddyserver/caddy/v2@v2.11.9",
  "github.com/coredns/coredns@v1.12.3",
  "github.com/docker/compose/v2@v2.40.3",
  "github.com/gin-gonic/gin@v1.12.0",
  "github.com/gohugoio/hugo@v0.150.0",
  "github.com/golangci/golangci-lint/v2@v2.15.0",
  "github.com/google/ko@v0.19.1",
  "github.com/goreleaser/goreleaser/v2@v2.12.0",
  "github.com/grpc-ecosystem/grpc-gateway/v2@v2.33.0",
  "github.com/junegunn/fzf@v0.65.2",
  "github.com/nats-io/nats-server/v2@v2.15.3",
  "github.com/open-policy-agent/opa@v1.22.4",
  "github.com/prometheus/alertmanager@v0.35.0",
  "github.com/prometheus/prometheus@v0.305.0",
  "github.com/spf13/viper@v1.21.0",
  "github.com/syncthing/syncthing@v1.30.0",
  "golang.org/x/tools/gopls@v0.20.0",
  "google.golang.org/grpc@v1.85.0",
  "helm.sh/helm/v3@v3.22.0",
  "sigs.k8s.io/controller-runtime@v0.25.2",
] as const;

const FILL_TIMEOUT_MS = 300_000;

export interface Program {
  /** `<path>@<version>`. */
  readonly name: string;
  readonly goMod: string;
  /** With the hashes of all go.mod files. */
  readonly goSum: string;
}

export interface Programs {
  readonly programs: readonly Program[];
  /**
   * `cache/download` of the `go` command without zips: what a static server serves as a module
   * proxy. The `.ziphash` files are made up, as nobody can ask for the zips.
   */
  readonly folder: string;
}

/** @throws {Error} when they are not there yet and GOPROXY cannot be reached */
export async function realPrograms(): Promise<Programs> {
  const home = join(benchFolder(), "programs-2");
  if (!await exists(home)) {
    const unfinished = `${home}.${crypto.randomUUID()}`;
    await fill(unfinished);
    await Deno.rename(unfinished, home);
  }
  const programs = await Promise.all(PROGRAMS.map(async (name): Promise<Program> => ({
    name,
    goMod: await Deno.readTextFile(join(folderOf(home, name), "go.mod")),
    goSum: await Deno.readTextFile(join(folderOf(home, name), "go.sum")),
  })));
  return { programs, folder: join(home, "mod", "cache", "download") };
}

function folderOf(home: string, name: string): string {
  return join(home, "main", name.replaceAll("/", "_"));
}

/** By plain `go`, because the network may need more of the environment than a client gets. */
async function fill(home: string): Promise<void> {
  for (const name of PROGRAMS) {
    const cwd = folderOf(home, name);
    await Deno.mkdir(cwd, { recursive: true });
    const go = async (...args: string[]) => {
      const env = {
        GOMODCACHE: join(home, "mod"),
        GOFLAGS: "-modcacherw -mod=mod",
        GOWORK: "off",
        GOTOOLCHAIN: "local",
      };
      const signal = AbortSignal.timeout(FILL_TIMEOUT_MS);
      const command = new Deno.Command("go", { args, cwd, env, signal });
      const { success, stdout, stderr } = await command.output();
      if (success) return new TextDecoder().decode(stdout).trim();
      const text = new TextDecoder().decode(stderr);
      throw new Error(`Cannot fill ${home}: go ${args.join(" ")}: ${text}`);
    };
    await Deno.copyFile(await go("list", "-m", "-f", "{{.GoMod}}", name), join(cwd, "go.mod"));
    await go("list", "-m", "all");
  }
  await complete(join(home, "mod", "cache", "download"));
}

/** Adds to each `.mod` what a module proxy and its checksum database have besides. */
async function complete(folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) await complete(join(folder, name));
    if (!name.endsWith(".mod")) continue;
    const base = join(folder, name.slice(0, -".mod".length));
    const hash = createHash("sha256").update(base).digest("base64");
    await Deno.writeTextFile(`${base}.ziphash`, `h1:${hash}`);
    if (await exists(`${base}.info`)) continue;
    const version = name.slice(0, -".mod".length).replace(/!([a-z])/g, (_, x) => x.toUpperCase());
    const info = { Version: version, Time: "2024-01-02T03:04:05Z" };
    await Deno.writeTextFile(`${base}.info`, JSON.stringify(info));
  }
}
