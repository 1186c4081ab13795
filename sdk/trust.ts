/**
 * Mutual trust, asked for and given through the daemon (docs/protocol/trust.md).
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import {
  APPROVE_TRUST,
  AWAIT_TRUST,
  IPC_HANDSHAKE_WAIT_MAX_MS,
  type IpcHandshakeStatus,
  type IpcOpenHandshakes,
  type IpcPendingHandshake,
  type IpcTrustedPeer,
  OPEN_HANDSHAKES,
  REJECT_TRUST,
  REQUEST_TRUST,
  REVOKE_TRUST,
  TRUSTED_PEERS,
} from "../protocol/ipc/mod.ts";
import { type AbortOptions, delay, timeoutError, type WaitOptions } from "./abort.ts";
import type { RegistryEntry } from "./registry.ts";
import type { Requester } from "./requester.ts";
import { checkNode, readTarget, type Target } from "./target.ts";

/** Added to limits the daemon itself keeps, so that its answer arrives first, milliseconds. */
const MARGIN_MS = 2_000;
/** How often trust is looked up with a daemon that cannot wait for it, milliseconds. */
const TRUST_POLL_MS = 500;
/** Longest wait for trust when the caller sets none, milliseconds. */
const TRUST_TIMEOUT_MS = 60_000;

/**
 * Who may talk to this node, reached as `driver.trust`. Failures are as those of the driver's other requests.
 *
 * @example Asking for trust and waiting for it
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * const { node_id } = await driver.trust.request("alice", "We share a project");
 * await driver.trust.waitFor(node_id, { timeoutMs: 30_000 });
 * const trusted = await driver.trust.peers();
 * console.log(trusted.map(({ node_id }) => node_id));
 * ```
 */
export class Trust {
  readonly #requester: Requester;
  readonly #registry: RegistryEntry;

  /**
   * Made by the driver.
   *
   * @ignore
   */
  constructor(requester: Requester, registry: RegistryEntry) {
    this.#requester = requester;
    this.#registry = registry;
  }

  /**
   * Asks a node for mutual trust. Returns when the request is on its way; see {@linkcode waitFor}.
   *
   * @param target The node; a hostname may be that of a private node.
   * @param justification Why, shown to the other side.
   * @param options Signal.
   * @returns What became of it and the node's number.
   */
  async request(
    target: Target,
    justification: string = "",
    options: AbortOptions = {},
  ): Promise<IpcHandshakeStatus> {
    const read = readTarget(target);
    const node = "hostname" in read
      ? (await this.#registry.handshakeTarget(read.hostname, options)).node_id
      : read.node;
    const fields = { node: checkNode(node), text: justification };
    const what = `Handshake with node ${node}`;
    return await this.#requester.call(REQUEST_TRUST, fields, what, options);
  }

  /**
   * Waits until a node is trusted, whichever side asked.
   *
   * @param node The node.
   * @param options Signal; `timeoutMs` default 60 000.
   * @throws {PilotError} `denied` with the reason when the node refuses our request; `timeout`, `aborted`.
   */
  async waitFor(node: number, options: WaitOptions = {}): Promise<void> {
    const { timeoutMs = TRUST_TIMEOUT_MS, signal } = options;
    const what = `Waiting for trust of node ${checkNode(node)}`;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const left = Math.max(0, Math.ceil(deadline - performance.now()));
      if (await this.#await(what, node, left, signal)) return;
      if (performance.now() >= deadline) throw timeoutError(what, timeoutMs);
    }
  }

  /**
   * Requests for trust that wait for {@linkcode approve} or {@linkcode reject}.
   *
   * @param options Signal.
   * @returns The requests.
   */
  async pending(options: AbortOptions = {}): Promise<IpcPendingHandshake[]> {
    return (await this.open(options)).pending;
  }

  /**
   * Everything that is open: requests that wait for us, ours that wait for an answer, and ours that were refused since
   * the daemon's start.
   *
   * @param options Signal.
   * @returns The lists; `outgoing` and `refused` are empty with a daemon that does not report them.
   */
  async open(options: AbortOptions = {}): Promise<IpcOpenHandshakes> {
    const reply: Partial<IpcOpenHandshakes> = await this.#requester.call(
      OPEN_HANDSHAKES,
      {},
      "Reading open handshakes",
      options,
    );
    const { pending, outgoing, refused } = reply;
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
  approve(node: number, options: AbortOptions = {}): Promise<IpcHandshakeStatus> {
    const fields = { node: checkNode(node) };
    return this.#requester.call(APPROVE_TRUST, fields, `Approving node ${node}`, options);
  }

  /**
   * Declines a request for trust.
   *
   * @param node Who asked.
   * @param reason Sent to the other side.
   * @param options Signal.
   * @returns Status `rejected`.
   * @throws {PilotError} `not_found` when the node has not asked.
   */
  reject(
    node: number,
    reason: string = "",
    options: AbortOptions = {},
  ): Promise<IpcHandshakeStatus> {
    const fields = { node: checkNode(node), text: reason };
    return this.#requester.call(REJECT_TRUST, fields, `Rejecting node ${node}`, options);
  }

  /**
   * The nodes that we trust.
   *
   * @param options Signal.
   * @returns The peers.
   */
  async peers(options: AbortOptions = {}): Promise<IpcTrustedPeer[]> {
    const what = "Reading trusted peers";
    const { trusted } = await this.#requester.call(TRUSTED_PEERS, {}, what, options);
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
  revoke(node: number, options: AbortOptions = {}): Promise<IpcHandshakeStatus> {
    const fields = { node: checkNode(node) };
    return this.#requester.call(REVOKE_TRUST, fields, `Revoking trust of node ${node}`, options);
  }

  async #await(
    what: string,
    node: number,
    leftMs: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const timeoutMs = Math.min(leftMs, IPC_HANDSHAKE_WAIT_MAX_MS);
    try {
      const { trusted } = await this.#requester.call(
        AWAIT_TRUST,
        { node, timeoutMs },
        what,
        { signal, timeoutMs: timeoutMs + MARGIN_MS },
      );
      return trusted;
    } catch (error) {
      const unsupported = error instanceof PilotError &&
        error.code === "unavailable" && !this.#requester.tagged;
      if (!unsupported) throw error;
    }
    const peers = await this.peers({ signal });
    if (peers.some((peer) => peer.node_id === node)) return true;
    await delay(Math.min(leftMs, TRUST_POLL_MS), signal, what);
    return false;
  }
}
