/**
 * An in-memory daemon core for tests of IPC and services: loopback connections with bounded buffers, delivery in
 * microtasks, no clock.
 *
 * @module
 */

import { type Address, formatAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { DaemonHealth, DaemonInfo, IpcTrustedPeer } from "../../protocol/ipc/mod.ts";
import type { PathReport } from "../../protocol/path/mod.ts";
import type { Emit } from "../../protocol/lifecycle_events.ts";
import { EventBus, type EventListener } from "../../daemon/event_bus.ts";
import type { Backend, Json } from "../../daemon/ipc/backend.ts";
import type { Conn, ConnListener, Datagram, DialOptions } from "../../daemon/stream/stream_conn.ts";

/** Send and receive buffer of a fake connection, bytes. */
export const FAKE_BUFFER_BYTES = 256 * 1024;

/** A byte queue with a limit. */
class Pipe {
  #chunks: Uint8Array[] = [];
  bytes = 0;
  ended = false;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get room(): number {
    return this.ended ? 0 : this.#limit - this.bytes;
  }

  push(data: Uint8Array): number {
    const part = data.slice(0, Math.max(0, this.room));
    if (part.length > 0) this.#chunks.push(part);
    this.bytes += part.length;
    return part.length;
  }

  take(maxBytes: number): Uint8Array | undefined {
    const first = this.#chunks[0];
    if (first === undefined || maxBytes <= 0) return undefined;
    const part = first.subarray(0, maxBytes);
    if (part.length === first.length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(part.length);
    this.bytes -= part.length;
    return part;
  }

  clear(): void {
    this.#chunks = [];
    this.bytes = 0;
  }
}

/** One end of a loopback connection. */
export class FakeConn implements Conn {
  readonly id: number;
  readonly localAddress: Address;
  readonly localPort: number;
  readonly remoteAddress: Address;
  readonly remotePort: number;
  error: PilotError | undefined;
  /** The other end. */
  peer!: FakeConn;
  /** Everything `write` took. */
  bytesWritten = 0;
  /** Reset from this side. */
  aborted = false;
  readonly inbound: Pipe;
  /** Knows half closes. */
  halfCloses = true;
  readonly #synchronous: () => boolean;
  #listener: ConnListener | undefined;
  #closing = false;
  #isWriteClosed = false;
  #closedTold = false;
  #blocked = false;

  constructor(
    id: number,
    local: Address,
    localPort: number,
    remote: Address,
    remotePort: number,
    bufferBytes: number,
    synchronous: () => boolean,
  ) {
    this.id = id;
    this.localAddress = local;
    this.localPort = localPort;
    this.remoteAddress = remote;
    this.remotePort = remotePort;
    this.inbound = new Pipe(bufferBytes);
    this.#synchronous = synchronous;
  }

  get state(): Conn["state"] {
    if (this.closed) return "CLOSED";
    if (this.#closing || this.#isWriteClosed) return "FIN_WAIT";
    return this.inbound.ended ? "CLOSE_WAIT" : "ESTABLISHED";
  }

  get readableBytes(): number {
    return this.inbound.bytes;
  }

  get writableBytes(): number {
    return this.#closing || this.#isWriteClosed || this.closed ? 0 : this.peer.inbound.room;
  }

  get ended(): boolean {
    return this.inbound.ended && this.inbound.bytes === 0;
  }

  get isPeerReading(): boolean {
    return this.inbound.ended && this.peer.#isWriteClosed && !this.peer.#closing;
  }

  get isDelivered(): boolean {
    return (this.#closing || this.#isWriteClosed) && this.peer.inbound.bytes === 0;
  }

  get closed(): boolean {
    return this.error !== undefined || this.aborted ||
      ((this.#closing || this.#isWriteClosed) && this.ended);
  }

  setListener(listener: ConnListener): void {
    this.#listener = listener;
    queueMicrotask(() => {
      if (this.readableBytes > 0 || this.ended) listener.onReadable();
      this.#checkClosed();
    });
  }

  read(maxBytes: number = Infinity): Uint8Array | undefined {
    const data = this.inbound.take(maxBytes);
    if (data === undefined) return undefined;
    if (this.peer.#blocked) {
      this.peer.#blocked = false;
      this.#later(() => this.peer.#tell("onWritable"));
    }
    if (this.peer.#isWriteClosed) this.#later(() => this.peer.#tell("onWritable"));
    if (this.ended) this.#later(() => this.#finish());
    return data;
  }

  readInto(out: Uint8Array): number {
    const data = out.length === 0 ? undefined : this.read(out.length);
    if (data !== undefined) out.set(data);
    return data?.length ?? 0;
  }

  write(data: Uint8Array): number {
    if (this.#closing || this.#isWriteClosed || this.closed) return 0;
    const taken = this.peer.inbound.push(data);
    this.bytesWritten += taken;
    if (taken < data.length || this.writableBytes === 0) this.#blocked = true;
    if (taken > 0) this.#later(() => this.peer.#tell("onReadable"));
    return taken;
  }

  closeWrite(): boolean {
    if (!this.halfCloses) return false;
    if (this.#closing || this.#isWriteClosed || this.closed) return true;
    this.#isWriteClosed = true;
    this.peer.inbound.ended = true;
    this.#later(() => {
      this.peer.#tell("onReadable");
      this.#tell("onWritable");
      this.peer.#finish();
      this.#finish();
    });
    return true;
  }

  close(): void {
    if (this.#closing || this.closed) return;
    this.#closing = true;
    this.peer.inbound.ended = true;
    this.#later(() => {
      this.peer.#tell("onReadable");
      this.peer.#finish();
      this.#finish();
    });
  }

  abandon(): void {
    if (this.#closing || this.closed) return;
    this.#closing = true;
    this.peer.fail(new PilotError("connection_closed", "Connection reset by the peer"));
    this.#later(() => this.#finish());
  }

  abort(): void {
    if (this.closed) return;
    this.aborted = true;
    this.peer.fail(
      new PilotError("connection_closed", "Connection reset by the peer"),
    );
    this.#later(() => this.#finish());
  }

  /** Breaks the connection as the network would. */
  fail(error: PilotError): void {
    if (this.closed) return;
    this.error = error;
    this.#later(() => this.#finish());
  }

  stats(): ReturnType<Conn["stats"]> {
    return { send_buf: this.peer.inbound.bytes } as ReturnType<Conn["stats"]>;
  }

  /** Tells listeners, from within the call that caused it when that is asked for: real connections do both. */
  #later(tell: () => void): void {
    if (this.#synchronous()) tell();
    else queueMicrotask(tell);
  }

  #tell(event: "onReadable" | "onWritable"): void {
    if (!this.#closedTold) this.#listener?.[event]();
  }

  #finish(): void {
    if (this.ended) this.#tell("onReadable");
    this.#checkClosed();
  }

  #checkClosed(): void {
    if (!this.closed || this.#closedTold || this.#listener === undefined) {
      return;
    }
    this.#closedTold = true;
    this.#listener.onClosed(this.error);
  }
}

/** The node that tests speak for. */
export const SELF: Address = { network: 0, node: 1 };
/** A remote node. */
export const PEER: Address = { network: 0, node: 2 };

/** What a test can change and look at. */
export class FakeBackend implements Backend {
  readonly version = "9.9.9-test";
  /** Buffer of each direction of a connection. */
  bufferBytes = FAKE_BUFFER_BYTES;
  /** Connections call their listeners from within their own methods. */
  synchronous = false;
  readonly ports = new Map<number, (conn: Conn) => void>();
  /** Every connection ever made, both ends. */
  readonly conns: FakeConn[] = [];
  readonly events: { event: string; data: Json }[] = [];
  readonly sentDatagrams: {
    address: Address;
    port: number;
    data: Uint8Array;
  }[] = [];
  readonly calls: { name: string; args: unknown[] }[] = [];
  /** Stand in for a registry reply or failure. */
  directoryReply: (name: string, args: unknown[]) => Json | Promise<Json> = (
    name,
  ) => ({ type: `${name}_ok` });
  infoReply: Json = { node_id: 1, address: formatAddress(SELF) };
  trustedPeers: IpcTrustedPeer[] = [];
  dialHook:
    | ((port: number, options: DialOptions) => Promise<void> | void)
    | undefined;
  sendHook: (() => Promise<void>) | undefined;
  /** Datagrams can be sent at once. */
  hasTunnel = false;
  #nextId = 1;
  #nextPort = 49152;
  #onDatagram: (datagram: Datagram) => void = () => {};

  /** Makes a connected pair: `[ours, theirs]`. */
  pair(
    localPort: number,
    remotePort: number,
    remote: Address = PEER,
  ): [FakeConn, FakeConn] {
    const size = this.bufferBytes;
    const ours = new FakeConn(
      this.#nextId++,
      SELF,
      localPort,
      remote,
      remotePort,
      size,
      () => this.synchronous,
    );
    const theirs = new FakeConn(
      this.#nextId++,
      remote,
      remotePort,
      SELF,
      localPort,
      size,
      () => this.synchronous,
    );
    ours.peer = theirs;
    theirs.peer = ours;
    this.conns.push(ours, theirs);
    return [ours, theirs];
  }

  /** A remote node connects to a port of ours; returns its end, or undefined when nothing listens. */
  connectFrom(port: number, remote: Address = PEER): FakeConn | undefined {
    const accept = this.ports.get(port);
    if (accept === undefined) return undefined;
    const [ours, theirs] = this.pair(port, this.#nextPort++, remote);
    accept(ours);
    return theirs;
  }

  /** A datagram arrives. */
  deliver(datagram: Datagram): void {
    this.#onDatagram(datagram);
  }

  /** Connections whose both ends are not closed. */
  get openConns(): FakeConn[] {
    return this.conns.filter((conn) => !conn.closed);
  }

  readonly network: Backend["network"] = {
    bind: (port, onAccept) => {
      if (this.ports.has(port)) {
        throw new PilotError("already_exists", `port ${port} already bound`);
      }
      this.ports.set(port, onAccept);
    },
    unbind: (port) => void this.ports.delete(port),
    dial: async (_address, port, options = {}) => {
      await this.dialHook?.(port, options);
      if (options.signal?.aborted) {
        throw new PilotError("aborted", "dial aborted");
      }
      const accept = this.ports.get(port);
      if (accept === undefined) {
        throw new PilotError(
          "connection_refused",
          `Nothing listens on port ${port}`,
        );
      }
      const [ours, theirs] = this.pair(this.#nextPort++, port);
      accept(theirs);
      return ours;
    },
    disconnect: (id) => {
      const conn = this.conns.find((one) => one.id === id && !one.closed);
      conn?.abort();
      return conn !== undefined;
    },
    sendDatagram: async (address, port, data) => {
      this.sentDatagrams.push({ address, port, data });
      await this.sendHook?.();
    },
    trySendDatagram: (address, port, data) => {
      // The view may be reused after the call.
      if (this.hasTunnel) this.sentDatagrams.push({ address, port, data: data.slice() });
      return this.hasTunnel;
    },
    onDatagram: (handler) => void (this.#onDatagram = handler),
    ping: () => Promise.resolve({ rttMs: 1.5, relayed: false }),
  };

  readonly trust: Backend["trust"] = {
    request: async (...args) => {
      await this.#call("handshake", args);
      return this.trustedPeers.some(({ node_id }) => node_id === args[0])
        ? "already_trusted"
        : "sent";
    },
    approve: async (...args) => void await this.#call("approve", args),
    reject: async (...args) => void await this.#call("reject", args),
    revoke: async (...args) => {
      await this.#call("revoke", args);
      return true;
    },
    outgoing: () => [],
    refused: () => [],
    pending: () => [],
    trusted: () => this.trustedPeers,
    waitFor: (node, timeoutMs, signal) => {
      this.calls.push({ name: "waitFor", args: [node, timeoutMs] });
      return new Promise((resolve, reject) => {
        if (timeoutMs === 0) return resolve(false);
        signal?.addEventListener(
          "abort",
          () => reject(new PilotError("aborted", "wait aborted")),
        );
      });
    },
  };

  readonly directory: Backend["directory"] = {
    resolveHostname: (...args) => this.#call("resolve_hostname", args),
    handshakeTarget: (...args) => this.#call("handshake_target", args),
    lookup: (...args) => this.#call("lookup", args),
    setHostname: (...args) => this.#call("set_hostname", args),
    setVisibility: (...args) => this.#call("set_visibility", args),
    setTags: (...args) => this.#call("set_tags", args),
    deregister: (...args) => this.#call("deregister", args),
    network: (...args) => this.#call("network", args),
  };

  infoCalls = 0;

  info(): DaemonInfo {
    this.infoCalls++;
    return this.infoReply as unknown as DaemonInfo;
  }

  path(node: number): PathReport {
    return { node_id: node, route: "direct" } as PathReport;
  }

  health(): DaemonHealth {
    return { status: "ok", uptime_seconds: 1 } as DaemonHealth;
  }

  readonly #bus = new EventBus({
    clock: { unixNow: () => 1_700_000_000_000 },
    failed: (error) => {
      throw error;
    },
  });

  readonly emit: Emit = (event, data) => {
    this.events.push({ event, data: { ...data } });
    this.#bus.emit(event, data);
  };

  /** Subscriptions to events that have not ended. */
  listeners = 0;

  onEvent(listener: EventListener): () => void {
    const end = this.#bus.subscribe(listener);
    this.listeners++;
    return () => {
      this.listeners--;
      end();
    };
  }

  async #call<T = Json>(name: string, args: unknown[]): Promise<T> {
    this.calls.push({ name, args });
    return await this.directoryReply(name, args) as T;
  }
}
