/**
 * The container image, as far as it can be checked without a container engine: the Dockerfile is
 * well-formed and says what it should, what it copies is all that the program needs, and its start
 * script agrees with the `start` task.
 */
import assert from "node:assert/strict";
import { DockerfileParser } from "dockerfile-ast";
import { validate } from "dockerfile-utils";
import deno from "../deno.json" with { type: "json" };
import { runProgram, startFlags, startServer, startTask } from "./worlds/server.ts";
import { runCommand } from "./support/run_command.ts";
import { baseImages } from "../tools/images.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const TEXT = await Deno.readTextFile(`${ROOT}/Dockerfile`);
const DOCKERFILE = DockerfileParser.parse(TEXT);
const SCRIPT = await Deno.readTextFile(`${ROOT}/deploy/container/go-mod-proxy`);

/** The arguments of each instruction with this keyword, in order. */
function instructions(keyword: string): string[][] {
  return DOCKERFILE.getInstructions()
    .filter((instruction) => instruction.getKeyword() === keyword)
    .map((instruction) => instruction.getArguments().map((argument) => argument.getValue()));
}

/** What is copied from the build context and not from another stage. */
function copiedFromContext(): { sources: string[]; target: string }[] {
  return DOCKERFILE.getCOPYs().filter((copy) => copy.getFromFlag() === null).map((copy) => {
    const names = copy.getArguments().map((argument) => argument.getValue());
    return { sources: names.slice(0, -1), target: names.at(-1) ?? "" };
  });
}

Deno.test("the linter finds nothing in the Dockerfile, and something in a bad one", () => {
  assert.deepEqual(validate(TEXT).map(({ message }) => message), []);
  assert.notDeepEqual(validate(TEXT.replace("USER", "USERS")), []);
});

Deno.test("the base images are named by version", () => {
  assert.equal(DOCKERFILE.getFROMs().length, 2);
  const images = baseImages(TEXT);
  assert.equal(images.length, 2);
  for (const { tagged } of images) assert.match(tagged, /:\d+/);
});

Deno.test("the image runs as a numeric non-root user", () => {
  assert.deepEqual(instructions("USER"), [["65532:65532"]]);
  const after = TEXT.slice(TEXT.indexOf("\nUSER"));
  assert.doesNotMatch(after, /^(RUN|COPY|ADD)/m);
});

Deno.test("the image has this version, and the Deno that the README and the gate name", async () => {
  const version = deno.version.replaceAll(".", "\\.");
  assert.match(TEXT, new RegExp(`image\\.version="${version}"`));
  const wanted = /npm install --global --ignore-scripts (deno@\d+\.\d+\.\d+) /.exec(TEXT)?.[1];
  assert.ok(wanted !== undefined);
  for (const file of ["README.md", ".ci/run"]) {
    const named = (await Deno.readTextFile(`${ROOT}/${file}`)).match(/deno@[\d.]+/g);
    assert.deepEqual([...new Set(named)], [wanted], file);
  }
});

Deno.test("the build context has what is copied, and nothing else", async () => {
  const lines = (await Deno.readTextFile(`${ROOT}/.dockerignore`)).split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const copied = copiedFromContext().flatMap(({ sources }) => sources);
  assert.deepEqual(lines, ["*", ...copied.map((source) => `!${source}`), "**/*_test.ts"]);
  for (const source of copied) await Deno.stat(`${ROOT}/${source}`);
});

Deno.test("the copied files are the whole program", async () => {
  const image = await Deno.makeTempDir({ prefix: "image-" });
  try {
    for (const { sources, target } of copiedFromContext()) {
      // Files outside the working directory are not part of the program.
      if (target.startsWith("/")) continue;
      for (const source of sources) await copyWithoutTests(source, `${image}/${source}`);
    }
    const { stdout } = await runCommand(Deno.execPath(), {
      args: ["info", "--json", `${image}/main.ts`],
    });
    const { modules }: { modules: { specifier: string; error?: string }[] } = JSON.parse(stdout);
    assert.ok(modules.some(({ specifier }) => specifier.endsWith("/server/server.ts")));
    assert.deepEqual(modules.filter(({ error }) => error !== undefined), []);
  } finally {
    await Deno.remove(image, { recursive: true });
  }
});

Deno.test("the start script gives the permissions of the start task, and takes no package from elsewhere", async () => {
  const command = SCRIPT.replaceAll("\\\n", " ").split("\n").find((line) =>
    line.startsWith("exec")
  );
  assert.deepEqual(command?.trim().split(/\s+/), [
    "exec",
    "deno",
    "run",
    "--quiet",
    "--cached-only",
    ...await startFlags(),
    "/opt/go-mod-proxy/main.ts",
    '"$@"',
  ]);
  assert.deepEqual(instructions("WORKDIR")[0], ["/opt/go-mod-proxy"]);
});

Deno.test("the image sets the variables of the start task", async () => {
  const variables = instructions("ENV").flat();
  for (const [name, value] of Object.entries((await startTask()).env)) {
    assert.ok(variables.includes(`${name}=${value}`), name);
  }
});

Deno.test("the start script leaves no core dumps, which could hold secrets", async () => {
  // Where the limit is 0 already, the shell below proves nothing.
  assert.match(SCRIPT, /^ulimit -c 0$[^]*^exec/m);
  const { code, stdout, stderr } = await runCommand("sh", {
    args: ["-c", SCRIPT.replace(/^exec[^]*$/m, "ulimit -c; ulimit -H -c")],
  });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "0\n0\n");
});

Deno.test("the start script is executable", async () => {
  assert.equal(
    ((await Deno.stat(`${ROOT}/deploy/container/go-mod-proxy`)).mode ?? 0) & 0o111,
    0o111,
  );
});

Deno.test("the image starts a server, and checks its health", () => {
  assert.equal(instructions("ENTRYPOINT")[0]?.join(" "), '["tini", "--", "go-mod-proxy"]');
  assert.equal(instructions("CMD")[0]?.join(" "), '["serve", "--host", "0.0.0.0"]');
  const [healthCheck] = instructions("HEALTHCHECK");
  assert.match(healthCheck?.join(" ") ?? "", /\["go-mod-proxy", "healthcheck"\]$/);
});

Deno.test("healthcheck asks the server itself, whatever HTTP_PROXY says", async () => {
  await using server = await startServer({ env: { GOPROXY: "off" } });
  const port = new URL(server.url).port;
  const env = { PORT: port, HTTP_PROXY: "http://127.0.0.1:1" };
  assert.deepEqual(await runProgram(["healthcheck"], { env }), { code: 0, stdout: "", stderr: "" });
  await server.kill("SIGTERM");
  const { code, stderr } = await runProgram(["healthcheck"], { env });
  assert.equal(code, 1);
  assert.match(stderr, /^error: Cannot reach http:\/\/127\.0\.0\.1:\d+\/healthz: .*refused/i);
});

async function copyWithoutTests(from: string, to: string): Promise<void> {
  const source = `${ROOT}/${from}`;
  if ((await Deno.stat(source)).isFile) return await Deno.copyFile(source, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(source)) {
    if (!name.endsWith("_test.ts")) await copyWithoutTests(`${from}/${name}`, `${to}/${name}`);
  }
}
