/**
 * The beacon at work: its socket, its timers, the checking of signatures and the other beacons.
 *
 * @module
 */

import { verifySignature } from "../../protocol/crypto/verify_signature.ts";
import { type Endpoint, formatEndpoint, isUnspecified, parseEndpoint } from "../../protocol/ip.ts";
import { PilotError, remedyOf } from "../../protocol/errors.ts";
import {
  canonicalHost,
  type Resolve,
  serverAddresses,
} from "../../platform/net/server_addresses.ts";
import type { Logger } from "../../platform/log.ts";
import { Alarm } from "../../platform/alarm.ts";
import type { Clock } from "../../platform/clock.ts";
import type { InboxWatch } from "../registry/inbox_watch.ts";
import { Beacon, type Outgoing, type Proof } from "./beacon.ts";
import type { BeaconHealth } from "./beacon_counters.ts";
import { LISTING_INTERVAL_MS, MAPPING_SWEEP_MS, SYNC_INTERVAL_MS } from "./beacon_limits.ts";
import { type BeaconListing, otherBeacons } from "./listing.ts";
import type { MappingLimits } from "./mappings.ts";
import { ProbePort } from "./probe_port.ts";
import type { BeaconSocket } from "./beacon_socket.ts";
import { TaskSet } from "../../platform/task_set.ts";

/**
 * What every IPv6 path carries in one piece, and the largest datagram of newer daemons (docs/protocol/beacon.md §4.3).
 */
const MAX_WHOLE_BYTES = 1_232;

/** How a beacon works together with others (docs/protocol/beacon.md §3). */
export interface ClusterOptions {
  /** Our number among the beacons; needed for `listing`. */
  readonly id?: number | undefined;
  /** `host:port` of other beacons. */
  readonly peers?: readonly string[] | undefined;
  /** Where to find more. It is not authenticated: anyone who can write there becomes a peer. */
  readonly listing?: BeaconListing | undefined;
  /** Looks the names of peers up; default the system's resolver. */
  readonly resolve?: Resolve | undefined;
  /** `host:port` under which others reach us, for the listing; default our listen address. */
  readonly advertise?: string | undefined;
}

/** What a beacon server is made of. */
export interface BeaconServerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Bounds of the table of nodes, other than the defaults. */
  readonly limits?: MappingLimits | undefined;
  /** Relayed bytes per second of one source address, default `RELAY_BYTES_PER_SECOND`. */
  readonly relayBytesPerSecond?: number | undefined;
  /** Key of a registered node; without it no endpoint can be proven, so nobody is woken. */
  readonly keyOf?: ((node: number) => Uint8Array | undefined) | undefined;
  /** Whether two nodes may learn each other's endpoints; default always. */
  readonly mayMeet?: ((requester: number, target: number) => boolean) | undefined;
  /** See `BeaconOptions.maySend`. */
  readonly maySend?: ((sender: number, target: number) => boolean) | undefined;
  /** Other beacons. */
  readonly cluster?: ClusterOptions | undefined;
  /** The bound socket; closed by {@linkcode BeaconServer.close}. */
  readonly socket: BeaconSocket;
  /** The bound socket of the probe port; closed likewise. Without it there is none. */
  readonly probe?: BeaconSocket | undefined;
}

/** A listening beacon. */
export class BeaconServer implements InboxWatch {
  /** Where it listens, `host:port`. */
  readonly addr: string;
  /** Its rules and state. */
  readonly beacon: Beacon;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #socket: BeaconSocket;
  readonly #probe: ProbePort | undefined;
  readonly #cluster: ClusterOptions;
  readonly #ending = new AbortController();
  readonly #tasks = new TaskSet((error) =>
    this.#log.error("beacon task failed", { error: String(error) })
  );
  /** For the earliest repetition of a wake. */
  readonly #wakes: Alarm;
  #sweepDue: number;
  #syncDue = -Infinity;
  #peersDue = -Infinity;
  #isFindingPeers = false;
  #listed: readonly Endpoint[] = [];
  #hasWarnedOfSize = false;

  /**
   * Starts listening.
   *
   * @param options Parts; peers are `host:port` each.
   */
  constructor(options: BeaconServerOptions) {
    const { clock, log, limits, relayBytesPerSecond, keyOf, mayMeet, maySend, cluster = {} } =
      options;
    this.#clock = clock;
    this.#wakes = new Alarm(clock, (now) => {
      this.#send(this.beacon.repeatWakes(now));
      this.#armWakes();
    });
    this.#log = log;
    this.#cluster = cluster;
    this.beacon = new Beacon({
      limits,
      relayBytesPerSecond,
      keyOf,
      mayMeet,
      maySend,
      id: cluster.id,
    });
    this.#socket = options.socket;
    this.#probe = options.probe && new ProbePort(options.probe, clock);
    this.addr = formatEndpoint(this.#socket.local);
    this.#sweepDue = clock.now() + MAPPING_SWEEP_MS;
    this.#socket.start((datagram, from) => this.#onDatagram(datagram, from));
  }

  /** Implementation of its socket. */
  get socketKind(): string {
    return this.#socket.kind;
  }

  /** State for operators. */
  health(): BeaconHealth {
    return this.beacon.health(this.#clock.now());
  }

  /** Something begins to wait for a node: it is made to poll. */
  waiting(node: number): void {
    this.#send(this.beacon.wake(node, this.#clock.now()));
    this.#armWakes();
  }

  /** The node has polled. */
  fetched(node: number): void {
    this.beacon.stopWaking(node);
  }

  /** Does the periodic work that is due; to be called about every second. */
  tick(): void {
    if (this.#ending.signal.aborted) return;
    const now = this.#clock.now();
    if (now >= this.#sweepDue) {
      this.#sweepDue = now + MAPPING_SWEEP_MS;
      this.beacon.sweep(now);
      this.#log.debug("beacon", { ...this.health() });
    }
    if (now >= this.#peersDue && !this.#isFindingPeers) {
      this.#peersDue = now + LISTING_INTERVAL_MS;
      this.#tasks.add(this.#findPeers());
    }
    if (now >= this.#syncDue) this.#sync(now);
  }

  /** Stops listening. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#wakes.cancel();
    await Promise.all([this.#socket.close(), this.#probe?.close()]);
    await this.#tasks.settled();
  }

  #onDatagram(datagram: Uint8Array, from: Endpoint): void {
    this.#send(this.beacon.receive(datagram, from, this.#clock.now()));
    for (const proof of this.beacon.takeProofs()) this.#tasks.add(this.#verify(proof));
  }

  async #verify(proof: Proof): Promise<void> {
    const { publicKey, message, signature } = proof;
    let isValid = false;
    try {
      isValid = await verifySignature(publicKey, message, signature);
    } finally {
      this.#send(this.beacon.onVerified(proof, isValid, this.#clock.now()));
    }
  }

  #send(outgoing: readonly Outgoing[]): void {
    for (const { bytes, to } of outgoing) {
      const buffer = this.#socket.acquire(bytes.length);
      buffer.set(bytes);
      // Frames of the oldest daemons are larger than a packet; all others must not be cut.
      this.#socket.send(buffer, bytes.length, to, bytes.length > MAX_WHOLE_BYTES);
    }
  }

  #armWakes(): void {
    const at = this.beacon.nextWakeAt;
    if (at === undefined || this.#ending.signal.aborted) return;
    this.#wakes.by(Math.max(at, this.#clock.now() + 1));
  }

  #sync(now: number): void {
    this.#syncDue = now + SYNC_INTERVAL_MS;
    const { outgoing, left } = this.beacon.syncPeers();
    this.#send(outgoing);
    if (left > 0 && !this.#hasWarnedOfSize) {
      this.#log.warn(
        "not all nodes fit the message to other beacons: some cannot be reached there",
        {
          nodes: this.beacon.size,
          left,
        },
      );
    }
    this.#hasWarnedOfSize = left > 0;
  }

  async #findPeers(): Promise<void> {
    const { peers = [], listing, id = 0 } = this.#cluster;
    if (peers.length === 0 && listing === undefined) return;
    this.#isFindingPeers = true;
    try {
      const found = (await Promise.all(peers.map((peer) => this.#resolve(peer)))).flat();
      if (listing !== undefined && id !== 0) await this.#list(listing, id);
      const before = this.beacon.peers.size;
      this.beacon.peers.set([...found, ...this.#listed].map(canonical));
      // New peers need not wait for what we have.
      if (this.beacon.peers.size > before) this.#sync(this.#clock.now());
    } finally {
      this.#isFindingPeers = false;
    }
  }

  /** What was listed before stays in use while the registry is away: its nodes expire on their own. */
  async #list(listing: BeaconListing, id: number): Promise<void> {
    const { advertise } = this.#cluster;
    const own = advertise === undefined ? this.#socket.local : parseEndpoint(advertise);
    try {
      const listed = await listing.exchange(id, own, this.#ending.signal);
      this.#listed = otherBeacons(listed, id);
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      this.#log.warn("beacon cannot find others through the registry", {
        error: String(error),
        ...remedyOf(PilotError.from(error, "unavailable")),
      });
    }
  }

  /** All its addresses: it may send from any of them, and only some may be reached from here. */
  async #resolve(peer: string): Promise<readonly Endpoint[]> {
    const isDual = this.#socket.local.host.includes(":");
    try {
      return await serverAddresses(parseEndpoint(peer), {
        isDual,
        resolve: this.#cluster.resolve,
      });
    } catch (error) {
      this.#log.warn("other beacon has no address", { peer, error: String(error) });
      return [];
    }
  }
}

/** An endpoint as the socket names senders, so that the two can be compared. */
function canonical({ host, port }: Endpoint): Endpoint {
  return { host: isUnspecified(host) ? host : canonicalHost(host), port };
}
