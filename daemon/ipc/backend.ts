/**
 * The border between the daemon's core and those who use it: IPC sessions and built-in services. Tests put an
 * in-memory implementation behind it.
 *
 * @module
 */

import type { Address } from "../../protocol/address.ts";
import type {
  DaemonHealth,
  DaemonInfo,
  DEREGISTER,
  IpcHandshakeTargetReply,
  IpcOutgoingHandshake,
  IpcPendingHandshake,
  IpcRefusedHandshake,
  IpcTrustedPeer,
  LOOKUP,
  ReplyOf,
  RESOLVE_HOSTNAME,
  SET_HOSTNAME,
  SET_TAGS,
  SET_VISIBILITY,
} from "../../protocol/ipc/mod.ts";
import type { PathReport } from "../../protocol/path/mod.ts";
import type { Conn, Datagram, DialOptions } from "../stream/stream_conn.ts";
import type { Emit } from "../../protocol/lifecycle_events.ts";
import type { EventListener } from "../event_bus.ts";

/** A JSON object as passed through to clients. */
export type Json = Record<string, unknown>;

/** Stream connections and datagrams. */
export interface NetworkBackend {
  /**
   * Listens on a port. `onAccept` gets each established connection and must set its listener at once.
   *
   * @throws {PilotError} `already_exists`.
   */
  bind(port: number, onAccept: (conn: Conn) => void): void;
  /** Stops listening; connections that were accepted live on. */
  unbind(port: number): void;
  /**
   * Opens a connection and resolves when it is established. Dialling our own address loops back.
   *
   * @throws {PilotError} `connection_refused`, `timeout`, `not_found`, `untrusted`, `aborted`, `unavailable`.
   */
  dial(address: Address, port: number, options?: DialOptions): Promise<Conn>;
  /** Resets a connection, also of a service or another program; false when there is none of this number. */
  disconnect(id: number): boolean;
  /**
   * Sends one datagram; resolves when it was handed to the tunnel (or queued behind a key exchange).
   *
   * @throws {PilotError} `not_found`, `untrusted`, `invalid_argument` (empty, too long, broadcast on the backbone).
   */
  sendDatagram(address: Address, port: number, data: Uint8Array): Promise<void>;
  /**
   * Sends one datagram if there is a tunnel already; false when there is none, and `sendDatagram` must be called.
   *
   * @param data Only looked at during the call.
   * @throws {PilotError} `invalid_argument` like `sendDatagram`.
   */
  trySendDatagram(address: Address, port: number, data: Uint8Array): boolean;
  /** Sets who gets every datagram that passed the trust gate; its data is a view that lives as long as the call. */
  onDatagram(handler: (datagram: Datagram) => void): void;
  /** Round trip over the tunnel by a control packet, milliseconds. */
  ping(
    address: Address,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<{ rttMs: number; relayed: boolean }>;
}

/** Mutual consent (docs/protocol/trust.md). Node numbers are unsigned 32 bit. All may throw {@linkcode PilotError}. */
export interface TrustBackend {
  /**
   * Starts a handshake; resolves when the request is on its way. `granted`: the node had asked itself, so it is trusted
   * now; `already_trusted`: nothing needed to be done.
   */
  request(
    node: number,
    justification: string,
  ): Promise<"sent" | "granted" | "already_trusted">;
  /** Consents to a pending request. `not_found` when there is none. */
  approve(node: number): Promise<void>;
  /** Declines a pending request. `not_found` when there is none. */
  reject(node: number, reason: string): Promise<void>;
  /**
   * Ends trust and cuts live connections, or withdraws our request; whether it was trusted. `not_found` with the text
   * `node N was not trusted` when there was neither.
   */
  revoke(node: number): Promise<boolean>;
  /** Our requests without an answer: {node_id, requested_at (unix s)}. */
  outgoing(): IpcOutgoingHandshake[];
  /** Our requests that were refused since the start: {node_id, reason, refused_at (unix s)}. */
  refused(): IpcRefusedHandshake[];
  /** Requests waiting for us: {node_id, public_key, justification, received_at (unix s)}. */
  pending(): IpcPendingHandshake[];
  /** Trusted peers: {node_id, public_key, approved_at (unix s), mutual, network}. */
  trusted(): IpcTrustedPeer[];
  /** Resolves true as soon as the node is trusted, false after `timeoutMs`; `denied` when it refuses our request. */
  waitFor(
    node: number,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<boolean>;
}

/** Registry operations in this node's name; replies are the registry's JSON objects. All may throw {@linkcode PilotError}. */
export interface DirectoryBackend {
  /** `resolve_hostname` with this node as requester. */
  resolveHostname(hostname: string): Promise<ReplyOf<typeof RESOLVE_HOSTNAME>>;
  /** Finds the node behind a hostname for a handshake, also a private one: {node_id, address}. */
  handshakeTarget(hostname: string): Promise<IpcHandshakeTargetReply>;
  /** `lookup`. */
  lookup(node: number): Promise<ReplyOf<typeof LOOKUP>>;
  /** Sets or (empty) clears the hostname. */
  setHostname(hostname: string): Promise<ReplyOf<typeof SET_HOSTNAME>>;
  /** Public or private. */
  setVisibility(isPublic: boolean): Promise<ReplyOf<typeof SET_VISIBILITY>>;
  /** Replaces the tags. */
  setTags(tags: readonly string[]): Promise<ReplyOf<typeof SET_TAGS>>;
  /** Removes this node from the registry. */
  deregister(): Promise<ReplyOf<typeof DEREGISTER>>;
  /** `list_networks` and the other network sub-commands of docs/protocol/local-socket.md §5, by registry type. */
  network(type: string, fields: Json): Promise<Json>;
}

/** Everything an IPC session can ask for. */
export interface Backend {
  /** Streams and datagrams. */
  readonly network: NetworkBackend;
  /** Trust. */
  readonly trust: TrustBackend;
  /** Registry. */
  readonly directory: DirectoryBackend;
  /** Daemon version. */
  readonly version: string;
  /** `info` (docs/protocol/local-socket.md §7); answered from memory. */
  info(): DaemonInfo;
  /** `health` (docs/protocol/local-socket.md §7). */
  health(): DaemonHealth;
  /** The paths to a peer, as {@linkcode PathReport}. `not_found` when there is no tunnel to it. */
  path(node: number): PathReport;
  /** Reports a lifecycle event (docs/protocol/local-socket.md §10). */
  readonly emit: Emit;
  /** Subscribes to all lifecycle events from now on; gives what ends that. */
  onEvent(listener: EventListener): () => void;
}
