/**
 * Spans, by the API of OpenTelemetry. Deno itself is what collects and exports them, with
 * `OTEL_DENO=true` (docs.deno.com/runtime/fundamentals/open_telemetry): it makes the spans of
 * requests that come in and go out, and here they get names and facts, and there are more of them
 * between. Without it every call here does nothing.
 */
import { type Attributes, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import { describeError } from "../errors.ts";

/** Finds its way to Deno's spans when there are any. */
const tracer = trace.getTracer("go-mod-proxy");

/** Does the work within a span of its own, below the one that is active now. */
export function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: () => Promise<T>,
): Promise<T> {
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: describeError(error) });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** A span for work that is not a function of its own. The caller ends it. */
export function startSpan(name: string, attributes: Attributes): Pick<Span, "end"> {
  return tracer.startSpan(name, { attributes });
}

export interface DescribedRequest {
  readonly id: string;
  readonly method: string;
  /** The path with names for what varies: there must be few names of spans. */
  readonly template: string;
  /** Those of {@linkcode REQUEST_FACTS} that are known. */
  readonly facts: Readonly<Record<string, unknown>>;
}

const REQUEST_FACTS = ["module", "version", "cache", "identity", "error"];

/**
 * Says of the request that is being answered what it is about. Whether it failed, Deno knows by its
 * status.
 */
export function describeRequest(request: DescribedRequest): void {
  const span = trace.getActiveSpan();
  if (span === undefined) return;
  const { id, method, template, facts } = request;
  span.updateName(`${method} ${template}`);
  span.setAttributes({ "http.route": template, "gomodproxy.request_id": id });
  for (const name of REQUEST_FACTS) {
    const fact = facts[name];
    if (typeof fact === "string") span.setAttribute(`gomodproxy.${name}`, fact);
  }
}
