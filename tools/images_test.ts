import assert from "node:assert/strict";
import deno from "../deno.json" with { type: "json" };
import { runCommand } from "../tests/support/run_command.ts";
import { baseImages, pinImages } from "./images.ts";

const OLD = `sha256:${"0".repeat(64)}`;
const NEW = `sha256:${"a".repeat(64)}`;
const DOCKERFILE = `ARG A_IMAGE=node:24-trixie-slim
ARG B_IMAGE=registry.example.com:5000/debian:13-slim@${OLD}
FROM \${A_IMAGE} AS a
FROM \${B_IMAGE}
`;
const PINNED = `ARG A_IMAGE=node:24-trixie-slim@${NEW}
ARG B_IMAGE=registry.example.com:5000/debian:13-slim@${NEW}
FROM \${A_IMAGE} AS a
FROM \${B_IMAGE}
`;

Deno.test("baseImages() reads the build arguments", () => {
  assert.deepEqual(baseImages(DOCKERFILE), [
    { argument: "A_IMAGE", tagged: "node:24-trixie-slim", digest: null },
    { argument: "B_IMAGE", tagged: "registry.example.com:5000/debian:13-slim", digest: OLD },
  ]);
});

Deno.test("baseImages() refuses images that cannot be pinned", async (t) => {
  const rows = [
    { input: "ARG A_IMAGE=debian\n", message: /"debian" has no tag/ },
    { input: "ARG A_IMAGE=example.com:5000/debian\n", message: /has no tag/ },
    { input: "ARG A_IMAGE=debian:13@sha256:12\n", message: /"sha256:12" is not a digest/ },
    { input: "FROM debian:13\n", message: /no argument has the name of "FROM debian:13"/ },
    { input: "FROM ${A_IMAGE}\n", message: /no argument/ },
  ];
  for (const { input, message } of rows) {
    await t.step(input.trim(), () => assert.throws(() => baseImages(input), { message }));
  }
});

Deno.test("pinImages() asks for tags, and replaces older digests", async () => {
  const asked: string[] = [];
  const pinned = await pinImages(DOCKERFILE, (tagged) => {
    asked.push(tagged);
    return Promise.resolve(NEW);
  });
  assert.equal(pinned, PINNED);
  assert.deepEqual(asked, ["node:24-trixie-slim", "registry.example.com:5000/debian:13-slim"]);
  await assert.rejects(pinImages(DOCKERFILE, () => Promise.resolve("undefined")), {
    message: 'Cannot pin node:24-trixie-slim: "undefined" is not a digest',
  });
});

/** Runs the task in a folder with this Dockerfile, and a `docker` that runs this shell script. */
async function runTask(command: string, { dockerfile, docker }: {
  dockerfile: string;
  docker: string;
}): Promise<{ code: number; stderr: string; after: string }> {
  const root = new URL("..", import.meta.url).pathname;
  const directory = await Deno.makeTempDir({ prefix: "images-" });
  try {
    for (const name of ["deno.json", "deno.lock", "tools"]) {
      await Deno.symlink(`${root}/${name}`, `${directory}/${name}`);
    }
    await Deno.writeTextFile(`${directory}/Dockerfile`, dockerfile);
    await Deno.mkdir(`${directory}/bin`);
    await Deno.writeTextFile(`${directory}/bin/docker`, `#!/bin/sh\n${docker}\n`, { mode: 0o755 });
    const { code, stderr } = await runCommand("sh", {
      args: ["-c", `${deno.tasks.images} ${command}`],
      cwd: directory,
      env: { PATH: `${directory}/bin:${Deno.env.get("PATH")}`, NO_COLOR: "1" },
    });
    return { code, stderr, after: await Deno.readTextFile(`${directory}/Dockerfile`) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("deno task images pin writes what docker says, and check is content with it", async () => {
  const docker = `test "$*" != "\${*#buildx imagetools inspect --format}" || exit 9
echo '{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"${NEW}","size":1}'`;
  const { code, stderr, after } = await runTask("pin", { dockerfile: DOCKERFILE, docker });
  assert.equal(code, 0, stderr);
  assert.equal(after, PINNED);
  const checked = await runTask("check", { dockerfile: PINNED, docker: "exit 9" });
  assert.equal(checked.code, 0, checked.stderr);
});

Deno.test("deno task images pin leaves the Dockerfile when docker fails", async () => {
  const { code, stderr, after } = await runTask("pin", {
    dockerfile: DOCKERFILE,
    docker: "echo unreachable >&2; exit 1",
  });
  assert.equal(code, 1);
  assert.match(stderr, /unreachable/);
  assert.match(stderr, /Cannot ask the registry for node:24-trixie-slim: docker failed/);
  assert.equal(after, DOCKERFILE);
});

Deno.test("deno task images check names what is not pinned", async () => {
  const { code, stderr } = await runTask("check", { dockerfile: DOCKERFILE, docker: "exit 9" });
  assert.equal(code, 1);
  assert.match(stderr, /node:24-trixie-slim is not pinned by its digest/);
  assert.doesNotMatch(stderr, /13-slim is not/);
});
