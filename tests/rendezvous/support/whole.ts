/** Requests signed as a whole, by hand, so that the client of the daemon is not tested against itself. */

import assert from "node:assert/strict";
import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import {
  type WholeOffer,
  wholeOfferOf,
  wholeRequestBytes,
} from "../../../protocol/registry_whole.ts";
import type { RawClient, Reply, TestNode } from "./client.ts";

/** A request. */
export interface Request {
  type: string;
  [name: string]: unknown;
}

const COUNTS = new WeakMap<RawClient, { challenge: string; seq: number }>();

/** The registry's key and challenge on a connection. */
export async function offerOn(client: RawClient): Promise<WholeOffer> {
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
  client: RawClient,
  node: TestNode,
  request: Request,
): Promise<Request> {
  const offer = await offerOn(client);
  let count = COUNTS.get(client);
  if (count?.challenge !== offer.challenge) {
    COUNTS.set(client, count = { challenge: offer.challenge, seq: 0 });
  }
  // As JSON carries it: without what is undefined.
  const sent = JSON.parse(JSON.stringify(request)) as Request;
  return { ...sent, auth: await authFor(node, offer, ++count.seq, sent) };
}
