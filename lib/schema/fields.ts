/** Kinds of values that several sections of the configuration have. */
import { z } from "zod";

export const nonEmpty = z.string().min(1);

/** The message of a union; that the key is missing is said as for any other. */
export function expected(message: string) {
  return {
    error: ({ input }: { readonly input?: unknown }) => input === undefined ? undefined : message,
  };
}

/** A text that `parse` takes; its error is the fault. */
export function textFor(parse: (text: string) => unknown) {
  return z.string().check(faultOf((text) => messageOf(() => parse(text))));
}

/** A check of zod that takes the fault which `find` finds. */
export function faultOf<T>(find: (value: T) => string | null) {
  return (context: z.core.ParsePayload<T>) => {
    const message = find(context.value);
    if (message !== null) {
      context.issues.push({ code: "custom", input: context.value, message });
    }
  };
}

/** What `parse` throws, as a message; null where it throws nothing. */
export function messageOf(parse: () => unknown): string | null {
  try {
    parse();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** @throws {Error} saying what keeps the text from being the URL of a server */
export function parseHttpUrl(text: string): void {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error("not an http or https URL");
  if (url.username !== "" || url.password !== "") {
    throw new Error("a URL here has no user or password");
  }
}

export const httpUrl = textFor(parseHttpUrl);

/**
 * For `when` of a refinement that looks only at which keys a mapping has: it is then checked
 * whatever is wrong with their values. With an unknown key it is not, as that may be one of them
 * misspelt.
 */
export function keysAreKnown({ value, issues }: z.core.ParsePayload): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !issues.some(({ code, path = [] }) => code === "unrecognized_keys" && path.length === 0);
}

/** How many of these keys a mapping has. */
export function countKeys(value: object, keys: readonly string[]): number {
  return keys.filter((key) => Object.hasOwn(value, key)).length;
}

type OneOf<Shape extends z.core.$ZodShape> = {
  [Key in keyof Shape]: { readonly [K in Key]: z.output<Shape[Key]> };
}[keyof Shape];

/** A mapping with exactly one of these keys. */
export function oneOf<Shape extends z.core.$ZodShape>(shape: Shape, message: string) {
  const keys = Object.keys(shape);
  const optional = Object.fromEntries(
    Object.entries(shape).map(([key, field]) => [key, z.exactOptional(field)]),
  );
  return z.strictObject(optional)
    .refine((value) => countKeys(value, keys) === 1, { message, when: keysAreKnown })
    .transform((value) => value as OneOf<Shape>);
}
