/**
 * The requests a daemon answers itself: what it is, whom it trusts, what the registry knows
 * (docs/protocol/local-socket.md §2 to §7).
 *
 * @module
 */

import { type Address, parseAddress } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import {
  Cmd,
  encodeFlag,
  encodeHandshake,
  encodeJson,
  encodeNode,
  encodePing,
  encodeText,
  IPC_HANDSHAKE_WAIT_MAX_MS,
  type IpcHandshake,
  type IpcHandshakeStatus,
  type IpcHandshakeTargetReply,
  type IpcHealth,
  type IpcInfo,
  type IpcOpenHandshakes,
  type IpcPendingHandshake,
  type IpcPingReply,
  type IpcTrustedPeer,
} from "../protocol/ipc/mod.ts";
import type { PathReport } from "../protocol/path/mod.ts";
import { type AbortOptions, delay, timeoutError, type WaitOptions } from "./abort.ts";
import type { Conn } from "./conn.ts";
import { pingByEcho } from "./echo_ping.ts";
import { Networks } from "./networks.ts";
import { type JsonObject, Requester } from "./requester.ts";
import type { Session } from "./daemon_session.ts";
import { checkNode, readTarget, type Target } from "./target.ts";

/** Answer of `resolveHostname`. */
export interface ResolvedHostname {
  /** The node. */
  node_id: number;
  /** Its address on the backbone. */
  address: string;
  /** Whether it is public. */
  public?: boolean;
  /** The name. */
  hostname?: string;
}

/** Longest wait for a ping when the caller sets none, milliseconds. */
const PING_TIMEOUT_MS = 5_000;
/** Added to limits the daemon itself keeps, so that its answer arrives first, milliseconds. */
const MARGIN_MS = 2_000;
/** How often trust is looked up with a daemon that cannot wait for it, milliseconds. */
const TRUST_POLL_MS = 500;
/** Longest wait for trust when the caller sets none, milliseconds. */
const TRUST_TIMEOUT_MS = 60_000;

/**
 * Requests to the daemon. Every one may fail as {@linkcode PilotError} with the daemon's code, `timeout` (30 s unless
 * said otherwise), `aborted` or `connection_closed`. JSON answers keep the daemon's key names.
 */
export abstract class Control {
  /** The registry's networks. */
  readonly networks: Networks;
  readonly #requester: Requester;

  /**
   * Made by `connect`.
   *
   * @ignore
   */
  constructor(session: Session) {
    this.#requester = new Requester(session);
    this.networks = new Networks(this.#requester);
  }

  /** Opens a stream connection; see `Driver.dial`. */
  abstract dial(target: Target, port: number, options?: WaitOptions): Promise<Conn>;

  /**
   * State of the daemon: node, address, peers, connections, counters.
   *
   * @param options Signal.
   * @returns The daemon's `info`.
   */
  info(options: AbortOptions = {}): Promise<IpcInfo> {
    return this.#requester.json("Reading the daemon's state", Cmd.Info, options);
  }

  /**
   * Short form of {@linkcode info}.
   *
   * @param options Signal.
   * @returns The daemon's `health`.
   */
  health(options: AbortOptions = {}): Promise<IpcHealth> {
    return this.#requester.json("Reading the daemon's health", Cmd.Health, options);
  }

  /**
   * Our own address on the backbone.
   *
   * @param options Signal.
   * @returns The address.
   * @throws {PilotError} `invalid_state` while the daemon has none.
   */
  async address(options: AbortOptions = {}): Promise<Address> {
    const { node_id, address } = await this.info(options);
    if (node_id === 0) {
      throw new PilotError("invalid_state", "The daemon has no address yet", {
        hint: "It gets one from the registry; see: pilotctl info",
      });
    }
    return parseAddress(address);
  }

  /**
   * Measures the round trip to an agent's daemon over the tunnel.
   *
   * @param target Whom.
   * @param options Signal; `timeoutMs` default 5 000.
   * @returns Milliseconds, and whether the packet went through the beacon. With existing daemons it is the round trip of
   * the echo service (port 7) over a connection.
   * @throws {PilotError} `timeout`, `not_found`, `untrusted`.
   */
  async ping(
    target: Target,
    options: WaitOptions = {},
  ): Promise<IpcPingReply> {
    const address = await this.resolveTarget(target, options);
    const { timeoutMs = PING_TIMEOUT_MS, signal } = options;
    if (!this.#requester.tagged) {
      const rtt_ms = await pingByEcho(this, address, { timeoutMs, signal });
      const { peer_list } = await this.info({ signal });
      const relayed = peer_list?.some((peer) => peer.node_id === address.node && peer.relay);
      return { rtt_ms, relayed: relayed === true };
    }
    return await this.#requester.extended("Ping", Cmd.Ping, {
      signal,
      timeoutMs: timeoutMs + MARGIN_MS,
      payload: encodePing({ address, timeoutMs }),
    });
  }

  /**
   * Which way to a peer is used, which others were tried, and why it is not direct if it is not.
   *
   * @param target Whom.
   * @param options Signal.
   * @returns The ways at this moment.
   * @throws {PilotError} `not_found` when there is no tunnel to it; `unavailable` with a daemon without this command.
   */
  async path(target: Target, options: AbortOptions = {}): Promise<PathReport> {
    const { node } = await this.resolveTarget(target, options);
    const payload = encodeNode(checkNode(node));
    return await this.#requester.extended(`Path to node ${node}`, Cmd.Path, {
      ...options,
      payload,
    });
  }

  /**
   * What the registry publishes about a node.
   *
   * @param node The node.
   * @param options Signal.
   * @returns The registry's answer: node_id, address, public_key, hostname, tags, ...
   */
  lookup(node: number, options: AbortOptions = {}): Promise<JsonObject> {
    const payload = encodeNode(checkNode(node));
    return this.#requester.extended(`Looking up node ${node}`, Cmd.Lookup, {
      ...options,
      payload,
    });
  }

  /**
   * Finds a node by its hostname. Names of private nodes are only told to those they trust.
   *
   * @param hostname The name.
   * @param options Signal.
   * @returns Node and address.
   * @throws {PilotError} `not_found`.
   */
  resolveHostname(
    hostname: string,
    options: AbortOptions = {},
  ): Promise<ResolvedHostname> {
    return this.#requester.json(`Finding "${hostname}"`, Cmd.ResolveHostname, {
      ...options,
      payload: encodeText(hostname),
      failure: "not_found",
    });
  }

  /**
   * Finds a node to shake hands with by its hostname, also a private one.
   *
   * @param hostname The name.
   * @param options Signal.
   * @returns Node and address.
   * @throws {PilotError} `not_found`.
   */
  handshakeTarget(
    hostname: string,
    options: AbortOptions = {},
  ): Promise<IpcHandshakeTargetReply> {
    if (!this.#requester.tagged) return this.resolveHostname(hostname, options);
    return this.#requester.extended(`Finding "${hostname}"`, Cmd.HandshakeTarget, {
      ...options,
      payload: encodeText(hostname),
    });
  }

  /**
   * Turns any form of target into an address, asking the registry for hostnames.
   *
   * @param target Address, its text, node number or hostname.
   * @param options Signal.
   * @returns The address.
   * @throws {PilotError} `invalid_argument`, `not_found`.
   */
  async resolveTarget(
    target: Target,
    options: AbortOptions = {},
  ): Promise<Address> {
    const read = readTarget(target);
    if (!("hostname" in read)) return read;
    const { signal } = options;
    const { address } = await this.resolveHostname(read.hostname, { signal });
    return parseAddress(address);
  }

  /**
   * Asks a node for mutual trust (docs/protocol/trust.md). Returns when the request is on its way; see
   * {@linkcode waitForTrust}.
   *
   * @param target Whom; a hostname may be that of a private node.
   * @param justification Why, shown to the other side.
   * @param options Signal.
   * @returns What became of it and the node's number.
   */
  async handshake(
    target: Target,
    justification: string = "",
    options: AbortOptions = {},
  ): Promise<IpcHandshakeStatus> {
    const read = readTarget(target);
    const node = "hostname" in read
      ? (await this.handshakeTarget(read.hostname, options)).node_id
      : read.node;
    return await this.#handshake(
      `Handshake with node ${node}`,
      { sub: "send", node: checkNode(node), justification },
      options,
    );
  }

  /**
   * Waits until a node is trusted, whoever asked whom.
   *
   * @param node The node.
   * @param options Signal; `timeoutMs` default 60 000.
   * @throws {PilotError} `denied` with the reason when the node refuses our request; `timeout`, `aborted`.
   */
  async waitForTrust(node: number, options: WaitOptions = {}): Promise<void> {
    const { timeoutMs = TRUST_TIMEOUT_MS, signal } = options;
    const what = `Waiting for trust of node ${checkNode(node)}`;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const left = Math.max(0, Math.ceil(deadline - performance.now()));
      if (await this.#awaitTrust(what, node, left, signal)) return;
      if (performance.now() >= deadline) throw timeoutError(what, timeoutMs);
    }
  }

  /**
   * Requests for trust that wait for {@linkcode approveHandshake} or {@linkcode rejectHandshake}.
   *
   * @param options Signal.
   * @returns The requests.
   */
  async pendingHandshakes(
    options: AbortOptions = {},
  ): Promise<IpcPendingHandshake[]> {
    return (await this.openHandshakes(options)).pending;
  }

  /**
   * Everything that is open about trust: requests that wait for us, ours that wait for an answer, and ours that were
   * refused since the daemon's start.
   *
   * @param options Signal.
   * @returns The lists; `outgoing` and `refused` are empty with a daemon that does not tell them.
   */
  async openHandshakes(options: AbortOptions = {}): Promise<IpcOpenHandshakes> {
    const { pending, outgoing, refused } = await this.#handshake<Partial<IpcOpenHandshakes>>(
      "Reading open handshakes",
      { sub: "pending" },
      options,
    );
    return { pending: pending ?? [], outgoing: outgoing ?? [], refused: refused ?? [] };
  }

  /**
   * Consents to a request for trust.
   *
   * @param node Who asked.
   * @param options Signal.
   * @returns Status `approved`.
   * @throws {PilotError} `not_found` when the node has not asked.
   */
  approveHandshake(
    node: number,
    options: AbortOptions = {},
  ): Promise<IpcHandshakeStatus> {
    const request = { sub: "approve", node: checkNode(node) } as const;
    return this.#handshake(`Approving node ${node}`, request, options);
  }

  /**
   * Declines a request for trust.
   *
   * @param node Who asked.
   * @param reason Told to the other side.
   * @param options Signal.
   * @returns Status `rejected`.
   * @throws {PilotError} `not_found` when the node has not asked.
   */
  rejectHandshake(
    node: number,
    reason: string = "",
    options: AbortOptions = {},
  ): Promise<IpcHandshakeStatus> {
    const request = { sub: "reject", node: checkNode(node), reason } as const;
    return this.#handshake(`Rejecting node ${node}`, request, options);
  }

  /**
   * Whom we trust.
   *
   * @param options Signal.
   * @returns The peers.
   */
  async trustedPeers(options: AbortOptions = {}): Promise<IpcTrustedPeer[]> {
    const { trusted } = await this.#handshake<
      { trusted?: IpcTrustedPeer[] | null }
    >("Reading trusted peers", { sub: "trusted" }, options);
    return trusted ?? [];
  }

  /**
   * Ends trust, and live connections with the node are cut; or withdraws our request to it.
   *
   * @param node The peer.
   * @param options Signal.
   * @returns Status `revoked`; `withdrawn` when it was not trusted, only asked.
   * @throws {PilotError} `not_found` when it was neither.
   */
  revokeTrust(
    node: number,
    options: AbortOptions = {},
  ): Promise<IpcHandshakeStatus> {
    const request = { sub: "revoke", node: checkNode(node) } as const;
    return this.#handshake(`Revoking trust of node ${node}`, request, options);
  }

  /**
   * Sets our hostname in the registry.
   *
   * @param hostname The name; empty clears it.
   * @param options Signal.
   * @returns The registry's answer: node_id, hostname.
   * @throws {PilotError} `invalid_argument`, `already_exists` when another node has it.
   */
  setHostname(
    hostname: string,
    options: AbortOptions = {},
  ): Promise<JsonObject> {
    return this.#requester.json("Setting the hostname", Cmd.SetHostname, {
      ...options,
      payload: encodeText(hostname),
    });
  }

  /**
   * Sets our tags in the registry.
   *
   * @param tags All tags, at most 3; an empty list clears them.
   * @param options Signal.
   * @returns The registry's answer: node_id, tags.
   */
  setTags(
    tags: readonly string[],
    options: AbortOptions = {},
  ): Promise<JsonObject> {
    return this.#requester.json("Setting the tags", Cmd.SetTags, {
      ...options,
      payload: encodeJson(tags),
    });
  }

  /**
   * Makes our endpoint and hostname known to everybody, or only to those we trust.
   *
   * @param isPublic True for everybody.
   * @param options Signal.
   * @returns The registry's answer: node_id, visibility.
   */
  setVisibility(
    isPublic: boolean,
    options: AbortOptions = {},
  ): Promise<JsonObject> {
    return this.#requester.json("Setting the visibility", Cmd.SetVisibility, {
      ...options,
      payload: encodeFlag(isPublic),
    });
  }

  /**
   * Removes our node from the registry.
   *
   * @param options Signal.
   * @returns The registry's answer.
   */
  deregister(options: AbortOptions = {}): Promise<JsonObject> {
    return this.#requester.json("Deregistering", Cmd.Deregister, options);
  }

  async #awaitTrust(
    what: string,
    node: number,
    leftMs: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const timeoutMs = Math.min(leftMs, IPC_HANDSHAKE_WAIT_MAX_MS);
    try {
      const { trusted } = await this.#handshake<{ trusted: boolean }>(
        what,
        { sub: "wait", node, timeoutMs },
        { signal, timeoutMs: timeoutMs + MARGIN_MS },
      );
      return trusted;
    } catch (error) {
      const unsupported = error instanceof PilotError &&
        error.code === "unavailable" && !this.#requester.tagged;
      if (!unsupported) throw error;
    }
    const peers = await this.trustedPeers({ signal });
    if (peers.some((peer) => peer.node_id === node)) return true;
    await delay(Math.min(leftMs, TRUST_POLL_MS), signal, what);
    return false;
  }

  #handshake<T>(
    what: string,
    request: IpcHandshake,
    options: WaitOptions,
  ): Promise<T> {
    const payload = encodeHandshake(request);
    return this.#requester.json(what, Cmd.Handshake, { ...options, payload });
  }
}
