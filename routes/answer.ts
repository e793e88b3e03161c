/**
 * The answer of a route, as data. The app makes the Response from it once, when the answer is
 * final: changing or reading the headers of a Response costs more than everything else that a small
 * answer needs, because the runtime has already prepared it for the wire and has to start again.
 */

export interface Answer {
  readonly status: number;
  /** All but the headers that depend on the request instead of the content: the app adds them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Each becomes a header `WWW-Authenticate` of its own: not every client parses lists. */
  readonly challenges?: readonly string[];
  readonly body: AnswerBody | null;
  /**
   * The value of `Content-Length`, also for answers without a body, such as to HEAD. Default: no
   * such header.
   */
  readonly sizeBytes?: number;
}

export type AnswerBody =
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array<ArrayBuffer>>;

export interface ResponseOptions {
  /** The id by which the client finds the request in the log. */
  readonly requestId: string;
  /**
   * Other clients may not be allowed to have this answer, so shared caches must not store it. The
   * client itself may.
   */
  readonly answersDiffer?: boolean;
}

/**
 * For browsers, all answers say that they are what their type says, whatever their bytes look like,
 * and that links in them do not tell where they were found.
 */
export function responseOf(answer: Answer, options: ResponseOptions): Response {
  const { status, body, challenges, sizeBytes } = answer;
  const headers: Record<string, string> = { ...answer.headers };
  if (sizeBytes !== undefined) headers["Content-Length"] = String(sizeBytes);
  if (options.answersDiffer) keepForOneClient(headers);
  headers["X-Request-Id"] = options.requestId;
  headers["X-Content-Type-Options"] = "nosniff";
  headers["Referrer-Policy"] = "no-referrer";
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
