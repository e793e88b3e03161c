/**
 * A process that fetches from a name that no resolver knows, for egress_fetch_test.ts, which may
 * not use names itself.
 *
 * Arguments: the port of an https server on 127.0.0.1 and the file of its authority's certificate.
 * NO_PROXY is for all hosts. The lookup answers with loopback, later with an address where nobody
 * is. It prints, as JSON, what each fetch came to and what was looked up.
 */
import { clientsWithoutNoProxy } from "../../cli/load_config.ts";
import { describeError } from "../../lib/errors.ts";
import { createFetch } from "../../lib/http/client.ts";
import { EgressClients } from "../../lib/http/egress_clients.ts";
import { EgressRoutes } from "../../lib/http/egress_routes.ts";

if (import.meta.main) {
  const [port = "", caFile = ""] = Deno.args;
  const lookups: string[] = [];
  const routes = new EgressRoutes({
    allow: [`127.0.0.1:${port}`],
    resolve: (hostname) => {
      lookups.push(hostname);
      return Promise.resolve([lookups.length === 1 ? "127.0.0.1" : "127.0.0.9"]);
    },
  });
  const caCertificates = [await Deno.readTextFile(caFile)];
  const createClient = clientsWithoutNoProxy(Deno.env);
  using clients = new EgressClients({ routes, createClient, caCertificates });
  const fetch = createFetch({
    userAgent: "test",
    via: "1.1 test",
    clientFor: (url) => clients.clientFor(url),
  });
  const results: string[] = [];
  for (
    const url of [
      `https://git.example.com:${port}/a`,
      `https://git.example.com:${port}/b`,
      `https://other.example.com:${port}/c`,
    ]
  ) {
    try {
      const response = await fetch(new URL(url));
      results.push(`${response.status} ${await response.text()}`);
    } catch (error) {
      results.push(describeError(error));
    }
  }
  const noProxy = Deno.env.get("NO_PROXY");
  await Deno.stdout.write(
    new TextEncoder().encode(JSON.stringify({ results, lookups, noProxy })),
  );
}
