/**
 * One daemon: the parts and how they hang together. Everything that owns a clock, a socket or a file is made
 * here; {@linkcode Daemon.start} is what `main.ts` and the tests call.
 *
 * @module
 */

import { formatAddress } from "../protocol/address.ts";
import { type AeadFactory, KeyPair } from "../protocol/crypto/mod.ts";
import { parseEndpoint } from "../protocol/ip.ts";
import { type Packet, PROTO_CONTROL, PROTO_DATAGRAM, PROTO_STREAM } from "../protocol/packet.ts";
import { getLogger, LOG_CATEGORY } from "../platform/log.ts";
import type { DaemonOptions } from "../platform/settings.ts";
import { VERSION } from "../platform/version.ts";
import { type Clock, systemClock } from "../platform/clock.ts";
import { BeaconFinder } from "./beacon_finder.ts";
import { chooseAead, type ChosenAead } from "./crypto/choose.ts";
import { openHome } from "./home.ts";
import { Directory } from "./registry_entry.ts";
import { EventLog } from "./event_log.ts";
import { daemonHealth, daemonInfo, pathTo } from "./info.ts";
import type { Backend, Json, NetworkBackend } from "./ipc/backend.ts";
import { IpcServer } from "./ipc/ipc_server.ts";
import { NetworkChange } from "./network_change.ts";
import { openUdpSocket } from "../platform/net/open_udp_socket.ts";
import type { UdpSocket } from "../platform/net/udp.ts";
import { random } from "./random.ts";
import { rehearse } from "./warm_up.ts";
import { RegistryClient } from "../platform/registry_client.ts";
import { Invites } from "./registry/invite_watch.ts";
import { watchMembers } from "./registry/membership_ties.ts";
import type { Memberships } from "./registry/memberships.ts";
import { NodeRegistry } from "./registry/node_registry.ts";
import { RegistrationLoop } from "./registry/registration.ts";
import { attachServices } from "./service/attach.ts";
import type { Service } from "./service/service_port.ts";
import { StateFiles } from "./state_files.ts";
import { Control } from "./stream/control_packets.ts";
import { Datagrams } from "./stream/datagram_host.ts";
import { Gate } from "./stream/gate.ts";
import { StreamHost } from "./stream/host.ts";
import { Loopback } from "./stream/loopback.ts";
import { type OpenTrust, openTrust } from "./trust/open_trust.ts";
import { TrustService } from "./trust/trust_service.ts";
import { type Rate, TokenBucket } from "./tunnel/rate_limit.ts";
import { Tunnels } from "./tunnel/tunnels.ts";

/** How long open connections may take to deliver what they hold when the daemon stops. */
export const SHUTDOWN_GRACE_MS = 2_000;

/** Registrations caused by the beacon seeing us elsewhere: a change of network, not a forger with the beacon's address. */
const ENDPOINT_NEWS_RATE: Rate = { perSecond: 0.1, burst: 3 };

/** A running daemon. */
export class Daemon implements Backend, AsyncDisposable {
  /** Software version. */
  readonly version = VERSION;
  /** When it was started, ms of the clock. */
  readonly startedMs: number;
  /** Streams, datagrams, pings. */
  readonly network: NetworkBackend;
  /** Mutual consent. */
  readonly trust: TrustService;
  /** The registry in our name. */
  readonly directory: Directory;
  /** The same as requests and answers. */
  readonly registry: NodeRegistry;
  /** Registration. */
  readonly registration: RegistrationLoop;
  /** The tunnel layer. */
  readonly tunnels: Tunnels;
  /** All streams. */
  readonly streams: StreamHost;
  /** The tunnel's UDP socket. */
  readonly socket: UdpSocket;
  /** Which AES-256-GCM is in use. */
  readonly aead: string;
  /** How it was started. */
  readonly options: DaemonOptions;
  readonly #clock: Clock;
  readonly #client: RegistryClient;
  readonly #aead: AeadFactory;
  readonly #closeAead: () => void;
  readonly #closeTrust: () => Promise<void>;
  readonly #memberships: Memberships;
  readonly #loopback: Loopback;
  readonly #invites: Invites;
  readonly #control: Control;
  readonly #datagrams: Datagrams;
  readonly #log = getLogger([LOG_CATEGORY, "daemon"]);
  readonly #events: EventLog;
  readonly #endpointNews: TokenBucket;
  services: readonly Service[] = [];
  #ipc: IpcServer | undefined;
  #stopping: Promise<void> | undefined;
  #rehearsal: Promise<number> | undefined;
  readonly #change: NetworkChange;
  /** Undefined when there is no beacon. */
  readonly #finder: BeaconFinder | undefined;
  /** The socket will tell when the datagrams that are there have been handed over. */
  #isBatch = false;

  /**
   * Use {@linkcode Daemon.start}.
   *
   * @ignore
   */
  constructor(parts: {
    options: DaemonOptions;
    clock: Clock;
    socket: UdpSocket;
    aead: ChosenAead;
    keyPair: KeyPair;
    files: StateFiles;
    trust: OpenTrust;
    registry: NodeRegistry;
    client: RegistryClient;
    known: Awaited<ReturnType<StateFiles["node"]>>;
  }) {
    const { options, clock, registry, files } = parts;
    const trustState = parts.trust.state;
    this.options = options;
    this.#clock = clock;
    this.startedMs = clock.now();
    this.#events = new EventLog(clock);
    this.#endpointNews = new TokenBucket(ENDPOINT_NEWS_RATE, this.startedMs);
    this.socket = parts.socket;
    this.aead = parts.aead.name;
    this.#aead = parts.aead.factory;
    this.#closeAead = () => parts.aead.close();
    this.#closeTrust = () => parts.trust.close();
    this.registry = registry;
    this.#client = parts.client;
    const self = () => registry.node;
    const ensure = (node: number) => this.tunnels.ensure(node);
    const send = (packet: Packet) => this.#send(packet);
    const emit = (event: string, data: Json) => this.emit(event, data);
    const log = this.#events.logger;
    const names = files.peerNames(trustState, (message, fields) => this.#log.warn(message, fields));
    this.directory = new Directory({
      ...{ registry, files, clock, names },
      local: parts.socket.local,
      isPublic: parts.known?.isPublic ?? false,
      hostname: parts.known?.hostname ?? "",
      joined: parts.known === undefined && files.isNew ? [] : parts.known?.joined,
      fixed: options.endpoint === undefined ? undefined : parseEndpoint(options.endpoint),
      isHidden: options.pathMode === "relay-only",
      leave: (deregister) => this.registration.leave(deregister),
      warn: (message, fields) => this.#log.warn(message, fields),
      wanted: {
        ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
        ...(options.public === undefined ? {} : { isPublic: options.public }),
      },
    });
    this.#memberships = watchMembers({
      clock,
      self,
      state: trustState,
      lookup: (node) => registry.lookup(node),
      policy: (network) => registry.network("get_network_policy", { network_id: network }),
      joined: () => this.directory.joined,
      isPublic: () => this.directory.isPublic,
      streams: () => this.streams,
      endNetworkTrust: (node) => this.trust.endNetworkTrust(node),
      parted: (node) => {
        const isNeeded = this.streams.hasConns(node) || gate.mayKnow(node) === true;
        if (!isNeeded) this.tunnels.remove(node);
      },
      emit,
      log,
    });
    const gate = new Gate({
      clock,
      isPublic: () => this.directory.isPublic,
      isTrusted: (node) => trustState.hasConsent(node),
      isRevoked: (node) => trustState.isRevoked(node),
      isExpected: (node) => trustState.isAsked(node),
      memberships: this.#memberships,
    });
    this.tunnels = new Tunnels({
      clock,
      random,
      socket: parts.socket,
      keyPair: parts.keyPair,
      maxSegmentBytes: options.mss,
      pathMode: options.pathMode,
      aead: parts.aead.factory,
      pinnedKey: (node) => trustState.pinnedKey(node),
      lookupKey: (node) => registry.lookupKey(node),
      resolve: (node) => this.directory.resolve(node),
      isWanted: (node) => trustState.hasConsent(node) || this.streams.hasConns(node),
      isFormer: (node) => this.trust.isFormer(node),
      mayKnow: (node) => this.trust.isFormer(node) || gate.mayKnow(node),
      askMayKnow: async (node) => this.trust.isFormer(node) || await gate.askMayKnow(node),
      hasConns: (node) => this.streams.hasConns(node),
      onPacket: (packet, _node, via) => this.#onPacket(packet, via),
      onPathChanged: (node, isRepaired) => this.streams.onPathChanged(node, isRepaired),
      onPeerRestarted: (node) => this.streams.onPeerRestarted(node),
      beacon: {
        observed: (endpoint) => {
          const admit = () => this.#endpointNews.take(clock.now());
          const before = this.directory.observed;
          if (this.directory.observe(endpoint, admit)) this.registration.trigger();
          if ((before?.host ?? endpoint.host) !== endpoint.host) this.#change.seenElsewhere();
        },
        answers: (endpoint) => this.#finder?.answers(endpoint),
        silent: () => this.#finder?.silent(),
        proven: () => this.emit("tunnel.endpoint_proven", {}),
        wake: () => {
          this.trust.wake();
          this.#invites.look();
          this.#memberships.refresh();
        },
      },
      emit,
      log,
    });
    this.streams = new StreamHost({
      clock,
      random,
      gate,
      self,
      ensure,
      send,
      segmentBytes: (node) => this.tunnels.segmentBytes(node),
      suspectPath: (node) => this.tunnels.suspectPath(node),
      emit,
    });
    this.#control = new Control({ clock, self, ensure, send, gate });
    const isReady = (node: number) => this.tunnels.isReady(node);
    this.#datagrams = new Datagrams({ self, gate, ensure, isReady, send, emit });
    const deliver = (packet: Packet) => this.#onPacket(packet, "direct");
    this.#loopback = new Loopback({ clock, deliver });
    this.network = {
      bind: (port, onAccept) => this.streams.bind(port, onAccept),
      unbind: (port) => this.streams.unbind(port),
      dial: (address, port, dialOptions) => this.streams.dial(address, port, dialOptions),
      disconnect: (id) => this.streams.disconnect(id),
      sendDatagram: (address, port, data) => this.#datagrams.send(address, port, data),
      trySendDatagram: (address, port, data) => this.#datagrams.trySend(address, port, data),
      onDatagram: (handler) => this.#datagrams.onDatagram(handler),
      ping: (address, pingOptions) => this.#control.ping(address, pingOptions),
    };
    this.trust = new TrustService({
      clock,
      unixNow: Date.now,
      ...{ registry, names, state: trustState },
      learnNames: (nodes) => this.directory.learnNames(nodes),
      autoApprove: options.trustAutoApprove,
      pollMs: options.pollMs,
      save: (json) => files.saveTrust(json),
      tombstones: parts.trust.tombstones,
      sharedNetwork: async (node) => (await this.#memberships.ask(node))[0]?.id,
      cut: (node) => {
        gate.forget(node);
        this.streams.cut(node);
      },
      dropTunnel: (node) => this.tunnels.remove(node),
      isExistingPeer: (node) => this.tunnels.isExisting(node),
      dial: (address, port, dialOptions) => this.streams.dial(address, port, dialOptions),
      bind: (port, onAccept) => this.streams.bind(port, onAccept),
      unbind: (port) => this.streams.unbind(port),
      emit,
      log,
    });
    this.#invites = new Invites({
      poll: () => registry.network("poll_invites", {}),
      invited: (invite) => this.emit("network.invited", invite),
      log,
    });
    this.registration = new RegistrationLoop({
      clock,
      randomFraction: Math.random,
      keepaliveMs: options.keepaliveMs,
      register: async () => {
        this.#finder?.look();
        const lanAddrs = this.directory.lanAddrs();
        this.#change.registered(lanAddrs);
        return await registry.register({
          listenAddr: this.directory.listenAddr(),
          owner: options.email ?? "",
          version: VERSION,
          lanAddrs,
          isHidden: this.directory.isHidden,
        });
      },
      registered: (_reply, isFirst) => this.#onRegistered(isFirst),
      heartbeat: () => registry.heartbeat(),
      log,
    });
    this.#finder = options.beacon === "" ? undefined : new BeaconFinder({
      ...{ beacon: options.beacon, registry: options.registry, log },
      isDual: parts.socket.local.host.includes(":"),
      found: (candidates) => this.tunnels.beacon.setCandidates(candidates),
    });
    this.#change = new NetworkChange({
      clock,
      registryEnd: () => this.#client.isConnected ? this.#client.localHost : undefined,
      askRegistry: () => registry.heartbeat(),
      checkPaths: () => this.tunnels.checkPaths(),
      moved: (reason) => this.#onNetworkChanged(reason),
      lanAddrs: () => this.directory.lanAddrs(),
      register: () => this.registration.trigger(),
    });
    this.#client.onConnected = (host) => this.#finder?.registryAt(host);
  }

  /**
   * Starts a daemon. When it resolves, the IPC socket answers; registration goes on in the background.
   *
   * @param options See {@linkcode DaemonOptions}.
   * @param clock Time; tests may turn it themselves.
   * @returns The running daemon.
   * @throws {PilotError} `already_exists` when another daemon serves the socket or the UDP port is taken,
   * `invalid_argument` for damaged state files, `denied` for files that others may read and directories that they may
   * change, `io_error`, `unavailable` when the UDP socket or AEAD asked for does not work here.
   */
  static async start(options: DaemonOptions, clock: Clock = systemClock): Promise<Daemon> {
    await openHome(options);
    const files = new StateFiles(options.home, options.identity, options);
    const identity = await files.identity();
    const known = await files.node(identity.publicKeyBase64);
    const log = getLogger([LOG_CATEGORY, "daemon"]);
    const warn = (message: string, fields: Json) => log.warn(message, fields);
    const trust = await openTrust(files, Date.now(), warn);
    const client = new RegistryClient({
      address: options.registry,
      clock,
      fingerprint: options.registryTls === true ? options.registryFingerprint : undefined,
      pinnedKey: options.registryKey,
    });
    const registry = new NodeRegistry({ client, identity });
    if (known !== undefined) registry.assume(known.node);
    const keyPair = await KeyPair.generate();
    const { host, port } = parseEndpoint(options.listen, { allowEmptyHost: true });
    const aead = chooseAead(options.aead);
    let socket: UdpSocket;
    try {
      socket = await openUdpSocket({ host, port, kind: options.udp });
    } catch (error) {
      aead.close();
      await trust.close();
      throw error;
    }
    const parts = { options, clock, socket, aead, keyPair, files, trust, registry, client, known };
    const daemon = new Daemon(parts);
    try {
      await daemon.#open();
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  /** Our node number; 0 before the first registration. */
  get node(): number {
    return this.registry.node;
  }

  /** Our address on the backbone; undefined before the first registration. */
  get address(): string | undefined {
    return this.node === 0 ? undefined : formatAddress({ network: 0, node: this.node });
  }

  /** Base64 identity key. */
  get publicKey(): string {
    return this.registry.identity.publicKeyBase64;
  }

  /** Seconds since the start. */
  get uptimeSeconds(): number {
    return (this.#clock.now() - this.startedMs) / 1000;
  }

  /** Why the beacon's name could not be looked up last. */
  get beaconError(): string | undefined {
    return this.#finder?.error;
  }

  /** The place for programs that know no homes, when this daemon serves it. */
  get commonSocket(): string | undefined {
    return this.#ipc?.common;
  }

  /** A TCP connection to the registry stands. */
  get isRegistryConnected(): boolean {
    return this.#client.isConnected;
  }

  info(): Json {
    return daemonInfo(this);
  }

  health(): Json {
    return daemonHealth(this);
  }

  path(node: number): Json {
    return pathTo(this, node);
  }

  emit(event: string, data: Json): void {
    this.#events.write(event, data);
  }

  /** Ends everything in order; what connections hold is delivered within {@linkcode SHUTDOWN_GRACE_MS}. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #open(): Promise<void> {
    const { options } = this;
    // First the socket: when another daemon serves it, nothing of ours may be seen by anybody.
    const { socket: path, commonSocket: common } = options;
    this.#ipc = await IpcServer.listen({ path, common, backend: this });
    this.services = await attachServices(this, options, this.#clock);
    this.trust.start();
    this.socket.start((data, from) => {
      this.#isBatch = true;
      this.tunnels.onDatagram(data, from);
    }, () => {
      this.#isBatch = false;
      this.streams.endBatch();
    });
    if (this.node !== 0) await this.tunnels.setSelf(this.node, this.registry.identity);
    this.registration.trigger();
    this.#change.watch();
    this.#rehearsal = rehearse({ clock: this.#clock, random, aead: this.#aead });
    options.ready?.({ socket: options.socket, pid: Deno.pid });
  }

  async #stop(): Promise<void> {
    this.#change.close();
    this.#finder?.close();
    await this.registration.stop();
    await this.#ipc?.close();
    for (const service of this.services) await service.close();
    await this.streams.shutdown(SHUTDOWN_GRACE_MS);
    // Its requests under way must not wait for a registry that does not answer.
    await this.#client.close();
    this.#memberships.close();
    await this.trust.stop();
    await this.#closeTrust();
    await this.#invites.stop();
    await this.directory.close();
    this.tunnels.close();
    this.#loopback.close();
    await this.socket.close();
    await this.#rehearsal;
    this.#closeAead();
  }

  async #onRegistered(isFirst: boolean): Promise<void> {
    await this.tunnels.setSelf(this.node, this.registry.identity);
    await this.directory.onRegistered();
    await this.trust.onRegistered();
    this.#invites.look();
    this.emit(isFirst ? "node.registered" : "node.reregistered", {
      address: this.address,
      endpoint: this.directory.listenAddr(),
    });
  }

  #onNetworkChanged(reason: string): void {
    this.#log.info("network changed", { reason });
    this.#client.reconnect("the network changed");
    this.trust.networkChanged();
    this.tunnels.networkChanged();
    this.registration.trigger();
  }

  #onPacket(packet: Packet, via: "direct" | "relay"): void {
    switch (packet.protocol) {
      case PROTO_STREAM:
        this.streams.onPacket(packet, this.#isBatch);
        break;
      case PROTO_DATAGRAM:
        this.#datagrams.onPacket(packet);
        break;
      case PROTO_CONTROL:
        this.#control.onPacket(packet, via);
        break;
      default: // Unknown protocols are ignored, as by every known implementation.
    }
  }

  #send(packet: Packet): void {
    // What finds no way is lost like any datagram; streams retransmit, pings time out.
    if (packet.dstNode === this.node) this.#loopback.send(packet);
    else this.tunnels.send(packet);
  }
}
