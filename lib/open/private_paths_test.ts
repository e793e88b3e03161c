import assert from "node:assert/strict";
import { parseConfig } from "../config/config.ts";
import { parseModulePath } from "../module/path.ts";
import { privatePaths } from "./private_paths.ts";

Deno.test("privatePaths() goes by whole elements, and tells no letter case", async (t) => {
  const isPrivate = privatePaths(parseConfig(`
privateModules:
  - { pathPrefix: git.example.com/Team, auth: { none: true } }
  - { pathPrefix: example.org, auth: { none: true } }
`));
  const rows = [
    { input: "git.example.com/Team", want: true },
    { input: "git.example.com/Team/lib/v2", want: true },
    { input: "git.example.com/team/lib", want: true },
    { input: "git.example.com/Teams", want: false },
    { input: "git.example.com/Tea", want: false },
    { input: "git.example.com/other/Team", want: false },
    { input: "example.org/a", want: true },
    { input: "example.org.example.com/a", want: false },
  ];
  for (const { input, want } of rows) {
    await t.step(input, () => assert.equal(isPrivate(parseModulePath(input)), want));
  }
});
