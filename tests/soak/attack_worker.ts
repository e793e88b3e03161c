/**
 * The thread of the soak's attackers and their servers, so that the good client's times are not
 * theirs. It answers each message: `{ start: internalUrl }` with `{ url }`, `{ attack: target }`
 * with nothing, and `{ stop: true }` with `{ outcomes, asked }` when the attackers have stopped.
 */
import { attack, type Outcomes, type Target } from "./attackers.ts";
import { type HostileServers, startHostileServers } from "./hostile_servers.ts";

export type Order =
  | { readonly kind: "start"; readonly internalUrl: string }
  | { readonly kind: "attack"; readonly target: Target }
  | { readonly kind: "stop" };

export type Report =
  | { readonly kind: "started"; readonly url: string }
  | {
    readonly kind: "stopped";
    readonly outcomes: Outcomes;
    /** The paths that the hostile upstream was asked for. */
    readonly asked: readonly string[];
  };

interface Attack {
  readonly controller: AbortController;
  readonly outcomes: Promise<Outcomes>;
}

class AttackWorker {
  #servers: HostileServers | null = null;
  #attack: Attack | null = null;

  async obey(order: Order): Promise<Report | null> {
    if (order.kind === "start") {
      this.#servers = await startHostileServers(order.internalUrl);
      return { kind: "started", url: this.#servers.url };
    }
    if (order.kind === "attack") {
      const controller = new AbortController();
      this.#attack = { controller, outcomes: attack(order.target, controller.signal) };
      return null;
    }
    this.#attack?.controller.abort();
    const outcomes = await this.#attack?.outcomes ?? {};
    const asked = [...this.#servers?.asked ?? []];
    // Answers that never end must not keep the report back; the thread is ended anyway.
    void this.#servers?.[Symbol.asyncDispose]();
    return { kind: "stopped", outcomes, asked };
  }
}

const worker = new AttackWorker();
const scope = self as unknown as {
  onmessage: (event: MessageEvent<Order>) => Promise<void>;
  postMessage(report: Report): void;
};
scope.onmessage = async ({ data }) => {
  const report = await worker.obey(data);
  if (report !== null) scope.postMessage(report);
};
