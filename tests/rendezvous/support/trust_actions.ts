/**
 * What nodes say about each other to a registry, for tests.
 *
 * @module
 */

import { challenges } from "./challenges.ts";
import type { RawClient, Reply, TestNode } from "./client.ts";

/** Requests of one node about another. */
export class Actions {
  readonly #client: RawClient;

  constructor(client: RawClient) {
    this.#client = client;
  }

  async #send(node: TestNode, challenge: Uint8Array, request: object): Promise<Reply> {
    return await this.#client.call({ ...request, signature: await node.sign(challenge) });
  }

  report(node: TestNode, peer: number): Promise<Reply> {
    const challenge = challenges.reportTrust(node.id, peer);
    return this.#send(node, challenge, { type: "report_trust", node_id: node.id, peer_id: peer });
  }

  revoke(node: TestNode, peer: number, message?: string): Promise<Reply> {
    const challenge = challenges.revokeTrust(node.id, peer);
    const request = { type: "revoke_trust", node_id: node.id, peer_id: peer, message };
    return this.#send(node, challenge, request);
  }

  request(
    node: TestNode,
    target: number,
    justification: unknown,
    message?: string,
  ): Promise<Reply> {
    return this.#send(node, challenges.handshake(node.id, target), {
      type: "request_handshake",
      from_node_id: node.id,
      to_node_id: target,
      justification,
      message,
    });
  }

  respond(node: TestNode, peer: number, accept: unknown, message?: string): Promise<Reply> {
    return this.#send(node, challenges.respondHandshake(node.id, peer), {
      type: "respond_handshake",
      node_id: node.id,
      peer_id: peer,
      accept,
      message,
    });
  }

  poll(node: TestNode, ack?: unknown): Promise<Reply> {
    const challenge = challenges.pollHandshakes(node.id);
    return this.#send(node, challenge, { type: "poll_handshakes", node_id: node.id, ack });
  }

  resolve(node: TestNode, target: number): Promise<Reply> {
    const challenge = challenges.resolve(node.id, target);
    const request = { type: "resolve", requester_id: node.id, node_id: target };
    return this.#send(node, challenge, request);
  }

  async mayResolve(node: TestNode, target: TestNode): Promise<boolean> {
    return (await this.resolve(node, target.id))["type"] === "resolve_ok";
  }

  deregister(node: TestNode): Promise<Reply> {
    const challenge = challenges.deregister(node.id);
    return this.#send(node, challenge, { type: "deregister", node_id: node.id });
  }

  /** As one of the two hears it: their signatures came on this connection. */
  async trusted(a: number, b: number): Promise<unknown> {
    const reply = await this.#client.ok({ type: "check_trust", node_id: a, peer_id: b });
    return reply["trusted"];
  }
}
