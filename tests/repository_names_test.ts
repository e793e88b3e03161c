/**
 * Repositories of few names, spelled in every way: no name of a repository has another verdict than
 * the others. Discovery is the product's own, over pages that are made up.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AccessList } from "../lib/auth/access_list.ts";
import type { AccessRule } from "../lib/auth/config.ts";
import { ForbiddenError, NotFoundError } from "../lib/errors.ts";
import { type ModulePath, parseModulePath } from "../lib/module/path.ts";
import { PrivatePrefixes } from "../lib/module/private_prefixes.ts";
import { namesByPlace, type RepositoryName } from "../lib/module/repository_identity.ts";
import { Discovery } from "../lib/source/discover.ts";
import { layoutOf } from "../lib/source/layout.ts";

const SUFFIXES = [".git", ".hg", ".svn", ".bzr", ".fossil"];
const SITE = "vanity.example.org";

const hosts = fc.constantFrom("git.example.com", "github.com");
const words = fc.constantFrom("a", "b", "ab");
const letterCase = fc.func(fc.boolean());

/** A module in a repository. */
interface Place {
  readonly host: string;
  readonly elements: readonly string[];
  readonly subdir: readonly string[];
  readonly pathMajor: string;
}

const places: fc.Arbitrary<Place> = fc.record({
  host: hosts,
  elements: fc.tuple(words, words),
  subdir: fc.array(words, { maxLength: 1 }),
  pathMajor: fc.constantFrom("", "/v2"),
});

/** Another spelling of an element. */
function spelled(element: string): fc.Arbitrary<string> {
  return fc.record({
    isUpper: letterCase,
    suffixes: fc.array(fc.constantFrom(...SUFFIXES, ...SUFFIXES.map((s) => s.toUpperCase())), {
      maxLength: 2,
    }),
  }).map(({ isUpper, suffixes }) =>
    [...element].map((c, i) => isUpper(i) ? c.toUpperCase() : c).join("") + suffixes.join("")
  );
}

function spelledAll(elements: readonly string[]): fc.Arbitrary<string> {
  return fc.tuple(...elements.map(spelled)).map((all) => all.map((one) => `/${one}`).join(""));
}

/** Another spelling of a module's own path. */
function ownName({ host, elements, subdir, pathMajor }: Place): fc.Arbitrary<Name> {
  return spelledAll([...elements, ...subdir])
    .map((rest) => ({ path: parseModulePath(`${host}${rest}${pathMajor}`), page: null }));
}

/** The module by gopkg.in, where that has it. */
function gopkgName({ elements: [user = "", name = ""], subdir }: Place): fc.Arbitrary<Name> {
  return fc.tuple(spelled(user), spelled(name)).map(([user, name]) => ({
    // A module below has a version of its own at its end.
    path: parseModulePath(
      `gopkg.in/${user}/${name}.v2${subdir.map((dir) => `/${dir}`).join("")}` +
        (subdir.length > 0 ? ".v2" : ""),
    ),
    page: null,
  }));
}

/** The module by a page that names the repository. */
function vanityName({ host, elements, subdir, pathMajor }: Place): fc.Arbitrary<Name> {
  return fc.record({
    root: words,
    repository: spelledAll(elements),
    isUpperHost: fc.boolean(),
    port: fc.constantFrom("", ":443", ":8443", "."),
    end: fc.constantFrom("", "/", ".git/", "//"),
    isEncoded: fc.boolean(),
    isBySubdir: fc.boolean(),
  }).map(({ root, repository, isUpperHost, port, end, isEncoded, isBySubdir }) => {
    const inside = subdir.map((dir) => `/${dir}`).join("");
    const location = isEncoded
      ? repository.replace(/[ab]/gi, (c) => `%${c.charCodeAt(0).toString(16)}`)
      : repository;
    const url = `https://${isUpperHost ? host.toUpperCase() : host}${port}${location}${end}`;
    const prefix = `${SITE}/${root}`;
    return {
      path: parseModulePath(`${prefix}${isBySubdir ? "" : inside}${pathMajor}`),
      page: {
        prefix,
        content: `${prefix} git ${url} ${isBySubdir ? inside.slice(1) : ""}`.trim(),
      },
    };
  });
}

interface Name {
  readonly path: ModulePath;
  readonly page: { readonly prefix: string; readonly content: string } | null;
}

function nameOf(place: Place): fc.Arbitrary<Name> {
  const names = [ownName(place), vanityName(place)];
  const isAtGopkg = place.host === "github.com" && place.pathMajor === "";
  return fc.oneof(...names, ...isAtGopkg && place.subdir.length === 0 ? [gopkgName(place)] : []);
}

/** The names that discovery finds; null where there is no such repository to be read by git. */
async function discovered({ path, page }: Name): Promise<readonly RepositoryName[] | null> {
  const discovery = new Discovery({
    fetch: (url) => {
      const isThere = page !== null && `${url.host}${url.pathname}`.startsWith(page.prefix);
      // As GitLab does: the path of a repository is the path of its modules.
      const own = `${url.host}${url.pathname}`;
      const content = isThere ? page.content : `${own} git https://${own}`;
      return Promise.resolve(new Response(`<meta name="go-import" content="${content}">`));
    },
  });
  try {
    const location = await discovery.locate(path, AbortSignal.timeout(10_000));
    if (location.kind !== "git") return null;
    const { codeDir } = layoutOf(path, location);
    return namesByPlace(path, { remote: location.remote, subdir: codeDir });
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

/** As written or spelled otherwise: the owner, the repository, the module. */
function covering(place: Place): fc.Arbitrary<string> {
  const { host, elements, subdir } = place;
  return fc.integer({ min: 1, max: elements.length + subdir.length })
    .chain((count) => spelledAll([...elements, ...subdir].slice(0, count)))
    .map((rest) => `${host}${rest}`);
}

const IDENTITY = "x";

interface Verdict {
  readonly isAllowed: boolean;
  readonly rule: number;
}

/** What a client gets to hear of a name, at last. */
async function verdictOf(rules: readonly AccessRule[], name: Name): Promise<Verdict> {
  const list = new AccessList(rules);
  const byPath = list.decide(IDENTITY, name.path);
  const { isAllowed, rule } = byPath.isAllowed
    ? list.decide(IDENTITY, name.path, await discovered(name) ?? [])
    : byPath;
  return { isAllowed, rule: rule ?? rules.length };
}

Deno.test("no name of a denied repository is allowed, and every name of another one is", async () => {
  const cases = places.chain((place) =>
    fc.record({
      name: nameOf(place),
      pattern: covering(place),
      other: nameOf({ ...place, elements: ["other", "other"] }),
    })
  );
  await fc.assert(
    fc.asyncProperty(cases, async ({ name, pattern, other }) => {
      const rules: AccessRule[] = [{ modules: [pattern], access: "deny" }, { access: "allow" }];
      assert.deepEqual(await verdictOf(rules, name), { isAllowed: false, rule: 0 });
      assert.deepEqual(await verdictOf(rules, other), { isAllowed: true, rule: 1 });
    }),
    { numRuns: 200 },
  );
});

Deno.test("where one name of a repository is denied by a rule, none is allowed by a later one", async () => {
  const rule = (place: Place): fc.Arbitrary<AccessRule> =>
    fc.record({
      access: fc.constantFrom("allow", "deny"),
      identities: fc.constantFrom([IDENTITY], ["y"], [IDENTITY, "y"]),
      modules: fc.array(
        fc.oneof(covering(place), fc.constantFrom(`${SITE}/a`, `${SITE}/b`, "*", "github.com")),
        { minLength: 1, maxLength: 2 },
      ),
    }, { requiredKeys: ["access"] });
  const cases = places.chain((place) =>
    fc.record({
      names: fc.array(nameOf(place), { minLength: 2, maxLength: 4 }),
      rules: fc.array(rule(place), { minLength: 1, maxLength: 4 }),
    })
  );
  const denies = (rules: readonly AccessRule[], rule: number) => rules[rule]?.access === "deny";
  await fc.assert(
    fc.asyncProperty(cases, async ({ names, rules }) => {
      // A rule about a vanity path is about that path, and not about the repository.
      const about = rules.map((rule) => ({
        ...rule,
        ...rule.access === "deny" && rule.modules !== undefined &&
            rule.modules.some((pattern) => pattern.startsWith(SITE))
          ? { identities: ["y"] }
          : {},
      }));
      const verdicts = await Promise.all(names.map((name) => verdictOf(about, name)));
      const denial = Math.min(
        ...verdicts.filter(({ rule }) => denies(about, rule)).map(({ rule }) => rule),
      );
      for (const { isAllowed, rule } of verdicts) assert.ok(!isAllowed || rule < denial);
    }),
    { numRuns: 200 },
  );
});

Deno.test("no name of a private repository is public", async () => {
  const cases = places.chain((place) =>
    fc.record({
      name: nameOf(place),
      pathPrefix: covering(place),
      other: nameOf({ ...place, elements: ["other", "other"] }),
    })
  );
  await fc.assert(
    fc.asyncProperty(cases, async ({ name, pathPrefix, other }) => {
      const prefixes = new PrivatePrefixes([{ pathPrefix }]);
      const isPublic = async (name: Name) => {
        try {
          if (prefixes.find(name.path) !== null) return false;
        } catch (error) {
          assert.ok(error instanceof ForbiddenError);
          return false;
        }
        return !prefixes.isPrivate(await discovered(name) ?? []);
      };
      assert.equal(await isPublic(name), false);
      assert.equal(await isPublic(other), true);
    }),
    { numRuns: 200 },
  );
});
