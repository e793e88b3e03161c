import assert from "node:assert/strict";
import fc from "fast-check";
import { findNetrcEntry, NetrcProvider, parseNetrc } from "./netrc.ts";
import { contextOf } from "./provider.ts";

Deno.test("parseNetrc() follows the go command", async (t) => {
  const rows = [
    { input: "", want: [] },
    { input: "machine a.example login u password p\n", want: ["a.example u p"] },
    { input: "machine a.example\n\tlogin u\r\n password p", want: ["a.example u p"] },
    { input: "machine a.example password p login u", want: ["a.example u p"] },
    {
      input: "machine a.example login u password p machine b.example login v password q",
      want: ["a.example u p", "b.example v q"],
    },
    // An entry without both is none (go#40215), and does not lend its parts to the next one.
    { input: "machine a.example login u\nmachine b.example password p", want: [] },
    { input: "login u password p\nmachine a.example", want: [] },
    { input: "machine a.example account x login u password p", want: ["a.example u p"] },
    // Pairs do not go over the end of a line.
    { input: "machine\na.example login u password p", want: [] },
    {
      input:
        "macdef init\nmachine a.example login u password p\n\nmachine b.example login v password q",
      want: ["b.example v q"],
    },
    { input: "macdef init\nmachine a.example login u password p", want: [] },
    // `default` takes part in the pairs of its line, so its login is none.
    { input: "default login u password p", want: [] },
    { input: "default\nmachine a.example login u password p", want: [] },
    // Only a `default` that ends its line ends the file.
    {
      input: "default login u password p\nmachine a.example login v password q",
      want: ["a.example v q"],
    },
    { input: "machine a.example login # password p", want: ["a.example # p"] },
    { input: 'machine a.example login u password "p q"', want: ['a.example u "p'] },
  ];
  for (const { input, want } of rows) {
    await t.step(JSON.stringify(input), () => {
      const got = parseNetrc(input).map(({ machine, login, password }) =>
        `${machine} ${login} ${password}`
      );
      assert.deepEqual(got, want);
    });
  }
});

Deno.test("parseNetrc() reads back any entries", () => {
  const word = fc.stringMatching(/^[!-~]{1,12}$/);
  fc.assert(fc.property(
    fc.array(fc.record({ machine: word, login: word, password: word }, { noNullPrototype: true })),
    fc.constantFrom(" ", "\n", "\n\n\t"),
    (entries, space) => {
      const text = entries.map(({ machine, login, password }) =>
        ["machine " + machine, "login " + login, "password " + password].join(space)
      ).join("\n");
      assert.deepEqual(parseNetrc(text), entries);
    },
  ));
});

Deno.test("findNetrcEntry() takes the longest machine, then the first", async (t) => {
  const entries = parseNetrc(`
    machine git.example.com login host password p
    machine git.example.com/team login team password p
    machine git.example.com login second password p
    machine git.example.com:8443 login port password p
    machine other.example.com:8443 login other password p
  `);
  const rows = [
    { input: "https://git.example.com/x", want: "host" },
    { input: "https://git.example.com/team/lib.git", want: "team" },
    { input: "https://git.example.com/team", want: "team" },
    { input: "https://git.example.com/teams/lib", want: "host" },
    { input: "https://git.example.com:8443/x", want: "port" },
    { input: "https://git.example.com:9999/x", want: "host" },
    { input: "https://other.example.com:8443/", want: "other" },
    { input: "https://other.example.com/x", want: null },
    { input: "https://example.com/x", want: null },
    { input: "https://sub.git.example.com/x", want: null },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => {
      assert.equal(findNetrcEntry(entries, contextOf(new URL(input)))?.login ?? null, want);
    });
  }
});

Deno.test("NetrcProvider reads the file anew and keeps passwords out of its steps", async () => {
  let netrc = "machine git.example.com login ci password PLANTED";
  const places = { directory: "/", env: () => netrc };
  const provider = new NetrcProvider({ envVar: "NETRC_CONTENT" }, places);
  const { signal } = new AbortController();
  const steps: string[] = [];
  const onStep = (text: string) => steps.push(text);
  const remote = contextOf(new URL("https://git.example.com/team/lib"));

  assert.deepEqual(await provider.credentials(remote, { signal, onStep }), {
    username: "ci",
    password: "PLANTED",
  });
  netrc = "machine other.example.com login ci password PLANTED";
  assert.equal(await provider.credentials(remote, { signal, onStep }), null);
  assert.deepEqual(steps, [
    'netrc entry "git.example.com", login "ci"',
    "none of the 1 netrc entries is for git.example.com",
  ]);
});
