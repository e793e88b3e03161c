/**
 * The example configuration shows every key with its default, and changes nothing by itself.
 */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { z } from "zod";
import { AccessList } from "../lib/auth/access_list.ts";
import { parseConfig, schema } from "../lib/config/config.ts";
import { parseModulePath } from "../lib/module/path.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const EXAMPLE = await Deno.readTextFile(`${ROOT}/config_example.yaml`);
/** With every line that shows something: `#key: value` has no space after the mark. */
const COMPLETE = EXAMPLE.replaceAll(/^( *)#(?=[^ \n])/gm, "$1");

interface JsonSchema {
  readonly $ref?: string;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly default?: unknown;
}

/**
 * The keys below a schema, as `storage.disk.path`, and their defaults. A secret is a value; its
 * parts are no keys.
 */
function keysOf(schema: JsonSchema, prefix = ""): Map<string, unknown> {
  const { anyOf = [], oneOf = [], allOf = [], items, properties = {} } = schema;
  const alternatives = [...anyOf, ...oneOf, ...allOf];
  const isSecret = alternatives.some(({ properties }) => properties?.["envVar"] !== undefined);
  const keys = new Map<string, unknown>();
  if (isSecret) return keys;
  const inner = items === undefined ? alternatives : [...alternatives, items];
  for (const part of inner) for (const [key, value] of keysOf(part, prefix)) keys.set(key, value);
  for (const [name, property] of Object.entries(properties)) {
    keys.set(prefix + name, property.default);
    for (const [key, value] of keysOf(property, `${prefix}${name}.`)) keys.set(key, value);
  }
  return keys;
}

/** The keys that a value has, of all items of its lists. */
function keysIn(value: unknown, prefix = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => keysIn(item, prefix));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    prefix + name,
    ...keysIn(inner, `${prefix}${name}.`),
  ]);
}

const KEYS = keysOf(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema);

Deno.test("the example equals the defaults", () => {
  assert.deepEqual(parseConfig(EXAMPLE), parseConfig(""));
});

Deno.test("the example shows every key", () => {
  const shown = new Set(keysIn(parse(COMPLETE)));
  assert.ok(KEYS.size > 50);
  assert.deepEqual([...KEYS.keys()].filter((key) => !shown.has(key)), []);
});

Deno.test("the example explains every key, with its default or that it is required", async (t) => {
  for (const { name, line, comment } of documentedLines()) {
    await t.step(`${line}: ${name}`, () => assert.notEqual(comment, "", "it has no comment"));
  }
  for (const [key, value] of KEYS) {
    if (!["string", "number", "boolean"].includes(typeof value) || value === "") continue;
    const name = key.replace(/.*\./, "");
    await t.step(`the default of ${key}`, () => {
      const comments = documentedLines().filter((line) => line.name === name);
      const wanted = `Default: ${value}`;
      assert.ok(
        comments.some(({ comment }) => comment.endsWith(wanted)),
        `no comment ends in "${wanted}"`,
      );
    });
  }
});

/** Lines with a key, and the comment above them; of a list's items, only the first needs one. */
function documentedLines(): { name: string; line: number; comment: string }[] {
  const found: { name: string; line: number; comment: string }[] = [];
  const seen = new Set<string>();
  let comment = "";
  for (const [index, line] of EXAMPLE.split("\n").entries()) {
    const words = /^ *# (.*)$/.exec(line)?.[1];
    if (words !== undefined) {
      comment = `${comment} ${words}`;
      continue;
    }
    const [, indent = "", name] = /^( *)#?(?:- )?([a-zA-Z]+):/.exec(line) ?? [];
    // The parts of one thing are explained where it begins; what was explained once is known.
    const isKnown = name === undefined || seen.has(`${indent.length} ${name}`);
    if (name !== undefined && !isKnown) {
      found.push({ name, line: index + 1, comment: comment.trim() });
    }
    if (name !== undefined) seen.add(`${indent.length} ${name}`);
    comment = "";
  }
  return found;
}

Deno.test("everything that the example shows is valid", async (t) => {
  const complete = z.object({
    storage: z.record(z.string(), z.unknown()),
    clientAuth: z.object({
      authenticators: z.object({ accessToken: z.record(z.string(), z.unknown()) }).loose(),
    }).loose(),
  }).loose().parse(parse(COMPLETE));
  const { storage: { disk, cache, ...buckets }, clientAuth } = complete;
  const cached = Object.entries(buckets).map(([name, bucket]) => ({ [name]: bucket, cache }));
  for (const storage of [{ disk }, ...cached]) {
    const [store] = Object.keys(storage);
    for (const secret of ["secret", "secrets"]) {
      await t.step(`${store}, ${secret}`, () => {
        const { accessToken } = clientAuth.authenticators;
        const token = Object.entries(accessToken).filter(([key]) =>
          key === secret || !key.startsWith("secret")
        );
        parseConfig(JSON.stringify({
          ...complete,
          storage,
          clientAuth: {
            ...clientAuth,
            authenticators: {
              ...clientAuth.authenticators,
              accessToken: Object.fromEntries(token),
            },
          },
        }));
      });
    }
  }
});

/** Of config_example_clientauth.yaml: a server that asks every client who it is. */
const CLIENT_AUTH = await Deno.readTextFile(`${ROOT}/config_example_clientauth.yaml`);

Deno.test("the example of clientAuth is valid and shows every key of it", () => {
  assert.ok(parseConfig(CLIENT_AUTH).clientAuth.enabled);
  const shown = new Set(keysIn(parse(CLIENT_AUTH)));
  const wanted = [...KEYS.keys()].filter((key) => key.startsWith("clientAuth."));
  assert.ok(wanted.length > 25);
  assert.deepEqual(wanted.filter((key) => !shown.has(key)), [
    // Not together with `secrets`; a comment shows it.
    "clientAuth.authenticators.accessToken.secret",
  ]);
  assert.match(CLIENT_AUTH, /# secret: \{ file: /);
});

Deno.test("the example of clientAuth grants and denies access as it says", async (t) => {
  const { acl, identities } = parseConfig(CLIENT_AUTH).clientAuth;
  const list = new AccessList(acl);
  const rows = [
    { identity: "alice", path: "github.com/my-org/lib", want: true },
    { identity: "alice", path: "github.com/my-org/retired/v2", want: false },
    { identity: "alice", path: "github.com/My-Org/Retired", want: false },
    { identity: "alice", path: "github.com/my-org/x-private/sub", want: false },
    { identity: "alice", path: "git.example.com/team/a", want: false },
    { identity: "ci", path: "git.example.com/team/a", want: true },
    { identity: "cluster-jobs", path: "github.com/my-org/lib", want: false },
    { identity: "cluster-jobs", path: "example.com/public", want: true },
  ];
  for (const { identity, path, want } of rows) {
    await t.step(`${identity} ${path}`, () => {
      assert.ok(identities.some(({ name }) => name === identity));
      assert.equal(list.decide(identity, parseModulePath(path)).isAllowed, want);
    });
  }
});
