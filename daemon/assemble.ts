/**
 * How the parts of a daemon hang together. They are built from the bottom up, each from parts that exist already; what
 * a lower part has to report to an upper one goes through `start(user)`, which is called when both are there.
 *
 * @module
 */

import type { KeyPair } from "../protocol/crypto/mod.ts";
import { parseEndpoint } from "../protocol/ip.ts";
import type { Clock } from "../platform/clock.ts";
import { type Log, logOf } from "../platform/log.ts";
import type { UdpSocket } from "../platform/net/udp.ts";
import type { RegistryClient } from "../platform/registry_client.ts";
import type { DaemonOptions } from "../platform/settings/mod.ts";
import { BeaconFinder } from "./beacon_finder.ts";
import { BeaconListener } from "./beacon_listener.ts";
import type { ChosenAead } from "./crypto/choose.ts";
import { EventBus } from "./event_bus.ts";
import { logEvents } from "./event_log.ts";
import { NetworkChange } from "./network_change.ts";
import { NetworkStack } from "./network_stack.ts";
import type { PeerNames } from "./peer_names.ts";
import { random } from "./random.ts";
import { NodeRegistrant } from "./registrant.ts";
import { Invites } from "./registry/invite_watch.ts";
import { MembershipTies } from "./registry/membership_ties.ts";
import { Memberships } from "./registry/memberships.ts";
import type { NodeRegistry } from "./registry/node_registry.ts";
import { RegistrationLoop } from "./registry/registration.ts";
import { Directory } from "./registry_entry.ts";
import type { NodeFile, StateFiles } from "./state_files.ts";
import { TrustConsent } from "./trust/trust_consent.ts";
import { FormerPeers } from "./trust/former_peers.ts";
import type { OpenTrust } from "./trust/open_trust.ts";
import { TrustService } from "./trust/trust_service.ts";

/** What a daemon is built on: everything that owns a clock, a socket or a file. */
export interface Ground {
  readonly options: DaemonOptions;
  readonly clock: Clock;
  readonly socket: UdpSocket;
  readonly aead: ChosenAead;
  readonly keyPair: KeyPair;
  readonly files: StateFiles;
  readonly openTrust: OpenTrust;
  readonly registry: NodeRegistry;
  readonly client: RegistryClient;
  /** What is known from an earlier run. */
  readonly known: NodeFile | undefined;
}

/** The node's place in the registry. */
interface RegistryParts {
  readonly registration: RegistrationLoop;
  readonly directory: Directory;
  readonly memberships: Memberships;
  readonly invites: Invites;
}

/** Consent and what it allows. */
interface NetworkParts {
  readonly former: FormerPeers;
  readonly stack: NetworkStack;
  readonly trust: TrustService;
}

/** What watches over the node's own addresses and the beacon's. */
interface WatchParts {
  readonly finder: BeaconFinder | undefined;
  readonly change: NetworkChange;
  readonly beacon: BeaconListener;
  readonly registrant: NodeRegistrant;
}

/** All parts of a daemon. */
export interface Parts extends Ground, RegistryParts, NetworkParts, WatchParts {
  readonly events: EventBus;
  readonly log: Log;
}

/** Builds the parts of a daemon. Nothing runs yet. */
export function assemble(ground: Ground): Parts {
  const log = logOf("daemon");
  const events = new EventBus({
    clock: ground.clock,
    failed: (error) => log("error", "a subscriber of events failed", { error: String(error) }),
  });
  events.subscribe(logEvents(ground.clock, log));
  const base = { ...ground, events, log };
  const names = ground.files.peerNames(
    ground.openTrust.state,
    (message, fields) => log("warn", message, fields),
  );
  const registry = registryParts(base, names);
  const network = networkParts({ ...base, ...registry }, names);
  return { ...base, ...registry, ...network, ...watchParts({ ...base, ...registry, ...network }) };
}

type Base = Ground & Pick<Parts, "events" | "log">;

function registryParts(base: Base, names: PeerNames): RegistryParts {
  const { options, clock, registry, files, socket, known, events, log } = base;
  const registration = new RegistrationLoop({
    ...{ clock, log },
    randomFraction: Math.random,
    keepaliveMs: options.keepaliveMs,
  });
  const directory = new Directory({
    ...{ registry, files, clock, names },
    local: socket.local,
    isPublic: known?.isPublic ?? false,
    hostname: known?.hostname ?? "",
    joined: known === undefined && files.isNew ? [] : known?.joined,
    fixed: options.endpoint === undefined ? undefined : parseEndpoint(options.endpoint),
    isHidden: options.pathMode === "relay-only",
    leave: (deregister) => registration.leave(deregister),
    warn: (message, fields) => log("warn", message, fields),
    wanted: {
      ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
      ...(options.public === undefined ? {} : { isPublic: options.public }),
    },
  });
  const memberships = new Memberships({
    clock,
    self: () => registry.node,
    lookup: (node) => registry.lookup(node),
    policy: (network) => registry.network("get_network_policy", { network_id: network }),
    joined: () => directory.joined,
  });
  const invites = new Invites({
    poll: () => registry.network("poll_invites", {}),
    invited: (invite) => events.emit("network.invited", invite),
    log,
  });
  return { registration, directory, memberships, invites };
}

function networkParts(base: Base & RegistryParts, names: PeerNames): NetworkParts {
  const { options, clock, registry, directory, memberships, openTrust, log } = base;
  const { emit } = base.events;
  const { state, tombstones } = openTrust;
  const former = new FormerPeers(clock);
  const isPublic = () => directory.isPublic;
  const stack = new NetworkStack({
    ...{ clock, random, memberships, isPublic, emit, log },
    socket: base.socket,
    keyPair: base.keyPair,
    aead: base.aead.factory,
    pathMode: options.pathMode,
    maxSegmentBytes: options.mss,
    self: () => registry.node,
    consent: new TrustConsent(state, former),
    lookupKey: (node) => registry.lookupKey(node),
    resolve: (node) => directory.resolve(node),
  });
  const trust = new TrustService({
    ...{ clock, registry, names, state, tombstones, former, emit, log },
    learnNames: (nodes) => directory.learnNames(nodes),
    autoApprove: options.trustAutoApprove,
    pollMs: options.pollMs,
    save: (json) => base.files.saveTrust(json),
    sharedNetwork: async (node) => (await memberships.ask(node))[0]?.id,
    cut: (node) => {
      stack.gate.forget(node);
      stack.streams.cut(node);
    },
    dropTunnel: (node) => stack.tunnels.remove(node),
    isExistingPeer: (node) => stack.tunnels.isExisting(node),
    dial: (address, port, dialOptions) => stack.dial(address, port, dialOptions),
    bind: (port, onAccept) => stack.bind(port, onAccept),
    unbind: (port) => stack.unbind(port),
  });
  const endNetworkTrust = (node: number) => trust.endNetworkTrust(node);
  memberships.start(new MembershipTies({ state, isPublic, stack, endNetworkTrust, emit, log }));
  return { former, stack, trust };
}

function watchParts(base: Base & RegistryParts & NetworkParts): WatchParts {
  const { options, clock, client, registry, registration, directory, stack, trust, log } = base;
  const { tunnels } = stack;
  const finder = options.beacon === "" ? undefined : new BeaconFinder({
    ...{ beacon: options.beacon, registry: options.registry, log },
    isDual: base.socket.local.host.includes(":"),
    found: (candidates) => tunnels.beacon.setCandidates(candidates),
  });
  client.onConnected = (host) => finder?.registryAt(host);
  const change = new NetworkChange({
    clock,
    registryEnd: () => client.isConnected ? client.localHost : undefined,
    askRegistry: () => registry.heartbeat(),
    checkPaths: () => tunnels.checkPaths(),
    moved: (reason) => {
      log("info", "network changed", { reason });
      client.reconnect("the network changed");
      trust.networkChanged();
      tunnels.networkChanged();
      registration.trigger();
    },
    lanAddrs: () => directory.lanAddrs(),
    register: () => registration.trigger(),
  });
  const concerned = { ...base, finder, change, emit: base.events.emit };
  return {
    finder,
    change,
    beacon: new BeaconListener(concerned),
    registrant: new NodeRegistrant(concerned),
  };
}
