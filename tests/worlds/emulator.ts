/**
 * Real servers of object storage on this machine: fake-gcs-server for Google Cloud Storage,
 * versitygw for S3. They are programs of their own, which tools/install_emulators builds. Each test
 * starts one, on a port that was free, and ends it.
 *
 * A program is looked for where its environment variable says (FAKE_GCS_SERVER, VERSITYGW), where
 * tools/install_emulators puts it, and in PATH. Without it the tests say SKIP, and fail with
 * `CI=true`.
 */
import { join } from "node:path";
import pRetry from "p-retry";
import { withDeadline } from "../../lib/async/deadline.ts";

export interface Emulator extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** Of its process. */
  readonly pid: number;
}

export interface EmulatorProgram {
  readonly name: string;
  readonly envVar: string;
}

export const FAKE_GCS_SERVER: EmulatorProgram = {
  name: "fake-gcs-server",
  envVar: "FAKE_GCS_SERVER",
};
export const VERSITYGW: EmulatorProgram = { name: "versitygw", envVar: "VERSITYGW" };

/** The one account of the S3 server. */
export const S3_ACCOUNT = { accessKeyId: "tester", secretAccessKey: "not-a-secret" };
export const S3_REGION = "us-east-1";

const START_TIMEOUT_MS = 30_000;
/** Another process may take the port before the program does. */
const MAX_STARTS = 3;

/** Registers the tests that need `program`, which they are given the path of. */
export function emulatorTests(program: EmulatorProgram, register: (path: string) => void): void {
  const path = findEmulator(program);
  if (path !== null) return register(path);
  const name = `the tests that need ${program.name}`;
  const reason =
    `${program.name} is missing; run tools/install_emulators, or set ${program.envVar}`;
  if (Deno.env.get("CI") === "true") {
    Deno.test(name, () => {
      throw new Error(`Cannot run ${name}: ${reason}`);
    });
  } else {
    Deno.test.ignore(`${name} (SKIP: ${reason})`, () => {});
  }
}

/** Google Cloud Storage in memory, with one empty bucket. */
export async function startGcs(path: string, bucket: string): Promise<Emulator> {
  const emulator = await start((port) => ({
    path,
    args: ["-backend", "memory", "-scheme", "http", "-log-level", "error"]
      .concat(["-host", "127.0.0.1", "-port", `${port}`]),
  }));
  const response = await fetch(`${emulator.url}/storage/v1/b?project=test`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name: bucket }),
    signal: AbortSignal.timeout(START_TIMEOUT_MS),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`Cannot make bucket "${bucket}": ${response.status}`);
  return emulator;
}

/** An S3 server over a directory, with one empty bucket. */
export async function startS3(path: string, bucket: string): Promise<Emulator> {
  const root = await Deno.makeTempDir({ prefix: "s3-" });
  await Deno.mkdir(join(root, bucket));
  const emulator = await start((port) => ({
    path,
    args: ["--port", `127.0.0.1:${port}`, "--quiet", "--keep-alive", "posix", root],
    env: {
      ROOT_ACCESS_KEY_ID: S3_ACCOUNT.accessKeyId,
      ROOT_SECRET_ACCESS_KEY: S3_ACCOUNT.secretAccessKey,
    },
  }));
  return {
    url: emulator.url,
    pid: emulator.pid,
    async [Symbol.asyncDispose]() {
      await emulator[Symbol.asyncDispose]();
      await Deno.remove(root, { recursive: true });
    },
  };
}

/** How a program is started that listens on a port. */
export interface Start {
  readonly path: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a program on a port that was free, and waits until it listens. */
export async function start(
  plan: (port: number) => Start | Promise<Start>,
): Promise<Emulator> {
  return await pRetry(async () => {
    const port = freePort();
    const { path, args, env = {} } = await plan(port);
    const child = new Deno.Command(path, {
      args: [...args],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const end = async () => {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        // It has already ended.
        if (!(error instanceof TypeError)) throw error;
      }
      await child.status;
    };
    const ended = child.status.then(() => {
      throw new Error(`Cannot start ${path}: it ended at once`);
    });
    ended.catch(() => {});
    try {
      await withDeadline((signal) => Promise.race([untilListening(port, signal), ended]), {
        timeoutMs: START_TIMEOUT_MS,
        what: `start ${path}`,
      });
    } catch (error) {
      await end();
      throw error;
    }
    return { url: `http://127.0.0.1:${port}`, pid: child.pid, [Symbol.asyncDispose]: end };
  }, { retries: MAX_STARTS - 1, minTimeout: 0 });
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function untilListening(port: number, signal: AbortSignal): Promise<void> {
  await pRetry(async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch (cause) {
      throw new Error(`Cannot connect to port ${port}`, { cause });
    }
  }, { retries: 1000, minTimeout: 30, factor: 1, signal });
}

/** Null where it is not installed. */
export function findEmulator({ name, envVar }: EmulatorProgram): string | null {
  const set = Deno.env.get(envVar);
  if (set !== undefined) return set;
  const home = Deno.env.get("HOME") ?? "";
  const folders = [
    join(home, ".cache/go-mod-proxy-tools/bin"),
    ...(Deno.env.get("PATH") ?? "").split(":"),
  ];
  return folders.map((folder) => join(folder, name)).find(isFile) ?? null;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}
