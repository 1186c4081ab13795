/**
 * What the registry knows about this node, kept at hand, and the registry operations that change it. `info` is
 * answered from here, so it needs no registry (docs/protocol/local-socket.md §7).
 *
 * @module
 */

import { isIP, isIPv4 } from "node:net";
import { formatAddress } from "../protocol/address.ts";
import { type ErrorCode, PilotError } from "../protocol/errors.ts";
import {
  type Endpoint,
  formatEndpoint,
  formatIp,
  parseEndpoint,
  parseIp,
  sameEndpoint,
} from "../protocol/ip.ts";
import { isEndpointOfOne } from "../protocol/path/mod.ts";
import { type JsonObject, numberField } from "../protocol/registry/registry_message.ts";
import { type Clock, TimerSet } from "../platform/clock.ts";
import type {
  DEREGISTER,
  IpcHandshakeTargetReply,
  IpcResolvedHostname,
  LOOKUP,
  ReplyOf,
  RESOLVE_HOSTNAME,
  SET_HOSTNAME,
  SET_TAGS,
  SET_VISIBILITY,
} from "../protocol/ipc/mod.ts";
import type { DirectoryBackend } from "./ipc/backend.ts";
import { isGlobal, type LocalAddresses, localAddresses } from "../platform/local_addresses.ts";
import type { PeerNames } from "./peer_names.ts";
import type { NodeRegistry } from "./registry/node_registry.ts";
import type { StateFiles } from "./state_files.ts";
import { SAVE_RETRY_MS } from "./trust/saver.ts";
import type { Resolution } from "../protocol/tunnel/tunnel_host.ts";

/** LAN addresses of a peer that are tried: each costs a datagram per attempt. */
const MAX_ALTERNATIVES = 4;
/** Other public addresses that a peer names for itself, likewise: they may be a victim's. */
const MAX_OTHERS = 2;

/** Trusted peers whose names are asked for with a registration: each is a request. */
export const MAX_NAMES_ASKED = 256;

/** The registry has understood, and says no. */
const REFUSALS: readonly ErrorCode[] = ["already_exists", "denied", "invalid_argument"];

/** This node's entry in the registry, and the operations on it. */
export class Directory implements DirectoryBackend {
  readonly #registry: NodeRegistry;
  readonly #files: StateFiles;
  /** UDP port of the tunnel. */
  readonly #port: number;
  readonly #isWildcard: boolean;
  #isPublic: boolean;
  #hostname: string;
  #hostnameError: string | undefined;
  #tags: readonly string[] = [];
  #networks: readonly number[] = [0];
  /** Networks that were joined here; undefined until the registry's list is taken over, once. */
  #joined: Set<number> | undefined;
  /** Networks that the registry names and we have never joined, as far as they were reported. */
  readonly #foreign = new Set<number>();
  /** What clients asked for since the start; restored if a registry loses it. */
  readonly #wanted: { tags?: readonly string[]; hostname?: string; isPublic?: boolean } = {};
  readonly #fixed: Endpoint | undefined;
  readonly #isHidden: boolean;
  readonly #addresses: () => LocalAddresses;
  readonly #names: PeerNames | undefined;
  #learning: Promise<void> = Promise.resolve();
  readonly #leave: <T>(deregister: () => Promise<T>) => Promise<T>;
  readonly #warn: (message: string, fields: Record<string, unknown>) => void;
  #observed: Endpoint | undefined;
  readonly #timers: TimerSet;
  /** One write after the other, so that an older state never comes last. */
  #writing: Promise<void> = Promise.resolve();
  #retries = false;

  constructor(options: {
    registry: NodeRegistry;
    files: StateFiles;
    clock: Clock;
    local: Endpoint;
    isPublic: boolean;
    hostname: string;
    /** Set in the configuration. */
    wanted: { hostname?: string; isPublic?: boolean };
    /** Networks joined in earlier runs; undefined to take over what the registry says at the first registration. */
    joined?: readonly number[] | undefined;
    /** Our public endpoint, if it is fixed. */
    fixed?: Endpoint | undefined;
    /** No peer may learn where we are. */
    isHidden?: boolean;
    /** Default: the system's. */
    addresses?: () => LocalAddresses;
    /** Carries a deregistration out such that nothing registers again. */
    leave?: <T>(deregister: () => Promise<T>) => Promise<T>;
    /** Names of trusted peers, for when the registry is away. */
    names?: PeerNames;
    /** Called with failures that do no harm. */
    warn?: (message: string, fields: Record<string, unknown>) => void;
  }) {
    this.#registry = options.registry;
    this.#files = options.files;
    this.#timers = new TimerSet(options.clock);
    this.#port = options.local.port;
    this.#isWildcard = options.local.host === "0.0.0.0" || options.local.host === "::";
    this.#isPublic = options.wanted.isPublic ?? options.isPublic;
    this.#hostname = options.hostname;
    Object.assign(this.#wanted, options.wanted);
    this.#joined = options.joined && new Set(options.joined);
    this.#fixed = options.fixed;
    this.#isHidden = options.isHidden ?? false;
    const addresses = options.addresses ?? localAddresses;
    // A socket of IPv4 neither receives nor sends at the machine's other addresses.
    this.#addresses = options.local.host.includes(":")
      ? addresses
      : () => ({ ...addresses(), globalIpv6: [] });
    this.#leave = options.leave ?? ((deregister) => deregister());
    this.#names = options.names;
    this.#warn = options.warn ?? (() => {});
  }

  /** Anyone may reach this node. */
  get isPublic(): boolean {
    return this.#isPublic;
  }

  /** Our hostname; empty when there is none. */
  get hostname(): string {
    return this.#hostname;
  }

  /** Our tags. */
  get tags(): readonly string[] {
    return this.#tags;
  }

  /** Networks we are in, with our address on each. */
  networks(): { network_id: number; address: string }[] {
    return this.#networks.filter((network) => network !== 0).map((network) => ({
      network_id: network,
      address: formatAddress({ network, node: this.#registry.node }),
    }));
  }

  /** Networks that this node has joined itself: membership in others, claimed by anyone, opens nothing. */
  get joined(): number[] {
    return [...this.#joined ?? []];
  }

  /** Our endpoint as the beacon sees it. */
  get observed(): Endpoint | undefined {
    return this.#observed;
  }

  /**
   * Notes the endpoint that the beacon sees. The beacon's address can be forged, so news are taken only as `admit`
   * allows; what is not taken comes again with the next announcement.
   *
   * @param endpoint As the beacon says.
   * @param admit Whether another endpoint may be reported to the registry now.
   * @returns Whether it must be reported to the registry.
   */
  observe(endpoint: Endpoint, admit: () => boolean): boolean {
    const before = this.#observed;
    if (this.#fixed !== undefined) {
      this.#observed = endpoint;
      return false;
    }
    const isNews = (before?.port ?? this.#port) !== endpoint.port ||
      (before !== undefined && before.host !== endpoint.host);
    if (isNews && !admit()) return false;
    this.#observed = endpoint;
    return isNews;
  }

  /** `host:port` to register: the registry takes the host from its TCP connection and the port from here. */
  listenAddr(): string {
    return formatEndpoint(this.#fixed ?? this.#observed ?? { host: "127.0.0.1", port: this.#port });
  }

  /** No peer may learn where we are. */
  get isHidden(): boolean {
    return this.#isHidden;
  }

  /**
   * `host:port` of this machine in its local networks, and its other public addresses: the registry knows only the one
   * by which we reach it. Older peers ignore what is not in their own network.
   */
  lanAddrs(): string[] {
    if (this.#isHidden) return [];
    const fixed = this.#fixed === undefined ? [] : [this.#fixed];
    if (!this.#isWildcard) return fixed.map(formatEndpoint);
    const { ipv4, globalIpv6 } = this.#addresses();
    const hosts = [...ipv4, ...globalIpv6.slice(0, MAX_OTHERS)];
    return [...hosts.map((host) => ({ host, port: this.#port })), ...fixed].map(formatEndpoint);
  }

  /** Applies what is configured or was set, and learns what the registry has. */
  async onRegistered(): Promise<void> {
    const { isPublic, hostname, tags } = this.#wanted;
    if (isPublic !== undefined) await this.#registry.setVisibility(isPublic);
    if (hostname !== undefined) await this.#claimHostname(hostname);
    if (tags !== undefined) await this.#registry.setTags(tags);
    const before = this.#hostname;
    await this.#refresh();
    // A registry that came back empty has lost it, and only we can restore it.
    if (hostname !== undefined || before === "" || this.#hostname !== "") return;
    await this.#claimHostname(before);
    if (this.#hostnameError === undefined) this.#hostname = before;
    await this.#save();
  }

  /** Why the registry refuses the hostname that was asked for; undefined when it does not. */
  get hostnameError(): string | undefined {
    return this.#hostnameError;
  }

  /** A name that another node has, or that is invalid, must not keep the node from being registered. */
  async #claimHostname(hostname: string): Promise<void> {
    try {
      await this.#registry.setHostname(hostname);
      this.#hostnameError = undefined;
    } catch (error) {
      const isRefused = error instanceof PilotError && REFUSALS.includes(error.code);
      if (!isRefused) throw error;
      if (this.#hostnameError !== error.message) {
        this.#warn("registered without a hostname", { hostname, error: error.message });
      }
      this.#hostnameError = error.message;
    }
  }

  /** Where a peer may be reached. */
  async resolve(node: number): Promise<Resolution> {
    const { realAddr, lanAddrs } = await this.#registry.resolve(node);
    const endpoint = usableEndpoint(realAddr);
    // Useful only when the peer seems to be behind the same address, in a network we are in
    // (docs/protocol/paths.md §7: race).
    const isNear = endpoint !== undefined && endpoint.host === this.#observed?.host;
    const { ipv4, globalIpv6 } = this.#addresses();
    const ours = new Set(isNear ? ipv4.map(subnet) : []);
    const named = lanAddrs.map(usableEndpoint).filter((lan) => lan !== undefined);
    const alternatives = named.filter(({ host }) => ours.has(subnet(host)) && isHostOfSubnet(host))
      .slice(0, MAX_ALTERNATIVES);
    const others = named.filter((lan) =>
      isIP(lan.host) !== 0 && isGlobal(lan.host) && (isIPv4(lan.host) || globalIpv6.length > 0) &&
      !sameEndpoint(lan, endpoint)
    ).slice(0, MAX_OTHERS);
    return { endpoint, alternatives, others };
  }

  // ---- DirectoryBackend

  resolveHostname(hostname: string): Promise<ReplyOf<typeof RESOLVE_HOSTNAME>> {
    return this.#named(hostname, () => this.#registry.resolveHostname(hostname));
  }

  handshakeTarget(hostname: string): Promise<IpcHandshakeTargetReply> {
    return this.#named(hostname, () => this.#registry.handshakeTarget(hostname));
  }

  async #named(
    hostname: string,
    ask: () => Promise<IpcResolvedHostname>,
  ): Promise<IpcResolvedHostname> {
    return this.#names === undefined ? await ask() : await this.#names.resolve(hostname, ask);
  }

  async lookup(node: number): Promise<ReplyOf<typeof LOOKUP>> {
    const facts = await this.#registry.lookup(node);
    await this.#names?.learn(node, facts.hostname ?? "", facts.public_key);
    return facts;
  }

  /**
   * Learns the names of trusted peers, in the background.
   *
   * @param nodes The peers; those beyond {@linkcode MAX_NAMES_ASKED} are learned when they are spoken to by name.
   */
  learnNames(nodes: readonly number[]): void {
    this.#learning = this.#learning.then(() => this.#learnNames(nodes));
  }

  async #learnNames(nodes: readonly number[]): Promise<void> {
    for (const node of nodes.slice(-MAX_NAMES_ASKED)) {
      try {
        await this.lookup(node);
      } catch (error) {
        // A peer that the registry has forgotten is no reason to leave out the others; its absence is.
        if (error instanceof PilotError && error.code === "not_found") continue;
        return;
      }
    }
  }

  async setHostname(hostname: string): Promise<ReplyOf<typeof SET_HOSTNAME>> {
    const reply = await this.#registry.setHostname(hostname);
    this.#wanted.hostname = hostname;
    this.#hostnameError = undefined;
    this.#hostname = hostname;
    await this.#save();
    return reply;
  }

  async setVisibility(isPublic: boolean): Promise<ReplyOf<typeof SET_VISIBILITY>> {
    const reply = await this.#registry.setVisibility(isPublic);
    this.#wanted.isPublic = isPublic;
    this.#isPublic = isPublic;
    await this.#save();
    return reply;
  }

  async setTags(tags: readonly string[]): Promise<ReplyOf<typeof SET_TAGS>> {
    const reply = await this.#registry.setTags(tags);
    this.#tags = reply.tags ?? [];
    this.#wanted.tags = this.#tags;
    return reply;
  }

  deregister(): Promise<ReplyOf<typeof DEREGISTER>> {
    return this.#leave(() => this.#registry.deregister());
  }

  async network(type: string, fields: JsonObject): Promise<JsonObject> {
    const isJoin = type === "join_network" || type === "create_network" ||
      (type === "respond_invite" && fields.accept === true);
    try {
      const reply = await this.#registry.network(type, fields);
      const network = numberField(reply, "network_id") || numberField(fields, "network_id");
      if (isJoin) await this.#setJoined(network, true);
      else if (type === "leave_network") await this.#setJoined(network, false);
      return reply;
    } catch (error) {
      const network = numberField(fields, "network_id");
      const isMember = error instanceof PilotError && error.code === "already_exists";
      if (type !== "join_network" || !isMember || this.#joined?.has(network)) throw error;
      // Another node has put us there, or created it in our name; now we say so ourselves.
      await this.#setJoined(network, true);
      const address = formatAddress({ network, node: this.#registry.node });
      return { type: "join_network_ok", network_id: network, address };
    }
  }

  async #setJoined(network: number, isJoined: boolean): Promise<void> {
    this.#joined ??= new Set();
    const others = this.#networks.filter((other) => other !== network);
    this.#networks = isJoined ? [...others, network].toSorted((a, b) => a - b) : others;
    if (isJoined && network !== 0) this.#joined.add(network);
    else this.#joined.delete(network);
    await this.#save();
  }

  /** Networks that the registry names; those that we have never joined ourselves are reported once. */
  #takeNetworks(networks: readonly number[]): void {
    this.#networks = networks;
    const real = networks.filter((network) => network !== 0);
    this.#joined ??= new Set(real);
    for (const network of real) {
      if (this.#joined.has(network) || this.#foreign.has(network)) continue;
      this.#foreign.add(network);
      this.#warn("the registry counts this node into a network that it has not joined", {
        network,
        advice: { id: "join_network", network },
      });
    }
  }

  async #refresh(): Promise<void> {
    const facts = await this.#registry.lookup(this.#registry.node);
    this.#isPublic = facts.public;
    this.#hostname = facts.hostname ?? "";
    this.#tags = facts.tags ?? [];
    this.#takeNetworks(facts.networks ?? []);
    await this.#save();
  }

  /** Writes what is not written yet, and tries it no more. */
  async close(): Promise<void> {
    this.#timers.close();
    if (this.#retries) void this.#save();
    await this.#writing;
    await this.#learning;
    await this.#names?.close();
  }

  /**
   * A full disk must neither undo nor hide what the registry has done: what cannot be written is logged and
   * written later. Only this file says which networks were left.
   */
  #save(): Promise<void> {
    return this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    try {
      await this.#files.saveNode({
        node: this.#registry.node,
        publicKey: this.#registry.identity.publicKeyBase64,
        isPublic: this.#isPublic,
        hostname: this.#hostname,
        ...(this.#joined === undefined ? {} : { joined: this.joined }),
      });
    } catch (error) {
      this.#warn("node.json not written", { error: String(error) });
      if (this.#retries) return;
      this.#retries = true;
      this.#timers.after(SAVE_RETRY_MS, () => {
        this.#retries = false;
        void this.#save();
      });
    }
  }
}

/** An address as the registry gives it, in the form of sockets, if one host may be there. */
function usableEndpoint(text: string): Endpoint | undefined {
  if (text === "") return undefined;
  try {
    const { host, port } = parseEndpoint(text);
    if (!isEndpointOfOne({ host, port })) return undefined;
    // A zone is one of the peer's own machine, so that parseIp() is right not to take it.
    return { host: isIP(host) === 0 ? host : formatIp(parseIp(host)), port };
  } catch (error) {
    if (error instanceof PilotError) return undefined;
    throw error;
  }
}

function subnet(host: string): string {
  return host.slice(0, host.lastIndexOf("."));
}

/** Not all of the network: some forms of socket may send there. */
function isHostOfSubnet(host: string): boolean {
  return !/\.(?:0|255)$/.test(host);
}
