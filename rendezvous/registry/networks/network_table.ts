/**
 * All networks in memory, by number and name, and who is a member of which. A node in no network costs nothing
 * here.
 *
 * @module
 */

import { PilotError } from "../../../protocol/errors.ts";
import type { Changes } from "../changes.ts";
import { RegistryFailure } from "../failure.ts";
import type { MemberRow, NetworkRow } from "../store/store.ts";
import {
  MAX_EXPR_POLICY_TOTAL_BYTES,
  MAX_MEMBERS,
  MAX_MEMBERSHIPS,
  MAX_NETWORK_ID,
  MAX_NETWORKS_PER_NODE,
} from "./network_limits.ts";
import {
  BACKBONE_NAME,
  heirOf,
  memberRow,
  type Membership,
  type NetworkDraft,
  type NetworkRecord,
  newNetwork,
  NO_TAGS,
} from "./network.ts";
import type { Role } from "./role.ts";

const NO_NETWORKS: readonly number[] = [];

/** The refusal for a network that does not exist. */
export function networkNotFound(id: number): RegistryFailure {
  return new RegistryFailure("not_found", `network ${id}: network not found`);
}

/** The refusal for a node that is not in a network. */
export function notAMember(node: number, network: number): RegistryFailure {
  return new RegistryFailure("denied", `node ${node} is not a member of network ${network}`);
}

/** Networks and memberships. Changed only inside `RegistryCore.change`; what throws has changed nothing. */
export class NetworkTable {
  readonly #changes: Changes;
  readonly #parted: (node: number) => void;
  readonly #networks: Map<number, NetworkRecord> = new Map();
  readonly #byName: Map<string, NetworkRecord> = new Map();
  readonly #byNode: Map<number, number[]> = new Map();
  #nextNetwork = 1;
  #memberships = 0;
  #exprPolicyBytes = 0;

  /**
   * @param changes Where changes are noted for the store.
   * @param parted Called when a node has lost a membership.
   */
  constructor(changes: Changes, parted: (node: number) => void = () => {}) {
    this.#changes = changes;
    this.#parted = parted;
  }

  /** Networks, the backbone not counted. */
  get size(): number {
    return this.#networks.size;
  }

  /** Memberships in all networks but the backbone. */
  get memberships(): number {
    return this.#memberships;
  }

  /** The number that the next new network gets. */
  get nextNetwork(): number {
    return this.#nextNetwork;
  }

  /** All networks but the backbone. */
  all(): Iterable<NetworkRecord> {
    return this.#networks.values();
  }

  /** A network, or undefined for the backbone and for one that does not exist. */
  known(id: number): NetworkRecord | undefined {
    return this.#networks.get(id);
  }

  /**
   * A network that exists.
   *
   * @throws {RegistryFailure} When it does not, or is the backbone.
   */
  get(id: number): NetworkRecord {
    const network = this.#networks.get(id);
    if (network === undefined) throw networkNotFound(id);
    return network;
  }

  /**
   * A node's membership.
   *
   * @throws {RegistryFailure} When it has none.
   */
  member(network: NetworkRecord, node: number): Membership {
    const membership = network.members.get(node);
    if (membership === undefined) throw notAMember(node, network.id);
    return membership;
  }

  /** The networks of a node but the backbone, in the order of joining. */
  of(node: number): readonly number[] {
    return this.#byNode.get(node) ?? NO_NETWORKS;
  }

  /** Are both members of a network other than the backbone? */
  share(a: number, b: number): boolean {
    return this.of(a).some((id) => this.#networks.get(id)?.members.has(b) === true);
  }

  /** Is the node a member of an enterprise network? */
  inEnterprise(node: number): boolean {
    return this.of(node).some((id) => this.#networks.get(id)?.enterprise === true);
  }

  /**
   * Makes sure that a name is free.
   *
   * @param except The network that may have it.
   * @throws {RegistryFailure} When another one has it.
   */
  checkNameFree(name: string, except?: NetworkRecord): void {
    const owner = this.#byName.get(name);
    if (owner !== undefined && owner !== except) {
      throw new RegistryFailure("already_exists", `network "${name}" already exists`);
    }
  }

  /**
   * Makes a network with one member, its owner.
   *
   * @param draft What it is; the name is valid.
   * @param owner Node number.
   * @throws {RegistryFailure} When the name is taken, at the limits.
   */
  create(draft: NetworkDraft, owner: number): NetworkRecord {
    this.checkNameFree(draft.name);
    if (this.#nextNetwork > MAX_NETWORK_ID) {
      throw new RegistryFailure("limit_exceeded", "network numbers are used up");
    }
    this.#checkExprPolicy("", draft.exprPolicy ?? "");
    const network = newNetwork(this.#nextNetwork, draft);
    this.checkRoom(network, owner);
    this.#nextNetwork++;
    this.#changes.nextNetwork(this.#nextNetwork);
    this.#changes.network(network);
    this.#index(network);
    this.join(network, owner, "owner");
    return network;
  }

  #index(network: NetworkRecord): void {
    this.#networks.set(network.id, network);
    this.#byName.set(network.name, network);
    this.#exprPolicyBytes += network.exprPolicy.length;
  }

  /** Notes that the fields of a network change, and hands it out for that. Name and policy have their own methods. */
  edit(network: NetworkRecord): NetworkRecord {
    this.#changes.network(network);
    return network;
  }

  /**
   * Gives a network another name.
   *
   * @throws {RegistryFailure} When another network has it.
   */
  rename(network: NetworkRecord, name: string): void {
    this.checkNameFree(name, network);
    this.#byName.delete(network.name);
    this.edit(network).name = name;
    this.#byName.set(name, network);
  }

  /**
   * Sets the policy document.
   *
   * @param document Valid JSON, or "" for none.
   * @throws {RegistryFailure} When there is no room for it.
   */
  setExprPolicy(network: NetworkRecord, document: string): void {
    this.#checkExprPolicy(network.exprPolicy, document);
    this.#exprPolicyBytes += document.length - network.exprPolicy.length;
    this.edit(network).exprPolicy = document;
  }

  #checkExprPolicy(before: string, after: string): void {
    const total = this.#exprPolicyBytes - before.length + after.length;
    if (after !== "" && total > MAX_EXPR_POLICY_TOTAL_BYTES) {
      throw new RegistryFailure("limit_exceeded", "too many policy documents");
    }
  }

  /** Deletes a network and all memberships in it. */
  delete(network: NetworkRecord): void {
    this.#changes.networkRemoved(network.id);
    for (const node of network.members.keys()) {
      this.#unlink(node, network.id);
      this.#parted(node);
    }
    this.#memberships -= network.members.size;
    network.members.clear();
    this.#networks.delete(network.id);
    this.#byName.delete(network.name);
    this.#exprPolicyBytes -= network.exprPolicy.length;
  }

  /**
   * Makes sure that a node can become a member.
   *
   * @throws {RegistryFailure} When the network, the node's own list or the whole table is full.
   */
  checkRoom(network: NetworkRecord, node: number): void {
    const { maxMembers } = network;
    const limit = maxMembers === 0 ? MAX_MEMBERS : Math.min(maxMembers, MAX_MEMBERS);
    if (network.members.size >= limit) {
      throw new RegistryFailure(
        "limit_exceeded",
        `network ${network.id}: membership limit reached`,
      );
    }
    if (this.of(node).length >= MAX_NETWORKS_PER_NODE) {
      throw new RegistryFailure(
        "limit_exceeded",
        `too many networks (max ${MAX_NETWORKS_PER_NODE} per node)`,
      );
    }
    if (this.#memberships >= MAX_MEMBERSHIPS) {
      throw new RegistryFailure(
        "limit_exceeded",
        "membership limit reached in all networks together",
      );
    }
  }

  /**
   * Makes a node a member. There must be room, and it must not be one. The first to join an empty network owns it:
   * nobody else is there who could.
   */
  join(network: NetworkRecord, node: number, wanted: Role): void {
    const role = network.members.size === 0 ? "owner" : wanted;
    const membership = { position: network.nextPosition++, role, tags: NO_TAGS };
    this.#changes.member(memberRow(network.id, node, membership));
    this.#link(network, node, membership);
  }

  #link(network: NetworkRecord, node: number, membership: Membership): void {
    network.members.set(node, membership);
    this.#memberships++;
    const networks = this.#byNode.get(node);
    if (networks === undefined) this.#byNode.set(node, [network.id]);
    else networks.push(network.id);
  }

  /** Ends a membership that exists. A network that loses its owner by it goes to its heir. */
  leave(network: NetworkRecord, node: number): void {
    const { role } = this.member(network, node);
    this.#changes.memberRemoved(network.id, node);
    network.members.delete(node);
    this.#memberships--;
    this.#unlink(node, network.id);
    const heir = role === "owner" ? heirOf(network) : undefined;
    if (heir !== undefined) this.update(network, heir, { role: "owner" });
    this.#parted(node);
  }

  #unlink(node: number, network: number): void {
    const rest = this.of(node).filter((id) => id !== network);
    if (rest.length === 0) this.#byNode.delete(node);
    else this.#byNode.set(node, rest);
  }

  /**
   * Ends all memberships of a node, but in networks that it owns alone: they wait for it, and nobody else can take them
   * over. Existing daemons deregister whenever they are stopped.
   */
  forget(node: number): void {
    for (const id of this.of(node)) {
      const network = this.get(id);
      const isAlone = network.members.size === 1 && this.member(network, node).role === "owner";
      if (!isAlone) this.leave(network, node);
    }
  }

  /** Changes role or tags of a member. */
  update(
    network: NetworkRecord,
    node: number,
    change: Partial<Pick<Membership, "role" | "tags">>,
  ): void {
    const membership = { ...this.member(network, node), ...change };
    this.#changes.member(memberRow(network.id, node, membership));
    network.members.set(node, membership);
  }

  /** At start: the number the next network gets. */
  loadNextNetwork(value: number): void {
    this.#nextNetwork = Math.max(1, value);
  }

  /**
   * At start: one stored network.
   *
   * @throws {PilotError} `invalid_state` when it contradicts another one.
   */
  loadNetwork(row: NetworkRow): void {
    const { id, name } = row;
    const wrong = id < 1 || id >= this.#nextNetwork
      ? "its number was never given out"
      : name === BACKBONE_NAME || this.#byName.has(name)
      ? "its name belongs to another network"
      : undefined;
    if (wrong !== undefined) throw new PilotError("invalid_state", `network ${id}: ${wrong}`);
    this.#index(newNetwork(id, row));
  }

  /**
   * At start: one stored membership, in the order of joining.
   *
   * @param known Is there such a node?
   * @throws {PilotError} `invalid_state` when its network or its node does not exist.
   */
  loadMember(row: MemberRow, known: (node: number) => boolean): void {
    const { network: id, node, position, role, tags } = row;
    const network = this.#networks.get(id);
    if (network === undefined || !known(node) || network.members.has(node)) {
      throw new PilotError("invalid_state", `node ${node} cannot be a member of network ${id}`);
    }
    network.nextPosition = Math.max(network.nextPosition, position + 1);
    this.#link(network, node, { position, role, tags: tags.length === 0 ? NO_TAGS : tags });
  }
}
