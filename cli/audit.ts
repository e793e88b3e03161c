/**
 * `audit`: asks a server what its policy says about the versions of go.sum files or of software
 * bills of materials.
 */
import { type Command, Option } from "commander";
import { openMachine, openPost } from "./client_machine.ts";
import type { CommandContext } from "./command.ts";
import { readFile } from "./input.ts";
import { addIdentityOptions, type IdentityFlags, identityOptions, parseUrl } from "./options.ts";
import { printLine } from "./print.ts";
import { z } from "zod";
import { authorizationFor, NO_TOKENS } from "../lib/client/authorization.ts";
import { findIdentity } from "../lib/client/identity.ts";
import type { HttpAnswer } from "../lib/client/log_in.ts";
import { UpstreamError } from "../lib/errors.ts";
import { parseJsonText } from "../lib/module/json.ts";
import { readCaCertificates } from "../lib/open/surroundings.ts";
import { VERSION } from "../lib/open/version.ts";
import { type Audited, isBad, whyText } from "../lib/policy/audit.ts";
import { sarifOf } from "../lib/policy/sarif.ts";

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

const ANSWER = z.object({
  verdicts: z.array(z.object({
    module: z.string(),
    version: z.string(),
    action: z.enum(["allow", "warn", "hold", "deny", "unknown"]),
    isEnforced: z.boolean(),
    rule: z.string().nullable(),
    reason: z.string(),
    until: z.string().nullable(),
    exception: z.string().nullable(),
  })),
  unreadable: z.number(),
});

interface Flags extends IdentityFlags {
  readonly proxy: URL;
  readonly format: "text" | "json" | "sarif";
}

export function define(command: Command, context: CommandContext): void {
  addIdentityOptions(
    command
      .argument("<file...>", "go.sum files, or CycloneDX documents in JSON")
      .requiredOption("--proxy <url>", "URL of the server, as in GOPROXY", parseUrl),
  )
    .addOption(
      new Option("--format <format>", "format of the output").choices(["text", "json", "sarif"])
        .default("text"),
    )
    .addHelpText(
      "after",
      `
For CI: the go command does not ask a proxy for what is in its module cache. A server with client authentication is asked
with the identity that goauth would use. Exits with 1 if a version is denied or held, or if that is unknown.

Examples:
  go-mod-proxy audit go.sum --proxy https://proxy.example.com
  go-mod-proxy audit go.sum --proxy https://proxy.example.com --format sarif > policy.sarif`,
    )
    .action(
      context.action((files: string[], flags: Flags) =>
        runAudit(files, { ...flags, env: context.environment.toObject() })
      ),
    );
}

async function runAudit(
  files: readonly string[],
  { proxy, format, env, ...flags }: Flags & { readonly env: Readonly<Record<string, string>> },
): Promise<number> {
  using client = Deno.createHttpClient({ caCerts: await readCaCertificates(env) });
  const post = openPost(client, { maxBytes: MAX_ANSWER_BYTES });
  const url = new URL(`${proxy.href.replace(/\/$/, "")}/-/audit`);
  let authorization: string | null = null;
  const ask = async (body: string): Promise<HttpAnswer> => {
    const headers = {
      "Content-Type": "text/plain",
      ...authorization && { Authorization: authorization },
    };
    const answer = await post(url, { headers, body });
    if (answer.status !== 401 || authorization !== null) return answer;
    const options = {
      ...identityOptions(flags),
      server: proxy,
      audience: flags.audience ?? proxy.origin,
    };
    authorization = await authorizationFor({
      identity: await findIdentity(options, openMachine(env, client)),
      server: proxy,
      isRefused: false,
      tokens: NO_TOKENS,
      post: openPost(client),
      now: Date.now,
    });
    return await ask(body);
  };
  const audited = [];
  for (const file of files) {
    const text = await readFile(file);
    audited.push({ file, text, ...await auditOf(ask, text) });
  }
  const verdicts = audited.flatMap(({ verdicts }) => verdicts);
  if (format === "sarif") printLine(JSON.stringify(sarifOf(audited, VERSION), null, 2));
  else if (format === "json") printLine(JSON.stringify(audited.map(withoutText), null, 2));
  else for (const line of textOf(audited)) printLine(line);
  return verdicts.some(isBad) ? 1 : 0;
}

type Answer = z.output<typeof ANSWER>;

/** @throws {UpstreamError} when the server does not say */
async function auditOf(
  ask: (body: string) => Promise<HttpAnswer>,
  text: string,
): Promise<Answer> {
  const { status, body } = await ask(text);
  if (status === 404) throw new UpstreamError("Cannot audit: the server has no policy");
  if (status !== 200) throw new UpstreamError(`Cannot audit: status ${status}: ${body.trim()}`);
  const parsed = ANSWER.safeParse(parseJsonText(body));
  if (!parsed.success) throw new UpstreamError("Cannot audit: the answer is not one of /-/audit");
  return parsed.data;
}

function withoutText({ text: _, ...rest }: Answer & { file: string; text: string }) {
  return rest;
}

function textOf(audited: readonly (Answer & { readonly file: string })[]): string[] {
  const lines = audited.flatMap(({ file, verdicts }) =>
    verdicts.filter(({ action }) => action !== "allow").map((verdict) =>
      `${file}: ${wordOf(verdict)}: ${verdict.module}@${verdict.version}: ${whyText(verdict)}`
    )
  );
  const verdicts = audited.flatMap(({ verdicts }) => verdicts);
  const unreadable = audited.reduce((sum, one) => sum + one.unreadable, 0);
  const bad = verdicts.filter(isBad).length;
  return [
    ...lines,
    `${verdicts.length} versions: ${bad} not allowed, ${lines.length - bad} with warnings` +
    (unreadable === 0 ? "" : `; ${unreadable} more may not be read by this client`),
  ];
}

function wordOf(verdict: Audited): string {
  if (verdict.action === "unknown") return "unknown";
  if (verdict.action === "warn") return "warning";
  return isBad(verdict) ? "not allowed" : "would not be allowed";
}
