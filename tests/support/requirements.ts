/**
 * Tests that need optional programs. Without the program they say SKIP and how to install it; with
 * `CI=true` they fail.
 */
import { goAvailable } from "./go_command.ts";

/**
 * Registers a test. @param missing what it lacks here, as instructions; null if it lacks nothing
 */
export function testWith(
  missing: string | null,
  name: string,
  test: (t: Deno.TestContext) => Promise<void>,
): void {
  if (missing === null) {
    Deno.test(name, test);
  } else if (Deno.env.get("CI") === "true") {
    Deno.test(name, () => {
      throw new Error(`Cannot run this test: ${missing}`);
    });
  } else {
    Deno.test.ignore(`${name} (SKIP: ${missing})`, () => {});
  }
}

/** Where the Go distribution is, null if there is none. */
export function goRoot(): string | null {
  return goAvailable() ? outputOf("go", ["env", "GOROOT"]) : null;
}

/** Whether git can serve repositories over HTTP. */
export function canServeGit(): boolean {
  const programs = outputOf("git", ["--exec-path"]);
  return programs !== null && exists(`${programs}/git-http-backend`);
}

export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function outputOf(command: string, args: readonly string[]): string | null {
  try {
    const { success, stdout } = new Deno.Command(command, { args: [...args] }).outputSync();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
