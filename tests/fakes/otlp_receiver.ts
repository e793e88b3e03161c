/**
 * A collector of OpenTelemetry: takes OTLP over HTTP in JSON (opentelemetry.io/docs/specs/otlp,
 * "OTLP/HTTP") and keeps spans and the names of metrics.
 */
import { z } from "zod";

const value = z.object({ stringValue: z.string().optional() });
const attributes = z.array(z.object({ key: z.string(), value }));
const spanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string(),
  name: z.string(),
  attributes,
  status: z.object({ code: z.number(), message: z.string() }),
});
const traces = z.object({
  resourceSpans: z.array(z.object({
    scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })),
  })),
});
const metrics = z.object({
  resourceMetrics: z.array(z.object({
    scopeMetrics: z.array(z.object({ metrics: z.array(z.object({ name: z.string() })) })),
  })),
});

export interface ReceivedSpan extends Omit<z.output<typeof spanSchema>, "attributes"> {
  readonly attributes: Readonly<Record<string, string>>;
}

export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly metrics = new Set<string>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        this.#take(new URL(request.url).pathname, await request.json());
        return Response.json({});
      },
    );
  }

  /** The variables by which Deno sends everything here, at once. */
  get env(): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_METRIC_EXPORT_INTERVAL: "200",
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  #take(path: string, body: unknown): void {
    if (path === "/v1/traces") {
      for (const { scopeSpans } of traces.parse(body).resourceSpans) {
        for (const span of scopeSpans.flatMap(({ spans }) => spans)) this.#keep(span);
      }
    }
    if (path === "/v1/metrics") {
      for (const { scopeMetrics } of metrics.parse(body).resourceMetrics) {
        for (const { name } of scopeMetrics.flatMap((scope) => scope.metrics)) {
          this.metrics.add(name);
        }
      }
    }
  }

  #keep(span: z.output<typeof spanSchema>): void {
    const facts = span.attributes.map(({ key, value }) => [key, value.stringValue ?? ""]);
    this.spans.push({ ...span, attributes: Object.fromEntries(facts) });
  }
}
