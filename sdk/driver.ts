/**
 * The driver: a program's connection to its daemon.
 *
 * @module
 */

import { type Address, parseAddress } from "../protocol/address.ts";
import type { PathReport } from "../protocol/path/mod.ts";
import { DecodeError, PilotError } from "../protocol/errors.ts";
import type { LifecycleEventName } from "../protocol/lifecycle_events.ts";
import {
  Cmd,
  decodeConn,
  encodeConn,
  encodeDial,
  HEALTH,
  INFO,
  type IpcHealth,
  type IpcHelloOk,
  type IpcInfo,
  type IpcPingReply,
  PATH,
} from "../protocol/ipc/mod.ts";
import { type AbortOptions, type WaitOptions, withDeadline } from "./abort.ts";
import { Conn } from "./conn.ts";
import type { DaemonEvents, EventsOptions } from "./daemon_events.ts";
import type { DatagramReceiver } from "./datagrams.ts";
import { publish } from "./events.ts";
import type { FileSource, StreamFile } from "./file_source.ts";
import { type FileReceipt, sendFile, type SendFileOptions } from "./files.ts";
import { type MessageReceipt, sendMessage, type SendMessageOptions } from "./messages.ts";
import { Arrivals, type ListenOptions } from "./arrivals.ts";
import type { Listener } from "./listener.ts";
import { greet } from "./greet.ts";
import { Names } from "./nameserver_client.ts";
import { Networks } from "./networks.ts";
import { ownAddress, ping } from "./node_requests.ts";
import { openSource } from "./open_source.ts";
import { RegistryEntry } from "./registry.ts";
import { Requester } from "./requester.ts";
import { Trust } from "./trust.ts";
import type { DaemonLink } from "./daemon_link.ts";
import { subscribe, type SubscribeOptions, type Subscription } from "./subscription.ts";
import { checkNode, checkU16, readTarget, splitTargetPort, type Target } from "./target.ts";
import { plainClock } from "../platform/clock.ts";
import { inTime } from "../platform/waiting.ts";

/**
 * Longest wait for a connection when the caller sets none, milliseconds (as other drivers,
 * docs/protocol/local-socket.md §2).
 */
const DIAL_TIMEOUT_MS = 30_000;
/** Longest wait for a daemon that does not read while the driver is closed, milliseconds. */
const CLOSE_FLUSH_MS = 2_000;

/**
 * A program's connection to its daemon. Made by `connect`; closing it closes everything opened through it.
 *
 * Calls may overlap. With daemons that know no request ids they are answered one after the other.
 *
 * @example A message, a file and a measured path
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * const { rtt_ms, relayed } = await driver.ping("alice");
 * console.log(`alice answers after ${rtt_ms} ms${relayed ? " through the beacon" : ""}`);
 * const receipt = await driver.sendMessage("alice", JSON.stringify({ ask: "time" }), { type: "json" });
 * console.log(`stored, ${receipt.bytes} bytes`);
 * await driver.sendFile("alice", new Blob(["a,b\n1,2\n"]), { name: "table.csv" });
 * ```
 */
export class Driver implements AsyncDisposable {
  /**
   * Resolves when the driver has ended: undefined after {@linkcode close}, otherwise why the daemon was lost.
   */
  readonly closed: Promise<PilotError | undefined>;
  /** Who may talk to this node. */
  readonly trust: Trust;
  /** This node's entry in the registry, and what the registry says of others. */
  readonly registry: RegistryEntry;
  /** The registry's networks. */
  readonly networks: Networks;
  readonly #session: DaemonLink;
  readonly #requester: Requester;
  readonly #arrivals: Arrivals;
  #closing: Promise<void> | undefined;

  #hello: IpcHelloOk | undefined;
  #reopen: ((options: AbortOptions) => Promise<Driver>) | undefined;

  /**
   * Made by `connect`.
   *
   * @ignore
   */
  constructor(session: DaemonLink) {
    this.#session = session;
    const requester = this.#requester = new Requester(session);
    this.registry = new RegistryEntry(requester);
    this.trust = new Trust(requester, this.registry);
    this.networks = new Networks(requester);
    this.#arrivals = new Arrivals(session);
    this.closed = session.run(this.#arrivals).then(() =>
      this.#closing === undefined ? session.lost : undefined
    );
  }

  /**
   * Starts a conversation and finds out what the daemon can do.
   *
   * @ignore
   */
  static async open(
    session: DaemonLink,
    options: WaitOptions & {
      name: string | undefined;
      reopen?: (options: AbortOptions) => Promise<Driver>;
    },
  ): Promise<Driver> {
    const driver = new Driver(session);
    driver.#reopen = options.reopen;
    try {
      driver.#hello = await greet(session, options);
      return driver;
    } catch (error) {
      session.close(PilotError.from(error, "internal"));
      throw error;
    }
  }

  /**
   * A driver that works.
   *
   * @ignore
   * @returns This one, or a new one when its daemon was lost; undefined after {@linkcode close}.
   */
  async revived(options: AbortOptions = {}): Promise<Driver | undefined> {
    if (this.#closing !== undefined) return undefined;
    if (this.#session.lost === undefined) return this;
    return await this.#reopen?.(options);
  }

  /** Version of the daemon; empty for daemons that know no greeting. */
  get daemonVersion(): string {
    return this.#hello?.daemonVersion ?? "";
  }

  /** Optional abilities the daemon announced. */
  get features(): readonly string[] {
    return this.#hello?.features ?? [];
  }

  /**
   * State of the daemon: node, address, peers, connections, counters.
   *
   * @param options Signal.
   * @returns The daemon's `info`.
   */
  info(options: AbortOptions = {}): Promise<IpcInfo> {
    return this.#requester.call(INFO, {}, "Reading the daemon's state", options);
  }

  /**
   * Short form of {@linkcode info}.
   *
   * @param options Signal.
   * @returns The daemon's `health`.
   */
  health(options: AbortOptions = {}): Promise<IpcHealth> {
    return this.#requester.call(HEALTH, {}, "Reading the daemon's health", options);
  }

  /**
   * Our own address on the backbone.
   *
   * @param options Signal.
   * @returns The address.
   * @throws {PilotError} `invalid_state` while the daemon has none.
   */
  async address(options: AbortOptions = {}): Promise<Address> {
    return ownAddress(await this.info(options));
  }

  /**
   * Measures the round trip to an agent's daemon over the tunnel.
   *
   * @param target The node.
   * @param options Signal; `timeoutMs` default 5 000.
   * @returns Milliseconds, and whether the packet went through the beacon. With existing daemons it is the round trip of
   * the echo service (port 7) over a connection.
   * @throws {PilotError} `timeout`, `not_found`, `untrusted`.
   */
  async ping(target: Target, options: WaitOptions = {}): Promise<IpcPingReply> {
    const address = await this.resolveTarget(target, options);
    return await ping(this, this.#requester, address, options);
  }

  /**
   * Which path to a peer is used, which others were tried, and why it is not direct if it is not.
   *
   * @param target The node.
   * @param options Signal.
   * @returns The paths at this moment.
   * @throws {PilotError} `not_found` when there is no tunnel to it; `unavailable` with a daemon without this command.
   */
  async path(target: Target, options: AbortOptions = {}): Promise<PathReport> {
    const { node } = await this.resolveTarget(target, options);
    const fields = { node: checkNode(node) };
    return await this.#requester.call(PATH, fields, `Path to node ${node}`, options);
  }

  /**
   * Turns any form of target into an address, asking the registry for hostnames.
   *
   * @param target Address, its text, node number or hostname.
   * @param options Signal.
   * @returns The address.
   * @throws {PilotError} `invalid_argument`, `not_found`.
   */
  async resolveTarget(target: Target, options: AbortOptions = {}): Promise<Address> {
    const read = readTarget(target);
    if (!("hostname" in read)) return read;
    const { signal } = options;
    const { address } = await this.registry.resolve(read.hostname, { signal });
    return parseAddress(address);
  }

  /**
   * Opens a stream connection.
   *
   * @param target `<target>:<port>`, where target is an address, node number or hostname; or only the target when
   * `port` is given.
   * @param port The port, 0..65535.
   * @param options Signal; `timeoutMs` default 30 000.
   * @returns The established connection.
   * @throws {PilotError} `connection_refused`, `timeout`, `not_found`, `untrusted`, `connection_failed`, `aborted`,
   * `invalid_argument`.
   */
  dial(
    target: Target,
    port: number,
    options?: WaitOptions,
  ): Promise<Conn>;
  /** Opens a stream connection to `<target>:<port>`. */
  dial(target: string, options?: WaitOptions): Promise<Conn>;
  async dial(
    target: Target,
    portOrOptions?: number | WaitOptions,
    maybeOptions?: WaitOptions,
  ): Promise<Conn> {
    const options = (typeof portOrOptions === "number" ? maybeOptions : portOrOptions) ?? {};
    const [whom, port] = typeof portOrOptions === "number"
      ? [target, checkU16(portOrOptions, "port")]
      : splitTargetPort(String(target));
    const { timeoutMs = DIAL_TIMEOUT_MS, signal } = options;
    return await withDeadline(
      { signal, timeoutMs },
      `Dialling ${describe(whom)} port ${port}`,
      async (signal) =>
        await this.#dial(await this.resolveTarget(whom, { signal }), port, {
          signal,
          timeoutMs: timeoutMs + 1_000,
          what: `Dialling ${describe(whom)} port ${port}`,
        }),
    );
  }

  #dial(
    address: Address,
    port: number,
    options: WaitOptions & { what: string },
  ): Promise<Conn> {
    return this.#session.request<Conn>({
      ...options,
      cmd: Cmd.Dial,
      expect: Cmd.DialOk,
      payload: encodeDial({ address, port }),
      failure: "connection_failed",
      // Made while the answer is read, so that data right behind it finds the connection.
      decode: (payload) => {
        const id = decodeConn(payload);
        if (id instanceof DecodeError) return id;
        const remote = { ...address, port };
        return new Conn(this.#session, { id, remote, localPort: undefined });
      },
      onLate: (conn) => conn.abort(),
    });
  }

  /**
   * Accepts connections to a port.
   *
   * @param port The port, 0..65535.
   * @param options Signal to stop waiting for the daemon's answer; backlog.
   * @returns The listener.
   * @throws {PilotError} `already_exists` when the port is taken.
   */
  async listen(port: number, options: ListenOptions = {}): Promise<Listener> {
    return await this.#arrivals.listen(port, options);
  }

  /**
   * Sends one unreliable message of at most 65 535 bytes.
   *
   * @param target The node; an address with node 4294967295 means all members of its network.
   * @param port Destination port.
   * @param data Content, at least 1 byte; not to be changed before the promise settles.
   * @param options Signal.
   * @returns When the daemon has sent it (old daemons: when they have it).
   * @throws {PilotError} `not_found`, `untrusted`, `invalid_argument`.
   */
  async sendDatagram(
    target: Target,
    port: number,
    data: Uint8Array,
    options: AbortOptions = {},
  ): Promise<void> {
    checkU16(port, "port");
    const address = await this.resolveTarget(target, options);
    const payload = encodeDial({ address, port });
    if (!this.#session.tagged) {
      this.#session.send(Cmd.SendTo, payload, data);
      return await this.#session.flushed();
    }
    await this.#session.request({
      what: `Sending a datagram to ${describe(target)} port ${port}`,
      cmd: Cmd.SendToConfirm,
      expect: Cmd.SendToConfirmOk,
      payload,
      data,
      signal: options.signal,
      decode: () => true,
    });
  }

  /**
   * Receives datagrams from now on. Every client of the daemon gets those to ports nobody has bound.
   *
   * @param port Only those to this port.
   * @returns The receiver.
   */
  datagrams(port?: number): DatagramReceiver {
    return this.#arrivals.datagrams(port);
  }

  /**
   * Watches what happens in the daemon: requests for trust, connections, messages, files. Whatever program caused it.
   *
   * @param options Names of the events; signal to stop waiting for the daemon's answer; `onMissed` for gaps.
   * @returns The events from now on.
   * @throws {PilotError} `unavailable` with a daemon that does not have this, `invalid_argument` for a name that is
   * none, `limit_exceeded` above 16 at once.
   */
  async events<K extends LifecycleEventName = LifecycleEventName>(
    options: EventsOptions<K> = {},
  ): Promise<DaemonEvents<K>> {
    return await this.#arrivals.events.open(options);
  }

  /**
   * Sends a message to an agent's inbox.
   *
   * @param target The node.
   * @param data Text or bytes, at most 16 MiB.
   * @param options Type (`text`, `json`, `binary`), signal; `timeoutMs` default 60 000.
   * @returns The receipt: the message is stored.
   * @throws {PilotError} As {@linkcode dial}; `limit_exceeded`, `invalid_argument` for JSON that is none, `denied` when
   * it could not be stored.
   */
  sendMessage(
    target: Target,
    data: string | Uint8Array,
    options: SendMessageOptions = {},
  ): Promise<MessageReceipt> {
    return sendMessage(this, target, data, options);
  }

  /**
   * Sends a file of any size to an agent, in a stream that is resumed after an interruption and compared by SHA-256;
   * to agents without file streams in one frame of at most 16 MiB.
   *
   * @param target The node.
   * @param file A path, a `Blob` (with `options.name`), a stream with its size, or a source of your own.
   * @param options Name, progress, signal, limit.
   * @returns The receipt: the file is stored.
   * @throws {PilotError} As {@linkcode dial}; `not_found` or `io_error` for the file, `denied`, `limit_exceeded`.
   */
  sendFile(
    target: Target,
    file: string | Blob | StreamFile | FileSource,
    options: SendFileOptions = {},
  ): Promise<FileReceipt> {
    const open = (signal: AbortSignal) => openSource(file, options, signal);
    return sendFile(this, target, open, options);
  }

  /**
   * Publishes an event through an agent's broker.
   *
   * @param target The agent that runs the broker.
   * @param topic Exact topic, at most 1024 bytes.
   * @param data Text or bytes, at most 16 MiB.
   * @param options Signal; `timeoutMs` default 60 000.
   * @returns When the broker's side has acknowledged every byte.
   * @throws {PilotError} As {@linkcode dial}; `invalid_argument`, `limit_exceeded`.
   */
  publish(
    target: Target,
    topic: string,
    data: string | Uint8Array,
    options: WaitOptions = {},
  ): Promise<void> {
    return publish(this, target, topic, data, options);
  }

  /**
   * Subscribes to a topic of an agent's broker.
   *
   * @param target The agent that runs the broker.
   * @param topic Exact topic, or `*` for all.
   * @param options Signal and limit for the opening; `resubscribe` to continue after an interruption.
   * @returns The subscription.
   * @throws {PilotError} As {@linkcode dial}; `invalid_argument`.
   */
  subscribe(
    target: Target,
    topic: string,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    return subscribe(this, target, topic, options);
  }

  /**
   * Names at an agent that runs a nameserver (`pilotctl daemon start --nameserver`).
   *
   * @param target The agent.
   * @returns The nameserver; nothing is sent before it is asked something.
   */
  names(target: Target): Names {
    return new Names(this, target);
  }

  /**
   * Ends everything: connections are closed by the daemon after what it has taken is delivered, ports are freed.
   *
   * @returns When the socket is closed.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#flushAndClose();
  }

  /** Closes like {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #flushAndClose(): Promise<void> {
    // Those that end without a close look broken to the daemon.
    for (const id of this.#session.openConns) this.#session.send(Cmd.Close, encodeConn(id));
    await inTime(plainClock, this.#session.flushed(), CLOSE_FLUSH_MS);
    this.#session.close(closedHere());
  }
}

function describe(target: Target): string {
  return typeof target === "object" ? `${target.network}:${target.node}` : String(target);
}

function closedHere(): PilotError {
  return new PilotError("connection_closed", "The driver was closed");
}
