/**
 * The network half of a daemon on a virtual socket: tunnels, gate, streams, control and datagrams, wired as in
 * `daemon.ts`.
 *
 * @module
 */

import { type AeadFactory, Identity, KeyPair, wasmAead } from "../../../protocol/crypto/mod.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import {
  type Packet,
  PROTO_CONTROL,
  PROTO_DATAGRAM,
  PROTO_STREAM,
} from "../../../protocol/packet.ts";
import type { PathMode } from "../../../protocol/path/mod.ts";
import type { Datagram } from "../../../daemon/stream/stream_conn.ts";
import { Control } from "../../../daemon/stream/control_packets.ts";
import { Datagrams } from "../../../daemon/stream/datagram_host.ts";
import { Gate } from "../../../daemon/stream/gate.ts";
import { StreamHost } from "../../../daemon/stream/host.ts";
import { Loopback } from "../../../daemon/stream/loopback.ts";
import { Tunnels } from "../../../daemon/tunnel/tunnels.ts";
import type { Uplink, VirtualSocket } from "./udp.ts";
import type { World } from "./world.ts";

/** An event or log line. */
export interface Said {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** How a node is set up. */
export interface NodeOptions {
  /** Where its socket is bound. */
  readonly endpoint: Endpoint;
  /** Translator in front of it. */
  readonly nat?: Uplink;
  /** The beacon; default that of the world. */
  readonly beacon?: Endpoint;
  /** Called with our endpoint as the beacon sees it. */
  readonly onObserved?: (endpoint: Endpoint) => void;
  /** Called when the beacon does not answer. */
  readonly onBeaconSilent?: () => void;
  /** Its identity; default a new one, which the directory learns. */
  readonly identity?: Identity;
  /** Its tunnel key; default a new one. */
  readonly keyPair?: KeyPair;
  /** As {@linkcode VirtualSocket.forbidsFragments}; default true. */
  readonly forbidsFragments?: boolean;
  /** Everybody may come; default true. */
  readonly isPublic?: boolean;
  /** Ways that it may take; default all. */
  readonly pathMode?: PathMode;
  /** Its cipher; default one that the sanitizers miss when a key is not destroyed. */
  readonly aead?: AeadFactory;
}

/** A packet that reached the node, payload copied. */
export type Received = Packet & { readonly via: "direct" | "relay" };

/** What the network half asks about trust. */
export interface Consent {
  isTrusted(node: number): boolean;
  isRevoked(node: number): boolean;
  isExpected(node: number): boolean;
  pinnedKey(node: number): Uint8Array | undefined;
}

/** A node without registry client, trust service, IPC and files. */
export class TestNode {
  readonly node: number;
  readonly world: World;
  readonly identity: Identity;
  readonly keyPair: KeyPair;
  readonly socket: VirtualSocket;
  readonly tunnels: Tunnels;
  readonly streams: StreamHost;
  readonly control: Control;
  readonly datagrams: Datagrams;
  readonly gate: Gate;
  /** Whether trust in a peer has ended not long ago. */
  isFormer: (peer: number) => boolean = () => false;
  /** Keys of trusted peers. */
  readonly pinned = new Map<number, Uint8Array>();
  /** Trusted nodes. */
  readonly trusted = new Set<number>();
  /** Nodes whose answer is awaited. */
  readonly expected = new Set<number>();
  /** Whom to ask about trust; by default the three above. */
  consent: Consent = {
    isTrusted: (node) => this.trusted.has(node),
    isRevoked: () => false,
    isExpected: (node) => this.expected.has(node),
    pinnedKey: (node) => this.pinned.get(node),
  };
  /** Tunnels to keep up though nobody is trusted and nothing runs. */
  readonly wanted = new Set<number>();
  isPublic: boolean;
  readonly received: Received[] = [];
  readonly got: Datagram[] = [];
  readonly restarted: number[] = [];
  readonly observed: Endpoint[] = [];
  /** Wakes of the beacon. */
  woken = 0;
  readonly events: Said[] = [];
  readonly logs: Said[] = [];
  readonly #options: NodeOptions;
  readonly #loopback: Loopback;

  constructor(world: World, node: number, identity: Identity, pair: KeyPair, options: NodeOptions) {
    const { clock, net, directory, random } = world;
    this.world = world;
    this.node = node;
    this.identity = identity;
    this.keyPair = pair;
    this.#options = options;
    this.isPublic = options.isPublic ?? true;
    this.socket = net.bind(options.endpoint.host, options.endpoint.port, options.nat);
    this.socket.forbidsFragments = options.forbidsFragments ?? true;
    const self = () => node;
    const ensure = (peer: number) => this.tunnels.ensure(peer);
    const send = (packet: Packet) => this.send(packet);
    const emit = (event: string, data: Record<string, unknown>) =>
      void this.events.push({ event, data });
    this.tunnels = new Tunnels({
      clock,
      random,
      socket: this.socket,
      keyPair: pair,
      aead: options.aead ?? wasmAead,
      pinnedKey: (peer) => this.consent.pinnedKey(peer),
      lookupKey: (peer) => directory.lookupKey(peer),
      resolve: (peer) => directory.resolve(peer, node),
      isWanted: (peer) =>
        this.consent.isTrusted(peer) || this.wanted.has(peer) || this.streams.hasConns(peer),
      isFormer: (peer) => this.isFormer(peer),
      mayKnow: (peer) => this.isFormer(peer) || this.gate.mayKnow(peer),
      askMayKnow: async (peer) => this.isFormer(peer) || await this.gate.askMayKnow(peer),
      hasConns: (node) => this.streams.hasConns(node),
      onPacket: (packet, _peer, via) => this.#onPacket(packet, via),
      onPathChanged: (peer, isRepaired) => this.streams.onPathChanged(peer, isRepaired),
      onPeerRestarted: (peer) => {
        this.restarted.push(peer);
        this.streams.onPeerRestarted(peer);
      },
      pathMode: options.pathMode,
      beacon: {
        observed: (endpoint) => {
          this.observed.push(endpoint);
          options.onObserved?.(endpoint);
        },
        proven: () => emit("tunnel.endpoint_proven", {}),
        wake: () => this.woken++,
        silent: () => options.onBeaconSilent?.(),
      },
      emit,
      log: (_level, event, data = {}) => void this.logs.push({ event, data }),
    });
    this.gate = new Gate({
      clock,
      isPublic: () => this.isPublic,
      isTrusted: (peer) => this.consent.isTrusted(peer),
      isRevoked: (peer) => this.consent.isRevoked(peer),
      isExpected: (peer) => this.consent.isExpected(peer),
      memberships: {
        known: (peer) => directory.shared(node, peer),
        ask: (peer) => directory.askShared(node, peer),
      },
    });
    this.streams = new StreamHost({
      clock,
      random,
      gate: this.gate,
      self,
      ensure,
      send,
      segmentBytes: (peer) => this.tunnels.segmentBytes(peer),
      suspectPath: (peer) => this.tunnels.suspectPath(peer),
      emit,
    });
    this.control = new Control({ clock, self, ensure, send, gate: this.gate });
    const isReady = (peer: number) => this.tunnels.isReady(peer);
    this.datagrams = new Datagrams({ self, gate: this.gate, ensure, isReady, send, emit });
    this.datagrams.onDatagram((datagram) =>
      void this.got.push({ ...datagram, data: datagram.data.slice() })
    );
    this.#loopback = new Loopback({
      clock,
      deliver: (packet) => this.#onPacket(packet, "direct"),
    });
  }

  /** Starts a node and lets it announce itself. */
  static async start(world: World, node: number, options: NodeOptions): Promise<TestNode> {
    const identity = options.identity ?? await Identity.generate();
    const pair = options.keyPair ?? await KeyPair.generate();
    if (options.identity === undefined) world.directory.keys.set(node, identity.publicKey);
    if (options.nat === undefined) world.directory.endpoints.set(node, options.endpoint);
    const started = new TestNode(world, node, identity, pair, options);
    started.socket.start((data, from) => started.tunnels.onDatagram(data, from));
    const beacon = options.beacon ?? world.beacon?.socket.local;
    if (beacon !== undefined) started.tunnels.beacon.setEndpoint(beacon);
    await started.tunnels.setSelf(node, identity);
    return started;
  }

  /** Where it is bound. */
  get endpoint(): Endpoint {
    return this.socket.local;
  }

  /** Sends a packet as the daemon does. */
  send(packet: Packet): void {
    if (packet.dstNode === this.node) this.#loopback.send(packet);
    else this.tunnels.send(packet);
  }

  /** Ends the process without a word. */
  async kill(): Promise<void> {
    this.tunnels.close();
    this.#loopback.close();
    await this.streams.shutdown(0);
    await this.socket.close();
  }

  /** Ends the process and starts another one with the same identity. */
  async restart(changes: Partial<NodeOptions> = {}): Promise<TestNode> {
    await this.kill();
    const { keyPair: _, ...options } = this.#options;
    const { identity, world, node } = this;
    return await world.node(node, { ...options, identity, ...changes });
  }

  /** Names of the events so far. */
  get eventNames(): string[] {
    return this.events.map(({ event }) => event);
  }

  #onPacket(packet: Packet, via: "direct" | "relay"): void {
    this.received.push({ ...packet, payload: packet.payload.slice(), via });
    if (packet.protocol === PROTO_STREAM) this.streams.onPacket(packet);
    else if (packet.protocol === PROTO_DATAGRAM) this.datagrams.onPacket(packet);
    else if (packet.protocol === PROTO_CONTROL) {
      this.control.onPacket(packet, via);
    }
  }
}
