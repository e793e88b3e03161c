/**
 * What a route answers, as data. The app makes the one Response of it when nothing is left to be said: to change the
 * headers of a Response afterwards, or to read them, costs more than everything else that a small answer needs, because
 * the runtime has it ready for the wire by then and has to begin anew.
 */

export interface Answer {
  readonly status: number;
  /** All but those that are about the request and not about what is answered: the app adds them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Each is a header `WWW-Authenticate` of its own: not every client takes a list apart. */
  readonly challenges?: readonly string[];
  readonly body: AnswerBody | null;
  /** What the header `Content-Length` says, also where there is no body because nobody wants it. Default: it is not said. */
  readonly sizeBytes?: number;
}

export type AnswerBody =
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array<ArrayBuffer>>;

export interface ResponseOptions {
  /** What the client finds the request in the log by. */
  readonly requestId: string;
  /** What one client may have, another may not: nothing between keeps it for all. The client itself may. */
  readonly answersDiffer?: boolean;
}

export function responseOf(answer: Answer, options: ResponseOptions): Response {
  const { status, body, challenges, sizeBytes } = answer;
  const headers: Record<string, string> = { ...answer.headers };
  if (sizeBytes !== undefined) headers["Content-Length"] = String(sizeBytes);
  if (options.answersDiffer) keepForOneClient(headers);
  headers["X-Request-Id"] = options.requestId;
  const response = new Response(body, { status, headers });
  challenges?.forEach((challenge) => response.headers.append("WWW-Authenticate", challenge));
  return response;
}

function keepForOneClient(headers: Record<string, string>): void {
  const { "Cache-Control": cacheControl, "Vary": vary } = headers;
  if (cacheControl === undefined || !cacheControl.startsWith("public")) return;
  headers["Cache-Control"] = cacheControl.replace(/^public\b/, "private");
  headers["Vary"] = vary === undefined ? "Authorization" : `${vary}, Authorization`;
}
