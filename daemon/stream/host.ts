/**
 * All stream connections of the daemon: the route from an authenticated packet to the connection it belongs to,
 * opening, accepting, and cutting (docs/protocol/streams.md).
 *
 * @module
 */

import { type Address, addressKey, formatAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import { PORT_HANDSHAKE } from "../../protocol/well_known_ports.ts";
import { ACK, FIN, type Packet, PROTO_STREAM, RST, SYN } from "../../protocol/packet.ts";
import {
  type Segment,
  Stream,
  StreamMemory,
  type StreamOptions,
} from "../../protocol/stream/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import { pause } from "../../platform/waiting.ts";
import { type Rate, TokenBucket } from "../../protocol/rate_limit.ts";
import type { Conn, DialOptions } from "./stream_conn.ts";
import { abortedError, dialError, throwIfAborted } from "./dial_errors.ts";
import type { Gate } from "./gate.ts";
import { type ConnHost, HostConn } from "./host_conn.ts";
import { PortTable, type TakenPort } from "./port_table.ts";
import { TimerQueue } from "./timer_queue.ts";
import { withLimits } from "./with_limits.ts";
import type { ConnEvent, Emit } from "../../protocol/lifecycle_events.ts";

/** Connections at a time (docs/protocol/streams.md §1). */
export const MAX_CONNECTIONS = 65_536;
/**
 * Connections to one local port at a time (docs/protocol/streams.md §1), those not counted that are closed on both
 * sides.
 */
export const MAX_CONNECTIONS_PER_PORT = 1_024;
/**
 * Memory of all send and receive buffers together: one stream may hold a third of it, which fills a path of 100 MB/s and
 * 130 ms, and each of N one part of N + 2. Every stream may always hold a little. With a hundred busy streams the
 * daemon stays near 200 MB then.
 */
export const MAX_STREAM_MEMORY_BYTES = 40 << 20;
/** RSTs sent for segments that belong to no connection. */
export const RESET_RATE: Rate = { perSecond: 100, burst: 200 };
/** Longest wait for a dial when the caller names none. */
export const DIAL_TIMEOUT_MS = 30_000;

const NO_PAYLOAD = new Uint8Array(0);

/** What the host needs from the daemon. */
export interface StreamHostDeps {
  readonly clock: Clock;
  readonly random: (out: Uint8Array) => void;
  readonly gate: Gate;
  /** Our node number; 0 before it is known. */
  readonly self: () => number;
  /** Makes sure there is a path to a peer; throws {@linkcode PilotError}. */
  readonly ensure: (node: number) => Promise<void>;
  /** Sends a packet; its payload may be reused after the call. */
  readonly send: (packet: Packet) => void;
  /** Payload bytes of a segment that the path to a peer carries without fragments. */
  readonly segmentBytes: (node: number) => number;
  /** Large segments do not seem to reach a peer. */
  readonly onBlackHole: (node: number) => void;
  /** Lifecycle event (docs/protocol/local-socket.md §10). */
  readonly emit: Emit;
}

interface Waiting {
  resolve: (conn: HostConn) => void;
  reject: (error: PilotError) => void;
}

/** Streams of one daemon. */
export class StreamHost implements ConnHost {
  readonly #deps: StreamHostDeps;
  readonly #ports: PortTable;
  readonly #timers: TimerQueue;
  readonly #resets: TokenBucket;
  readonly #memory = new StreamMemory(MAX_STREAM_MEMORY_BYTES);
  /** By remote address, then by both ports. */
  readonly #conns = new Map<number, Map<number, HostConn>>();
  readonly #byNode = new Map<number, Set<HostConn>>();
  readonly #perPort = new Map<number, number>();
  readonly #dials = new Map<HostConn, Waiting>();
  /** Local ports of the connections that we opened. */
  readonly #taken = new Map<HostConn, TakenPort>();
  readonly #packet: Packet = {
    flags: 0,
    protocol: PROTO_STREAM,
    srcNetwork: 0,
    srcNode: 0,
    dstNetwork: 0,
    dstNode: 0,
    srcPort: 0,
    dstPort: 0,
    seq: 0,
    ack: 0,
    window: 0,
    payload: NO_PAYLOAD,
  };
  /** Connections that got segments in this batch. */
  #due: HostConn[] = [];
  readonly #byId = new Map<number, HostConn>();
  #nextId = 1;
  #closed = false;

  constructor(deps: StreamHostDeps) {
    this.#deps = deps;
    this.#ports = new PortTable(this.#randomNumber());
    this.#timers = new TimerQueue(deps.clock);
    this.#resets = new TokenBucket(RESET_RATE, deps.clock.now());
  }

  /** Connections in any state but CLOSED. */
  get size(): number {
    return this.#byId.size;
  }

  /** Ports listened on. */
  get boundPorts(): number {
    return this.#ports.boundCount;
  }

  /** Timers and tables that must be empty when every connection is gone; for tests. */
  get residue(): number {
    return this.#conns.size + this.#byNode.size + this.#perPort.size + this.#dials.size +
      this.#timers.size + this.#ports.inUse + this.#taken.size;
  }

  /** Listens on a port; `already_exists` when it is taken. */
  bind(port: number, onAccept: (conn: Conn) => void): void {
    this.#ports.bind(port, onAccept);
  }

  /** Stops listening on a port. */
  unbind(port: number): void {
    this.#ports.unbind(port);
  }

  /** All connections. */
  *conns(): IterableIterator<HostConn> {
    for (const conns of this.#byNode.values()) yield* conns;
  }

  /** Resets the connection of this number, of any program; false when there is none. */
  disconnect(id: number): boolean {
    const conn = this.#byId.get(id);
    if (conn === undefined || conn.closed) return false;
    conn.disconnect();
    return true;
  }

  /** Connections run with this node. */
  hasConns(node: number): boolean {
    return this.#byNode.has(node);
  }

  /**
   * Opens a connection.
   *
   * @throws {PilotError} As {@linkcode StreamHostDeps.ensure}, or `connection_refused`, `timeout`, `aborted`,
   * `limit_exceeded`.
   */
  async dial(address: Address, port: number, options: DialOptions = {}): Promise<Conn> {
    const { signal, timeoutMs = DIAL_TIMEOUT_MS, program } = options;
    throwIfAborted(signal);
    const startMs = this.now();
    if (address.node !== this.#deps.self()) {
      // What we say about trust is not a question, least of all that it has ended.
      if (port !== PORT_HANDSHAKE) this.#deps.gate.noteQuestion(address.node);
      await withLimits(this.#deps.ensure(address.node), {
        signal,
        timeoutMs,
        clock: this.#deps.clock,
        what: `Dial of ${formatAddress(address)} port ${port}`,
      });
      throwIfAborted(signal);
    }
    if (this.#closed) throw new PilotError("not_running", "The daemon is stopping");
    if (this.#byId.size >= MAX_CONNECTIONS) {
      throw new PilotError("limit_exceeded", `All ${MAX_CONNECTIONS} connections are in use`);
    }
    const dialTimeoutMs = Math.max(1, timeoutMs - (this.now() - startMs));
    const stream = Stream.connect(this.#options(address.node, { dialTimeoutMs }), this.now());
    const taken = this.#ports.allocate(address, port, this.now(), program);
    const conn = this.#add(
      { network: address.network, node: this.#deps.self() },
      taken.port,
      address,
      port,
      stream,
      true,
    );
    this.#taken.set(conn, taken);
    return await new Promise<Conn>((resolve, reject) => {
      const onAbort = () => {
        this.#dials.delete(conn);
        conn.abort();
        reject(abortedError(signal));
      };
      const settle = () => signal?.removeEventListener("abort", onAbort);
      this.#dials.set(conn, {
        resolve: (done) => {
          settle();
          resolve(done);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      signal?.addEventListener("abort", onAbort, { once: true });
      conn.drive();
    });
  }

  /**
   * Handles a stream packet from an authenticated peer.
   *
   * @param isBatch A call of {@linkcode StreamHost.endBatch} follows soon: what the packet asks for is done then, once
   * for all packets of the batch.
   */
  onPacket(packet: Packet, isBatch: boolean = false): void {
    const conn = this.#find(packet);
    const isSyn = (packet.flags & (SYN | ACK)) === SYN;
    if (conn !== undefined) {
      if (!isSyn || !conn.isRestart(packet)) {
        conn.onSegment(packet);
        if (!isBatch || conn.isReference) conn.drive();
        else if (!conn.isDue) {
          conn.isDue = true;
          this.#due.push(conn);
        }
        return;
      }
      // The peer's process is a new one and reuses the port numbers (docs/protocol/streams.md §4.4).
      conn.replace();
    }
    if (isSyn) this.#onSyn(packet);
    else this.#onStray(packet);
  }

  /** Does what the packets of a batch asked for. */
  endBatch(): void {
    if (this.#due.length === 0) return;
    const due = this.#due;
    this.#due = [];
    for (const conn of due) {
      conn.isDue = false;
      conn.drive();
    }
  }

  /** The peer proved a new tunnel key: what it does not know any more must end soon (docs/protocol/streams.md §8.3). */
  onPeerRestarted(node: number): void {
    for (const conn of [...this.#byNode.get(node) ?? []]) conn.onPeerRestarted();
  }

  /** Segments to a node have another size from now on; `isRepaired`: and the path that they took before is dead. */
  onPathChanged(node: number, isRepaired: boolean = false): void {
    const mss = this.#deps.segmentBytes(node);
    for (const conn of [...this.#byNode.get(node) ?? []]) {
      conn.setMss(mss);
      if (isRepaired) conn.onPathRepaired();
    }
  }

  /**
   * Resets connections with a node.
   *
   * @param node The node.
   * @param only Which; default all.
   */
  cut(node: number, only: (conn: HostConn) => boolean = () => true): void {
    for (const conn of [...this.#byNode.get(node) ?? []]) if (only(conn)) conn.abort();
  }

  /** Nodes that have opened connections to us. */
  *guests(): IterableIterator<number> {
    for (const [node, conns] of this.#byNode) {
      if ([...conns].some((conn) => !conn.isActive)) yield node;
    }
  }

  /** Asks every connection to end, and resolves when all have or after `graceMs`. */
  async shutdown(graceMs: number): Promise<void> {
    for (const conn of [...this.conns()]) conn.close();
    const { clock } = this.#deps;
    const endMs = clock.now() + graceMs;
    const hasOpen = () => [...this.conns()].some((conn) => !conn.closed);
    while (clock.now() < endMs && hasOpen()) await pause(clock, 10);
    this.#closed = true;
    for (const conn of [...this.conns()]) conn.abort();
    this.#timers.clear();
  }

  // ---- ConnHost

  now(): number {
    return this.#deps.clock.now();
  }

  sendSegment(conn: HostConn, segment: Segment): void {
    const packet = this.#packet;
    packet.flags = segment.flags;
    packet.srcNetwork = conn.localAddress.network;
    packet.srcNode = conn.localAddress.node;
    packet.dstNetwork = conn.remoteAddress.network;
    packet.dstNode = conn.remoteAddress.node;
    packet.srcPort = conn.localPort;
    packet.dstPort = conn.remotePort;
    packet.seq = segment.seq;
    packet.ack = segment.ack;
    packet.window = segment.window;
    packet.payload = segment.payload;
    this.#deps.send(packet);
  }

  onLargeLost(conn: HostConn): void {
    this.#deps.onBlackHole(conn.remoteAddress.node);
  }

  reschedule(conn: HostConn): void {
    this.#timers.touch(conn);
  }

  onEstablished(conn: HostConn): void {
    if (conn.isActive) {
      const waiting = this.#dials.get(conn);
      this.#dials.delete(conn);
      waiting?.resolve(conn);
      return;
    }
    const handler = this.#ports.listener(conn.localPort);
    if (handler === undefined) {
      conn.abort();
      return;
    }
    this.#deps.emit("conn.established", names(conn));
    handler(conn);
  }

  onClosed(conn: HostConn): void {
    if (conn.isActive) return;
    const { error } = conn;
    const why = error === undefined ? {} : { error: error.code };
    this.#deps.emit("conn.closed", { ...names(conn), ...why });
    // What only waits for late segments must not keep others from the port: it would for 10 s each.
    const left = this.#perPort.get(conn.localPort)! - 1;
    if (left === 0) this.#perPort.delete(conn.localPort);
    else this.#perPort.set(conn.localPort, left);
  }

  onGone(conn: HostConn): void {
    const key = addressKey(conn.remoteAddress.network, conn.remoteAddress.node);
    const conns = this.#conns.get(key);
    const ports = portKey(conn.localPort, conn.remotePort);
    // A restarted peer's new connection may have taken the place already.
    if (conns?.get(ports) === conn) {
      conns.delete(ports);
      if (conns.size === 0) this.#conns.delete(key);
    }
    const ofNode = this.#byNode.get(conn.remoteAddress.node);
    if (ofNode?.delete(conn) !== true) return;
    if (ofNode.size === 0) this.#byNode.delete(conn.remoteAddress.node);
    this.#byId.delete(conn.id);
    this.#timers.delete(conn);
    this.#taken.get(conn)?.release(this.now());
    this.#taken.delete(conn);
    const waiting = this.#dials.get(conn);
    this.#dials.delete(conn);
    waiting?.reject(dialError(conn));
  }

  // ---- opening

  #onSyn(packet: Packet): void {
    const { gate, emit } = this.#deps;
    const node = packet.srcNode;
    const source = formatAddress({ network: packet.srcNetwork, node });
    const isSelf = node === this.#deps.self();
    const isAdmitted = isSelf || gate.admits(packet);
    if (isAdmitted === undefined) {
      const kept = { ...packet, payload: packet.payload.slice() };
      gate.hold(node, () => this.onPacket(kept));
      return;
    }
    // Silence towards those who are not trusted: they learn nothing of what listens here.
    if (!isAdmitted) {
      emit("syn.rejected", { src_node_id: node, src_addr: source, dst_port: packet.dstPort });
      // Only a peer with a tunnel, which knows that we are here, comes so far. Existing ones that ask for trust wait
      // for an answer here before they ask by the registry, 17 s and more.
      if (packet.dstPort === PORT_HANDSHAKE && gate.takeSyn(node)) this.#reset(packet);
      return;
    }
    if (!isSelf && !gate.takeSyn(node)) {
      emit("security.syn_rate_limited", { src_addr: source, src_port: packet.srcPort });
      return;
    }
    const ofPort = this.#perPort.get(packet.dstPort) ?? 0;
    const isFull = this.#byId.size >= MAX_CONNECTIONS || ofPort >= MAX_CONNECTIONS_PER_PORT;
    if (this.#closed || isFull || this.#ports.listener(packet.dstPort) === undefined) {
      this.#reset(packet);
      return;
    }
    const stream = Stream.accept(this.#options(node, {}), packet, this.now());
    this.#perPort.set(packet.dstPort, ofPort + 1);
    const conn = this.#add(
      { network: packet.dstNetwork, node: packet.dstNode },
      packet.dstPort,
      { network: packet.srcNetwork, node },
      packet.srcPort,
      stream,
      false,
    );
    emit("conn.syn_received", names(conn));
    conn.drive();
  }

  /**
   * A segment of a connection that does not exist: its sender should learn that soon (docs/protocol/streams.md §3.2).
   */
  #onStray(packet: Packet): void {
    if ((packet.flags & (RST | FIN)) !== 0 || (packet.flags & ACK) === 0) return;
    this.#reset(packet);
  }

  #reset(packet: Packet): void {
    if (!this.#resets.take(this.now())) return;
    this.#deps.send({
      ...packet,
      flags: RST,
      srcNetwork: packet.dstNetwork,
      srcNode: packet.dstNode,
      dstNetwork: packet.srcNetwork,
      dstNode: packet.srcNode,
      srcPort: packet.dstPort,
      dstPort: packet.srcPort,
      seq: 0,
      ack: 0,
      window: 0,
      payload: NO_PAYLOAD,
    });
  }

  #options(node: number, extra: Partial<StreamOptions>): StreamOptions {
    // Below 2^31, because older peers compare some sequence numbers without wrap-around; 0 marks them (§2.1).
    const isn = (this.#randomNumber() & 0x7fffffff) || 1;
    return { mss: this.#deps.segmentBytes(node), memory: this.#memory, ...extra, isn };
  }

  #add(
    localAddress: Address,
    localPort: number,
    remoteAddress: Address,
    remotePort: number,
    stream: Stream,
    isActive: boolean,
  ): HostConn {
    const id = this.#nextId;
    // 32 bits of numbers outlast any set of 65,536 living connections but not a long life of a daemon.
    this.#nextId = id >= 0xffffffff ? 1 : id + 1;
    const ends = { id, localAddress, localPort, remoteAddress, remotePort };
    const conn = new HostConn(this, ends, stream, isActive);
    const key = addressKey(remoteAddress.network, remoteAddress.node);
    let conns = this.#conns.get(key);
    if (conns === undefined) this.#conns.set(key, conns = new Map());
    conns.set(portKey(localPort, remotePort), conn);
    let ofNode = this.#byNode.get(remoteAddress.node);
    if (ofNode === undefined) this.#byNode.set(remoteAddress.node, ofNode = new Set());
    ofNode.add(conn);
    this.#byId.set(id, conn);
    return conn;
  }

  #find(packet: Packet): HostConn | undefined {
    return this.#conns.get(addressKey(packet.srcNetwork, packet.srcNode))
      ?.get(portKey(packet.dstPort, packet.srcPort));
  }

  #randomNumber(): number {
    const bytes = new Uint8Array(4);
    this.#deps.random(bytes);
    return new DataView(bytes.buffer).getUint32(0);
  }
}

function portKey(localPort: number, remotePort: number): number {
  return localPort * 0x10000 + remotePort;
}

function names(conn: HostConn): ConnEvent {
  return {
    src_addr: formatAddress(conn.remoteAddress),
    src_port: conn.remotePort,
    dst_port: conn.localPort,
    conn_id: conn.id,
  };
}
