/** An {@linkcode Explanation} as text, one line for each finding. */
import { policyLines } from "../policy/explain.ts";
import type { AccessPart, DatabasePart, Explanation, Failed, PublishedPart } from "./explainer.ts";

export function explanationText(explanation: Explanation): string {
  const { module, version, privatePrefix, names, published, sources, checksumDatabase } =
    explanation;
  const lines: [name: string, text: string][] = [
    [
      "module",
      privatePrefix === null ? "public" : `private: below the prefix "${privatePrefix}"`,
    ],
    ...names.length === 0 ? [] : [["is also", names.join(" ")] satisfies [string, string]],
    ...publishedLines(published),
    ...sources.map((said): [string, string] => [`now at ${said.source}`, sourceText(said)]),
    ["checksum database", databaseText(checksumDatabase)],
    ...accessLines(explanation.access),
    ...policyPartLines(explanation.policy),
  ];
  const width = Math.min(24, Math.max(...lines.map(([name]) => name.length)));
  const rows = lines.map(([name, text]) => `${name.padEnd(width)}  ${text}\n`);
  return `${module}@${version}\n${rows.join("")}`;
}

function publishedLines(published: PublishedPart | Failed | null): [string, string][] {
  if (published === null) return [["published", "no copy"]];
  if ("failed" in published) return [["published", failure(published)]];
  const { time, source, origin, goMod, zip } = published;
  return [
    ["published", `a copy of ${time}, from ${source}`],
    ...origin === undefined ? [] : [["origin", JSON.stringify(origin)] satisfies [string, string]],
    ["go.mod", `${goMod.h1}, ${goMod.sizeBytes} bytes`],
    [
      "zip",
      zip.sizeBytes === null
        ? `${zip.h1}, not in the store: fetched on the first request`
        : `${zip.h1}, ${zip.sizeBytes} bytes in the store`,
    ],
  ];
}

function sourceText(said: Explanation["sources"][number]): string {
  if ("failed" in said) return failure(said);
  return `${said.time}, go.mod ${said.goModH1}${comparison(said.isAsPublished)}`;
}

function databaseText(database: DatabasePart | Failed | null): string {
  if (database === null) return "not used for this module";
  if ("failed" in database) return failure(database);
  const { name, record } = database;
  if (record === null) return `${name} has no record of it`;
  return `${name}: zip ${record.zipH1}, go.mod ${record.goModH1}${
    comparison(record.isAsPublished)
  }`;
}

function accessLines(access: readonly AccessPart[] | null): [string, string][] {
  if (access === null) return [["access", "everyone: client authentication is off"]];
  return access.map(({ identity, isAllowed, rule, name }) => [
    `access of ${identity}`,
    `${isAllowed ? "allowed" : "denied"} by ` +
    (rule === null ? "default: no rule applies" : `clientAuth.acl[${rule}]`) +
    (name === undefined ? "" : `, by its name ${name}`),
  ]);
}

function policyPartLines(policy: Explanation["policy"]): [string, string][] {
  if (policy === null) return [];
  return "failed" in policy ? [["policy", failure(policy)]] : policyLines(policy);
}

function failure({ failed, reason }: Failed): string {
  return `${failed}: ${reason}`;
}

function comparison(isAsPublished: boolean | null): string {
  if (isAsPublished === null) return "";
  return isAsPublished ? ", as published" : ", DIFFERS FROM THE PUBLISHED COPY";
}
