/**
 * The gateway: ordinary TCP programs reach agents through local IP addresses (services-cli.md §7).
 *
 * @module
 */

import { type Address, formatAddress } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import type { Driver } from "../sdk/mod.ts";
import { proxy } from "./proxy.ts";
import { Subnet } from "./subnet.ts";

/** TCP connections carried at a time. */
export const MAX_PROXIED = 1_024;

/** A local address that stands for an agent. */
export interface Mapping {
  /** Local IPv4 address. */
  readonly localIp: string;
  /** The agent. */
  readonly address: Address;
  /** Local TCP ports; each leads to the same port of the agent. Given as 0, the number the system chose. */
  readonly ports: readonly number[];
}

/** How a gateway works. */
export interface GatewayOptions {
  /** A connected driver; the gateway does not close it. */
  driver: Driver;
  /** Subnet of the local addresses; within 127.0.0.0/8 Linux needs no set-up and no rights for it. */
  subnet: string;
  /** TCP ports forwarded for every mapping. */
  ports: readonly number[];
  /** Told why a connection could not be carried. */
  onError?: (error: PilotError) => void;
}

/** Maps agents to local addresses. */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #subnet: Subnet;
  readonly #mappings = new Map<string, { mapping: Mapping; listeners: Deno.TcpListener[] }>();
  readonly #accepting = new Set<Promise<void>>();
  readonly #running = new Map<Deno.TcpConn, Promise<void>>();
  readonly #stop = new AbortController();

  /**
   * Makes a gateway without mappings.
   *
   * @param options See {@linkcode GatewayOptions}.
   * @throws {PilotError} `invalid_argument` for a bad subnet.
   */
  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#subnet = new Subnet(options.subnet);
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
    const listeners: Deno.TcpListener[] = [];
    try {
      for (const port of this.#options.ports) listeners.push(listen(ip, port));
    } catch (error) {
      for (const listener of listeners) listener.close();
      this.#subnet.release(ip);
      throw error;
    }
    const mapping = { localIp: ip, address, ports: listeners.map(({ addr }) => addr.port) };
    this.#mappings.set(key, { mapping, listeners });
    for (const [index, listener] of listeners.entries()) {
      const accepting = this.#accept(listener, address, this.#options.ports[index]!)
        .finally(() => this.#accepting.delete(accepting));
      this.#accepting.add(accepting);
    }
    return mapping;
  }

  /** Stops listening for an agent; connections that run go on. False when it is not mapped. */
  unmap(address: Address): boolean {
    const key = formatAddress(address);
    const known = this.#mappings.get(key);
    if (known === undefined) return false;
    this.#mappings.delete(key);
    for (const listener of known.listeners) listener.close();
    this.#subnet.release(known.mapping.localIp);
    return true;
  }

  /** Ends everything. */
  async close(): Promise<void> {
    this.#stop.abort();
    for (const { address } of this.mappings) this.unmap(address);
    for (const tcp of this.#running.keys()) closeTcp(tcp);
    await Promise.all([...this.#accepting, ...this.#running.values()]);
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #accept(listener: Deno.TcpListener, address: Address, port: number): Promise<void> {
    for await (const tcp of listener) {
      if (this.#running.size >= MAX_PROXIED) {
        tcp.close();
        this.#report(new PilotError("limit_exceeded", `${MAX_PROXIED} connections are carried`));
        continue;
      }
      const running = this.#carry(tcp, address, port).finally(() => this.#running.delete(tcp));
      this.#running.set(tcp, running);
    }
  }

  async #carry(tcp: Deno.TcpConn, address: Address, port: number): Promise<void> {
    let conn;
    try {
      const { signal } = this.#stop;
      conn = await this.#options.driver.dial(address, port, { signal });
    } catch (error) {
      closeTcp(tcp); // or the gateway's end, which is why dialing failed, has closed it
      if (!this.#stop.signal.aborted) this.#report(PilotError.from(error, "connection_failed"));
      return;
    }
    await proxy(tcp, conn);
  }

  #report(error: PilotError): void {
    this.#options.onError?.(error);
  }
}

/** Closes a connection that may have ended by itself meanwhile. */
function closeTcp(tcp: Deno.TcpConn): void {
  try {
    tcp.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function listen(hostname: string, port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    const where = `${hostname}:${port}`;
    if (error instanceof Deno.errors.AddrInUse) {
      throw new PilotError("already_exists", `TCP ${where} is in use`, {
        cause: error,
        hint: "Choose other --ports.",
      });
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new PilotError("denied", `No right to listen on TCP ${where}`, {
        cause: error,
        hint: "Ports below 1024 need root; choose others with --ports.",
      });
    }
    throw new PilotError("io_error", `Cannot listen on TCP ${where}`, {
      cause: error,
      hint:
        `This machine must own ${hostname}: on Linux addresses within 127.0.0.0/8 always work, others need \`ip addr add ${hostname}/32 dev lo\`.`,
    });
  }
}
