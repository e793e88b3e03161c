import assert from "node:assert/strict";
import fc from "fast-check";
import { crc32c, crc32cText } from "./crc32c.ts";

Deno.test("crc32c() sums as RFC 3720 says", async (t) => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  // The first four are of the RFC's appendix B.4, whose bytes stand in the order of the wire.
  const rows = [
    { name: "32 zeros", bytes: new Uint8Array(32), want: 0x8a9136aa },
    { name: "32 ones", bytes: new Uint8Array(32).fill(0xff), want: 0x62a8ab43 },
    { name: "0 to 31", bytes: ascending, want: 0x46dd794e },
    { name: "31 to 0", bytes: ascending.toReversed(), want: 0x113fdb5c },
    {
      name: "the usual nine digits",
      bytes: new TextEncoder().encode("123456789"),
      want: 0xe3069283,
    },
    { name: "nothing", bytes: new Uint8Array(), want: 0 },
  ];
  for (const { name, bytes, want } of rows) {
    await t.step(name, () => assert.equal(crc32c(bytes), want));
  }
});

Deno.test("crc32c() goes on where it left off, whatever the cut", () => {
  const input = fc.tuple(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ maxLength: 70 }));
  fc.assert(fc.property(input, ([head, tail]) => {
    const whole = new Uint8Array([...head, ...tail]);
    assert.equal(crc32c(tail, crc32c(head)), crc32c(whole));
    // A view into a larger buffer is summed like a copy of it.
    assert.equal(crc32c(whole.subarray(head.length)), crc32c(tail));
  }));
});

Deno.test("crc32c() sees each changed bit", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 });
  fc.assert(fc.property(bytes, fc.nat(), (bytes, place) => {
    const changed = bytes.slice();
    const at = (place >> 3) % bytes.length;
    changed[at] = (changed[at] ?? 0) ^ 1 << (place & 7);
    assert.notEqual(crc32c(changed), crc32c(bytes));
  }));
});

Deno.test("crc32cText() is what the storage APIs write", () => {
  assert.equal(crc32cText(0), "AAAAAA==");
  assert.equal(crc32cText(0xe3069283), "4waSgw==");
});
