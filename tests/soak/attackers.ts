/**
 * The soak's attackers, all at once, in bounded loops that end at the signal. Strangers come from
 * an address of their own; eve and mallory, with one each, have passwords, and may read public
 * modules only.
 */
import { createConnection, type Socket } from "node:net";
import { connect } from "node:tls";
import {
  GIT_HOST,
  GIT_KINDS,
  REPOSITORY_KINDS,
  UPSTREAM_HOST,
  UPSTREAM_KINDS,
} from "./hostile_servers.ts";

export interface Target {
  readonly port: number;
  /** The certificate to trust, PEM. */
  readonly certificate: string;
  /** Of eve and mallory. */
  readonly password: string;
  /** Paths of files that only others may read, by every spelling. */
  readonly denied: readonly string[];
  /** The path of a file that is larger than what the system buffers. */
  readonly largeFile: string;
  /** How many files the server may have open. */
  readonly fileLimit: number;
}

/** By attack: what came of it (`200`, `closed`, `hung up`, …), and how often. */
export type Outcomes = Record<string, Record<string, number>>;

const STRANGER = "127.0.0.2";
const EVE = "127.0.0.3";
const MALLORY = "127.0.0.4";
/** No loop goes round more often. */
const MAX_ROUNDS = 20_000;
/** How long a request of an attacker lasts at most: some never get an answer. */
const PATIENCE_MS = 30_000;
const HOSTNAME = "127.0.0.1";

/** Attacks until the signal, and says what came of it. */
export async function attack(target: Target, signal: AbortSignal): Promise<Outcomes> {
  const attackers = new Attackers(target, signal);
  await attackers.run();
  return attackers.outcomes;
}

class Attackers {
  readonly outcomes: Outcomes = {};
  readonly #target: Target;
  readonly #signal: AbortSignal;
  /** So that no module is asked for twice, and no answer known. */
  #next = 0;

  constructor(target: Target, signal: AbortSignal) {
    this.#target = target;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    using stranger = this.#client(STRANGER);
    using eves = this.#client(EVE);
    using mallorys = this.#client(MALLORY);
    const { fileLimit, denied, largeFile } = this.#target;
    const third = Math.ceil(fileLimit / 3);
    const eve = { client: eves, user: "eve" };
    const mallory = { client: mallorys, user: "mallory" };
    const loops = [
      // More connections than the server may have files.
      ...this.#times(third, () => this.#hold("idle connection", { isTls: false, sent: "" })),
      ...this.#times(
        third,
        () => this.#hold("half a TLS handshake", { isTls: false, sent: "\x16\x03\x01\x02" }),
      ),
      ...this.#times(
        third,
        () => this.#hold("half a head", { isTls: true, sent: "GET / HTTP/1.1\r\nHost: x" }),
      ),
      ...this.#times(30, () =>
        this.#hold("slow head", {
          isTls: true,
          sent: "GET / HTTP/1.1\r\nHost: x\r\nX: ",
          drip: "y",
        })),
      ...this.#times(60, () => this.#hold("slow log-in", { isTls: true, sent: LOG_IN, drip: " " })),
      ...this.#times(3, () => this.#wrongPassword(stranger)),
      ...this.#times(8, () => this.#doNotRead(largeFile)),
      ...this.#times(4, () => this.#hangUp(eve, largeFile)),
      ...this.#times(2, () => this.#askForDenied(eve, denied)),
      ...UPSTREAM_KINDS.flatMap((kind) =>
        this.#times(2, (user) => this.#askUpstream(user === 0 ? eve : mallory, kind))
      ),
      ...[...GIT_KINDS, ...REPOSITORY_KINDS].flatMap((kind) =>
        this.#times(2, (user) => this.#askGit(user === 0 ? eve : mallory, kind))
      ),
    ];
    const all = Promise.all(loops.map((loop, i) => this.#loop(loop, i)));
    // What hangs all the same ends with this process.
    const stopped = this.#pause(2 ** 30).then(() => this.#grace());
    await Promise.race([all, stopped]);
  }

  #times(count: number, loop: (i: number) => Promise<void>): (() => Promise<void>)[] {
    return Array.from({ length: count }, (_, i) => () => loop(i));
  }

  async #loop(round: () => Promise<void>, i: number): Promise<void> {
    // They do not all begin in the same millisecond.
    await this.#pause(i * 5);
    for (let rounds = 0; rounds < MAX_ROUNDS && !this.#signal.aborted; rounds++) {
      await round();
      await this.#pause(PAUSE_MS);
    }
  }

  #grace(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, GRACE_MS));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const signal = this.#signal;
      function done() {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }

  #count(attack: string, outcome: string | number): void {
    const outcomes = this.outcomes[attack] ??= {};
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }

  /** Opens a connection, sends little, and waits until the server closes it. */
  async #hold(
    attack: string,
    { isTls, sent, drip }: { isTls: boolean; sent: string; drip?: string },
  ): Promise<void> {
    using connection = this.#connect(isTls, STRANGER);
    const { socket, closed } = connection;
    socket.write(sent, "latin1");
    socket.resume();
    const timer = setInterval(() => {
      if (drip !== undefined) socket.write(drip);
    }, DRIP_INTERVAL_MS);
    try {
      await Promise.race([closed, this.#pause(2 ** 30)]);
    } finally {
      clearInterval(timer);
    }
    this.#count(attack, this.#signal.aborted ? "still open" : "closed");
    await this.#pause(HOLD_PAUSE_MS);
  }

  async #doNotRead(path: string): Promise<void> {
    using connection = this.#connect(true, EVE);
    const { socket, closed } = connection;
    socket.pause();
    const head = [
      `GET ${path} HTTP/1.1`,
      "Host: localhost",
      `Authorization: ${this.#basic("eve")}`,
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    await Promise.race([closed, this.#pause(PATIENCE_MS)]);
    this.#count("does not read", "given up");
  }

  async #wrongPassword(client: Deno.HttpClient): Promise<void> {
    const n = this.#next++;
    const user = ["dev", "eve", `nobody${n}`][n % 3] ?? "";
    const headers = { Authorization: `Basic ${btoa(`${user}:wrong${n}`)}` };
    await this.#ask("wrong password", "/", { client, headers });
    const body = JSON.stringify({ user, password: `wrong${n}` });
    await this.#ask("wrong log-in", "/auth/userpassword", { client, method: "POST", body });
  }

  async #hangUp(member: Member, largeFile: string): Promise<void> {
    const n = this.#next++;
    const paths = [
      largeFile,
      `/${UPSTREAM_HOST}/slow-zip/${n}/@v/v1.0.0.zip`,
      `/${GIT_HOST}/slow-refs-v0/${n}/@v/list`,
      `/${GIT_HOST}/bomb/${n}/@v/v1.0.0.zip`,
    ];
    const patienceMs = 20 + n * 37 % 500;
    await this.#askAs(member, "hangs up", paths[n % paths.length] ?? "", patienceMs);
  }

  async #askForDenied(member: Member, denied: readonly string[]): Promise<void> {
    for (const path of denied) await this.#askAs(member, "denied repository", path);
  }

  async #askUpstream(member: Member, kind: string): Promise<void> {
    const path = `/${UPSTREAM_HOST}/${kind}/${this.#next++}`;
    const files = ["/@v/list", "/@latest", "/@v/v1.0.0.info", "/@v/v1.0.0.zip"];
    await Promise.all(files.map((file) => this.#askAs(member, kind, `${path}${file}`)));
  }

  async #askGit(member: Member, kind: string): Promise<void> {
    const path = `/${GIT_HOST}/${kind}/${this.#next++}`;
    const files = ["/@v/list", "/@latest", "/@v/v1.0.0.zip"];
    await Promise.all(files.map((file) => this.#askAs(member, kind, `${path}${file}`)));
  }

  async #askAs(
    { client, user }: Member,
    attack: string,
    path: string,
    patienceMs = PATIENCE_MS,
  ): Promise<void> {
    const headers = { Authorization: this.#basic(user) };
    await this.#ask(attack, path, { client, headers }, patienceMs);
  }

  async #ask(
    attack: string,
    path: string,
    init: RequestInit & { client: Deno.HttpClient },
    patienceMs = PATIENCE_MS,
  ): Promise<void> {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), patienceMs);
    const signal = AbortSignal.any([this.#signal, patience.signal]);
    try {
      const url = `https://${HOSTNAME}:${this.#target.port}${path}`;
      const response = await fetch(url, { ...init, signal });
      for await (const _ of response.body ?? []);
      this.#count(attack, response.status);
    } catch (error) {
      // The connection was closed to make room, say.
      this.#count(attack, signal.aborted ? "hung up" : "broken");
      if (!(error instanceof Error)) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #basic(user: string): string {
    return `Basic ${btoa(`${user}:${this.#target.password}`)}`;
  }

  #client(localAddress: string): Deno.HttpClient {
    return Deno.createHttpClient({ caCerts: [this.#target.certificate], localAddress });
  }

  #connect(isTls: boolean, localAddress: string): Connection {
    const { port, certificate } = this.#target;
    const address = { host: HOSTNAME, port, localAddress };
    const socket = isTls ? connect({ ...address, ca: certificate }) : createConnection(address);
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    // A closed connection is what most of them get.
    socket.on("error", () => {});
    const close = () => socket.destroy();
    this.#signal.addEventListener("abort", close);
    if (this.#signal.aborted) close();
    return {
      socket,
      closed,
      [Symbol.dispose]: () => {
        this.#signal.removeEventListener("abort", close);
        close();
      },
    };
  }
}

/** Between two rounds of a loop: attackers have a connection to the network too. */
const PAUSE_MS = 500;
/** Until a connection that was closed is opened again: some hundred handshakes come in a second. */
const HOLD_PAUSE_MS = 6_000;
/** For the attackers to count what they were at when they were stopped. */
const GRACE_MS = 1_000;
const DRIP_INTERVAL_MS = 500;
const LOG_IN =
  "POST /auth/userpassword HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{";

interface Member {
  readonly client: Deno.HttpClient;
  readonly user: string;
}

interface Connection extends Disposable {
  readonly socket: Socket;
  readonly closed: Promise<void>;
}
