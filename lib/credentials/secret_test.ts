import assert from "node:assert/strict";
import { describeError } from "../errors.ts";
import {
  MAX_SECRET_BYTES,
  readSecret,
  readSecretLine,
  type Secret,
  SecretError,
} from "./secret.ts";

class Directory implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync();
  readonly places = {
    directory: this.path,
    env: (name: string) => new Map([["TOKEN", "from-env\n"], ["EMPTY", "\n"]]).get(name),
  };

  async write(name: string, content: string | Uint8Array): Promise<void> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${this.path}/${name}`, bytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

Deno.test("readSecret() reads a file, a variable or the text itself", async (t) => {
  await using directory = new Directory();
  await directory.write("token", "from-file\r\n\n");
  await directory.write("padded", " a\nb ");
  const rows: { input: Secret; want: string }[] = [
    { input: { file: "token" }, want: "from-file" },
    { input: { file: "./sub/../token" }, want: "from-file" },
    { input: { file: `${directory.path}/token` }, want: "from-file" },
    { input: { file: "padded" }, want: " a\nb " },
    { input: { envVar: "TOKEN" }, want: "from-env" },
    { input: "plain\n", want: "plain" },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), async () => {
      assert.equal(await readSecret(input, directory.places), want);
    });
  }
});

Deno.test("readSecret() sees a new content of the file", async () => {
  await using directory = new Directory();
  for (const token of ["first", "second"]) {
    await directory.write("token", token);
    assert.equal(await readSecret({ file: "token" }, directory.places), token);
  }
});

Deno.test("readSecret() says where a secret is missing, and nothing of its content", async (t) => {
  await using directory = new Directory();
  await directory.write("empty", "\n");
  await directory.write("large", "PLANTED".padEnd(MAX_SECRET_BYTES + 1, "."));
  await directory.write("binary", new Uint8Array([...new TextEncoder().encode("PLANTED"), 0xff]));
  const rows: { input: Secret; want: RegExp }[] = [
    { input: { file: "absent" }, want: /file "absent": No such file/ },
    { input: { file: "." }, want: /file "\.": not a regular file$/ },
    { input: { file: "/dev/zero" }, want: /file "\/dev\/zero": not a regular file$/ },
    { input: { file: "empty" }, want: /file "empty": it is empty$/ },
    { input: { file: "large" }, want: /larger than 262144 bytes$/ },
    { input: { file: "binary" }, want: /not UTF-8 text: / },
    { input: { envVar: "ABSENT" }, want: /variable "ABSENT": the variable is not set$/ },
    { input: { envVar: "EMPTY" }, want: /variable "EMPTY": it is empty$/ },
    { input: "", want: /in the configuration: it is empty$/ },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), async () => {
      await assert.rejects(readSecret(input, directory.places), (error) => {
        assert.ok(error instanceof SecretError);
        assert.match(describeError(error), want);
        assert.doesNotMatch(describeError(error), /PLANTED/);
        return true;
      });
    });
  }
});

Deno.test("readSecretLine() refuses what would not stay on its line", async (t) => {
  await using directory = new Directory();
  for (
    const secret of ["PLANTED\nhost=evil.example.com", "PLANTED\0", "PLANTED\r\nx", "\tPLANTED"]
  ) {
    await t.step(JSON.stringify(secret), async () => {
      await assert.rejects(readSecretLine(secret, directory.places), (error) => {
        assert.ok(error instanceof SecretError);
        assert.match(error.message, /control character or more than one line$/);
        assert.doesNotMatch(error.message, /PLANTED/);
        return true;
      });
    });
  }
  assert.equal(
    await readSecretLine("pässword with spaces \n", directory.places),
    "pässword with spaces ",
  );
});
