import assert from "node:assert/strict";
import { findUserCredential } from "./user_git.ts";

const SERVER = new URL("https://proxy.example.com");

/**
 * The environment of a user with this credential helper, a line of shell; it hears what git says as
 * `$input`.
 */
function userWith(helper: string | null): Record<string, string> {
  return {
    PATH: Deno.env.get("PATH") ?? "",
    LD_LIBRARY_PATH: "/somewhere",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    ...helper === null ? {} : {
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "credential.helper",
      GIT_CONFIG_VALUE_0: `!f() { input=$(cat); ${helper}; }; f`,
    },
  };
}

Deno.test("findUserCredential() asks the user's own helper about the host", async () => {
  const env = userWith(
    'case "$input" in *host=proxy.example.com*) printf "username=me\\npassword=a=b c\\n";; esac',
  );
  assert.deepEqual(await findUserCredential(SERVER, { env }), { user: "me", password: "a=b c" });
  assert.equal(await findUserCredential(new URL("https://git.example.com"), { env }), null);
});

Deno.test("findUserCredential() prompts nobody", async () => {
  assert.equal(await findUserCredential(SERVER, { env: userWith(null) }), null);
  assert.equal(await findUserCredential(SERVER, { env: userWith("echo username=me") }), null);
});

Deno.test("findUserCredential() does without git", async () => {
  assert.equal(await findUserCredential(SERVER, { env: { PATH: "/nowhere" } }), null);
});
