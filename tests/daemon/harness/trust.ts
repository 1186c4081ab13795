/**
 * Nodes with trust: a {@linkcode TestNode}, the trust service on it, and a registry that relays handshakes.
 *
 * @module
 */

import { formatAddress } from "../../../protocol/address.ts";
import { encodeBase64, type Identity } from "../../../protocol/crypto/mod.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { type JsonObject, readReply } from "../../../protocol/registry/registry_message.ts";
import * as requests from "../../../protocol/registry/requests/mod.ts";
import { encodeHandshake, type HandshakeMessage, TrustState } from "../../../protocol/trust/mod.ts";
import { RegistryClient } from "../../../platform/registry_client.ts";
import { NodeRegistry } from "../../../daemon/registry/node_registry.ts";
import { TrustConsent } from "../../../daemon/trust/trust_consent.ts";
import { FormerPeers } from "../../../daemon/trust/former_peers.ts";
import { TrustService } from "../../../daemon/trust/trust_service.ts";
import { pair } from "./directory.ts";
import type { Said, TestNode } from "./node.ts";
import { Sink } from "./streams.ts";
import type { World } from "./world.ts";

/** Something that waits for a node. */
interface Waiting {
  readonly kind: "requests" | "responses" | "revocations";
  readonly entry: JsonObject;
  readonly seq: number;
}

/** The registry's side of trust: what each side has said, and what waits for whom. */
export class TrustHub {
  readonly world: World;
  readonly public = new Set<number>();
  /** The registry cannot be reached. */
  isDown = false;
  /** It is one of the kind that passes on no signed messages. */
  isOld = false;
  /** Calls, as `report 5 7`. */
  readonly calls: string[] = [];
  /** When each node polled, ms of the clock. */
  readonly polls: [number, number][] = [];
  /** Holds back what a node is handed. */
  handing: Promise<void> = Promise.resolve();
  /** Holds back answers to revocations. */
  revoking: Promise<void> = Promise.resolve();
  /** Who consents to whom, as `5>7`. */
  readonly consents = new Set<string>();
  readonly #waiting = new Map<number, Waiting[]>();
  #seq = 0;

  constructor(world: World) {
    this.world = world;
  }

  /** The pairs, as `5:7`. */
  get pairs(): Set<string> {
    return this.world.directory.pairs;
  }

  /** Networks of nodes. */
  get networks(): Map<number, number[]> {
    return this.world.directory.networks;
  }

  /** What one side says. */
  say(from: number, to: number, isConsent: boolean): void {
    if (isConsent) this.consents.add(`${from}>${to}`);
    else this.consents.delete(`${from}>${to}`);
    const isPair = this.consents.has(`${from}>${to}`) && this.consents.has(`${to}>${from}`);
    if (isPair) this.pairs.add(pair(from, to));
    else this.pairs.delete(pair(from, to));
  }

  /** Leaves something for a node. */
  put(to: number, kind: Waiting["kind"], entry: JsonObject): void {
    const { message: _, ...plain } = entry;
    const waiting = this.#waiting.get(to) ?? [];
    this.#waiting.set(to, waiting);
    waiting.push({ kind, entry: this.isOld ? plain : entry, seq: ++this.#seq });
  }

  /** Forgets what waits for a node. */
  clear(node: number): void {
    this.#waiting.delete(node);
  }

  /** Hands over what waits for a node, less what it has. */
  take(node: number, ack: string): JsonObject {
    const waiting = (this.#waiting.get(node) ?? []).filter(({ seq }) => seq > Number(ack));
    this.#waiting.set(node, waiting);
    const of = (kind: Waiting["kind"]) =>
      waiting.filter((item) => item.kind === kind).map(({ entry }) => entry);
    return {
      requests: of("requests"),
      responses: of("responses"),
      revocations: of("revocations"),
      ack: String(waiting.at(-1)?.seq ?? ack),
    };
  }

  /** Notes a call; fails while the registry is away. */
  call(text: string): void {
    this.calls.push(text);
    if (this.isDown) throw new PilotError("unavailable", "registry down");
  }
}

/** {@linkcode NodeRegistry} on a hub instead of TCP. */
class HubRegistry extends NodeRegistry {
  readonly #hub: TrustHub;

  constructor(hub: TrustHub, node: number, identity: Identity) {
    super({ client: new RegistryClient({ address: "none:1", clock: hub.world.clock }), identity });
    this.assume(node);
    this.#hub = hub;
  }

  // deno-lint-ignore require-await -- rejects instead of throwing
  override async lookup(node: number): ReturnType<NodeRegistry["lookup"]> {
    this.#hub.call(`lookup ${node}`);
    const key = this.#hub.world.directory.keys.get(node);
    if (key === undefined) throw new PilotError("not_found", "node not found");
    return readReply(requests.lookup, {
      node_id: node,
      address: formatAddress({ network: 0, node }),
      polo_score: 0,
      public_key: encodeBase64(key),
      public: this.#hub.public.has(node),
      networks: this.#hub.networks.get(node) ?? [0],
    });
  }

  // deno-lint-ignore require-await -- as above
  override async reportTrust(peer: number): Promise<{ isEnded: boolean }> {
    this.#hub.call(`report ${this.node} ${peer}`);
    this.#hub.say(this.node, peer, true);
    return { isEnded: false };
  }

  // deno-lint-ignore require-await -- as above
  override async checkTrust(peer: number): Promise<boolean> {
    this.#hub.call(`check ${this.node} ${peer}`);
    return this.#hub.pairs.has(pair(this.node, peer));
  }

  override async revokeTrust(peer: number, message: string): Promise<void> {
    this.#hub.call(`revoke ${this.node} ${peer}`);
    await this.#hub.revoking;
    this.#hub.say(this.node, peer, false);
    this.#hub.put(peer, "revocations", { from_node_id: this.node, timestamp: 0, message });
  }

  // deno-lint-ignore require-await -- as above
  override async requestHandshake(
    peer: number,
    justification: string,
    message: string,
  ): Promise<void> {
    this.#hub.call(`request ${this.node} ${peer}`);
    this.#hub.say(this.node, peer, true);
    this.#hub.put(peer, "requests", {
      from_node_id: this.node,
      public_key: this.identity.publicKeyBase64,
      justification,
      timestamp: 0,
      message,
    });
  }

  override async pollHandshakes(ack: string): ReturnType<NodeRegistry["pollHandshakes"]> {
    this.#hub.polls.push([this.node, this.#hub.world.clock.now()]);
    this.#hub.call(`poll ${this.node}`);
    const handed = this.#hub.take(this.node, ack);
    await this.#hub.handing;
    return readReply(requests.pollHandshakes, handed);
  }

  // deno-lint-ignore require-await -- as above
  override async respondHandshake(peer: number, accept: boolean, message: string): Promise<void> {
    this.#hub.call(`respond ${this.node} ${peer} ${accept}`);
    if (accept) this.#hub.say(this.node, peer, true);
    this.#hub.put(peer, "responses", {
      from_node_id: this.node,
      accept,
      timestamp: 0,
      message,
    });
  }
}

/** A node with trust. */
export class TrustNode {
  readonly net: TestNode;
  readonly hub: TrustHub;
  readonly state: TrustState;
  readonly service: TrustService;
  /** What trust.json held, in order. */
  readonly saved: string[] = [];
  /** Why saving fails. */
  saveError: Error | undefined;
  /** Revocations noted beside trust.json; undefined when there is no place for them. */
  tombstones: number[] | undefined = [];
  readonly logs: Said[] = [];
  /** Its peers count as existing ones. */
  isExisting = false;
  readonly #clock: World["clock"];

  constructor(hub: TrustHub, net: TestNode, options: { autoApprove: boolean; state: TrustState }) {
    const { clock } = hub.world;
    this.net = net;
    this.hub = hub;
    this.#clock = clock;
    this.state = options.state;
    const former = new FormerPeers(clock);
    this.service = new TrustService({
      former,
      clock,
      state: this.state,
      registry: new HubRegistry(hub, net.node, net.identity),
      autoApprove: options.autoApprove,
      save: async (json) => {
        await Promise.resolve();
        if (this.saveError !== undefined) throw this.saveError;
        this.saved.push(json);
      },
      cut: (node) => {
        net.gate.forget(node);
        net.streams.cut(node);
      },
      tombstones: {
        // deno-lint-ignore require-await -- rejects instead of throwing
        note: async (node) => {
          if (this.tombstones === undefined) throw new PilotError("io_error", "no place");
          this.tombstones.push(node);
        },
        clear: () => {
          if (this.tombstones !== undefined) this.tombstones.length = 0;
          return Promise.resolve();
        },
      },
      sharedNetwork: async (node) => (await hub.world.directory.askShared(net.node, node))[0]?.id,
      dropTunnel: (node) => net.tunnels.remove(node),
      isExistingPeer: (node) => this.isExisting || net.tunnels.isExisting(node),
      dial: (address, port, dialOptions) => net.streams.dial(address, port, dialOptions),
      bind: (port, onAccept) => net.streams.bind(port, onAccept),
      unbind: (port) => net.streams.unbind(port),
      emit: (event, data) => void net.events.push({ event, data: { ...data } }),
      log: (_level, event, data = {}) => void this.logs.push({ event, data }),
    });
    const consent = new TrustConsent(this.state, former);
    net.isFormer = (node) => consent.isFormer(node);
    net.consent = {
      isTrusted: (node) => consent.hasConsent(node),
      isRevoked: (node) => consent.isRevoked(node),
      isExpected: (node) => consent.isAsked(node),
      pinnedKey: (node) => consent.pinnedKey(node),
    };
    this.service.start();
  }

  /** Starts a node; private unless told otherwise. */
  static async start(
    hub: TrustHub,
    node: number,
    options: { isPublic?: boolean; autoApprove?: boolean; state?: TrustState } = {},
  ): Promise<TrustNode> {
    const { isPublic = false, autoApprove = false, state = new TrustState() } = options;
    const net = await hub.world.node(node, { isPublic });
    if (isPublic) hub.public.add(node);
    else hub.world.directory.hidden.add(node);
    return new TrustNode(hub, net, { autoApprove, state });
  }

  get node(): number {
    return this.net.node;
  }

  /** Unix milliseconds. */
  unixNow(): number {
    return this.#clock.unixNow();
  }

  /** Reasons why handshake messages were refused. */
  get refusals(): unknown[] {
    return this.logs.filter(({ event }) => event === "handshake message refused")
      .map(({ data }) => data.reason);
  }

  /** Sends a message to port 444 of a node, without the trust service. */
  async send(to: number, message: HandshakeMessage): Promise<void> {
    await this.sendBytes(to, encodeHandshake(message));
  }

  /** Sends bytes to port 444 of a node. */
  async sendBytes(to: number, bytes: Uint8Array): Promise<void> {
    const conn = await this.#clock.finish(
      this.net.streams.dial({ network: 0, node: to }, 444, { timeoutMs: 5_000 }),
    );
    const sink = new Sink(conn);
    conn.write(bytes);
    conn.close();
    await this.#clock.until(() => sink.isClosed);
    await this.#clock.run(10);
  }
}
