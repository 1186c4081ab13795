/** Requests signed as a whole, by hand, so that the client of the daemon is not tested against itself. */

import assert from "node:assert/strict";
import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import {
  type WholeOffer,
  wholeOfferOf,
  wholeRequestBytes,
} from "../../../protocol/registry/whole_signature.ts";
import type { Reply, TestNode } from "./client.ts";

/** Marks a request that the node is to sign as a whole when it is sent. Copies of it are marked, too. */
export const WHOLE_BY = Symbol("signed as a whole by");

/** Marks a request with the wire's signature by a node, which is also signed as a whole once the node is held to that. */
export const SIGNED_BY = Symbol("signed by");

/** What sends requests on one connection. */
export interface Caller {
  call(request: object): Promise<Reply>;
}

/** A request. */
export interface Request {
  type: string;
  [name: string]: unknown;
}

const COUNTS = new WeakMap<Caller, { challenge: string; seq: number }>();

/** The registry's key and challenge on a connection. */
export async function offerOn(client: Caller): Promise<WholeOffer> {
  const offer = wholeOfferOf(await client.call({ type: "heartbeat", auth: { v: 1 } }));
  assert.ok(offer !== undefined, "the registry offers no whole signatures");
  return offer;
}

/** Field `auth` over a request. */
export async function authFor(
  node: TestNode,
  { key, challenge }: WholeOffer,
  seq: number,
  request: object,
): Promise<Reply> {
  const bytes = wholeRequestBytes(key, challenge, seq, { ...request });
  assert.ok(bytes !== undefined);
  const sig = encodeBase64(await node.identity.sign(bytes));
  return { v: 1, key: node.identity.publicKeyBase64, challenge, seq, sig };
}

/** Signs a request as a whole, to be the next such on this connection. */
export async function whole(
  client: Caller,
  node: TestNode,
  request: Request,
): Promise<Request> {
  const offer = await offerOn(client);
  let count = COUNTS.get(client);
  if (count?.challenge !== offer.challenge) {
    COUNTS.set(client, count = { challenge: offer.challenge, seq: 0 });
  }
  // As JSON carries it: without what is undefined.
  node.isHeld = true;
  const sent = JSON.parse(JSON.stringify(request)) as Request;
  return { ...sent, auth: await authFor(node, offer, ++count.seq, sent) };
}

/** Signs a request as a whole if its marks say so; any other stays as it is. */
export async function signMarked(client: Caller, request: object): Promise<object> {
  const marks = request as { [WHOLE_BY]?: TestNode; [SIGNED_BY]?: TestNode };
  const usual = marks[SIGNED_BY];
  const node = marks[WHOLE_BY] ?? (usual?.isHeld === true ? usual : undefined);
  return node === undefined ? request : await whole(client, node, request as Request);
}
