import assert from "node:assert/strict";
import { ConfigError } from "../errors.ts";
import { createLogger } from "../log/log.ts";
import { parseRevoked, Revocations } from "./revocations.ts";

const token = (id: string | null, issuedMs: number | null = null) => ({ id, issuedMs });

Deno.test("parseRevoked() reads ids, identities with a time, and comments", () => {
  const { ids, beforeMs } = parseRevoked(
    "# stolen\r\n\r\n  a-b_c.1  \nidentity:two words before 2026-01-02T03:04:05+01:00\n" +
      "identity:ci before 2026-01-01T00:00:00Z\nidentity:ci before 2025-01-01T00:00:00Z\n#x",
  );
  assert.deepEqual([...ids], ["a-b_c.1"]);
  assert.deepEqual([...beforeMs], [
    ["two words", Date.UTC(2026, 0, 2, 2, 4, 5)],
    ["ci", Date.UTC(2026, 0, 1)],
  ]);
});

Deno.test("parseRevoked() names the line that it does not understand", async (t) => {
  const rows = [
    { line: "two ids", want: /^line 2: there is a space in it/ },
    { line: "identity:ci", want: /^line 2: it is not of the form identity:NAME before TIME/ },
    { line: "identity:ci before yesterday", want: /^line 2: "yesterday" is not a time/ },
    { line: "identity:ci before 2026-01-01", want: /is not a time/ },
    { line: "identity:ci before 2026-13-01T00:00:00Z", want: /is not a time/ },
    { line: "identity: before 2026-01-01T00:00:00Z", want: /is not of the form/ },
    { line: "x".repeat(513), want: /^line 2: it is too long/ },
  ];
  for (const { line, want } of rows) {
    await t.step(line.slice(0, 40), () => {
      assert.throws(() => parseRevoked(`id\n${line}\n`), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, want);
        return true;
      });
    });
  }
});

Deno.test("Revocations refuse tokens by their id, and those of an identity before a time", async () => {
  await withFile("stolen\nidentity:ci before 2026-01-01T00:00:00Z\n", ({ revocations }) => {
    const newYear = Date.UTC(2026, 0, 1);
    const isRevoked = (identity: string, proven?: ReturnType<typeof token>) =>
      revocations.isRevoked({ identity, token: proven });
    assert.equal(isRevoked("ops", token("stolen", newYear)), true);
    assert.equal(isRevoked("ops", token("other", 0)), false);
    assert.equal(isRevoked("ci", token("other", newYear - 1)), true);
    assert.equal(isRevoked("ci", token("other", newYear)), false);
    assert.equal(isRevoked("ci", token("other", null)), true, "it does not say when");
    assert.equal(isRevoked("ci", token(null, newYear)), false);
    assert.equal(isRevoked("ci"), false, "a password");
  });
});

Deno.test("Revocations read a file that has changed, and keep the last good one", async () => {
  await withFile("first\n", async ({ revocations, file, log }) => {
    const isRevoked = (id: string) => revocations.isRevoked({ identity: "ci", token: token(id) });
    await revocations.check();
    assert.equal(log.length, 0, "nothing has changed");
    await Deno.writeTextFile(file, "first\nsecond\n");
    await revocations.check();
    assert.deepEqual([isRevoked("first"), isRevoked("second")], [true, true]);

    await Deno.writeTextFile(file, "no id\n");
    await revocations.check();
    await revocations.check();
    await Deno.remove(file);
    await revocations.check();
    assert.deepEqual([isRevoked("first"), isRevoked("second")], [true, true]);
    const errors = log.filter(({ level }) => level === "error");
    assert.equal(errors.length, 2, "each fault once");
    assert.match(String(errors[0]?.["error"]), /line 1: there is a space/);

    // By rename, as configuration management does it.
    await Deno.writeTextFile(`${file}.new`, "second\n");
    await Deno.rename(`${file}.new`, file);
    await revocations.check();
    assert.deepEqual([isRevoked("first"), isRevoked("second")], [false, true]);
  });
});

Deno.test("Revocations.open() refuses a file that cannot be used", async () => {
  const log = createLogger("error", { write: () => {} });
  await assert.rejects(Revocations.open({ file: "/nonexistent/revoked", log }), ConfigError);
  const directory = await Deno.makeTempDir({ prefix: "revoked-" });
  try {
    await assert.rejects(Revocations.open({ file: directory, log }), /not a regular file/);
  } finally {
    await Deno.remove(directory);
  }
});

interface World {
  readonly revocations: Revocations;
  readonly file: string;
  readonly log: readonly Record<string, unknown>[];
}

async function withFile(text: string, work: (world: World) => Promise<void> | void): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "revoked-" });
  try {
    const file = `${directory}/revoked`;
    await Deno.writeTextFile(file, text);
    const log: Record<string, unknown>[] = [];
    using revocations = await Revocations.open({
      file,
      log: createLogger("info", { write: (line) => void log.push(JSON.parse(line)) }),
      // The tests look themselves.
      checkMs: 60_000,
    });
    await work({ revocations, file, log });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
