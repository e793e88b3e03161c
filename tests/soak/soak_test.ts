/**
 * A soak: one server with few files, as its configuration has it by default, with client
 * authentication and a private prefix. All attacks hit it at once while a good client builds a
 * program of public and private modules again and again. Run it by `deno task test:soak`; it is not
 * part of the other tests.
 *
 * `SOAK_SECONDS` says how long the attacks last (default: 120), `SOAK_TOLERANCE` by how much the
 * limits of times are multiplied (default: 1), for machines that are slow or shared.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { PasswordHash } from "../../lib/auth/password_hash.ts";
import { describeError } from "../../lib/errors.ts";
import { createAuthority } from "../fakes/authority.ts";
import { GitServer } from "../fakes/git_server.ts";
import { startUpstream, type Upstream } from "../fakes/upstream.ts";
import { eventually, within } from "../support/eventually.ts";
import { type GoCommand, goCommand, goTest } from "../support/go_command.ts";
import { kill } from "../support/run_command.ts";
import type { TestRepo } from "../worlds/git_repo.ts";
import { syntheticGraph } from "../worlds/graph.ts";
import { type Server, startServer } from "../worlds/server.ts";
import { linesOf, type Order, type Report } from "./attack_process.ts";
import type { Outcomes } from "./attackers.ts";
import { GIT_HOST } from "./hostile_servers.ts";
import { type Usage, usageOf } from "./observer.ts";

const SECONDS = Number(Deno.env.get("SOAK_SECONDS") ?? 120);
const TOLERANCE = Number(Deno.env.get("SOAK_TOLERANCE") ?? 1);
const MIB = 2 ** 20;

/**
 * The default of Linux. A go command opens 30 connections at once: of the 127 of a server with 512
 * files, that is more than the fair share of one among four addresses.
 */
const FILE_LIMIT = 1024;
const MAX_P99_MS = 2_000 * TOLERANCE;
const MAX_HEALTH_MS = 1_000 * TOLERANCE;
const MAX_RESIDENT_BYTES = 1024 * MIB;
/** How long the server may take to be back to idle. */
const CALM_TIMEOUT_MS = 30_000 * TOLERANCE;
/** Connections to be reused. */
const SPARE_FILES = 24;
/**
 * What malloc does not return to the system: free blocks between others, which later bodies use
 * again (docs/design/performance.md). Measured after 30 s of attacks: 279 to 546 MiB resident, of
 * 541 to 820 at most and 118 before.
 */
const SPARE_BYTES = 400 * MIB;

/** After this time a request of the good client has failed. */
const PATIENCE_MS = 30_000 * TOLERANCE;
const GO_TIMEOUT_MS = 60_000 * TOLERANCE;
const MAX_ERROR_CHARS = 1000;
const PROBE_PAUSE_MS = 25;
const HEALTH_PAUSE_MS = 250;
const LOOK_PAUSE_MS = 500;

const PRIVATE = "private.example.com/team/lib";
const REPOSITORY = "team/lib.git";
const GIT_PASSWORD = "a-password-for-git";
const DEV = "dev-password";
const ATTACKER = "attacker-password";
const GRAPH = syntheticGraph(30);
const LARGE = "example.com/large";
/** More than the system buffers between two sockets. */
const LARGE_BYTES = 32 * MIB;

interface World {
  readonly upstream: Upstream;
  readonly git: GitServer;
  readonly lib: TestRepo;
  readonly server: Server;
  readonly attackers: Attackers;
  readonly certificate: string;
  readonly directory: string;
}

/** What the good client saw. */
class Observations {
  readonly errors: string[] = [];
  readonly requestMs: number[] = [];
  readonly healthMs: number[] = [];
  readonly usages: Usage[] = [];
  readonly buildMs: number[] = [];
}

goTest("soak: builds go on while every attack is under way", async () => {
  await using stack = new AsyncDisposableStack();
  const world = await startWorld(stack);
  const { server, attackers } = world;
  const seen = new Observations();
  // From then on everything that is read again comes from the store.
  await build(world, { round: 0, seen });
  await getAll(world, seen);
  assert.deepEqual(seen.errors, []);
  const idle = await usageOf(server.pid);

  await attackers.attack({
    port: Number(new URL(server.url).port),
    certificate: world.certificate,
    password: ATTACKER,
    denied: deniedPaths(),
    largeFile: `/${LARGE}/@v/v1.0.0.zip`,
    fileLimit: FILE_LIMIT,
  });
  const endMs = performance.now() + SECONDS * 1000;
  const during = new Observations();
  await Promise.all([
    repeatUntil(endMs, (round) => build(world, { round: round + 1, seen: during })),
    repeatUntil(endMs, () => getAll(world, during), PROBE_PAUSE_MS),
    repeatUntil(endMs, () => askHealth(world, during), HEALTH_PAUSE_MS),
    repeatUntil(
      endMs,
      async () => void during.usages.push(await usageOf(server.pid)),
      LOOK_PAUSE_MS,
    ),
  ]);
  const { outcomes, asked } = await attackers.stop();

  let calm = idle;
  const stoppedMs = performance.now();
  const isCalm = await eventually("the server to be idle again", async () => {
    calm = await usageOf(server.pid);
    return calm.children === 0 && calm.files <= idle.files + SPARE_FILES &&
      calm.residentBytes <= 1.5 * idle.residentBytes + SPARE_BYTES;
  }, { timeoutMs: CALM_TIMEOUT_MS }).catch(() => false);
  const calmMs = performance.now() - stoppedMs;
  const metrics = await metricsOf(world);
  console.log(summaryOf({ during, idle, calm, calmMs, metrics, outcomes, server }));

  assert.deepEqual(during.errors, []);
  assert.ok(during.buildMs.length > 0, "no build came to its end");
  const p99Ms = percentile(during.requestMs, 0.99);
  assert.ok(p99Ms < MAX_P99_MS, `99 % of the requests took up to ${p99Ms} ms`);
  const healthMs = Math.max(...during.healthMs);
  assert.ok(healthMs < MAX_HEALTH_MS, `/healthz took up to ${healthMs} ms`);
  const resident = Math.max(...during.usages.map(({ residentBytes }) => residentBytes));
  assert.ok(resident < MAX_RESIDENT_BYTES, `the server took ${resident} bytes`);
  assert.ok(
    isCalm,
    `idle: ${JSON.stringify(idle)}, and ${calmMs} ms later: ${JSON.stringify(calm)}`,
  );
  assertNothingLeaked(world, { outcomes, asked });
  assertAttacked(outcomes);
});

async function startWorld(stack: AsyncDisposableStack): Promise<World> {
  const authority = await createAuthority();
  const upstream = stack.use(await startUpstream({ modules: GRAPH.modules }));
  await upstream.addModule({
    path: LARGE,
    version: "v1.0.0",
    files: { "go.mod": `module ${LARGE}\n`, "data.bin": new Uint8Array(randomBytes(LARGE_BYTES)) },
  });
  const git = stack.use(
    await GitServer.start({
      authorize: (_repo, user, password) => user === "bot" && password === GIT_PASSWORD,
    }),
  );
  const lib = await git.createRepo(REPOSITORY);
  const attackersDirectory = await Deno.makeTempDir({ prefix: "soak-attackers-" });
  const attackers = stack.use(new Attackers(git.urlOf(REPOSITORY), attackersDirectory));
  const hostileUrl = await attackers.started();
  const directory = await Deno.makeTempDir({ prefix: "soak-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const { certificate, privateKey } = await authority.issue();
  const attackerHash = await PasswordHash.of(ATTACKER);
  const files = {
    "cert.pem": certificate,
    "key.pem": privateKey,
    "ca.pem": authority.certificate,
    "git-password": GIT_PASSWORD,
    "token-secret": "s".repeat(32),
    "config.yaml": JSON.stringify({
      insecureHosts: [GIT_HOST],
      listen: { tls: { certificate: { file: "cert.pem" }, privateKey: { file: "key.pem" } } },
      privateModules: [{
        pathPrefix: PRIVATE,
        repository: git.urlOf(REPOSITORY),
        auth: { userPassword: { user: "bot", password: { file: "git-password" } } },
      }],
      clientAuth: {
        enabled: true,
        acl: [
          { identities: ["dev"], access: "allow" },
          { access: "deny", modules: [PRIVATE] },
          { access: "allow" },
        ],
        authenticators: { accessToken: { audience: "us", secret: { file: "token-secret" } } },
        identities: [
          { name: "dev", passwordHash: await PasswordHash.of(DEV) },
          { name: "eve", passwordHash: attackerHash },
          { name: "mallory", passwordHash: attackerHash },
        ],
      },
    }),
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${directory}/${name}`, text);
  }
  const server = stack.use(
    await startServer({
      args: ["--config-file", `${directory}/config.yaml`],
      env: {
        GOPROXY: `${upstream.url},${hostileUrl},direct`,
        HTTP_PROXY: hostileUrl,
        NO_PROXY: "127.0.0.1",
      },
      fileLimit: FILE_LIMIT,
      caCertificate: authority.certificate,
    }),
  );
  const { host } = new URL(server.url);
  await Deno.writeTextFile(`${directory}/netrc`, `machine ${host} login dev password ${DEV}\n`);
  return {
    upstream,
    git,
    lib,
    server,
    attackers,
    directory,
    certificate: authority.certificate,
  };
}

async function repeatUntil(
  endMs: number,
  work: (round: number) => Promise<unknown>,
  pauseMs = 0,
): Promise<void> {
  for (let round = 0; performance.now() < endMs; round++) {
    await work(round);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Builds a program with an empty module cache and a private version that nobody has read yet. */
async function build(
  world: World,
  { round, seen }: { round: number; seen: Observations },
): Promise<void> {
  const version = `v1.0.${round}`;
  const lib = { "go.mod": `module ${PRIVATE}\n\ngo 1.21\n`, "lib.go": libOf(round) };
  await world.lib.commit(lib, { tag: version });
  const main = GRAPH.main;
  const startMs = performance.now();
  await using go = await goCommand({
    proxy: world.server.url,
    files: {
      "go.mod": `${main["go.mod"]}\nrequire ${PRIVATE} ${version}\n`,
      "main.go": String(main["main.go"]).replace(
        "func main() {",
        `import lib "${PRIVATE}"\n\nfunc main() { println(lib.Round); `,
      ),
    },
    env: {
      GOFLAGS: "-mod=mod -modcacherw",
      // Compiled packages are no concern of the server's.
      GOCACHE: `${world.directory}/gocache`,
      NETRC: `${world.directory}/netrc`,
      SSL_CERT_FILE: `${world.directory}/ca.pem`,
    },
  });
  const steps = [
    ["mod", "download", "all"],
    ["build", "-o", "program", "."],
    ["list", "-m", "-versions", PRIVATE],
  ];
  for (const args of steps) await run(go, args, seen);
  seen.buildMs.push(performance.now() - startMs);
}

function libOf(round: number): string {
  return `package lib\n\n// Round says which build it is of.\nconst Round = ${round}\n`;
}

async function run(go: GoCommand, args: readonly string[], seen: Observations): Promise<void> {
  const failed = (error: unknown) => ({ code: -1, stderr: String(error) });
  const { code, stderr } = await go.run(args, { deadlineMs: GO_TIMEOUT_MS }).catch(failed);
  if (code !== 0) seen.errors.push(`go ${args.join(" ")}: ${stderr.slice(0, MAX_ERROR_CHARS)}`);
}

/** What the good client reads besides: by one connection, or as few as the server lets it have. */
async function getAll(world: World, seen: Observations): Promise<void> {
  using client = Deno.createHttpClient({ caCerts: [world.certificate] });
  const paths = [{ path: PRIVATE, version: "v1.0.0" }, ...GRAPH.modules.slice(0, 3)]
    .flatMap(({ path, version }) => {
      const escaped = path.replace(/[A-Z]/g, (capital) => `!${capital.toLowerCase()}`);
      const file = `${escaped}/@v/${version.replace("RC", "!r!c")}`;
      return [`${escaped}/@v/list`, `${escaped}/@latest`, ...EXTENSIONS.map((e) => file + e)];
    });
  for (const path of paths) {
    const startMs = performance.now();
    try {
      const { status, body } = await get(world, path, client);
      if (status !== 200) seen.errors.push(`/${path}: ${status} ${body}`);
    } catch (error) {
      seen.errors.push(`/${path}: ${describeError(error)}`);
    }
    seen.requestMs.push(performance.now() - startMs);
  }
}

const EXTENSIONS = [".info", ".mod", ".zip"];

async function askHealth(world: World, seen: Observations): Promise<void> {
  using client = Deno.createHttpClient({ caCerts: [world.certificate] });
  const startMs = performance.now();
  try {
    const { status } = await get(world, "healthz", client);
    if (status !== 200) seen.errors.push(`/healthz: ${status}`);
  } catch (error) {
    seen.errors.push(`/healthz: ${describeError(error)}`);
  }
  seen.healthMs.push(performance.now() - startMs);
}

async function get({ server }: World, path: string, client: Deno.HttpClient) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(new Error("no answer in time")), PATIENCE_MS);
  try {
    const response = await fetch(`${server.url}/${path}`, {
      client,
      signal: patience.signal,
      headers: { Authorization: `Basic ${btoa(`dev:${DEV}`)}` },
    });
    return { status: response.status, body: await response.text() };
  } finally {
    clearTimeout(timer);
  }
}

async function metricsOf(world: World): Promise<string> {
  using client = Deno.createHttpClient({ caCerts: [world.certificate] });
  return (await get(world, "metrics", client)).body;
}

/** The private module by its names, and by names that lead to the same repository. */
function deniedPaths(): string[] {
  const names = [
    PRIVATE,
    `${PRIVATE}.git`,
    `${PRIVATE}.git.git`,
    `${PRIVATE}.hg/sub`,
    PRIVATE.replace("team/lib", "!team/!lib"),
    PRIVATE.replace("team/lib", "team/!lib.git"),
    `${PRIVATE}/sub`,
    `${PRIVATE}/v2`,
  ];
  return names.flatMap((name) => {
    const version = name.endsWith("/v2") ? "v2.0.0" : "v1.0.0";
    return [
      `/${name}/@v/list`,
      `/${name}/@latest`,
      `/${name}/@v/${version}.info`,
      `/${name}/@v/${version}.zip`,
      `/explain/${name}@${version}`,
    ];
  });
}

/** The attackers' process. */
class Attackers implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #reports: AsyncGenerator<string>;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #directory: string;

  /** @param internalUrl a repository that only the server may reach */
  constructor(internalUrl: string, directory: string) {
    this.#directory = directory;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--frozen", "--lock=dev.lock", "--allow-read", "--allow-write"],
        ...["--allow-net=127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4", "--allow-env", "--allow-run"],
        new URL("attack_process.ts", import.meta.url).href,
        internalUrl,
      ],
      cwd: new URL("../..", import.meta.url),
      // Its repositories are removed when it has been killed, too.
      env: { TMPDIR: directory },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#orders = this.#process.stdin.getWriter();
    this.#reports = linesOf(this.#process.stdout);
  }

  /** @returns the URL of their servers */
  async started(): Promise<string> {
    const report = await this.#report("started");
    assert.ok(report.kind === "started");
    return report.url;
  }

  async attack(target: Extract<Order, { kind: "attack" }>["target"]): Promise<void> {
    await this.#order({ kind: "attack", target });
  }

  /** Returns when the process has ended, and with it all of its connections. */
  async stop(): Promise<Extract<Report, { kind: "stopped" }>> {
    await this.#order({ kind: "stop" });
    const report = await this.#report("stopped");
    assert.ok(report.kind === "stopped");
    await within("the end of the attackers", this.#process.status);
    return report;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#process);
    await this.#process.status;
    await this.#reports.return(undefined);
    // It fails where the process has ended, with which the pipe ends as well.
    await this.#orders.close().catch(() => {});
    await Deno.remove(this.#directory, { recursive: true });
  }

  async #report(what: string): Promise<Report> {
    const { value } = await within(`attackers that have ${what}`, this.#reports.next(), {
      timeoutMs: 60_000,
    });
    if (value === undefined) throw new Error("The attackers' process has ended");
    return JSON.parse(value);
  }

  async #order(order: Order): Promise<void> {
    await this.#orders.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
  }
}

function assertNothingLeaked(
  { upstream }: World,
  { outcomes, asked }: { outcomes: Outcomes; asked: readonly string[] },
): void {
  const paths = [...upstream.requests.map(({ path }) => path), ...asked];
  assert.deepEqual(paths.filter((path) => /team|private\.example/i.test(path)), []);
  for (const attack of ["denied repository", "internal-page", "wrong password", "wrong log-in"]) {
    assert.equal(outcomes[attack]?.[200] ?? 0, 0, attack);
  }
}

/** Otherwise it would prove nothing. */
function assertAttacked(outcomes: Outcomes): void {
  const silent = Object.entries(outcomes).filter(([, counts]) =>
    Object.keys(counts).every((outcome) => outcome === "broken")
  );
  assert.deepEqual(silent, []);
  assert.ok((outcomes["denied repository"]?.[403] ?? 0) > 0);
  assert.ok((outcomes["idle connection"]?.["closed"] ?? 0) > 0);
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

interface Results {
  readonly during: Observations;
  readonly idle: Usage;
  readonly calm: Usage;
  readonly calmMs: number;
  readonly metrics: string;
  readonly outcomes: Outcomes;
  readonly server: Server;
}

function summaryOf({ during, idle, calm, calmMs, metrics, outcomes, server }: Results): string {
  const { requestMs, healthMs, buildMs, usages, errors } = during;
  const times = (values: readonly number[]) =>
    [0.5, 0.99, 1].map((part) => `${Math.round(percentile(values, part))}`).join(" / ");
  const peak = (of: (usage: Usage) => number) => Math.max(...usages.map(of));
  const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;
  const usage = ({ residentBytes, files, children }: Usage) =>
    `${mib(residentBytes)}, ${files} files, ${children} child processes`;
  const blocksMs = server.logs.filter(({ msg }) => msg === "the event loop was blocked")
    .map(({ ms }) => ms);
  const rows = [
    ["attacked", `${SECONDS} s, tolerance ${TOLERANCE}`],
    ["good client: errors", `${errors.length}`],
    ["good client: builds, ms p50 / p99 / max", `${buildMs.length}, ${times(buildMs)}`],
    ["good client: requests, ms p50 / p99 / max", `${requestMs.length}, ${times(requestMs)}`],
    ["/healthz: requests, ms p50 / p99 / max", `${healthMs.length}, ${times(healthMs)}`],
    ["server: idle before", usage(idle)],
    [
      "server: peaks",
      usage({
        residentBytes: peak(({ residentBytes }) => residentBytes),
        files: peak(({ files }) => files),
        children: peak(({ children }) => children),
      }),
    ],
    ["server: afterwards", `${usage(calm)}, after ${Math.round(calmMs)} ms`],
    ...[...metrics.matchAll(/^gomodproxy_((?:connections_closed|limited)\S*) (\d+)$/gm)]
      .map(([, name = "", value = ""]) => [name, value]),
    ["server: blocks of the event loop, ms", blocksMs.join(", ")],
    ...countsOf(
      server.logs.filter(({ level }) => level !== "info").map(({ level, msg }) =>
        `${level}: ${msg}`
      ),
    ).map(([line, count]) => [`log: ${line}`, `×${count}`]),
    ...countsOf(during.errors.map((error) => error.replace(/\s+/g, " ").slice(0, 300)))
      .map(([error, count]) => [`ERROR ×${count}`, error]),
    ...Object.entries(outcomes).toSorted().map(([attack, counts]) => [
      `attack: ${attack}`,
      Object.entries(counts).map(([outcome, count]) => `${outcome} ×${count}`).join(", "),
    ]),
  ];
  const width = Math.max(...rows.map(([name = ""]) => name.length));
  return rows.map(([name = "", value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

function countsOf(values: readonly string[]): [value: string, count: number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts];
}
