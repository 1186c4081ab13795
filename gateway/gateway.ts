/**
 * The gateway: ordinary TCP programs reach agents through local IP addresses (docs/protocol/command-line.md §6).
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { type Address, formatAddress } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import { getLogger, LOG_CATEGORY } from "../platform/log.ts";
import { TaskSet } from "../platform/task_set.ts";
import { Acceptor } from "../platform/net/acceptor.ts";
import type { Driver } from "../sdk/mod.ts";
import {
  ANSWERED_SILENCE_MS,
  Carried,
  IDLE_MS,
  type SilenceLimits,
  UNANSWERED_SILENCE_MS,
} from "./carried.ts";
import { Subnet } from "./subnet.ts";

/** TCP connections carried at a time. */
export const MAX_PROXIED = 1_024;
/** TCP connections carried to one agent at a time: a quarter, so that one busy agent leaves room for others. */
export const MAX_PROXIED_PER_MAPPING = 256;
/**
 * Connections to one agent whose client has ended after an answer; beyond, the one silent for longest is ended. A
 * client that asks and ends hundreds of times a second must not use up what the agent allows one peer (128 for echo).
 */
export const MAX_LINGERING_PER_MAPPING = 32;
/** Silence after which a connection makes room when a new one would find none, milliseconds. */
export const EVICTABLE_SILENCE_MS = 60_000;
/** The same error is reported once in this time, milliseconds: clients can cause it at will. */
const REPORT_INTERVAL_MS = 1_000;

const log = getLogger([LOG_CATEGORY, "gateway"]);

/** A local address that represents an agent. */
export interface Mapping {
  /** Local IPv4 address. */
  readonly localIp: string;
  /** The agent. */
  readonly address: Address;
  /** Local TCP ports; each leads to the same port of the agent. Given as 0, the number the system chose. */
  readonly ports: readonly number[];
  /** Ports left out, as this user may not listen on them; empty unless {@linkcode GatewayOptions.skipDenied}. */
  readonly skipped: readonly number[];
}

/** A port of the agent, and what listens for it here. */
interface Listening {
  readonly port: number;
  readonly listener: Deno.TcpListener;
}

/** Limits that tests make smaller. */
export interface GatewayLimits extends SilenceLimits {
  /** Default {@linkcode MAX_PROXIED}. */
  readonly connections: number;
  /** Default {@linkcode MAX_PROXIED_PER_MAPPING}. */
  readonly connectionsPerMapping: number;
  /** Default {@linkcode MAX_LINGERING_PER_MAPPING}. */
  readonly lingeringPerMapping: number;
  /** Default {@linkcode EVICTABLE_SILENCE_MS}. */
  readonly evictableMs: number;
}

/** How a gateway works. */
export interface GatewayOptions {
  /** A connected driver; the gateway does not close it. */
  driver: Driver;
  /** Subnet of the local addresses; within 127.0.0.0/8 Linux needs no set-up and no rights for it. */
  subnet: string;
  /** TCP ports forwarded for every mapping. */
  ports: readonly number[];
  /** Leave out ports that this user may not listen on, as long as one remains: they are only defaults. */
  skipDenied?: boolean | undefined;
  /** How to listen; default TCP of the runtime. */
  listen?: (where: { hostname: string; port: number }) => Deno.TcpListener;
  /** Called when a connection could not be carried; for the same error at most once a second. */
  onError?: ((error: PilotError) => void) | undefined;
  /** Limits other than the defaults. */
  limits?: Partial<GatewayLimits>;
}

/**
 * Maps agents to local addresses.
 *
 * @example A local port that leads to an agent
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 * import { Gateway } from "@pilot-protocol/pilot/gateway";
 *
 * await using driver = await connect();
 * await using gateway = new Gateway({ driver, subnet: "127.9.0.0/16", ports: [8400] });
 * const { localIp } = await gateway.map(await driver.resolveTarget("alice"));
 * console.log(`curl http://${localIp}:8400/`);
 * ```
 */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #subnet: Subnet;
  readonly #mappings = new Map<string, { mapping: Mapping; acceptors: Acceptor<Deno.TcpConn>[] }>();
  readonly #ending = new TaskSet();
  /** What is carried, the oldest first. */
  readonly #running = new Map<Carried, { key: string; done: Promise<void> }>();
  readonly #limits: GatewayLimits;
  #isLost = false;
  #lastReport = { message: "", atMs: -Infinity };

  /**
   * Makes a gateway without mappings.
   *
   * @param options See {@linkcode GatewayOptions}.
   * @throws {PilotError} `invalid_argument` for a bad subnet.
   */
  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#subnet = new Subnet(options.subnet);
    this.#limits = {
      connections: MAX_PROXIED,
      connectionsPerMapping: MAX_PROXIED_PER_MAPPING,
      lingeringPerMapping: MAX_LINGERING_PER_MAPPING,
      evictableMs: EVICTABLE_SILENCE_MS,
      unansweredMs: UNANSWERED_SILENCE_MS,
      answeredMs: ANSWERED_SILENCE_MS,
      idleMs: IDLE_MS,
      ...options.limits,
    };
    void options.driver.closed.then(() => this.#isLost = true);
  }

  /** The subnet. */
  get subnet(): string {
    return this.#subnet.cidr;
  }

  /** All mappings. */
  get mappings(): Mapping[] {
    return [...this.#mappings.values()].map(({ mapping }) => mapping);
  }

  /**
   * Gives an agent a local address and listens on its ports.
   *
   * @param address The agent; one that is mapped keeps its local address.
   * @param localIp The address to use; default the lowest free one.
   * @returns The mapping.
   * @throws {PilotError} `already_exists` for a taken address or port, `denied` for a port that needs rights,
   * `io_error` for an address that this machine does not have, `limit_exceeded`, `invalid_argument`. Nothing is
   * mapped then.
   */
  map(address: Address, localIp?: string): Mapping {
    const key = formatAddress(address);
    const known = this.#mappings.get(key);
    if (known !== undefined) return known.mapping;
    const ip = this.#subnet.take(localIp);
    let open: { listeners: Listening[]; skipped: number[] };
    try {
      open = this.#listen(ip);
    } catch (error) {
      this.#subnet.release(ip);
      throw error;
    }
    const { listeners, skipped } = open;
    const ports = listeners.map(({ listener }) => listener.addr.port);
    const mapping = { localIp: ip, address, ports, skipped };
    const acceptors = listeners.map(({ listener, port }) =>
      new Acceptor({
        ...{ role: "gateway", listener, log },
        admit: (tcp) => this.#admit(tcp, address, port),
        onShortage: (error) => this.#report(shortageError(error)),
      })
    );
    this.#mappings.set(key, { mapping, acceptors });
    return mapping;
  }

  /** Stops listening for an agent; existing connections continue. False when it is not mapped. */
  unmap(address: Address): boolean {
    const key = formatAddress(address);
    const known = this.#mappings.get(key);
    if (known === undefined) return false;
    this.#mappings.delete(key);
    for (const acceptor of known.acceptors) this.#ending.add(acceptor.close());
    this.#subnet.release(known.mapping.localIp);
    return true;
  }

  /** Ends everything. */
  async close(): Promise<void> {
    for (const { address } of this.mappings) this.unmap(address);
    await this.#ending.settled(); // from here on nothing new comes
    const running = [...this.#running];
    for (const [carried] of running) carried.end();
    await Promise.all([this.#ending.settled(), ...running.map(([, { done }]) => done)]);
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #listen(hostname: string): { listeners: Listening[]; skipped: number[] } {
    const { ports, skipDenied, listen = Deno.listen } = this.#options;
    const listeners: Listening[] = [];
    const denied: { port: number; error: PilotError }[] = [];
    try {
      for (const port of ports) {
        try {
          listeners.push({ port, listener: listen({ hostname, port }) });
        } catch (cause) {
          const error = listenError(hostname, port, cause);
          if (error.code !== "denied" || !skipDenied) throw error;
          denied.push({ port, error });
        }
      }
      if (listeners.length === 0 && denied.length > 0) throw denied[0]!.error;
    } catch (error) {
      for (const { listener } of listeners) listener.close();
      throw error;
    }
    return { listeners, skipped: denied.map(({ port }) => port) };
  }

  #admit(tcp: Deno.TcpConn, address: Address, port: number): void {
    const key = formatAddress(address);
    this.#boundLingering(key);
    if (!this.#makeRoom(key)) return tcp.close();
    const carried = new Carried(tcp, this.#limits);
    const done = carried.run((signal) => this.#options.driver.dial(address, port, { signal }))
      .catch((error) => this.#reportUnlessLost(error))
      .finally(() => this.#running.delete(carried));
    this.#running.set(carried, { key, done });
  }

  #boundLingering(key: string): void {
    const lingering = [...this.#running]
      .filter(([carried, running]) => running.key === key && carried.isLingering)
      .map(([carried]) => carried).sort((a, b) => b.silentMs - a.silentMs);
    const surplus = Math.max(0, lingering.length - this.#limits.lingeringPerMapping);
    for (const carried of lingering.slice(0, surplus)) carried.finish();
  }

  /** Is there room for one more to this agent? One that has been silent for long may have to go for it. */
  #makeRoom(key: string): boolean {
    const { connections, connectionsPerMapping, evictableMs } = this.#limits;
    const all = [...this.#running];
    const same = all.filter(([, running]) => running.key === key);
    const isShareFull = same.length >= connectionsPerMapping;
    if (!isShareFull && all.length < connections) return true;
    let idlest: Carried | undefined;
    for (const [carried] of isShareFull ? same : all) {
      if (carried.silentMs > (idlest?.silentMs ?? evictableMs)) idlest = carried;
    }
    if (idlest !== undefined) {
      // Its place is free at once, however long its end takes.
      this.#ending.add(this.#running.get(idlest)!.done);
      this.#running.delete(idlest);
      idlest.end();
      return true;
    }
    const message = isShareFull
      ? `Connection limit of ${key} reached (${connectionsPerMapping}): one more was refused`
      : `Connection limit reached (${connections}): one more was refused`;
    this.#report(
      new PilotError("limit_exceeded", message, {
        advice: { id: "second_gateway" },
      }),
    );
    return false;
  }

  /** Ends with the gateway at the latest. */
  /** When the daemon has gone that is the trouble, and not each connection that ends by it. */
  async #reportUnlessLost(error: PilotError): Promise<void> {
    await setImmediate(); // the driver's end is reported after those of its connections
    if (!this.#isLost) this.#report(error);
  }

  #report(error: PilotError): void {
    const atMs = performance.now();
    const { message } = error;
    const last = this.#lastReport;
    if (message === last.message && atMs - last.atMs < REPORT_INTERVAL_MS) return;
    this.#lastReport = { message, atMs };
    this.#options.onError?.(error);
  }
}

function shortageError(cause: unknown): PilotError {
  return new PilotError("limit_exceeded", "The gateway cannot accept connections", {
    cause,
    hint: "Allow it more open files: ulimit -n",
  });
}

function listenError(hostname: string, port: number, cause: unknown): PilotError {
  const where = `${hostname}:${port}`;
  if (cause instanceof Deno.errors.AddrInUse) {
    return new PilotError("already_exists", `TCP ${where} is in use`, {
      cause,
      advice: { id: "choose_other", setting: "ports" },
    });
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new PilotError("denied", `No permission to listen on TCP ${where}`, {
      cause,
      advice: { id: "free_ports" },
    });
  }
  return new PilotError("io_error", `Cannot listen on TCP ${where}`, {
    cause,
    hint:
      `This machine must own ${hostname}: on Linux addresses within 127.0.0.0/8 always work, others need \`ip addr add ${hostname}/32 dev lo\`.`,
  });
}
