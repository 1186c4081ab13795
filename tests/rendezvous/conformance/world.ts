/**
 * The world in which every request is tried: four nodes, two networks, and raw connections in both modes.
 *
 * @module
 */

import assert from "node:assert/strict";
import { challenges } from "../support/challenges.ts";
import type { Rendezvous } from "../../../rendezvous/mod.ts";
import { jsonFrame, RawClient, registered, type Reply, type TestNode } from "../support/client.ts";
import { signMarked } from "../support/whole.ts";
import { withServer } from "../support/server.ts";
import type { ManualClock } from "../../support/manual_clock.ts";

/** How requests are sent: JSON frames, or JSON within binary frames (docs/protocol/registry.md §1.3, §1.4). */
export type Mode = "json" | "binary";
/** Both. */
export const MODES: readonly Mode[] = ["json", "binary"];
/** The global admin token. */
export const ADMIN = "global token of the tests";
/** The admin token of the enterprise network. */
export const NETWORK_ADMIN = "network token of the tests";
/** The token with which the open-by-token network is joined. */
export const JOIN_TOKEN = "join token of the tests";

const PREAMBLE = Uint8Array.of(0x50, 0x49, 0x4c, 0x54, 0x01);
const JSON_TYPE = 0x00;

/** Everybody and everything a request can be about. */
export class World {
  readonly server: Rendezvous;
  readonly clock: ManualClock;
  /** Owner of both networks. */
  readonly owner: TestNode;
  /** Member of both networks, trusts the owner and is trusted. */
  readonly member: TestNode;
  /** In no network, trusts nobody. */
  readonly stranger: TestNode;
  /** As the stranger, but public. */
  readonly open: TestNode;
  /** An ordinary network, joined by token. */
  readonly network: number;
  /** An enterprise network, by invitation. */
  readonly enterprise: number;
  /** A connection that sets things up. */
  readonly client: RawClient;

  constructor(parts: Omit<World, "call">) {
    this.server = parts.server;
    this.clock = parts.clock;
    this.owner = parts.owner;
    this.member = parts.member;
    this.stranger = parts.stranger;
    this.open = parts.open;
    this.network = parts.network;
    this.enterprise = parts.enterprise;
    this.client = parts.client;
  }

  /** Sends a request on a connection of its own, byte by byte as §1 has it, and reads the reply. */
  async call(mode: Mode, request: object): Promise<Reply> {
    using client = await RawClient.open(this.server.registryAddr);
    if (mode === "binary") await client.write(PREAMBLE);
    const caller = { call: (sent: object) => this.#send(client, mode, sent) };
    return await caller.call(await signMarked(caller, request));
  }

  async #send(client: RawClient, mode: Mode, request: object): Promise<Reply> {
    const body = JSON.stringify(request);
    if (mode === "json") {
      await client.write(jsonFrame(body));
    } else {
      const text = new TextEncoder().encode(body);
      const frame = new Uint8Array(5 + text.length);
      new DataView(frame.buffer).setUint32(0, 1 + text.length);
      frame[4] = JSON_TYPE;
      frame.set(text, 5);
      await client.write(frame);
    }
    const frame = await client.readFrame();
    assert.ok(frame !== undefined, "the server closed the connection");
    if (mode === "binary") assert.equal(frame[0], JSON_TYPE, "a JSON frame is answered by one");
    return JSON.parse(new TextDecoder().decode(mode === "json" ? frame : frame.subarray(1)));
  }
}

/** Runs something in a new world. */
export async function inWorld(
  strict: boolean,
  body: (world: World) => Promise<void>,
): Promise<void> {
  await withServer(async ({ server, client, clock }) => {
    const [owner, member, stranger, open] = [
      await registered(client, { hostname: "owner", lan_addrs: ["10.0.0.1:4000"] }),
      await registered(client, { hostname: "member" }),
      await registered(client),
      await registered(client, { version: "v1" }),
    ];
    for (const [one, other] of [[owner, member], [member, owner]] as const) {
      const signature = await one.sign(challenges.reportTrust(one.id, other.id));
      await client.ok({ type: "report_trust", node_id: one.id, peer_id: other.id, signature });
    }
    await client.ok({
      ...{ type: "set_visibility", node_id: open.id, public: true },
      signature: await open.sign(challenges.setVisibility(open.id)),
    });
    const create = { type: "create_network", admin_token: ADMIN, node_id: owner.id };
    const plain = await client.ok({
      ...create,
      ...{ name: "plain", join_rule: "token", token: JOIN_TOKEN },
    });
    const invited = await client.ok({
      ...create,
      ...{ name: "invited", join_rule: "invite", enterprise: true },
      network_admin_token: NETWORK_ADMIN,
    });
    const [network, enterprise] = [Number(plain.network_id), Number(invited.network_id)];
    await client.ok({
      ...{ type: "join_network", node_id: member.id, network_id: network, token: JOIN_TOKEN },
      signature: await member.sign(challenges.joinNetwork(member.id, network)),
    });
    await client.ok({
      ...{ type: "invite_to_network", inviter_id: owner.id, target_node_id: member.id },
      network_id: enterprise,
      signature: await owner.sign(challenges.invite(owner.id, enterprise, member.id)),
    });
    await client.ok({
      ...{ type: "respond_invite", node_id: member.id, network_id: enterprise, accept: true },
      signature: await member.sign(challenges.respondInvite(member.id, enterprise)),
    });
    await body(
      new World({ server, clock, owner, member, stranger, open, network, enterprise, client }),
    );
  }, { adminToken: ADMIN, strict });
}
