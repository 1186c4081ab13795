/**
 * What a registry store must do. `commit` is asynchronous so that a store may live in a worker or on another
 * machine.
 *
 * @module
 */

import type { Role } from "../networks/role.ts";
import type { NodeState } from "../node_entry.ts";
import type { HandshakeAnswer } from "../handshake_answer.ts";
import type { Consent } from "../consent.ts";

/** A node as stored. Times are Unix seconds. */
export interface NodeRow {
  readonly id: number;
  readonly key: string;
  readonly proven: boolean;
  readonly held: boolean;
  readonly state: NodeState;
  readonly owner: string;
  readonly realAddr: string;
  readonly lanAddrs: readonly string[];
  readonly relayOnly: boolean;
  readonly hostname: string;
  readonly tags: readonly string[];
  readonly public: boolean;
  readonly taskExec: boolean;
  readonly version: string;
  readonly offlineSince: number;
  readonly keyCreated: number;
  readonly keyRotated: number;
  readonly keyRotations: number;
  /** From -1,000,000 to 1,000,000. */
  readonly poloScore: number;
  /** When the key stops being good; 0 for never. */
  readonly keyExpires: number;
  /** Id of an external identity, or "". */
  readonly externalId: string;
}

/** What two nodes have said about each other, `low` < `high`. */
export interface TrustRow {
  readonly low: number;
  readonly high: number;
  readonly byLow: Consent;
  readonly byHigh: Consent;
}

/** A relayed handshake request waiting for `target`. */
export interface RequestRow {
  readonly target: number;
  readonly sender: number;
  readonly justification: string;
  /** The signed handshake message, see `protocol/trust/message.ts`, or "". */
  readonly message: string;
  /** Unix seconds. */
  readonly created: number;
}

/** An answer to `target` that waits for it. */
export interface ResponseRow {
  readonly target: number;
  readonly sender: number;
  readonly answer: HandshakeAnswer;
  /** The signed handshake message, or "". */
  readonly message: string;
  /** Unix seconds. */
  readonly created: number;
}

/** A network other than the backbone. */
export interface NetworkRow {
  readonly id: number;
  readonly name: string;
  readonly joinRule: string;
  /** `hashToken` of the join token; "" for none. */
  readonly tokenHash: string;
  /** `hashToken` of the network's own admin token; "" for none. */
  readonly adminTokenHash: string;
  readonly enterprise: boolean;
  /** 0 for no limit of its own. */
  readonly maxMembers: number;
  readonly allowedPorts: readonly number[];
  readonly description: string;
  /** Rules of a managed network as canonical JSON; "" for none. */
  readonly rules: string;
  /** Policy document as JSON; "" for none. */
  readonly exprPolicy: string;
  /** Unix seconds. */
  readonly created: number;
}

/** One node's membership in a network. */
export interface MemberRow {
  readonly network: number;
  readonly node: number;
  /** Order of joining within the network, ascending, with gaps. */
  readonly position: number;
  /** "" where roles were dropped. */
  readonly role: Role | "";
  readonly tags: readonly string[];
}

/** An invitation waiting for `target`. */
export interface InviteRow {
  readonly target: number;
  readonly network: number;
  readonly inviter: number;
  /** Unix seconds. */
  readonly created: number;
}

/** A node that may not come back into a network. */
export interface BanRow {
  readonly network: number;
  readonly node: number;
  /** Unix seconds. */
  readonly created: number;
}

/**
 * A pair of numbers: `low`, `high` of a trust pair, `target`, `sender` of an inbox entry, `network`, `node` of a
 * membership or ban or `target`, `network` of an invitation.
 */
export type Pair = readonly [first: number, second: number];

/** What changed since the last commit: the final state of each thing touched, and what was removed. */
export interface StoreBatch {
  /** From 1, one more than that of the batch before. */
  readonly sequence: number;
  /** Number the next new node gets. */
  readonly nextNode: number;
  readonly nodes: readonly NodeRow[];
  readonly trust: readonly TrustRow[];
  readonly trustRemoved: readonly Pair[];
  readonly requests: readonly RequestRow[];
  readonly requestsRemoved: readonly Pair[];
  readonly responses: readonly ResponseRow[];
  readonly responsesRemoved: readonly Pair[];
  /** Number the next new network gets. */
  readonly nextNetwork: number;
  readonly networks: readonly NetworkRow[];
  /** Networks that were deleted; their memberships and bans go with them, applied after everything else. */
  readonly networksRemoved: readonly number[];
  readonly members: readonly MemberRow[];
  readonly membersRemoved: readonly Pair[];
  readonly invites: readonly InviteRow[];
  readonly invitesRemoved: readonly Pair[];
  readonly bans: readonly BanRow[];
  readonly bansRemoved: readonly Pair[];
}

/** Receives the content of a store at start, row by row. */
export interface StoreReader {
  /** Sequence number of the last batch; 0 before the first. */
  sequence(value: number): void;
  nextNode(value: number): void;
  node(row: NodeRow): void;
  trust(row: TrustRow): void;
  request(row: RequestRow): void;
  response(row: ResponseRow): void;
  /** After all nodes. */
  nextNetwork(value: number): void;
  /** After `nextNetwork`. */
  network(row: NetworkRow): void;
  /** After all networks, in the order of joining. */
  member(row: MemberRow): void;
  /** After all networks. */
  invite(row: InviteRow): void;
  /** After all networks. */
  ban(row: BanRow): void;
}

/** Durable memory of a registry. */
export interface RegistryStore {
  /** Where it is, for people; undefined for one that forgets. */
  readonly location: string | undefined;
  /**
   * Hands over everything stored.
   *
   * @throws {PilotError} `invalid_state` when the content cannot be right.
   */
  load(reader: StoreReader): void;
  /**
   * Stores a batch whole or not at all; durable when it resolves.
   *
   * @throws {PilotError} `io_error`; the batch may be tried again.
   */
  commit(batch: StoreBatch): Promise<void>;
  /** Ends it. Must be called once, after the last commit. */
  close(): Promise<void>;
}
