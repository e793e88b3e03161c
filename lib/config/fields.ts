/** Kinds of values that several sections of the configuration have. */
import { z } from "zod";

/** A text that `parse` takes; its error is the fault. */
export function textFor(parse: (text: string) => unknown) {
  return z.string().check((context) => {
    try {
      parse(context.value);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      context.issues.push({ code: "custom", input: context.value, message });
    }
  });
}

/** `{file: path}`, relative to the configuration file's directory, `{envVar: NAME}`, or the secret itself. */
export const secret = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ envVar: z.string().min(1) }),
  z.string().min(1),
], "a secret is {file: path}, {envVar: NAME} or a text");

/** @throws {Error} saying what keeps the text from being the URL of a server */
export function parseHttpUrl(text: string): void {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error("not an http or https URL");
  if (url.username !== "" || url.password !== "") {
    throw new Error("a URL here has no user or password");
  }
}

export const httpUrl = textFor(parseHttpUrl);
