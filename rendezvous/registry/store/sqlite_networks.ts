/**
 * The statements of networks, memberships and invitations in the registry database.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { banRow, inviteRow, memberRow, networkRow, whole } from "./rows.ts";
import type { NetworkRow, StoreBatch, StoreReader } from "./store.ts";

/** A part of `SqliteStore`, inside whose transactions everything happens. */
export class NetworkStatements {
  readonly #db: DatabaseSync;
  readonly #putMeta: StatementSync;
  readonly #putNetwork: StatementSync;
  readonly #dropNetwork: StatementSync;
  readonly #putMember: StatementSync;
  readonly #dropMember: StatementSync;
  readonly #dropMembers: StatementSync;
  readonly #putInvite: StatementSync;
  readonly #dropInvite: StatementSync;
  readonly #putBan: StatementSync;
  readonly #dropBan: StatementSync;
  readonly #dropBans: StatementSync;
  #storedNextNetwork = 0;

  /** @param db A database of the current schema. */
  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#putMeta = db.prepare("UPDATE meta SET value = ? WHERE name = 'next_network'");
    this.#putNetwork = db.prepare(
      `INSERT OR REPLACE INTO networks VALUES (${Array(12).fill("?").join()})`,
    );
    this.#dropNetwork = db.prepare("DELETE FROM networks WHERE id = ?");
    this.#putMember = db.prepare("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?)");
    this.#dropMember = db.prepare("DELETE FROM members WHERE network = ? AND node = ?");
    this.#dropMembers = db.prepare("DELETE FROM members WHERE network = ?");
    this.#putInvite = db.prepare("INSERT OR REPLACE INTO invites VALUES (?, ?, ?, ?)");
    this.#putBan = db.prepare("INSERT OR REPLACE INTO bans VALUES (?, ?, ?)");
    this.#dropBan = db.prepare("DELETE FROM bans WHERE network = ? AND node = ?");
    this.#dropBans = db.prepare("DELETE FROM bans WHERE network = ?");
    this.#dropInvite = db.prepare("DELETE FROM invites WHERE target = ? AND network = ?");
  }

  /** Reads every row. Throws when one is malformed. */
  load(reader: StoreReader): void {
    const db = this.#db;
    const meta = db.prepare("SELECT value FROM meta WHERE name = 'next_network'").get();
    this.#storedNextNetwork = whole(meta?.["value"]);
    reader.nextNetwork(this.#storedNextNetwork);
    for (const row of db.prepare("SELECT * FROM networks").iterate()) {
      reader.network(networkRow(row));
    }
    // The order decides who comes next when a network needs an owner.
    const members = db.prepare("SELECT * FROM members ORDER BY network, position, node");
    for (const row of members.iterate()) reader.member(memberRow(row));
    for (const row of db.prepare("SELECT * FROM invites").iterate()) {
      reader.invite(inviteRow(row));
    }
    for (const row of db.prepare("SELECT * FROM bans").iterate()) reader.ban(banRow(row));
  }

  /** Writes a batch. */
  write(batch: StoreBatch): void {
    if (batch.nextNetwork !== this.#storedNextNetwork) this.#putMeta.run(batch.nextNetwork);
    for (const network of batch.networks) this.#writeNetwork(network);
    for (const [network, node] of batch.membersRemoved) this.#dropMember.run(network, node);
    for (const { network, node, position, role, tags } of batch.members) {
      this.#putMember.run(network, node, position, role, JSON.stringify(tags));
    }
    for (const [target, network] of batch.invitesRemoved) this.#dropInvite.run(target, network);
    for (const { target, network, inviter, created } of batch.invites) {
      this.#putInvite.run(target, network, inviter, created);
    }
    for (const [network, node] of batch.bansRemoved) this.#dropBan.run(network, node);
    for (const { network, node, created } of batch.bans) this.#putBan.run(network, node, created);
    // Last: a network may have been made or changed and deleted in one batch.
    for (const network of batch.networksRemoved) {
      this.#dropMembers.run(network);
      this.#dropBans.run(network);
      this.#dropNetwork.run(network);
    }
  }

  #writeNetwork(network: NetworkRow): void {
    this.#putNetwork.run(
      network.id,
      network.name,
      network.joinRule,
      network.tokenHash,
      network.adminTokenHash,
      Number(network.enterprise),
      network.maxMembers,
      JSON.stringify(network.allowedPorts),
      network.description,
      network.rules,
      network.exprPolicy,
      network.created,
    );
  }

  /** The batch is on disk. */
  stored(batch: StoreBatch): void {
    this.#storedNextNetwork = batch.nextNetwork;
  }
}
