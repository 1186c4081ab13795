/** Who may be made to meet whom: a punch tells both sides the other's endpoint. */

import assert from "node:assert/strict";
import { encodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import { parseEndpoint } from "../../../protocol/ip.ts";
import { challenges } from "../support/challenges.ts";
import { type RawClient, registered, type TestNode } from "../support/client.ts";
import { withServer } from "../support/server.ts";

const DISCOVER_REPLY = 0x02;
const PUNCH_COMMAND = 0x04;

/** A node's UDP socket that has told the beacon where it is. */
class Endpoint implements Disposable {
  readonly #socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  readonly #beacon: Deno.NetAddr;
  readonly #node: number;

  constructor(beacon: string, node: number) {
    const { host, port } = parseEndpoint(beacon);
    this.#beacon = { transport: "udp", hostname: host, port };
    this.#node = node;
  }

  /** The types of what came before the answer to a question asked now. */
  async received(): Promise<number[]> {
    const discover = encodeBeacon({ type: "discover", node: this.#node, ex: false });
    await this.#socket.send(discover, this.#beacon);
    const types: number[] = [];
    for (;;) {
      const [data] = await this.#socket.receive();
      if (data[0] === DISCOVER_REPLY) return types;
      types.push(data[0]!);
    }
  }

  async requestPunch(target: TestNode): Promise<void> {
    const request = { type: "punch_request", requester: this.#node, target: target.id } as const;
    await this.#socket.send(encodeBeacon(request), this.#beacon);
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

async function trust(client: RawClient, node: TestNode, peer: TestNode): Promise<void> {
  await client.ok({
    type: "report_trust",
    node_id: node.id,
    peer_id: peer.id,
    signature: await node.sign(challenges.reportTrust(node.id, peer.id)),
  });
}

/** What both sides get when `a` asks to meet `b`. */
async function meet(beacon: string, a: TestNode, b: TestNode): Promise<number[][]> {
  using one = new Endpoint(beacon, a.id);
  using two = new Endpoint(beacon, b.id);
  await one.received();
  await two.received();
  await one.requestPunch(b);
  return [await one.received(), await two.received()];
}

Deno.test("nodes that may resolve each other are made to meet, strangers are not", () =>
  withServer(async ({ server, client }) => {
    const [a, b, c] = [
      await registered(client),
      await registered(client),
      await registered(client),
    ];
    await trust(client, a, b);
    await trust(client, b, a);
    assert.deepEqual(await meet(server.beaconAddr, a, b), [[PUNCH_COMMAND], [PUNCH_COMMAND]]);
    assert.deepEqual(await meet(server.beaconAddr, c, b), [[], []]);
  }));

Deno.test("nobody learns where a relay-only node is, not even nodes that it trusts", () =>
  withServer(async ({ server, client }) => {
    const [a, b] = [await registered(client), await registered(client, { relay_only: true })];
    await trust(client, a, b);
    await trust(client, b, a);
    assert.deepEqual(await meet(server.beaconAddr, a, b), [[], []]);
    assert.deepEqual(await meet(server.beaconAddr, b, a), [[], []]);
  }));
