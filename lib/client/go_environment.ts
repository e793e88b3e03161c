/**
 * Checks the environment of a `go` command for ways around the proxy: what it downloads elsewhere
 * is neither verified nor governed here.
 *
 * The environment is what `go env -json` prints (https://pkg.go.dev/cmd/go, "Environment
 * variables").
 */
import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";
import { parseJsonText } from "../module/json.ts";

export interface EnvironmentFault {
  /** `error`: modules can come from elsewhere. `warning`: some do, and perhaps should. */
  readonly severity: "error" | "warning";
  /** The variable. */
  readonly name: string;
  readonly message: string;
  /** A command that mends it; null where people must decide. */
  readonly remedy: string | null;
}

const ENVIRONMENT = z.record(z.string(), z.unknown());

/** Hosts of public modules. A pattern that covers one of them is not about private modules only. */
const PUBLIC_HOSTS = [
  "github.com",
  "gitlab.com",
  "bitbucket.org",
  "golang.org",
  "google.golang.org",
  "go.googlesource.com",
  "gopkg.in",
  "k8s.io",
  "go.uber.org",
];

/**
 * @param text the output of `go env -json`
 * @throws {InvalidRequestError} when it is something else
 */
export function parseGoEnvironment(text: string): ReadonlyMap<string, string> {
  const parsed = ENVIRONMENT.safeParse(parseJsonText(text));
  if (!parsed.success || parsed.data["GOPROXY"] === undefined) {
    throw new InvalidRequestError(
      "Cannot read the environment: it is not what go env -json prints",
    );
  }
  return new Map(
    Object.entries(parsed.data).filter((entry): entry is [string, string] =>
      typeof entry[1] === "string"
    ),
  );
}

/** @param proxy the URL that modules must come from; null: any */
export function checkGoEnvironment(
  env: ReadonlyMap<string, string>,
  proxy: string | null,
): EnvironmentFault[] {
  const get = (name: string) => env.get(name) ?? "";
  return [
    ...proxyFaults(get("GOPROXY"), proxy),
    ...patternFaults("GONOPROXY", get("GONOPROXY"), "are downloaded from their repositories"),
    ...patternFaults("GONOSUMDB", get("GONOSUMDB"), "are not verified with the checksum database"),
    ...get("GOSUMDB") === "off" || get("GONOSUMCHECK") === "1"
      ? [fault("error", "GOSUMDB", "the checksum database is off", "go env -u GOSUMDB")]
      : [],
    ...get("GOINSECURE") === "" ? [] : [fault(
      "error",
      "GOINSECURE",
      `modules that match ${get("GOINSECURE")} are downloaded without authentication of the server`,
      "go env -u GOINSECURE",
    )],
    ...get("GOFLAGS").split(/\s+/).includes("-insecure")
      ? [fault("error", "GOFLAGS", "-insecure switches verification off", "go env -u GOFLAGS")]
      : [],
  ];
}

function proxyFaults(list: string, proxy: string | null): EnvironmentFault[] {
  const mend = proxy === null ? null : `go env -w GOPROXY=${proxy}`;
  const entries = list.split(/[,|]/).map((entry) => entry.trim()).filter((entry) => entry !== "");
  const faults: EnvironmentFault[] = [];
  if (list.includes("|")) {
    faults.push(fault(
      "error",
      "GOPROXY",
      'after "|", the next entry is asked after any error, a denial too',
      mend,
    ));
  }
  if (entries.includes("direct")) {
    faults.push(fault(
      "error",
      "GOPROXY",
      "direct downloads modules from their repositories when a proxy answers with 404",
      mend,
    ));
  }
  const others = entries.filter((entry) =>
    entry !== "direct" && entry !== "off" && proxy !== null && !isSameUrl(entry, proxy)
  );
  if (others.length > 0) {
    faults.push(
      fault(
        "error",
        "GOPROXY",
        `it has another proxy: ${others.map(withoutLogin).join(", ")}`,
        mend,
      ),
    );
  }
  if (proxy !== null && !entries.some((entry) => isSameUrl(entry, proxy))) {
    faults.push(fault("error", "GOPROXY", `it does not have ${proxy}`, mend));
  }
  return faults;
}

function patternFaults(name: string, list: string, what: string): EnvironmentFault[] {
  const patterns = list.split(",").map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== "" && pattern !== "none");
  return patterns.flatMap((pattern) => {
    const isPublic = coversPublicHost(pattern);
    // No public database knows private modules.
    if (name === "GONOSUMDB" && !isPublic) return [];
    return fault(
      isPublic ? "error" : "warning",
      name,
      `modules that match ${pattern} ${what}` + (isPublic ? ", and public ones match" : ""),
      name === "GONOPROXY" ? "go env -w GONOPROXY=none" : null,
    );
  });
}

/** Whether whole hosts of public modules match: `*`, `github.com`, `*.com`, `github.com/*`. */
function coversPublicHost(pattern: string): boolean {
  const [host = "", ...elements] = pattern.split("/");
  if (elements.some((element) => element !== "" && element !== "*")) return false;
  const source = host.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
    .join("[^/]*");
  const matches = new RegExp(`^${source}$`);
  return PUBLIC_HOSTS.some((one) => matches.test(one));
}

/** Whether two URLs are of one server and path, whoever logs in. */
function isSameUrl(a: string, b: string): boolean {
  const [one, other] = [URL.parse(a), URL.parse(b)];
  if (one === null || other === null) return a === b;
  const place = ({ protocol, host, pathname }: URL) =>
    `${protocol}//${host}${pathname.replace(/\/$/, "")}`;
  return place(one) === place(other);
}

/** A URL without user name and password. */
function withoutLogin(text: string): string {
  const url = URL.parse(text);
  if (url === null) return text;
  url.username = url.password = "";
  return url.href;
}

function fault(
  severity: EnvironmentFault["severity"],
  name: string,
  message: string,
  remedy: string | null,
): EnvironmentFault {
  return { severity, name, message, remedy };
}

/**
 * Modules of a vendor directory that go.sum does not know: they were not downloaded as what they
 * claim to be.
 *
 * @param modulesTxt the text of `vendor/modules.txt`
 */
export function vendorFaults(modulesTxt: string, goSum: string): EnvironmentFault[] {
  const known = new Set(goSum.split("\n").map((line) => line.split(" ").slice(0, 2).join(" ")));
  return [...modulesTxt.matchAll(/^# (\S+) (v\S+)(?: => (?:(\S+) (v\S+))?.*)?$/gm)].flatMap(
    ([line, path = "", version = "", replacedPath, replacedVersion]) => {
      // Replaced by a directory: there is no sum of it.
      if (line.includes(" => ") && replacedPath === undefined) return [];
      const [module, at] = [replacedPath ?? path, replacedVersion ?? version];
      return known.has(`${module} ${at}`) ? [] : [fault(
        "error",
        "vendor",
        `vendor/modules.txt has ${module}@${at}, and go.sum does not`,
        "go mod tidy && go mod vendor",
      )];
    },
  );
}
