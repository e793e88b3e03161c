import assert from "node:assert/strict";
import fc from "fast-check";
import { parseModulePath } from "../module/path.ts";
import { parseVersion } from "../module/version.ts";
import { UnverifiedError } from "./errors.ts";
import { hashRecord } from "./merkle.ts";
import { joinRecords, MAX_RECORD_BYTES, readRecord, splitRecords } from "./record.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const path = parseModulePath("example.com/m");
const MODULE = { path, version: parseVersion(path, "v1.0.0") };
const ZIP = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const GO_MOD = "h1:fpu2YBs8Cn+uPELS7pdczZmF9hlK1PibTkwahffYMfo=";
const TEXT = `example.com/m v1.0.0 ${ZIP}\nexample.com/m v1.0.0/go.mod ${GO_MOD}\n`;

Deno.test("readRecord() reads number, hashes and what follows", () => {
  const { record, rest } = readRecord(encode(`1234\n${TEXT}\nthe rest\n\nof it`), MODULE);
  assert.equal(record.id, 1234);
  assert.deepEqual([record.zipH1, record.goModH1], [ZIP, GO_MOD]);
  assert.deepEqual(record.hash, hashRecord(encode(TEXT)));
  assert.equal(decode(record.bytes), `1234\n${TEXT}\n`);
  assert.equal(decode(rest), "the rest\n\nof it");
});

Deno.test("readRecord() leaves other lines of the record to the future", () => {
  const text = `${TEXT}example.com/m v1.0.0 h2:x\nexample.com/m v1.0.0/other h1:x\n`;
  const { record } = readRecord(encode(`0\n${text}\n`), MODULE);
  assert.deepEqual([record.zipH1, record.goModH1], [ZIP, GO_MOD]);
});

Deno.test("readRecord() takes hashes from the record alone, not from what follows (CVE-2026-42501)", () => {
  const forged = `example.com/m v1.0.0 ${GO_MOD}\n`;
  const { record } = readRecord(encode(`1\n${TEXT}\n${forged}${forged}`), MODULE);
  assert.equal(record.zipH1, ZIP);
  assert.throws(() => readRecord(encode(`1\n${forged}\n${TEXT}`), MODULE), UnverifiedError);
});

Deno.test("readRecord() refuses what is not the record that was asked for", async (t) => {
  const other = TEXT.replaceAll("example.com/m ", "example.com/n ");
  const rows: { what: string; answer: string }[] = [
    { what: "nothing", answer: "" },
    { what: "no number", answer: `${TEXT}\n` },
    { what: "a negative number", answer: `-1\n${TEXT}\n` },
    { what: "a signed number", answer: `+1\n${TEXT}\n` },
    { what: "a leading zero", answer: `01\n${TEXT}\n` },
    { what: "a number that no log reaches", answer: `9007199254740993\n${TEXT}\n` },
    { what: "no text", answer: "1\n\n" },
    { what: "an empty line before", answer: `\n1\n${TEXT}\n` },
    { what: "an empty line behind the number", answer: `1\n\n${TEXT}\n` },
    { what: "no empty line", answer: `1\n${TEXT}` },
    { what: "carriage returns", answer: `1\n${TEXT}\n`.replaceAll("\n", "\r\n") },
    { what: "a control character", answer: `1\n${TEXT}\t\n\n` },
    { what: "another module", answer: `1\n${other}\n` },
    { what: "a longer path", answer: `1\n${TEXT.replaceAll("/m ", "/m/v ")}\n` },
    { what: "another version", answer: `1\n${TEXT.replaceAll("v1.0.0", "v1.0.1")}\n` },
    { what: "a longer version", answer: `1\n${TEXT.replaceAll("v1.0.0", "v1.0.0-a")}\n` },
    { what: "no hash of the zip", answer: `1\nexample.com/m v1.0.0/go.mod ${GO_MOD}\n\n` },
    { what: "no hash of go.mod", answer: `1\nexample.com/m v1.0.0 ${ZIP}\n\n` },
    { what: "two hashes of the zip", answer: `1\n${TEXT}example.com/m v1.0.0 ${GO_MOD}\n\n` },
    { what: "a short hash", answer: `1\n${TEXT.replace("47DE", "")}\n` },
    { what: "a hash and more", answer: `1\n${TEXT.replace("uFU=", "uFU= x")}\n` },
    { what: "bits behind a hash", answer: `1\n${TEXT.replace("uFU=", "uFV=")}\n` },
    { what: "more than a record", answer: `1\n${TEXT}${"x\n".repeat(MAX_RECORD_BYTES / 2)}\n` },
  ];
  for (const { what, answer } of rows) {
    await t.step(what, () => {
      assert.throws(() => readRecord(encode(answer), MODULE), UnverifiedError);
    });
  }
});

Deno.test("readRecord() throws nothing but its error", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.string(), (bytes, text) => {
    for (const answer of [new Uint8Array(bytes), encode(text), encode(`1\n${text}\n\n`)]) {
      assert.throws(() => readRecord(answer, MODULE), UnverifiedError);
    }
  }));
});

Deno.test("splitRecords() is the inverse of joinRecords()", () => {
  const texts = fc.array(
    fc.array(fc.stringMatching(/^[ -~]+$/), { minLength: 1 })
      .map((lines) => lines.map((line) => `${line}\n`).join("")),
  );
  fc.assert(fc.property(texts, (texts) => {
    const split = splitRecords(joinRecords(texts.map(encode)));
    assert.deepEqual(split?.map(decode), texts);
  }));
});

Deno.test("splitRecords() refuses a record that does not end", () => {
  for (const tile of ["a", "a\n", "a\n\nb\n"]) assert.equal(splitRecords(encode(tile)), null);
});
