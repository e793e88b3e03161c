/**
 * `deno task bench auth`: the cost of client authentication, measured with cached `.info`, the
 * cheapest request.
 *
 * One server asks nobody, the other has an access list of ten rules of which the last applies. Both
 * run all the time, and one at a time is asked. Both get the same requests, all with the same
 * credentials, as those of a build have them.
 */
import { Contestant } from "./contestants.ts";
import { FakeIssuer } from "../tests/fakes/issuer.ts";
import { load } from "./load.ts";
import { fileOf, madeModules, SMALL_MODULES } from "./made_modules.ts";
import { treeCpuMs } from "./process_tree.ts";
import { type Report, Samples } from "./report.ts";
import type { BenchOptions } from "./suite.ts";
import { Upstream } from "./upstream.ts";

const CONNECTIONS = 32;
const OPEN = "without authentication";
/** Issue 6: less than a tenth. */
const MOST_OF_THE_WORK = 1.1;
const LEAST_OF_THE_THROUGHPUT = 0.9;
const AUDIENCE = "https://proxy.example.com";
const PASSWORD = "a password of the benchmark";
const PATHS = SMALL_MODULES.map((module) => fileOf(module, "info"));

export async function benchAuth({ rounds, seconds, say }: BenchOptions): Promise<Report> {
  const files = await madeModules([]);
  await using upstream = await Upstream.start([files]);
  await using issuer = await FakeIssuer.start();
  await using open = await Contestant.start("ours", { upstream });
  const clientAuth = clientAuthOf(issuer);
  await using guarded = await Contestant.start("ours", { upstream, clientAuth });
  const basic = `Basic ${btoa(`dev:${PASSWORD}`)}`;
  const credentials = {
    "Basic": basic,
    "access token": `Bearer ${await accessToken(guarded.url)}`,
    "OpenID Connect token": `Bearer ${await issuer.token({
      iss: issuer.url,
      aud: AUDIENCE,
      exp: Math.floor(Date.now() / 1000) + 3600,
      repository: "my-org/lib",
      workflow: "x".repeat(500), // as long as those of CI systems
    })}`,
  };
  await open.warm(PATHS);
  await guarded.warm(PATHS, { Authorization: basic });
  say("until all is compiled");
  for (const { url } of [open, guarded]) {
    await load({ url, paths: PATHS, connections: CONNECTIONS, seconds, authorization: basic });
  }
  const samples = new Samples();
  for (let round = 0; round < rounds; round++) {
    for (const [kind, authorization] of Object.entries(credentials)) {
      say(`round ${round + 1} of ${rounds}: ${kind}`);
      const turns = [
        { side: OPEN, contestant: open, authorization },
        { side: "ours", contestant: guarded, authorization },
      ];
      if (round % 2 === 1) turns.reverse();
      for (const turn of turns) await measure(kind, turn, { seconds, samples });
    }
  }
  return {
    suite: "auth",
    notes: [
      `${CONNECTIONS} connections, .info of ${PATHS.length} modules; ten rules; both get the same requests.`,
    ],
    rows: samples.rows(),
  };
}

interface Turn {
  readonly side: string;
  readonly contestant: Contestant;
  readonly authorization: string;
}

async function measure(
  kind: string,
  { side, contestant: { url, pid }, authorization }: Turn,
  { seconds, samples }: { seconds: number; samples: Samples },
): Promise<void> {
  const before = await treeCpuMs(pid);
  const served = await load({
    url,
    paths: PATHS,
    connections: CONNECTIONS,
    seconds,
    authorization,
  });
  const after = await treeCpuMs(pid);
  samples.add(
    {
      name: `warm \`.info\`, ${kind}`,
      unit: "requests/s",
      goals: [{ of: [OPEN], atLeast: LEAST_OF_THE_THROUGHPUT }],
    },
    side,
    served.requests / served.seconds,
  );
  samples.add(
    {
      name: `warm \`.info\`, ${kind}: work`,
      unit: "CPU µs/request",
      goals: [{ of: [OPEN], atMost: MOST_OF_THE_WORK }],
    },
    side,
    before === null || after === null ? null : (after - before) * 1000 / served.requests,
  );
}

function clientAuthOf(issuer: FakeIssuer): object {
  const others = Array.from({ length: 9 }, (_, i) => ({
    ...(i % 2 === 0
      ? { modules: [`git.example.com/team-${i}/*`] }
      : { moduleRegexp: `^git\\.example\\.com/team-${i}/` }),
    access: "deny",
  }));
  return {
    enabled: true,
    acl: [...others, { identities: ["dev", "ci"] }],
    authenticators: {
      accessToken: { audience: AUDIENCE, secret: crypto.randomUUID() },
      oidc: [{ issuer: issuer.url, audience: AUDIENCE }],
    },
    identities: [
      { name: "dev", password: PASSWORD },
      { name: "ci", oidcBinding: { issuer: issuer.url, claims: { repository: "my-org/*" } } },
    ],
  };
}

async function accessToken(url: string): Promise<string> {
  const response = await fetch(`${url}/auth/userpassword`, {
    method: "POST",
    body: JSON.stringify({ user: "dev", password: PASSWORD }),
  });
  const body: unknown = await response.json();
  const token = typeof body === "object" && body !== null && Reflect.get(body, "access_token");
  if (typeof token === "string") return token;
  throw new Error(`Cannot log in: status ${response.status}`);
}
