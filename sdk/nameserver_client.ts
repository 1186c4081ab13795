/**
 * Names at an agent that runs a nameserver on port 53 (docs/protocol/nameserver.md). One connection per request.
 *
 * @module
 */

import type { Address } from "../protocol/address.ts";
import { concatBytes } from "../protocol/bytes.ts";
import { DecodeError, PilotError } from "../protocol/errors.ts";
import {
  decodeNameReply,
  encodeNameRequest,
  MAX_NAME_REPLY_BYTES,
  type NameProvider,
  type NameQuestion,
  type NameRecord,
  type NameReply,
  type NameRequest,
} from "../protocol/service/nameserver_text.ts";
import { PORT_NAMESERVER } from "../protocol/well_known_ports.ts";
import { type AbortOptions, type WaitOptions, withDeadline } from "./abort.ts";
import type { Conn } from "./conn.ts";
import { type Dialler, peerName, using } from "./messages.ts";
import type { Target } from "./target.ts";

/** Longest time for a request to a nameserver when the caller sets none, milliseconds: a first contact may be part of it. */
const NAME_TIMEOUT_MS = 30_000;

/** What {@linkcode Names} needs of a driver. */
export interface NamesDriver extends Dialler {
  /** Our own address. */
  address(options?: AbortOptions): Promise<Address>;
}

/** How to register a name for an address. */
export interface RegisterNameOptions extends WaitOptions {
  /** The address, on whichever network; default our own on the backbone. Nameservers refuse that of another node. */
  address?: Address | undefined;
}

/** A service to register. */
export interface NamedService {
  /** Name of the provider. */
  readonly name: string;
  /** Network that the service is for, 0..65535. */
  readonly network: number;
  /** Its port, 0..65535. */
  readonly port: number;
}

/**
 * A nameserver, made by `Driver.names`. Records live 5 minutes: who wants to stay known registers again in time. Every
 * call takes a signal and `timeoutMs` (default 30 000) and throws as `Driver.dial` does, `connection_refused` when the
 * agent runs no nameserver; `denied` when it refuses, `protocol_error` when it answers something else.
 *
 * @example A name that another agent keeps for us
 * ```ts
 * import { connect, formatAddress } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * const names = driver.names("alice");
 * await names.registerAddress("printer");
 * console.log(formatAddress(await names.queryAddress("printer")));
 * ```
 */
export class Names {
  /** The agent that runs it. */
  readonly target: Target;
  readonly #driver: NamesDriver;

  /**
   * Made by the driver.
   *
   * @ignore
   */
  constructor(driver: NamesDriver, target: Target) {
    this.#driver = driver;
    this.target = target;
  }

  /**
   * Asks for the address behind a name.
   *
   * @param name The name, 1 to 253 bytes without white space and control characters; upper and lower case differ.
   * @param options Signal, limit.
   * @returns The address.
   * @throws {PilotError} `not_found`, `invalid_argument`.
   */
  async queryAddress(name: string, options: WaitOptions = {}): Promise<Address> {
    return (await this.#query("A", { type: "A", name }, options)).address;
  }

  /**
   * Asks for the number of a network.
   *
   * @param name Name of the network.
   * @param options Signal, limit.
   * @returns Its number.
   * @throws {PilotError} `not_found`, `invalid_argument`.
   */
  async queryNetwork(name: string, options: WaitOptions = {}): Promise<number> {
    return (await this.#query("N", { type: "N", name }, options)).network;
  }

  /**
   * Asks who provides a service.
   *
   * @param network Network of the service, 0..65535.
   * @param port Its port, 0..65535.
   * @param options Signal, limit.
   * @returns The providers; none is not an error.
   * @throws {PilotError} `invalid_argument`.
   */
  async queryService(
    network: number,
    port: number,
    options: WaitOptions = {},
  ): Promise<readonly NameProvider[]> {
    return (await this.#query("S", { type: "S", network, port }, options)).providers;
  }

  /**
   * Registers a name for our address, or refreshes it.
   *
   * @param name The name.
   * @param options Address, signal, limit.
   * @throws {PilotError} `denied` when another node holds the name, `invalid_argument`.
   */
  async registerAddress(name: string, options: RegisterNameOptions = {}): Promise<void> {
    await this.#register(name, options, async (signal) => {
      return {
        type: "A",
        name,
        address: options.address ?? await this.#driver.address({ signal }),
      };
    });
  }

  /**
   * Registers a name for a network, or refreshes it.
   *
   * @param name Name of the network.
   * @param network Its number, 0..65535.
   * @param options Signal, limit.
   * @throws {PilotError} `denied` when another node holds the name, `invalid_argument`.
   */
  async registerNetwork(name: string, network: number, options: WaitOptions = {}): Promise<void> {
    await this.#register(name, options, () => ({ type: "N", name, network }));
  }

  /**
   * Registers us as a provider of a service, or refreshes that.
   *
   * @param service Name, network, port.
   * @param options Address, signal, limit.
   * @throws {PilotError} `denied`, `invalid_argument`.
   */
  async registerService(service: NamedService, options: RegisterNameOptions = {}): Promise<void> {
    const { name, network, port } = service;
    await this.#register(name, options, async (signal) => {
      const address = options.address ?? await this.#driver.address({ signal });
      return { type: "S", name, network, port, address };
    });
  }

  async #query<K extends "A" | "N" | "S">(
    kind: K,
    question: NameQuestion,
    options: WaitOptions,
  ): Promise<Extract<NameReply, { kind: K }>> {
    const asked = question.type === "S"
      ? `providers of port ${question.port} in network ${question.network}`
      : `"${question.name}"`;
    const what = `Asking for ${asked}`;
    const reply = await this.#exchange(() => ({ command: "query", question }), what, options);
    if (isKind(reply, kind)) return reply;
    throw unexpected(reply, what);
  }

  async #register(
    name: string,
    options: WaitOptions,
    makeRecord: (signal: AbortSignal) => NameRecord | Promise<NameRecord>,
  ): Promise<void> {
    const what = `Registering "${name}"`;
    const reply = await this.#exchange(
      async (signal) => ({ command: "register", record: await makeRecord(signal) }),
      what,
      options,
    );
    if (reply.kind !== "ok") throw unexpected(reply, what);
  }

  async #exchange(
    makeRequest: (signal: AbortSignal) => NameRequest | Promise<NameRequest>,
    what: string,
    options: WaitOptions,
  ): Promise<NameReply> {
    const { signal, timeoutMs = NAME_TIMEOUT_MS } = options;
    return await withDeadline({ signal, timeoutMs }, what, async (signal) => {
      const bytes = encodeNameRequest(await makeRequest(signal));
      const conn = await this.#driver.dial(this.target, PORT_NAMESERVER, { signal });
      return await using(conn, async () => {
        // In one write: servers read once.
        await conn.write(bytes, { signal });
        const reply = decodeNameReply(await readReply(conn, signal));
        if (!(reply instanceof DecodeError)) return reply;
        throw new PilotError("protocol_error", `From ${peerName(conn.remote)}: ${reply.message}`);
      });
    });
  }
}

/** Everything until the server closes, but no more than the decoder needs to refuse it. */
async function readReply(conn: Conn, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length <= MAX_NAME_REPLY_BYTES) {
    const chunk = await conn.read({ signal });
    if (chunk === undefined) break;
    chunks.push(chunk);
    length += chunk.length;
  }
  return concatBytes(...chunks);
}

function isKind<K extends NameReply["kind"]>(
  reply: NameReply,
  kind: K,
): reply is Extract<NameReply, { kind: K }> {
  return reply.kind === kind;
}

function unexpected(reply: NameReply, what: string): PilotError {
  if (reply.kind !== "error") {
    return new PilotError("protocol_error", `${what}: the nameserver answered something else`);
  }
  const code = / not found$/.test(reply.message) ? "not_found" : "denied";
  return new PilotError(code, `${what}: ${reply.message}`);
}
