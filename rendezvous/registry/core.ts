/**
 * The registry without its sockets: all tables, the rule that every change is durable before it is answered, and
 * what time does to nodes.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { PilotError } from "../../protocol/errors.ts";
import type { Logger } from "../../platform/log.ts";
import { type Clock, unixSeconds } from "../../platform/clock.ts";
import type { ClusterToken } from "../cluster_token.ts";
import { TokenBuckets } from "../../protocol/rate_limit.ts";
import { BeaconDirectory } from "./beacon_directory.ts";
import type { ChangeRecord, CommitListener, CommittedBatch } from "./change_record.ts";
import { Changes } from "./changes.ts";
import { Committer } from "./committer.ts";
import { RequestCounters } from "./counters.ts";
import { NodeTable } from "./node_table.ts";
import { RegistryFailure } from "./failure.ts";
import { type InboxWatch, NO_WATCH } from "./inbox_watch.ts";
import { Instances } from "./instances.ts";
import {
  FRESH_CONSENT_MS,
  INBOX_TTL_SECONDS,
  MAX_FRESH_CONSENTS,
  MAX_FRESH_PER_NODE,
  MAX_TRACKED_SOURCES,
  MAX_VIEWERS,
  MAX_VIEWERS_PER_NODE,
  NEW_NODES_BURST,
  NEW_NODES_PER_SECOND,
  REAP_BATCH,
  STALE_SECONDS,
  VIEWER_TTL_MS,
} from "./registry_limits.ts";
import { Bans } from "./networks/bans.ts";
import { Invites } from "./networks/invite_table.ts";
import { NetworkTable } from "./networks/network_table.ts";
import { hashToken, tokenMatches } from "./networks/tokens.ts";
import { type NodeRecord, sourceOfNode } from "./node_entry.ts";
import type { AnswerSigner } from "./signing.ts";
import { RecentPairs } from "./recent_pairs.ts";
import { HandshakeRelay } from "./handshake_relay.ts";
import type { RegistryStore } from "./store/store.ts";
import { TokenGuard } from "./token_guard.ts";
import { TrustTable } from "./trust_table.ts";

/** The reason is for the log only: it names paths. */
const STORE_FAILS = "the registry cannot write its store";

/** What time does to nodes and to what waits for them. */
const TIME_PASSES: ChangeRecord = {
  actor: { kind: "registry" },
  action: "registry.pass_time",
  target: { kind: "registry" },
};

/** Characters of a name for a source: too many to meet by chance among those who ask one node. */
const SOURCE_TAG_CHARS = 16;

/** What a registry is made of. */
export interface CoreOptions {
  /** Durable memory. Closed by {@linkcode RegistryCore.close}. */
  readonly store: RegistryStore;
  /** Where time comes from. */
  readonly clock: Clock;
  /** Where it reports. */
  readonly log: Logger;
  /** Global admin token (docs/protocol/registry.md §2.2); without one every admin request is refused. */
  readonly adminToken?: string | undefined;
  /** What beacons prove themselves with to be listed; without one everybody is. */
  readonly beaconToken?: ClusterToken | undefined;
  /**
   * Where the wire accepts a node's mere claim of its number, require its signature (§8.3). On by default; off for
   * clients that do not sign such requests.
   */
  readonly strict?: boolean | undefined;
  /** Signs answers for clients that ask for it; without one the question is ignored. */
  readonly signer?: AnswerSigner | undefined;
}

/** Tables and rules of the registry. */
export class RegistryCore {
  readonly clock: Clock;
  readonly log: Logger;
  readonly adminToken: string | undefined;
  readonly beaconToken: ClusterToken | undefined;
  readonly strict: boolean;
  readonly signer: AnswerSigner | undefined;
  /** What was asked, and how it went. */
  readonly counters: RequestCounters = new RequestCounters();
  readonly nodes: NodeTable;
  /** Which processes speak for the nodes. */
  readonly instances: Instances;
  /** What nodes have said about each other. */
  readonly trust: TrustTable;
  /** Consent by deed: who signs that it wants to reach another node means to talk to it, for a while. */
  readonly fresh: RecentPairs = new RecentPairs({
    perNode: MAX_FRESH_PER_NODE,
    total: MAX_FRESH_CONSENTS,
    ttlMs: FRESH_CONSENT_MS,
  });
  /** By member of a network: other members that have looked at it, perhaps to let it in. */
  readonly viewers: RecentPairs = new RecentPairs({
    perNode: MAX_VIEWERS_PER_NODE,
    total: MAX_VIEWERS,
    ttlMs: VIEWER_TTL_MS,
  });
  /** Handshake messages waiting for their receivers. */
  readonly relay: HandshakeRelay;
  /** Networks other than the backbone, and who is in which. */
  readonly networks: NetworkTable;
  /** Invitations to them. */
  readonly invites: Invites;
  /** Who may not come back into them. */
  readonly bans: Bans;
  readonly beacons: BeaconDirectory = new BeaconDirectory();
  /** Called when something waits for a node and when it polls; set by a beacon in this process. */
  inboxWatch: InboxWatch = NO_WATCH;
  /** New node numbers by source address. */
  readonly newNodes: TokenBuckets = new TokenBuckets({
    burst: NEW_NODES_BURST,
    perSecond: NEW_NODES_PER_SECOND,
    maxSources: MAX_TRACKED_SOURCES,
  });
  /** Wrong tokens by source address. */
  readonly tokens: TokenGuard;
  readonly #adminTokenHash: string;
  readonly #sourceSecret = crypto.randomUUID();
  readonly #store: RegistryStore;
  readonly #changes: Changes = new Changes();
  readonly #committer: Committer<CommittedBatch>;
  readonly #listeners: Set<CommitListener> = new Set();

  /**
   * Loads the store.
   *
   * @param options Parts.
   * @throws {PilotError} `io_error` or `invalid_state` when what is stored cannot be used.
   */
  constructor(options: CoreOptions) {
    this.clock = options.clock;
    this.log = options.log;
    this.tokens = new TokenGuard(options.log);
    this.adminToken = options.adminToken === "" ? undefined : options.adminToken;
    this.#adminTokenHash = hashToken(options.adminToken ?? "");
    this.beaconToken = options.beaconToken;
    this.strict = options.strict !== false;
    this.signer = options.signer;
    this.#store = options.store;
    const changes = this.#changes;
    this.nodes = new NodeTable(this.clock, changes);
    this.instances = new Instances(this.log);
    this.trust = new TrustTable(changes, (id) => this.nodes.known(id));
    this.relay = new HandshakeRelay(changes, (id) => sourceOfNode(this.nodes.known(id)));
    this.networks = new NetworkTable(changes, (node) => this.tellViewers(node));
    this.invites = new Invites(changes);
    this.bans = new Bans(changes);
    this.#committer = new Committer({
      take: () => changes.take(),
      commit: async (batch) => {
        await this.#store.commit(batch.rows);
        this.#tell(batch);
      },
      onFailure: (error) => {
        this.log.error("registry store cannot be written, refusing changes", {
          error: error instanceof Error ? error.message : String(error),
        });
      },
    });
    this.#load();
  }

  #load(): void {
    const known = (id: number) => this.nodes.known(id);
    this.#store.load({
      sequence: (value) => this.#changes.startAt({ sequence: value }),
      nextNode: (value) => {
        this.#changes.startAt({ nextNode: value });
        this.nodes.loadNextNode(value);
      },
      node: (row) => this.nodes.loadNode(row),
      trust: (row) => this.trust.load(row),
      request: (row) => this.relay.loadRequest(row),
      response: (row) => this.relay.loadResponse(row),
      nextNetwork: (value) => {
        this.#changes.startAt({ nextNetwork: value });
        this.networks.loadNextNetwork(value);
      },
      network: (row) => this.networks.loadNetwork(row),
      member: (row) => this.networks.loadMember(row, (id) => known(id) !== undefined),
      invite: (row) => this.invites.load(row, (id) => this.networks.known(id) !== undefined),
      ban: (row) => this.bans.load(row, (id) => this.networks.known(id) !== undefined),
    });
  }

  /**
   * Runs a change of the tables and waits until it is durable. Changes are possible nowhere else.
   *
   * @param record Who changes what.
   * @param apply Changes the tables and gives the reply. Runs at once and must not wait; when it throws it must
   * not have changed anything.
   * @returns The reply, once what it says survives a crash.
   * @throws {RegistryFailure} What `apply` threw, or that the store cannot be written: clients must not take that for a
   * refusal by right, and forget what they wanted.
   */
  async change<T>(record: ChangeRecord, apply: () => T): Promise<T> {
    return await this.#durable(() => this.#changes.record(record, apply));
  }

  /**
   * Reads the tables for an answer that must survive a crash as well: not before what it has seen is durable.
   *
   * @param read Gives the reply. Runs at once and must not wait.
   * @returns The reply.
   * @throws {RegistryFailure} As {@linkcode RegistryCore.change}.
   */
  async settled<T>(read: () => T): Promise<T> {
    return await this.#durable(read);
  }

  async #durable<T>(run: () => T): Promise<T> {
    if (!this.#committer.healthy) throw new RegistryFailure("unavailable", STORE_FAILS);
    const reply = run();
    try {
      if (this.#changes.empty) await this.#committer.caughtUp();
      else await this.#committer.committed();
    } catch {
      // Reported by the committer. The change stays in memory and is tried again; this client gets the failure.
      throw new RegistryFailure("unavailable", STORE_FAILS);
    }
    return reply;
  }

  /**
   * Reports each batch that is made durable from now on.
   *
   * @param listener Called with it. What it throws is logged, as the batch is durable whatever becomes of it there.
   * @returns Ends telling it.
   */
  onCommitted(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #tell(batch: CommittedBatch): void {
    for (const listener of this.#listeners) {
      try {
        listener(batch);
      } catch (error) {
        this.log.error("a follower of registry changes failed", {
          sequence: batch.sequence,
          error: error instanceof Error ? error.stack ?? error.message : String(error),
        });
      }
    }
  }

  /** Is it the global admin token? Takes the same time for every wrong one. */
  isAdminToken(token: string): boolean {
    return tokenMatches(token, this.#adminTokenHash);
  }

  /** False while changes are refused because the store cannot be written. */
  get isWritable(): boolean {
    return this.#committer.healthy;
  }

  /**
   * What the networks say of a node has changed: nodes that have let it in as a member look again.
   *
   * @param node The node.
   */
  tellViewers(node: number): void {
    this.inboxWatch.waiting(node);
    const viewers = this.viewers.of(node, this.clock.now());
    for (const viewer of viewers) this.inboxWatch.waiting(viewer);
  }

  /**
   * A name for where a node comes from, which says nothing of the address: the same for nodes of one host, another one
   * for each receiver and at each start.
   *
   * @param node Whose source.
   * @param receiver Who gets the name.
   */
  sourceTag(node: number, receiver: number): string {
    const source = sourceOfNode(this.nodes.known(node));
    if (source === "") return "";
    return createHash("sha256").update(`${this.#sourceSecret}|${receiver}|${source}`)
      .digest("hex").slice(0, SOURCE_TAG_CHARS);
  }

  /** Forgets a node that deregistered, its memberships and invitations included (§4.1). */
  leave(node: NodeRecord): void {
    this.networks.forget(node.id);
    this.invites.removeNode(node.id);
    this.nodes.leave(node);
  }

  /** Marks silent nodes, drops what waited too long, tries a failed commit again. */
  async tick(): Promise<void> {
    await this.#committer.retry();
    try {
      await this.change(TIME_PASSES, () => {
        const reaped = this.nodes.reap(STALE_SECONDS * 1000, REAP_BATCH);
        if (reaped > 0) this.log.info("nodes went silent", { nodes: reaped });
        const notBefore = unixSeconds(this.clock) - INBOX_TTL_SECONDS;
        this.relay.expire(notBefore);
        this.invites.expire(unixSeconds(this.clock));
      });
    } catch (error) {
      // Already reported by the committer; the next tick tries again.
      if (!(error instanceof RegistryFailure)) throw error;
    }
  }

  /**
   * Waits for the last commit and closes the store.
   *
   * @throws {PilotError} `io_error` when changes are left that could not be stored.
   */
  async close(): Promise<void> {
    await this.#committer.idle();
    if (!this.#committer.healthy) await this.#committer.retry();
    const lost = !this.#committer.healthy;
    await this.#store.close();
    if (lost) {
      throw new PilotError(
        "io_error",
        `The last changes could not be written to ${this.#store.location}`,
        { hint: "Clients were told that those requests failed." },
      );
    }
  }
}
