/** Floods in the name of a trusted peer must not keep the peer itself out. */

import assert from "node:assert/strict";
import { Identity, KeyPair } from "../../../protocol/crypto/mod.ts";
import {
  encodePila,
  encodePilk,
  pilaChallenge,
  writePilsHeader,
} from "../../../protocol/tunnel/frame.ts";
import type { TestNode } from "../harness/node.ts";
import { World } from "../harness/world.ts";

/** What stands in the frames of a flood. */
type Kind = "other key" | "copied key" | "copied PILA" | "PILK" | "PILS";
const KINDS: readonly Kind[] = ["other key", "copied key", "copied PILA", "PILK", "PILS"];

/** A frame in the name of a node, by somebody who knows what anybody can know of it. */
async function forged(kind: Kind, victim: TestNode): Promise<Uint8Array> {
  const { node } = victim;
  const x25519 = (await KeyPair.generate()).publicKey;
  const liar = await Identity.generate();
  const signature = await liar.sign(pilaChallenge(node, x25519));
  switch (kind) {
    case "other key":
      return encodePila({ sender: node, x25519, ed25519: liar.publicKey, signature });
    case "copied key": {
      const ed25519 = victim.identity.publicKey;
      return encodePila({ sender: node, x25519, ed25519, signature, request: true });
    }
    case "copied PILA": {
      const ed25519 = victim.identity.publicKey;
      const old = (await KeyPair.generate()).publicKey;
      const genuine = await victim.identity.sign(pilaChallenge(node, old));
      return encodePila({ sender: node, x25519: old, ed25519, signature: genuine, request: true });
    }
    case "PILK":
      return encodePilk(node, x25519);
    case "PILS": {
      const frame = new Uint8Array(100);
      writePilsHeader(frame, 0, node, 1, 1);
      return frame;
    }
  }
}

for (const kind of KINDS) {
  for (const sources of [1, 1_000]) {
    for (const isDirect of [true, false]) {
      const way = isDirect ? "directly" : "through the beacon alone";
      Deno.test(`1,000 frames a second (${kind}) from ${sources} addresses: a restarted trusted peer is back ${way} within a second`, async () => {
        await using world = new World();
        const a = await world.node(5, { isPublic: false });
        let b = await world.node(7, { isPublic: false });
        for (const [one, other] of [[a, b], [b, a]] as const) {
          one.trusted.add(other.node);
          one.pinned.set(other.node, other.identity.publicKey);
        }
        const frames = await Promise.all(Array.from({ length: 20 }, () => forged(kind, b)));
        await world.meet(a, b);
        if (!isDirect) {
          const hosts = [a.endpoint.host, b.endpoint.host];
          world.net.drop = ({ from, to }) => hosts.includes(from.host) && hosts.includes(to.host);
        }
        let sent = 0;
        const flood = () => {
          for (let i = 0; i < 10; i++, sent++) {
            const source = sent % sources;
            const host = `198.51.${100 + (source >> 8)}.${source & 255}`;
            world.net.inject(frames[sent % frames.length]!, { host, port: 9 }, a.endpoint);
          }
        };
        // For as long as it may take, and some time before.
        for (let i = 0; i < 100; i++) {
          flood();
          await world.run(10);
        }
        await b.kill();
        b = await b.restart();
        b.trusted.add(5);
        b.pinned.set(5, a.identity.publicKey);
        const startMs = world.clock.now();
        const ping = b.control.ping({ network: 0, node: 5 }, { timeoutMs: 20_000 });
        let tookMs: number | undefined;
        ping.then(() => tookMs = world.clock.now() - startMs, () => {});
        while (tookMs === undefined && world.clock.now() - startMs < 20_000) {
          flood();
          await world.run(10);
        }
        assert.ok(tookMs !== undefined && tookMs < 1_000, `${tookMs} ms`);
      });
    }
  }
}
