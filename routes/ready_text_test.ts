import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { ReadyText } from "./ready_text.ts";

const YES = () => true;
const NO = () => false;

Deno.test("ReadyText gives what is long compressed to who takes it, with an ETag of its own", () => {
  const bytes = new TextEncoder().encode("module example.com/hello\n".repeat(100));
  const text = new ReadyText(bytes);
  const [plain, gzip] = [text.form(NO), text.form(YES)];
  assert.deepEqual(plain.body, bytes);
  assert.deepEqual(new Uint8Array(gunzipSync(gzip.body)), bytes);
  assert.match(plain.etag, /^"[0-9a-f]{32}"$/);
  assert.equal(gzip.etag, plain.etag.replace(/"$/, '-gzip"'));
  assert.deepEqual([plain.encoding, gzip.encoding], [null, "gzip"]);
});

Deno.test("ReadyText gives what is short as it is", () => {
  const text = new ReadyText(new Uint8Array(1023));
  assert.equal(text.form(YES), text.form(NO));
});

Deno.test("ReadyText makes each form once, and the same ETag of the same bytes", () => {
  const text = new ReadyText(new Uint8Array(2000));
  for (const accepts of [YES, NO]) assert.equal(text.form(accepts), text.form(accepts));
  assert.equal(new ReadyText(new Uint8Array(2000)).form(NO).etag, text.form(NO).etag);
  assert.notEqual(new ReadyText(new Uint8Array(2001)).form(NO).etag, text.form(NO).etag);
});
