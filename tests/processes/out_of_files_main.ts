/**
 * Takes all files that this process may have, tries to start git and to use a store on the disk,
 * gives the files back, and tries again. Prints what came of it as JSON: for each trial the meaning
 * of its failure, or "ok".
 */
import { Semaphore } from "../../lib/async/semaphore.ts";
import { meaningOf } from "../../lib/errors.ts";
import { Git } from "../../lib/git/command.ts";
import { DiskStore } from "../../lib/store/disk.ts";
import { bytesContent } from "../../lib/store/object_store.ts";

const [directory = ""] = Deno.args;
const KEY = "m1/example.com/m/@v/v1.0.0";

await using git = new Git({
  environment: { path: Deno.env.get("PATH") ?? "" },
  emptyDirectory: directory,
  processes: new Semaphore({ what: "start git", permits: 1, maxWaiting: 9, maxWaitMs: 10_000 }),
});
const store = await DiskStore.open({ path: `${directory}/store` });
await store.create(KEY, bytesContent(new TextEncoder().encode("object")));

const TRIALS: Readonly<Record<string, () => Promise<unknown>>> = {
  git: () => git.run(["--version"], { what: "ask git", timeoutMs: 10_000, maxOutputBytes: 1000 }),
  get: async () => await (await store.get(KEY))?.body.cancel(),
  create: () => store.create(`${KEY}-next`, bytesContent(new TextEncoder().encode("object"))),
  list: () => store.list("m1/example.com/m/@v"),
};

async function tryAll(): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = {};
  for (const [name, trial] of Object.entries(TRIALS)) {
    outcomes[name] = await trial().then(() => "ok", meaningOf);
  }
  return outcomes;
}

function takeAllFiles(): Disposable {
  const files: Deno.FsFile[] = [];
  try {
    for (;;) files.push(Deno.openSync(`${directory}/store/${KEY}`));
  } catch {
    // There are none left.
  }
  return { [Symbol.dispose]: () => files.forEach((file) => file.close()) };
}

async function tryWithoutFiles(): Promise<Record<string, string>> {
  using _files = takeAllFiles();
  return await tryAll();
}

console.log(JSON.stringify({ without: await tryWithoutFiles(), after: await tryAll() }));
