/**
 * The lifecycle events of a daemon: each name with its payload, its level and what it means, once. Log,
 * metrics and local clients receive them; names and fields are those of existing daemons where these have the
 * event (docs/protocol/local-socket.md §10).
 *
 * @module
 */

import type { ErrorCode } from "./errors.ts";

/** Something about one peer. */
export interface PeerEvent {
  /** The node that the tunnel has authenticated. */
  readonly peer_node_id: number;
}

/** This node in the registry. */
export interface NodeEvent {
  /** Our address on the backbone. */
  readonly address: string;
  /** `host:port` by which it is registered. */
  readonly endpoint: string;
}

/** An invitation to a network. */
export interface InviteEvent {
  /** To which network. */
  readonly network_id: number;
  /** Who invites. */
  readonly inviter_id: number;
}

/** Both ends of an incoming connection. */
export interface ConnEvent {
  /** Number of the connection within the daemon. */
  readonly conn_id: number;
  /** Address of the peer. */
  readonly src_addr: string;
  /** Port of the peer. */
  readonly src_port: number;
  /** Our port. */
  readonly dst_port: number;
}

/** A first packet that was not let in. */
export interface RejectedEvent {
  /** The node that the tunnel has authenticated. */
  readonly src_node_id: number;
  /** Its address as the packet has it. */
  readonly src_addr: string;
  /** The port it wanted. */
  readonly dst_port: number;
}

/** A subscriber of the broker. */
export interface SubscriberEvent {
  /** The topic; `*` for all. */
  readonly topic: string;
  /** `address:port` of the subscriber. */
  readonly remote: string;
}

/** The payload of each lifecycle event. */
export interface LifecycleEvents {
  /** The registry has taken this node in. */
  "node.registered": NodeEvent;
  /** The registry has taken this node in again. */
  "node.reregistered": NodeEvent;
  /** A member invites this node to a network. */
  "network.invited": InviteEvent;
  /** A peer has left a network that it shared with us. */
  "network.peer_left": PeerEvent;
  /** A peer has proven its key. */
  "tunnel.established": PeerEvent & {
    readonly authenticated: boolean;
    readonly relay: boolean;
    /** Another key took the place of one in use. */
    readonly rekeyed: boolean;
  };
  /** Frames to a peer take another path. */
  "tunnel.path_changed": PeerEvent & {
    readonly relay: boolean;
    /** `host:port`, or `(relay)`. */
    readonly endpoint: string;
  };
  /** The beacon has verified that our endpoint is ours. */
  "tunnel.endpoint_proven": Record<never, never>;
  /** A peer opens a connection. */
  "conn.syn_received": ConnEvent;
  /** A connection that a peer opened is established. */
  "conn.established": ConnEvent;
  /** A connection that a peer opened has ended, established or not. Ours: existing daemons report each direction. */
  "conn.closed": ConnEvent & {
    /** Code of why it did not end in order. */
    readonly error?: ErrorCode;
  };
  /** A peer without consent wanted to open a connection. */
  "syn.rejected": RejectedEvent;
  /** A peer without consent sent a datagram. */
  "datagram.rejected": RejectedEvent;
  /** A peer opens connections too fast. */
  "security.syn_rate_limited": Pick<ConnEvent, "src_addr" | "src_port">;
  /** A key was offered that is not the peer's. */
  "security.key_mismatch": PeerEvent;
  /** A peer asks for trust. */
  "handshake.received": PeerEvent & { readonly justification: string };
  /** A request for trust waits for a decision. */
  "handshake.pending": PeerEvent & { readonly justification: string };
  /** A request for trust was accepted by a rule. */
  "handshake.auto_approved": PeerEvent & {
    /** `mutual`, `same_network` or `auto_approve`. */
    readonly reason: string;
  };
  /** A request for trust was accepted here. */
  "handshake.approved": PeerEvent;
  /** A request for trust was declined here. */
  "handshake.rejected": PeerEvent & { readonly reason: string };
  /** A peer declined our request for trust. */
  "handshake.rejected_by_peer": PeerEvent & { readonly reason: string };
  /** Trust was ended here. */
  "trust.revoked": PeerEvent;
  /** A peer has ended trust. */
  "trust.revoked_by_peer": PeerEvent;
  /** Trust ended with the common network it came from. */
  "trust.network_ended": PeerEvent;
  /** A message is in the inbox. */
  "message.received": {
    /** `text`, `json` or `binary`. */
    readonly type: string;
    /** Address of the sender. */
    readonly from: string;
    /** Payload bytes. */
    readonly size: number;
    /** Its id in the inbox. */
    readonly id: string;
    /** The sender's id of it. */
    readonly message_id?: string;
    /** The id of the message that it answers. */
    readonly reply_to?: string;
  };
  /** A file has arrived. */
  "file.received": {
    readonly filename: string;
    /** Bytes. */
    readonly size: number;
    /** Where it is. */
    readonly path: string;
    /** Address of the sender. */
    readonly from: string;
  };
  /** A peer subscribes to a topic of our broker. */
  "pubsub.subscribed": SubscriberEvent;
  /** A subscription at our broker has ended. */
  "pubsub.unsubscribed": SubscriberEvent;
  /** A subscriber does not keep up and was dropped. */
  "pubsub.overrun": SubscriberEvent;
  /** An event was published at our broker. */
  "pubsub.published": {
    readonly topic: string;
    /** Payload bytes. */
    readonly size: number;
    /** `address:port` of the publisher. */
    readonly from: string;
  };
}

/** Name of a lifecycle event. */
export type LifecycleEventName = keyof LifecycleEvents;

/** Reports an event; never throws. */
export type Emit = <K extends LifecycleEventName>(event: K, data: LifecycleEvents[K]) => void;

/**
 * Level of an event in the log: `info` for what happens seldom, `warn` for what an operator should look at, whose rate
 * is bounded as strangers can cause some of it, `debug` for all that is usual.
 */
export type LifecycleEventLevel = "debug" | "info" | "warn";

/** Every lifecycle event with its level. */
export const LIFECYCLE_EVENTS: { readonly [K in LifecycleEventName]: LifecycleEventLevel } = {
  "node.registered": "info",
  "node.reregistered": "info",
  "network.invited": "info",
  "network.peer_left": "info",
  "tunnel.established": "info",
  "tunnel.path_changed": "info",
  "tunnel.endpoint_proven": "info",
  "conn.syn_received": "debug",
  "conn.established": "debug",
  "conn.closed": "debug",
  "syn.rejected": "debug",
  "datagram.rejected": "debug",
  "security.syn_rate_limited": "warn",
  "security.key_mismatch": "warn",
  "handshake.received": "info",
  "handshake.pending": "info",
  "handshake.auto_approved": "info",
  "handshake.approved": "info",
  "handshake.rejected": "info",
  "handshake.rejected_by_peer": "info",
  "trust.revoked": "info",
  "trust.revoked_by_peer": "info",
  "trust.network_ended": "info",
  "message.received": "debug",
  "file.received": "debug",
  "pubsub.subscribed": "debug",
  "pubsub.unsubscribed": "debug",
  "pubsub.overrun": "warn",
  "pubsub.published": "debug",
};

/** The names of all lifecycle events, in the order of the table. */
export const LIFECYCLE_EVENT_NAMES: readonly LifecycleEventName[] = Object.keys(
  LIFECYCLE_EVENTS,
) as LifecycleEventName[];

const NAMES: ReadonlySet<string> = new Set(LIFECYCLE_EVENT_NAMES);

/** Whether there is an event of this name. */
export function isLifecycleEventName(name: unknown): name is LifecycleEventName {
  return typeof name === "string" && NAMES.has(name);
}

/** One event as subscribers get it. */
export interface LifecycleEvent<K extends LifecycleEventName = LifecycleEventName> {
  /** Rises by one with each event since the start of the daemon, from 1. */
  readonly id: number;
  /** Its name. */
  readonly name: K;
  /** Unix milliseconds. */
  readonly atMs: number;
  /** What it says. */
  readonly data: LifecycleEvents[K];
}

/**
 * An event of one of the names `K`, distinguished by its name: where `event.name` is known, so is what `event.data`
 * holds.
 */
export type LifecycleEventOf<K extends LifecycleEventName = LifecycleEventName> = K extends
  LifecycleEventName ? LifecycleEvent<K> : never;
