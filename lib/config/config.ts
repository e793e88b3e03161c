/**
 * The configuration file: YAML, strict. Every key is optional and unknown keys are errors, so that a misspelt key is not
 * a silent default. All faults of a file are reported in one go, each with its path in the file.
 */
import { parse, YAMLError } from "yaml";
import { z } from "zod";
import { parseSourceList } from "../source/source_list.ts";

const upstreamList = z.string().check((context) => {
  try {
    parseSourceList(context.value);
  } catch (error) {
    context.issues.push({
      code: "custom",
      input: "",
      message: error instanceof Error ? error.message : String(error),
    });
  }
});

const schema = z.strictObject({
  /** Where modules are kept: exactly one store. */
  storage: z.strictObject({
    /** A directory that is made when it is missing. */
    disk: z.strictObject({ path: z.string().min(1) }),
  }).default({ disk: { path: "./data" } }),
  /** Where public modules come from: a list as in `GOPROXY`. Default: that variable, else `direct`. */
  parentProxy: z.strictObject({
    url: upstreamList,
    /** Hosts (`host` or `host:port`) that may be reached by plain http, besides loopback. Default: none. */
    insecureHosts: z.array(z.string().min(1)).default([]),
  }).optional(),
});

export type Config = z.output<typeof schema>;

/** A configuration that cannot be used; the message has a line for each fault. */
export class ConfigError extends Error {}

/**
 * The configuration that a YAML text says; an empty text says nothing but defaults.
 *
 * @throws {ConfigError}
 */
export function parseConfig(yaml: string): Config {
  const result = schema.safeParse(parseYaml(yaml) ?? {});
  if (result.success) return result.data;
  throw new ConfigError(result.error.issues.map(describeIssue).join("\n"));
}

function parseYaml(yaml: string): unknown {
  try {
    return parse(yaml);
  } catch (cause) {
    if (cause instanceof YAMLError) throw new ConfigError(cause.message, { cause });
    throw cause;
  }
}

function describeIssue({ path, message }: z.core.$ZodIssue): string {
  const place = path.map((step) => typeof step === "number" ? `[${step}]` : `.${String(step)}`);
  return `${place.join("").replace(/^\./, "") || "the file"}: ${message}`;
}
