/**
 * Nodes with trust: a {@linkcode TestNode}, the trust service on it, and a registry that relays handshakes.
 *
 * @module
 */

import { encodeBase64, type Identity } from "../../../protocol/crypto/mod.ts";
import { PilotError } from "../../../protocol/errors.ts";
import type { JsonObject } from "../../../protocol/registry.ts";
import { encodeHandshake, type HandshakeMessage, TrustState } from "../../../protocol/trust/mod.ts";
import { RegistryClient } from "../../../platform/registry_client.ts";
import { NodeRegistry } from "../../../daemon/registry/node_registry.ts";
import { TrustService } from "../../../daemon/trust/service.ts";
import { pair } from "./directory.ts";
import type { Said, TestNode } from "./node.ts";
import { Sink } from "./streams.ts";
import type { World } from "./world.ts";

/** Unix milliseconds at which the worlds' clocks start. */
const UNIX_START_MS = 1_800_000_000_000;

interface Inbox {
  requests: JsonObject[];
  responses: JsonObject[];
}

/** The registry's side of trust. */
export class TrustHub {
  readonly world: World;
  readonly public = new Set<number>();
  readonly networks = new Map<number, number[]>();
  /** The registry cannot be reached. */
  isDown = false;
  /** Calls, as `report 5 7`. */
  readonly calls: string[] = [];
  /** When each node polled, ms of the clock. */
  readonly polls: [number, number][] = [];
  /** Holds back answers to revocations. */
  revoking: Promise<void> = Promise.resolve();
  readonly #inboxes = new Map<number, Inbox>();

  constructor(world: World) {
    this.world = world;
  }

  /** The pairs, as `5:7`. */
  get pairs(): Set<string> {
    return this.world.directory.pairs;
  }

  /** What waits for a node. */
  inbox(node: number): Inbox {
    let inbox = this.#inboxes.get(node);
    if (inbox === undefined) {
      this.#inboxes.set(node, inbox = { requests: [], responses: [] });
    }
    return inbox;
  }

  /** Empties a node's inbox. */
  take(node: number): Inbox {
    const inbox = this.inbox(node);
    this.#inboxes.delete(node);
    return inbox;
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
  override async lookup(node: number): Promise<JsonObject> {
    this.#hub.call(`lookup ${node}`);
    const key = this.#hub.world.directory.keys.get(node);
    if (key === undefined) throw new PilotError("not_found", "node not found");
    return {
      node_id: node,
      public_key: encodeBase64(key),
      public: this.#hub.public.has(node),
      networks: this.#hub.networks.get(node) ?? [0],
    };
  }

  // deno-lint-ignore require-await -- as above
  override async reportTrust(peer: number): Promise<void> {
    this.#hub.call(`report ${this.node} ${peer}`);
    this.#hub.pairs.add(pair(this.node, peer));
  }

  override async revokeTrust(peer: number): Promise<void> {
    this.#hub.call(`revoke ${this.node} ${peer}`);
    await this.#hub.revoking;
    this.#hub.pairs.delete(pair(this.node, peer));
  }

  // deno-lint-ignore require-await -- as above
  override async requestHandshake(peer: number, justification: string): Promise<void> {
    this.#hub.call(`request ${this.node} ${peer}`);
    this.#hub.inbox(peer).requests.push({
      from_node_id: this.node,
      public_key: this.identity.publicKeyBase64,
      justification,
      timestamp: 0,
    });
  }

  // deno-lint-ignore require-await -- as above
  override async pollHandshakes(): Promise<JsonObject> {
    this.#hub.polls.push([this.node, this.#hub.world.clock.now()]);
    this.#hub.call(`poll ${this.node}`);
    return { ...this.#hub.take(this.node) };
  }

  // deno-lint-ignore require-await -- as above
  override async respondHandshake(peer: number, accept: boolean): Promise<void> {
    this.#hub.call(`respond ${this.node} ${peer} ${accept}`);
    this.#hub.inbox(peer).responses.push({ from_node_id: this.node, accept, timestamp: 0 });
    if (accept) this.#hub.pairs.add(pair(this.node, peer));
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
  readonly logs: Said[] = [];
  readonly #clock: World["clock"];

  constructor(hub: TrustHub, net: TestNode, options: { autoApprove: boolean; state: TrustState }) {
    const { clock } = hub.world;
    this.net = net;
    this.hub = hub;
    this.#clock = clock;
    this.state = options.state;
    this.service = new TrustService({
      clock,
      unixNow: () => this.unixNow(),
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
      forgetVerdict: (node) => net.gate.forget(node),
      dropTunnel: (node) => net.tunnels.remove(node),
      dial: (address, port, dialOptions) => net.streams.dial(address, port, dialOptions),
      bind: (port, onAccept) => net.streams.bind(port, onAccept),
      unbind: (port) => net.streams.unbind(port),
      emit: (event, data) => void net.events.push({ event, data }),
      log: (_level, event, data) => void this.logs.push({ event, data }),
    });
    net.consent = {
      isTrusted: (node) => this.state.isTrusted(node),
      isExpected: (node) => this.service.isExpected(node),
      pinnedKey: (node) => this.state.pinnedKey(node),
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
    return UNIX_START_MS + this.#clock.now();
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
