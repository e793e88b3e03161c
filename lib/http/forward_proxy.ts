/**
 * The forward proxy that the usual variables name for a URL: `HTTPS_PROXY`, `HTTP_PROXY`,
 * `ALL_PROXY` and `NO_PROXY`, each also in lower case.
 *
 * The runtime and git interpret the variables, too, each in its own way. When it matters whether a
 * proxy is used, because a proxy resolves names itself, both get the result of this file.
 */
import { isInBlock, parseAddress, parseBlock } from "./address.ts";

export class ForwardProxies {
  readonly #env: Readonly<Record<string, string>>;
  readonly #exceptions: readonly string[];

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
    this.#exceptions = (this.#variable("NO_PROXY") ?? "").split(",")
      .map((entry) => entry.trim().toLowerCase().replace(/^\*?\./, ""))
      .filter((entry) => entry !== "");
  }

  /** Null if the host is reached directly. */
  for(url: URL): URL | null {
    const text = this.#variable(url.protocol === "http:" ? "HTTP_PROXY" : "HTTPS_PROXY") ??
      this.#variable("ALL_PROXY");
    if (text === undefined || this.#isException(url.hostname.replace(/^\[(.*)\]$/, "$1"))) {
      return null;
    }
    // The default scheme is http.
    return URL.parse(/^[a-z0-9+.-]+:\/\//i.test(text) ? text : `http://${text}`);
  }

  #isException(hostname: string): boolean {
    const isAddress = parseAddress(hostname) !== null;
    return this.#exceptions.some((entry) => {
      if (entry === "*" || entry === hostname) return true;
      if (!isAddress) return hostname.endsWith(`.${entry}`);
      const block = parseBlock(entry);
      return block !== null && isInBlock(hostname, block);
    });
  }

  #variable(name: string): string | undefined {
    return [this.#env[name], this.#env[name.toLowerCase()]].find((value) =>
      value !== undefined && value !== ""
    );
  }
}
