/**
 * Checks a value against a schema and says what is wrong in the words of a YAML file: one fault for
 * each key or value. No message shows a value, as it may be a secret in a wrong place.
 */
import { z } from "zod";
import { type Fault, type Path, pathText } from "./fault.ts";
import { didYouMean, nearestTo } from "./suggestion.ts";

export type Checked<T> =
  | { readonly value: T; readonly faults: readonly [] }
  | { readonly value: null; readonly faults: readonly Fault[] };

export function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): Checked<z.output<Schema>> {
  const result = schema.safeParse(value, { error: messageFor });
  if (result.success) return { value: result.data, faults: [] };
  return {
    value: null,
    faults: withoutMisspelt(result.error.issues.flatMap((issue) => faultsOf(issue, []))),
  };
}

const REQUIRED = "this key is required";

/** A required key that is there under a misspelt name is one fault, not two. */
function withoutMisspelt(faults: readonly Fault[]): Fault[] {
  const missing = faults.filter(({ message }) => message === REQUIRED).map(({ path }) => path);
  const misspelt = new Set<string>();
  for (const { path, at } of faults) {
    if (at === undefined || missing.length === 0) continue;
    const siblings = missing.filter((one) => pathText(one.slice(0, -1)) === pathText(path));
    const meant = nearestTo(String(at.at(-1)), siblings.map((one) => String(one.at(-1))));
    if (meant !== null) misspelt.add(pathText([...path, meant]));
  }
  return faults.filter(({ path, message }) =>
    message !== REQUIRED || !misspelt.has(pathText(path))
  );
}

function faultsOf(issue: z.core.$ZodIssue, above: Path): Fault[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    // messageFor() has a line for each.
    const messages = issue.message.split("\n");
    return issue.keys.map((key, i) => ({ path, message: messages[i] ?? "", at: [...path, key] }));
  }
  if (issue.code === "invalid_union") {
    const meant = meantOption(issue.errors);
    if (meant !== null) return meant.flatMap((inner) => faultsOf(inner, path));
  }
  if (issue.code === "invalid_key" || issue.code === "invalid_element") {
    return issue.issues.flatMap((inner) => faultsOf(inner, path));
  }
  return [{ path, message: issue.message }];
}

/** What is wrong with the one option that the value is likely meant to be; null where none is. */
function meantOption(
  options: readonly (readonly z.core.$ZodIssue[])[],
): readonly z.core.$ZodIssue[] | null {
  const near = options.filter((issues) =>
    !issues.some(({ code, path }) =>
      path.length === 0 && ["invalid_type", "invalid_value", "invalid_union"].includes(code)
    )
  );
  const least = Math.min(...near.map(({ length }) => length));
  const [meant, ...others] = near.filter(({ length }) => length === least);
  return meant === undefined || others.length > 0 ? null : meant;
}

const TYPES: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "a mapping of keys",
  record: "a mapping of keys",
  array: "a list",
};

/** In place of zod's messages; those of the schemas themselves come first. */
function messageFor(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type": {
      if (issue.input === undefined) return REQUIRED;
      const wanted = TYPES[issue.expected] ?? issue.expected;
      return `expected ${wanted}, not ${typeOf(issue.input)}`;
    }
    case "invalid_value": {
      const values = issue.values.map(String);
      const near = typeof issue.input === "string" ? didYouMean(issue.input, values) : "";
      if (issue.input === undefined) return REQUIRED;
      return `expected ${new Intl.ListFormat("en-GB", { type: "disjunction" }).format(values)}` +
        near;
    }
    case "invalid_union":
      return issue.input === undefined ? REQUIRED : undefined;
    case "too_small":
      if (issue.origin !== "number" && issue.origin !== "int") return "must not be empty";
      return `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin !== "number" && issue.origin !== "int") {
        return `must not have more than ${issue.maximum} ${
          issue.origin === "string" ? "characters" : "items"
        }`;
      }
      return `must be at most ${issue.maximum}`;
    case "unrecognized_keys": {
      const { inst } = issue;
      const known = inst instanceof z.ZodObject ? Object.keys(inst.shape) : [];
      return issue.keys.map((key) => `unknown key ${JSON.stringify(key)}${didYouMean(key, known)}`)
        .join("\n");
    }
    default:
      return undefined;
  }
}

function typeOf(value: unknown): string {
  if (value === null) return "an empty value";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping of keys";
  if (typeof value === "number" && !Number.isInteger(value)) return "a fraction";
  return TYPES[typeof value] ?? typeof value;
}
