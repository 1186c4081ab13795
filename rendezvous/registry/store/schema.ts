/**
 * The tables of a registry database, as a list of migrations. A published migration is never edited: a change
 * is a new entry at the end.
 *
 * @module
 */

/** Marks a SQLite file as ours ("PLT1"), so that another program's database is never touched. */
export const APPLICATION_ID = 0x504c5431;

/**
 * Step `n` leads from schema version `n` to `n + 1`. Uniqueness of keys and hostnames is kept by the memory
 * index that answers every request; a unique index here could fail halfway through a batch in which two nodes
 * swap names, and is checked at load instead.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('next_node', 1);
  CREATE TABLE nodes (
    id INTEGER PRIMARY KEY,
    public_key TEXT NOT NULL,
    proven INTEGER NOT NULL,
    state INTEGER NOT NULL,
    owner TEXT NOT NULL,
    real_addr TEXT NOT NULL,
    lan_addrs TEXT NOT NULL,
    relay_only INTEGER NOT NULL,
    hostname TEXT NOT NULL,
    tags TEXT NOT NULL,
    public INTEGER NOT NULL,
    task_exec INTEGER NOT NULL,
    version TEXT NOT NULL,
    offline_since INTEGER NOT NULL,
    key_created INTEGER NOT NULL,
    key_rotated INTEGER NOT NULL,
    key_rotations INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE trust (
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    by_low INTEGER NOT NULL,
    by_high INTEGER NOT NULL,
    PRIMARY KEY (low, high)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE handshake_requests (
    target INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    justification TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (target, sender)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE handshake_responses (
    target INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    accept INTEGER NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (target, sender)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE nodes ADD COLUMN polo_score INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE nodes ADD COLUMN key_expires INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE nodes ADD COLUMN external_id TEXT NOT NULL DEFAULT '';
  INSERT INTO meta VALUES ('next_network', 1);
  CREATE TABLE networks (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    join_rule TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    admin_token_hash TEXT NOT NULL,
    enterprise INTEGER NOT NULL,
    max_members INTEGER NOT NULL,
    allowed_ports TEXT NOT NULL,
    description TEXT NOT NULL,
    rules TEXT NOT NULL,
    expr_policy TEXT NOT NULL,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE members (
    network INTEGER NOT NULL,
    node INTEGER NOT NULL,
    position INTEGER NOT NULL,
    role TEXT NOT NULL,
    tags TEXT NOT NULL,
    PRIMARY KEY (network, node)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE invites (
    target INTEGER NOT NULL,
    network INTEGER NOT NULL,
    inviter INTEGER NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (target, network)
  ) STRICT, WITHOUT ROWID;
  `,
  // The columns by_low, by_high and accept held 0 or 1 before; both mean the same in the longer lists of today.
  `
  ALTER TABLE handshake_requests ADD COLUMN message TEXT NOT NULL DEFAULT '';
  ALTER TABLE handshake_responses ADD COLUMN message TEXT NOT NULL DEFAULT '';
  `,
  `
  ALTER TABLE nodes ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE bans (
    network INTEGER NOT NULL,
    node INTEGER NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (network, node)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  INSERT INTO meta VALUES ('sequence', 0);
  `,
];

/** The schema version this program reads and writes. */
export const SCHEMA_VERSION: number = MIGRATIONS.length;
