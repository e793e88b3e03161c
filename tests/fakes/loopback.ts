/**
 * An HTTP server on 127.0.0.1, on a port that the system chose, which can go down and come back:
 * while it is down its port refuses connections, and connections that were open are cut.
 *
 * KNOWN LIMIT: another process may take the port while the server is down. Then {@linkcode
 * Loopback.up} throws.
 */
export class Loopback implements AsyncDisposable {
  readonly url: string;
  readonly #handler: Deno.ServeHandler;
  readonly #onError: (error: unknown) => Response;
  readonly #port: number;
  #running: Running | null;

  /**
   * `onError` receives errors of the handler and of its response bodies. Without it, they appear in
   * the test's output.
   */
  constructor(handler: Deno.ServeHandler, onError: (error: unknown) => Response = rethrow) {
    this.#handler = handler;
    this.#onError = onError;
    this.#running = this.#serve(0);
    this.#port = this.#running.server.addr.port;
    this.url = `http://127.0.0.1:${this.#port}`;
  }

  /** Cuts every connection and refuses new ones, until {@linkcode up}. */
  async down(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    running.controller.abort();
    await running.server.finished;
  }

  /** Listens again, on the same port. */
  up(): void {
    this.#running ??= this.#serve(this.#port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }

  #serve(port: number): Running {
    const controller = new AbortController();
    const server = Deno.serve({
      hostname: "127.0.0.1",
      port,
      signal: controller.signal,
      onListen: () => {},
      onError: this.#onError,
    }, this.#handler);
    return { controller, server };
  }
}

interface Running {
  readonly controller: AbortController;
  readonly server: Deno.HttpServer<Deno.NetAddr>;
}

function rethrow(error: unknown): never {
  throw error;
}
