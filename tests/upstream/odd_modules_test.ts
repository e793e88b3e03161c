/**
 * Real modules with odd features, through this server and straight from the upstream of this
 * machine (`go env GOPROXY`): lists of nothing but commits, `+incompatible`, retracted versions,
 * major versions, gopkg.in, upper case, no go.mod, modules in directories, lists of hundreds.
 *
 * One that the upstream does not answer is skipped, and said; {@linkcode MIN_COMPARED} must remain.
 */
import assert from "node:assert/strict";
import { goTest } from "../support/go_command.ts";
import { report } from "../support/report.ts";
import { runCommand } from "../support/run_command.ts";
import { startServer } from "../worlds/server.ts";
import { askThrough, type Outcome } from "../worlds/two_ways.ts";

const MIN_COMPARED = 60;

/** Path and query. Large zips are asked for nowhere. */
const QUESTIONS: readonly string[] = [
  // No tags, so that the list is empty or has only commits.
  "golang.org/x/lint@latest",
  "golang.org/x/exp@latest",
  "golang.org/x/xerrors@latest",
  "k8s.io/utils@latest",
  "github.com/golang/groupcache@latest",
  "github.com/mitchellh/colorstring@latest",
  "github.com/kr/logfmt@latest",
  "github.com/armon/go-radix@latest",
  "github.com/xiang90/probing@latest",
  "github.com/tmc/grpc-websocket-proxy@latest",
  "github.com/munnerz/goautoneg@latest",
  "github.com/golang/freetype@latest",
  "github.com/bgentry/speakeasy@latest",
  "github.com/jbenet/go-context@latest",
  "github.com/xanzy/ssh-agent@latest",
  "github.com/monochromegane/go-gitignore@latest",
  // +incompatible.
  "github.com/docker/distribution@latest",
  "github.com/docker/go-metrics@latest",
  "github.com/gofrs/uuid@v3.4.0+incompatible",
  "github.com/dgrijalva/jwt-go@latest",
  "github.com/dgrijalva/jwt-go@v3.2.0+incompatible",
  "github.com/satori/go.uuid@latest",
  "github.com/coreos/bbolt@v1.3.2",
  "github.com/go-redis/redis@v6.15.9+incompatible",
  "github.com/evanphx/json-patch@latest",
  "github.com/peterbourgon/diskv@v2.0.1+incompatible",
  "github.com/opentracing/opentracing-go@latest",
  "github.com/googleapis/gnostic@latest",
  "github.com/bmizerany/assert@latest",
  "github.com/jmoiron/sqlx@latest",
  "github.com/russross/blackfriday@latest",
  // Retracted or deprecated.
  "github.com/golang/protobuf@v1.5.4",
  "github.com/mattn/go-sqlite3@v1.14.0",
  "github.com/mattn/go-sqlite3@latest",
  "github.com/pelletier/go-toml@latest",
  "github.com/ugorji/go@latest",
  "github.com/klauspost/compress@v1.14.1",
  "github.com/prometheus/procfs@v0.0.0-20181005140218-185b4288413d",
  "go.opentelemetry.io/otel/exporters/jaeger@latest",
  "google.golang.org/protobuf@latest",
  // gopkg.in.
  "gopkg.in/yaml.v2@latest",
  "gopkg.in/yaml.v3@latest",
  "gopkg.in/yaml.v1@latest",
  "gopkg.in/check.v1@latest",
  "gopkg.in/inf.v0@latest",
  "gopkg.in/ini.v1@latest",
  "gopkg.in/tomb.v1@latest",
  "gopkg.in/tomb.v2@latest",
  "gopkg.in/natefinch/lumberjack.v2@latest",
  "gopkg.in/fsnotify.v1@latest",
  "gopkg.in/square/go-jose.v2@latest",
  // Major versions.
  "github.com/cespare/xxhash/v2@latest",
  "github.com/hashicorp/golang-lru/v2@latest",
  "github.com/russross/blackfriday/v2@latest",
  "github.com/cenkalti/backoff/v4@v4",
  "github.com/go-chi/chi/v5@latest",
  "github.com/pelletier/go-toml/v2@v2.0",
  "github.com/google/go-querystring@latest",
  "github.com/envoyproxy/protoc-gen-validate@v0.1.0",
  "github.com/emicklei/go-restful/v3@latest",
  // Upper case.
  "github.com/BurntSushi/toml@latest",
  "github.com/Masterminds/semver/v3@latest",
  "github.com/Masterminds/goutils@latest",
  "github.com/Microsoft/go-winio@latest",
  "github.com/NYTimes/gziphandler@latest",
  "github.com/OneOfOne/xxhash@latest",
  "github.com/Knetic/govaluate@latest",
  "github.com/AndreasBriese/bbloom@latest",
  "github.com/PuerkitoBio/purell@latest",
  // Without a go.mod, or with one that came late.
  "github.com/pkg/errors@v0.8.0",
  "github.com/pmezard/go-difflib@latest",
  "github.com/davecgh/go-spew@latest",
  "github.com/mitchellh/go-homedir@v1.0.0",
  "github.com/spf13/pflag@v1.0.3",
  "github.com/inconshreveable/mousetrap@v1.0.0",
  // In a directory of their repository.
  "go.uber.org/zap/exp@latest",
  "cloud.google.com/go/compute/metadata@latest",
  "github.com/moby/term@latest",
  "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp@v0.40.0",
  "github.com/Azure/go-autorest/autorest/date@latest",
  "github.com/Azure/go-autorest/logger@latest",
  "google.golang.org/genproto/googleapis/rpc@latest",
  // Hosts of their own, and long lists.
  "honnef.co/go/tools@v0.0.0-20190106161140-3f1c8253044a",
  "rsc.io/quote@latest",
  "rsc.io/quote/v3@latest",
  "rsc.io/binaryregexp@latest",
  "modernc.org/mathutil@latest",
  "go4.org/intern@latest",
  "dmitri.shuralyov.com/gpu/mtl@latest",
  "sigs.k8s.io/yaml@latest",
  "golang.org/x/crypto@<v0.1.0",
  "golang.org/x/text@v0.3",
];

async function goEnv(name: string): Promise<string> {
  return (await runCommand("go", { args: ["env", name] })).stdout.trim();
}

goTest("odd real modules are the same straight and through this server", async (t) => {
  const upstream = await goEnv("GOPROXY");
  const [first = ""] = upstream.split(/[,|]/);
  await using server = await startServer({ env: { ...networkEnv(), GOPROXY: first } });
  const paths = new Set<string>();
  const rounds: string[][] = [[], []];
  // A command asks one thing about a path.
  for (const question of QUESTIONS) {
    const [path = ""] = question.split("@");
    rounds[paths.has(path) ? 1 : 0]?.push(question);
    paths.add(path);
  }
  let compared = 0;
  for (const questions of rounds) {
    for (const operation of ["list", "download"] as const) {
      const options = { operation, questions, env: networkEnv() };
      const straight = await askThrough(first, options);
      const through = await askThrough(server.url, options);
      for (const [i, question] of questions.entries()) {
        const [want, got] = [straight[i], through[i]];
        if (typeof want !== "object") {
          report(`SKIP ${operation} ${question}: the upstream does not answer it`);
          continue;
        }
        if (operation === "download") compared++;
        await t.step(`${operation} ${question}`, () => assertSame(got, want));
      }
    }
  }
  report(`${compared} modules compared`);
  assert.ok(compared >= MIN_COMPARED);
});

function assertSame(got: Outcome | undefined, want: Outcome): void {
  assert.deepEqual(got, want);
}

/** How this machine reaches the outside. */
function networkEnv(): Record<string, string> {
  const names = ["SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
  const entries = names.map((name) => [name, Deno.env.get(name)] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
