/**
 * The network half of a daemon on a virtual socket, with everything that it tells noted.
 *
 * @module
 */

import { type AeadFactory, Identity, KeyPair, wasmAead } from "../../../protocol/crypto/mod.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import type { Emit } from "../../../protocol/lifecycle_events.ts";
import type { Packet } from "../../../protocol/packet.ts";
import type { PathMode } from "../../../protocol/path/mod.ts";
import type { Datagram } from "../../../daemon/stream/stream_conn.ts";
import type { Control } from "../../../daemon/stream/control_packets.ts";
import type { Datagrams } from "../../../daemon/stream/datagram_host.ts";
import type { Gate } from "../../../daemon/stream/gate.ts";
import type { StreamHost } from "../../../daemon/stream/host.ts";
import type { Tunnels } from "../../../daemon/tunnel/tunnels.ts";
import { NetworkStack } from "../../../daemon/network_stack.ts";
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
  readonly stack: NetworkStack;
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
  /** The nodes to ask about trust; by default the three above. */
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
    const emit: Emit = (event, data) => void this.events.push({ event, data: { ...data } });
    const stack = this.stack = new NetworkStack({
      ...{ clock, random, emit },
      socket: this.socket,
      keyPair: pair,
      aead: options.aead ?? wasmAead,
      pathMode: options.pathMode,
      self: () => node,
      consent: {
        pinnedKey: (peer) => this.consent.pinnedKey(peer),
        hasConsent: (peer) => this.consent.isTrusted(peer),
        isRevoked: (peer) => this.consent.isRevoked(peer),
        isAsked: (peer) => this.consent.isExpected(peer),
        isFormer: (peer) => this.isFormer(peer),
      },
      isPublic: () => this.isPublic,
      memberships: {
        known: (peer) => directory.shared(node, peer),
        ask: (peer) => directory.askShared(node, peer),
      },
      lookupKey: (peer) => directory.lookupKey(peer),
      resolve: (peer) => directory.resolve(peer, node),
      log: (_level, event, data = {}) => void this.logs.push({ event, data }),
    });
    this.tunnels = stack.tunnels;
    this.gate = stack.gate;
    this.streams = stack.streams;
    this.control = stack.control;
    this.datagrams = stack.datagrams;
    this.datagrams.onDatagram((datagram) =>
      void this.got.push({ ...datagram, data: datagram.data.slice() })
    );
  }

  /** Takes what arrives, noting it. */
  #listen(): void {
    const { stack } = this;
    const { onObserved, onBeaconSilent } = this.#options;
    stack.start({
      observed: (endpoint) => {
        this.observed.push(endpoint);
        onObserved?.(endpoint);
      },
      proven: () => void this.events.push({ event: "tunnel.endpoint_proven", data: {} }),
      wake: () => this.woken++,
      silent: () => onBeaconSilent?.(),
    });
    this.tunnels.start({
      beacon: stack.beacon,
      onPacket: (packet, route, isBatch) => {
        this.received.push({ ...packet, payload: packet.payload.slice(), via: route.via });
        stack.onPacket(packet, route, isBatch);
      },
      onPathChanged: (peer, isRepaired) => stack.onPathChanged(peer, isRepaired),
      onPeerRestarted: (peer) => {
        this.restarted.push(peer);
        stack.onPeerRestarted(peer);
      },
      hasConns: (peer) => this.wanted.has(peer) || stack.hasConns(peer),
    });
  }

  /** Starts a node and lets it announce itself. */
  static async start(world: World, node: number, options: NodeOptions): Promise<TestNode> {
    const identity = options.identity ?? await Identity.generate();
    const pair = options.keyPair ?? await KeyPair.generate();
    if (options.identity === undefined) world.directory.keys.set(node, identity.publicKey);
    if (options.nat === undefined) world.directory.endpoints.set(node, options.endpoint);
    const started = new TestNode(world, node, identity, pair, options);
    started.#listen();
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
    this.stack.send(packet);
  }

  /** Ends the process without a word. */
  async kill(): Promise<void> {
    this.stack.close();
    await this.stack.stop(0);
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
}
