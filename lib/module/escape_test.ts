import assert from "node:assert/strict";
import fc from "fast-check";
import characters from "../../tests/testdata/golden/characters.json" with { type: "json" };
import golden from "../../tests/testdata/golden/escapes.json" with { type: "json" };
import paths from "../../tests/testdata/golden/paths.json" with { type: "json" };
import { unlessRefused } from "../../tests/support/unless_refused.ts";
import { InvalidRequestError } from "../errors.ts";
import { escapePath, escapeVersion, unescapePath, unescapeVersion } from "./escape.ts";
import { parseModulePath } from "./path.ts";

function orNull<T>(call: () => T): T | null {
  return unlessRefused(call, InvalidRequestError);
}

const LETTERS = "ABXYZabxyz0129-_~";
const word = fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 1, maxLength: 6 });
const modulePath = fc.array(word, { minLength: 1, maxLength: 4 })
  .map((elements) => ["git.example.com", ...elements].join("/"))
  .filter((path) => orNull(() => parseModulePath(path)) !== null)
  .map(parseModulePath);
/** Text that is nearly an escaped form. */
const nearlyEscaped = fc.string({ unit: fc.constantFrom(..."!!azAZ/.v1-\u00e9") });

Deno.test("escapePath() escapes as Go does", async (t) => {
  for (const { input, escaped } of paths.modulePaths) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(orNull(() => escapePath(parseModulePath(input))), escaped);
    });
  }
});

Deno.test("unescapePath() agrees with Go", async (t) => {
  for (const { input, want } of golden.unescapePath) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(orNull(() => unescapePath(input)), want);
    });
  }
});

Deno.test("unescapePath() undoes escapePath(), and no case is lost on the way", () => {
  fc.assert(fc.property(modulePath, (path) => {
    const escaped = escapePath(path);
    assert.equal(escaped, escaped.toLowerCase());
    assert.equal(unescapePath(escaped), path);
  }));
});

Deno.test("unescapePath() takes exactly one form of a path", () => {
  fc.assert(fc.property(nearlyEscaped, (end) => {
    const text = `git.example.com/${end}`;
    const path = orNull(() => unescapePath(text));
    if (path !== null) assert.equal(escapePath(path), text);
  }));
});

Deno.test("unescapePath() and unescapeVersion() say what is wrong with the escape", async (t) => {
  const reason = 'invalid escape, a capital is "!" and its lower case';
  for (const text of ["git.example.com/Z", "git.example.com/z!", "git.example.com/!!z"]) {
    await t.step(text, () => {
      assert.throws(() => unescapePath(text), {
        name: "InvalidRequestError",
        message: `Cannot read module path "${text}": ${reason}`,
      });
    });
  }
  for (const text of ["v1.0.0-RC1", "v1.0.0!", "!1"]) {
    await t.step(text, () => {
      assert.throws(() => unescapeVersion(text), {
        name: "InvalidRequestError",
        message: `Cannot read version "${text}": ${reason}`,
      });
    });
  }
});

Deno.test("unescapePath() says what is wrong with the path, unescaped", () => {
  assert.throws(() => unescapePath("git.example.com//!z"), {
    name: "InvalidRequestError",
    message: 'Cannot read module path "git.example.com//Z": empty path element',
  });
});

Deno.test("escapeVersion() agrees with Go", async (t) => {
  for (const { input, want } of golden.escapeVersion) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(orNull(() => escapeVersion(input)), want);
    });
  }
});

Deno.test("escapeVersion() allows the ASCII characters that Go allows", () => {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
  const got = ascii.filter((c) => orNull(() => escapeVersion(`a${c}z`)) !== null).join("");
  assert.equal(got, characters.inVersion);
});

Deno.test("unescapeVersion() agrees with Go", async (t) => {
  for (const { input, want } of golden.unescapeVersion) {
    await t.step(JSON.stringify(input), () => {
      assert.equal(orNull(() => unescapeVersion(input)), want);
    });
  }
});

Deno.test("unescapeVersion() undoes escapeVersion()", () => {
  const version = fc.string({ unit: fc.constantFrom(...characters.inVersion) })
    .filter((text) => orNull(() => escapeVersion(text)) !== null);
  fc.assert(fc.property(version, (text) => {
    assert.equal(unescapeVersion(escapeVersion(text)), text);
  }));
});

Deno.test("unescapeVersion() takes exactly one form of a version", () => {
  fc.assert(fc.property(nearlyEscaped, (text) => {
    const version = orNull(() => unescapeVersion(text));
    if (version !== null) assert.equal(escapeVersion(version), text);
  }));
});

Deno.test("unescapeVersion() refuses a slash, with the reason", () => {
  assert.throws(() => unescapeVersion("feature/x"), {
    name: "InvalidRequestError",
    message: 'Cannot read version "feature/x": invalid character "/"',
  });
});

Deno.test("unescapePath() and unescapeVersion() throw nothing but InvalidRequestError", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    orNull(() => unescapePath(text));
    orNull(() => unescapeVersion(text));
  }));
});
