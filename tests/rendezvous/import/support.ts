/** A snapshot as an existing registry writes it (docs/protocol/registry.md §6). */

import { createHash } from "node:crypto";

/** The key of node `id`: base64 of 32 bytes. */
export function keyOf(id: number): string {
  const bytes = new Uint8Array(32).fill(7);
  new DataView(bytes.buffer).setUint32(0, id);
  return btoa(String.fromCharCode(...bytes));
}

/** A snapshot, whose fields tests change with {@linkcode put}. */
export type Snapshot = Record<string, unknown>;

/** The object at a path, or undefined when there is none. */
export function pick(snapshot: Snapshot, path: readonly (string | number)[]): Snapshot | undefined {
  let at = snapshot;
  for (const name of path) {
    const next = at[name];
    if (typeof next !== "object" || next === null) return undefined;
    at = next as Snapshot;
  }
  return at;
}

/** Sets the member at the end of a path, or removes it when the value is undefined. */
export function put(snapshot: Snapshot, path: readonly (string | number)[], value: unknown): void {
  const at = pick(snapshot, path.slice(0, -1));
  if (at === undefined) return; // an earlier change took it away
  const last = path.at(-1)!;
  if (value === undefined) delete at[last];
  else at[last] = value;
}

/** Three registered nodes, one that is gone, two networks, trust and full inboxes. */
export function sample(now: Date = new Date()): Snapshot {
  const time = now.toISOString();
  return {
    version: 1,
    next_node: 9,
    next_net: 6,
    nodes: {
      "1": {
        id: 1,
        owner: "ann@example.org",
        public_key: keyOf(1),
        real_addr: "192.0.2.1:4000",
        networks: [0, 3],
        public: true,
        last_seen: time,
        hostname: "alpha",
        tags: ["ml", "gpu"],
        polo_score: -5,
        task_exec: true,
        lan_addrs: ["10.0.0.5:4000", "nonsense"],
        key_created: "2025-01-01T00:00:00.5+02:00",
        key_rotated: "2025-06-01T00:00:00Z",
        key_rot_count: 2,
        key_expires: "2099-01-01T00:00:00Z",
        external_id: "ann",
        version: "v1.9.0",
        endpoints: [{ network: "tcp", addr: "192.0.2.1:1" }],
      },
      "2": { id: 2, public_key: keyOf(2), networks: [0, 3, 5], last_seen: time },
      "5": { id: 5, public_key: keyOf(5), networks: null, last_seen: time, tags: null },
    },
    networks: {
      "0": { id: 0, name: "backbone", join_rule: "open", members: [1, 2, 5], created: time },
      "3": {
        id: 3,
        name: "corp",
        join_rule: "invite",
        members: [2, 1, 7],
        member_roles: { "1": "owner", "2": "admin", "7": "member" },
        member_tags: { "2": ["ops"] },
        admin_token: "net admin",
        policy: { max_members: 10, allowed_ports: [80, 443], description: "the firm" },
        rules: {
          links: 3,
          cycle: "24h",
          prune: 1,
          prune_by: "score",
          fill: 1,
          fill_how: "random",
        },
        expr_policy: { version: 1, rules: [{ on: "connect", when: "true" }] },
        enterprise: true,
        request_count: 12,
        created: "2025-02-01T00:00:00Z",
      },
      "5": {
        id: 5,
        name: "club",
        join_rule: "token",
        token: "sesame",
        members: [2],
        created: time,
      },
    },
    trust_pairs: ["1:2", "5:1", "1:8"],
    pub_key_idx: { [keyOf(1)]: 1, [keyOf(2)]: 2, [keyOf(5)]: 5, [keyOf(7)]: 7 },
    handshake_inbox: {
      "5": [{ from_node_id: 2, justification: "hello", timestamp: time, public_key: keyOf(2) }],
    },
    handshake_responses: {
      "1": [
        { from_node_id: 5, accept: false, timestamp: time },
        { from_node_id: 5, accept: true, timestamp: time },
      ],
    },
    invite_inbox: { "5": [{ network_id: 3, inviter_id: 1, timestamp: time }] },
    total_requests: 1234,
    start_time: time,
    hourly_history: [{ ts: time, total_nodes: 3 }],
    audit_log: [{ timestamp: time, action: "node.registered" }],
  };
}

/** The file: the JSON with its checksum appended as the last member. */
export function withChecksum(snapshot: Snapshot): string {
  const json = JSON.stringify(snapshot);
  const digest = createHash("sha256").update(json).digest("hex");
  return `${json.slice(0, -1)},"checksum":"${digest}"}`;
}
