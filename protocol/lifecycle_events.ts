/**
 * The lifecycle events of a daemon: each name with its payload, its level and what it means, in one place. Log,
 * metrics and local clients are told of them; names and fields are those of existing daemons where these have the
 * event (docs/protocol/local-socket.md §10).
 *
 * @module
 */

/** What an agent sent us or asked of us. */
interface FromPeer {
  /** The node that the tunnel has authenticated. */
  readonly peer_node_id: number;
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
  readonly topic: string;
  /** `address:port` of the subscriber. */
  readonly remote: string;
}

/** The payload of each lifecycle event. */
export interface LifecycleEvents {
  "node.registered": { readonly address: string; readonly endpoint: string };
  "node.reregistered": { readonly address: string; readonly endpoint: string };
  "network.invited": { readonly network_id: number; readonly inviter_id: number };
  "network.peer_left": FromPeer;
  "tunnel.established": FromPeer & {
    readonly authenticated: boolean;
    readonly relay: boolean;
    /** Another key took the place of one in use. */
    readonly rekeyed: boolean;
  };
  "tunnel.path_changed": FromPeer & {
    readonly relay: boolean;
    /** `host:port`, or `(relay)`. */
    readonly endpoint: string;
  };
  "tunnel.endpoint_proven": Record<never, never>;
  "conn.syn_received": ConnEvent;
  "conn.established": ConnEvent;
  "syn.rejected": RejectedEvent;
  "datagram.rejected": RejectedEvent;
  "security.syn_rate_limited": { readonly src_addr: string; readonly src_port: number };
  "security.key_mismatch": FromPeer;
  "handshake.received": FromPeer & { readonly justification: string };
  "handshake.pending": FromPeer & { readonly justification: string };
  "handshake.auto_approved": FromPeer & {
    /** `mutual`, `same_network` or `auto_approve`. */
    readonly reason: string;
  };
  "handshake.approved": FromPeer;
  "handshake.rejected": FromPeer & { readonly reason: string };
  "handshake.rejected_by_peer": FromPeer & { readonly reason: string };
  "trust.revoked": FromPeer;
  "trust.revoked_by_peer": FromPeer;
  "trust.network_ended": FromPeer;
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
  "file.received": {
    readonly filename: string;
    /** Bytes. */
    readonly size: number;
    /** Where it is. */
    readonly path: string;
    /** Address of the sender. */
    readonly from: string;
  };
  "pubsub.subscribed": SubscriberEvent;
  "pubsub.unsubscribed": SubscriberEvent;
  "pubsub.overrun": SubscriberEvent;
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

/** Tells of an event; never throws. */
export type Emit = <K extends LifecycleEventName>(event: K, data: LifecycleEvents[K]) => void;

/** How an event is treated, and what it means. */
export interface LifecycleEventKind {
  /**
   * Level in the log: `info` for what happens seldom, `warn` for what an operator should look at, whose rate is bounded
   * as strangers can cause some of it, `debug` for all that is usual.
   */
  readonly level: "debug" | "info" | "warn";
  /** One sentence. */
  readonly about: string;
}

/** Every lifecycle event. */
export const LIFECYCLE_EVENTS: { readonly [K in LifecycleEventName]: LifecycleEventKind } = {
  "node.registered": { level: "info", about: "The registry has taken this node in." },
  "node.reregistered": { level: "info", about: "The registry has taken this node in again." },
  "network.invited": { level: "info", about: "A member invites this node to a network." },
  "network.peer_left": {
    level: "info",
    about: "A peer has left a network that it shared with us.",
  },
  "tunnel.established": { level: "info", about: "A peer has proven its key." },
  "tunnel.path_changed": { level: "info", about: "Frames to a peer take another path." },
  "tunnel.endpoint_proven": {
    level: "info",
    about: "The beacon has verified that our endpoint is ours.",
  },
  "conn.syn_received": { level: "debug", about: "A peer opens a connection." },
  "conn.established": { level: "debug", about: "A connection that a peer opened is established." },
  "syn.rejected": { level: "debug", about: "A peer without consent wanted to open a connection." },
  "datagram.rejected": { level: "debug", about: "A peer without consent sent a datagram." },
  "security.syn_rate_limited": { level: "warn", about: "A peer opens connections too fast." },
  "security.key_mismatch": { level: "warn", about: "A key was offered that is not the peer's." },
  "handshake.received": { level: "info", about: "A peer asks for trust." },
  "handshake.pending": { level: "info", about: "A request for trust waits for a decision." },
  "handshake.auto_approved": {
    level: "info",
    about: "A request for trust was accepted by a rule.",
  },
  "handshake.approved": { level: "info", about: "A request for trust was accepted here." },
  "handshake.rejected": { level: "info", about: "A request for trust was declined here." },
  "handshake.rejected_by_peer": { level: "info", about: "A peer declined our request for trust." },
  "trust.revoked": { level: "info", about: "Trust was ended here." },
  "trust.revoked_by_peer": { level: "info", about: "A peer has ended trust." },
  "trust.network_ended": {
    level: "info",
    about: "Trust ended with the common network it came from.",
  },
  "message.received": { level: "debug", about: "A message is in the inbox." },
  "file.received": { level: "debug", about: "A file has arrived." },
  "pubsub.subscribed": { level: "debug", about: "A peer subscribes to a topic of our broker." },
  "pubsub.unsubscribed": { level: "debug", about: "A subscription at our broker has ended." },
  "pubsub.overrun": { level: "warn", about: "A subscriber does not keep up and was dropped." },
  "pubsub.published": { level: "debug", about: "An event was published at our broker." },
};

/** The names of all lifecycle events, in the order of the table. */
export const LIFECYCLE_EVENT_NAMES: readonly LifecycleEventName[] = Object.keys(
  LIFECYCLE_EVENTS,
) as LifecycleEventName[];

/** One event as subscribers get it. */
export interface LifecycleEvent<K extends LifecycleEventName = LifecycleEventName> {
  /** Rises by one with each event since the start of the daemon, from 1. */
  readonly id: number;
  readonly name: K;
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly data: LifecycleEvents[K];
}
