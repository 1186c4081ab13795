/**
 * What a daemon has to do with trust: state, service and gate, with a disk that may be full and a process that may be
 * killed at any moment.
 *
 * @module
 */

import type { Identity } from "../../../protocol/crypto/mod.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { TrustState } from "../../../protocol/trust/mod.ts";
import { NodeRegistry } from "../../../daemon/registry/node_registry.ts";
import type { Conn } from "../../../daemon/stream/stream_conn.ts";
import { Gate } from "../../../daemon/stream/gate.ts";
import { openTrust, type TrustFiles } from "../../../daemon/trust/open_trust.ts";
import type { RevocationJournal, Tombstone } from "../../../daemon/trust/revocation_journal.ts";
import { FormerPeers } from "../../../daemon/trust/former_peers.ts";
import { TrustService } from "../../../daemon/trust/trust_service.ts";
import type { ManualClock } from "../../support/manual_clock.ts";
import type { Mail, Reachable } from "./mail.ts";
import type { SimRegistry } from "./registry.ts";

/** Whether somebody here consents to the other party; after a kill amid a decision it may be either. */
export type Standing = "yes" | "no" | "open";

/** A disk with the two files of trust. */
class Disk implements TrustFiles {
  isFull = false;
  #trust = new TrustState().toFile();
  #noted: Tombstone[] = [];

  trust(): Promise<TrustState> {
    return Promise.resolve(TrustState.fromFile(this.#trust));
  }

  saveTrust(json: string): Promise<void> {
    if (this.isFull) return Promise.reject(new PilotError("io_error", "no space left on device"));
    this.#trust = json;
    return Promise.resolve();
  }

  /** Written in place, so a full disk does not matter. */
  revocations(): Promise<RevocationJournal> {
    const journal = {
      found: [...this.#noted],
      note: (node: number, atMs: number, seenOrder: number) => {
        this.#noted.push({ node, atMs, seenOrder });
        return Promise.resolve();
      },
      clear: () => {
        this.#noted = [];
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
    return Promise.resolve(journal as unknown as RevocationJournal);
  }
}

/** One node and its person. */
export class Party implements Reachable {
  readonly name: string;
  node = 0;
  readonly disk = new Disk();
  /** What the person has decided, as far as it was told to be done. */
  standing: Standing = "no";
  /** Things that must not have happened. */
  readonly faults: string[] = [];
  onAccept: ((conn: Conn) => void) | undefined;
  readonly #clock: ManualClock;
  readonly #registry: SimRegistry;
  readonly #mail: Mail;
  readonly #identity: Identity;
  readonly #skewMs: number;
  #state = new TrustState();
  #service: TrustService | undefined;
  #gate: Gate | undefined;
  /** Rises with each process: what an earlier one has begun comes to nothing. */
  #life = 0;
  #decisions = 0;

  constructor(
    parts: { clock: ManualClock; registry: SimRegistry; mail: Mail },
    { name, identity, skewMs }: { name: string; identity: Identity; skewMs: number },
  ) {
    this.name = name;
    this.#clock = parts.clock;
    this.#registry = parts.registry;
    this.#mail = parts.mail;
    this.#identity = identity;
    this.#skewMs = skewMs;
  }

  /** Its trust state. */
  get state(): TrustState {
    return this.#state;
  }

  /** Whether its process runs. */
  get isUp(): boolean {
    return this.#service !== undefined;
  }

  /** Whether a program of the other party gets in now. */
  letsIn(node: number): boolean {
    const packet = { srcNode: node, srcNetwork: 0, dstNetwork: 0, dstPort: 80 };
    return this.#gate?.admits(packet) === true;
  }

  admits(node: number): boolean {
    const packet = { srcNode: node, srcNetwork: 0, dstNetwork: 0, dstPort: 444 };
    return this.#gate?.admits(packet) === true;
  }

  /** Starts a process. */
  async start(): Promise<void> {
    const life = ++this.#life;
    const isOver = () => this.#life !== life;
    // What was begun before a kill must neither end nor fail: there is nobody left to see it.
    const alive = <T>(promise: Promise<T>): Promise<T> =>
      new Promise((resolve, reject) =>
        promise.then(
          (value) => isOver() || resolve(value),
          (error) => isOver() || reject(error),
        )
      );
    const never = new Promise<never>(() => {});
    const { disk } = this;
    const { state, tombstones } = await openTrust(disk, this.#unixNow(), () => {});
    const clock = {
      now: () => this.#clock.now(),
      unixNow: () => this.#unixNow(),
      after: (ms: number, fn: () => void) => this.#clock.after(ms, () => isOver() || fn()),
    };
    const client = this.#registry.client(`192.0.2.${this.name.charCodeAt(0)}`);
    const ask = client.request.bind(client);
    client.request = (request) => isOver() ? never : alive(ask(request));
    const registry = new NodeRegistry({ client, identity: this.#identity });
    if (this.node !== 0) registry.assume(this.node);
    this.#state = state;
    this.#gate = new Gate({
      clock,
      isPublic: () => false,
      isTrusted: (node) => state.hasConsent(node),
      isRevoked: (node) => state.isRevoked(node),
      isExpected: (node) => state.isAsked(node),
      memberships: { known: () => [], ask: () => Promise.resolve([]) },
    });
    const service = new TrustService({
      former: new FormerPeers(clock),
      clock,
      state,
      registry,
      autoApprove: false,
      save: (json) => isOver() ? never : alive(disk.saveTrust(json)),
      tombstones: {
        note: (...tombstone) => isOver() ? never : tombstones.note(...tombstone),
        clear: () => isOver() ? never : tombstones.clear(),
      },
      sharedNetwork: () => Promise.resolve(undefined),
      cut: (node) => this.#gate?.forget(node),
      dropTunnel: () => {},
      isExistingPeer: () => false,
      dial: (address, _port, options = {}) =>
        isOver() ? never : alive(this.#mail.dial(this.node, address.node, options)),
      bind: (_port, onAccept) => this.onAccept = onAccept,
      unbind: () => this.onAccept = undefined,
      emit: (event, data) => {
        const { peer_node_id } = data as { peer_node_id?: number };
        // The other side has taken its word back, and ours with it, unless we have asked again meanwhile.
        const isOurs = state.isAsked(Number(peer_node_id));
        if (event === "trust.revoked_by_peer" && !isOver() && !isOurs) this.standing = "no";
      },
      log: (level, message, { error } = {}) => {
        const isDisk = String(error).includes("no space left");
        if (level === "error" && !isDisk) this.faults.push(`${this.name}: ${message}: ${error}`);
      },
    });
    this.#service = service;
    service.start();
    const register = async (): Promise<void> => {
      if (isOver()) return;
      try {
        await registry.register({
          listenAddr: `10.0.0.1:${4000 + this.node}`,
          owner: "",
          version: "",
          lanAddrs: [],
        });
        this.node = registry.node;
        this.#mail.nodes.set(this.node, this);
        await service.onRegistered();
        clock.after(60_000, () => void register());
      } catch {
        // As the registration loop does it.
        clock.after(1_000, () => void register());
      }
    };
    await register();
  }

  /** Ends the process without a word. */
  kill(): void {
    this.#life++;
    this.#service = undefined;
    this.#gate = undefined;
    this.onAccept = undefined;
  }

  /** The beacon says that something waits. */
  wake(): void {
    this.#service?.wake();
  }

  /** The person asks the other one for trust. */
  async request(peer: Party): Promise<void> {
    await this.#decide("yes", (service) => service.request(peer.node, "let us talk"));
  }

  /** The person approves what the other one has asked for. */
  async approve(peer: Party): Promise<void> {
    await this.#decide("yes", (service) => service.approve(peer.node));
  }

  /** The person refuses it. */
  async reject(peer: Party): Promise<void> {
    await this.#decide("no", (service) => service.reject(peer.node, "no"));
  }

  /** The person ends trust. It holds from the first moment. */
  async revoke(peer: Party): Promise<void> {
    await this.#decide("no", (service) => {
      const revoked = service.revoke(peer.node);
      if (this.letsIn(peer.node)) this.faults.push(`${this.name}: let in while it revokes`);
      return revoked;
    });
  }

  /** A decision counts when it was reported done; until then, and when it fails, either may be. */
  async #decide(
    standing: Standing,
    action: (service: TrustService) => Promise<unknown>,
  ): Promise<void> {
    const service = this.#service;
    if (service === undefined) return;
    const life = this.#life;
    const before = this.standing;
    const decision = ++this.#decisions;
    if (standing === "yes") this.standing = "open";
    // Of two decisions at a time either may be the last.
    const settle = (standing: Standing) => {
      if (life === this.#life) this.standing = decision === this.#decisions ? standing : "open";
    };
    try {
      await action(service);
      settle(standing);
    } catch (error) {
      if (!(error instanceof PilotError)) throw error;
      const isRefused = error.code === "not_found" || error.code === "denied";
      settle(isRefused ? before : "open");
    }
  }

  #unixNow(): number {
    return this.#clock.unixNow() + this.#skewMs;
  }
}
