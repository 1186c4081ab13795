import assert from "node:assert/strict";
import { DeadlineQueue } from "../../../protocol/deadline_queue.ts";
import { PathSizes } from "../../../protocol/tunnel/path_sizes.ts";
import { PeerTable } from "../../../protocol/tunnel/peer_table.ts";
import { PeerTunnel } from "../../../protocol/tunnel/peer_tunnel.ts";
import { FRAME_OVERHEAD_BYTES, TunnelSender } from "../../../protocol/tunnel/tunnel_sender.ts";
import { Session } from "../../../protocol/tunnel/tunnel_session.ts";
import { MAX_SEGMENT_BYTES, PATH_ANSWER_RATE } from "../../../protocol/tunnel/tunnel_limits.ts";
import { RelayTransport, type Transport } from "../../../protocol/tunnel/frame_transport.ts";
import { newTunnelStats } from "../../../protocol/tunnel/tunnel_stats.ts";
import { NonceSequence } from "../../../protocol/crypto/mod.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import { PILS_HEADER_BYTES, PILS_OVERHEAD_BYTES } from "../../../protocol/tunnel/frame.ts";
import { ACK, decodePacket, type Packet, PROTO_CONTROL } from "../../../protocol/packet.ts";
import { encodePathProbe, PATH_ANSWER_BYTES, PATH_BASE_BYTES } from "../../../protocol/path/mod.ts";

const ENDPOINT = { host: "192.0.2.7", port: 4000 };
const NOW = 1_000;
const PATHS = { mode: "auto", random: (out: Uint8Array) => void out.fill(7) } as const;
const ROUTE = { via: "direct", endpoint: ENDPOINT } as const;
const TAG_BYTES = 16;

/** The sizes with a peer whose frames are not encrypted, so that the test can read them. */
function setUp(isReliable = false) {
  const deadlines = new DeadlineQueue();
  const sent: Packet[] = [];
  const direct: Transport = {
    ...{ kind: "memory", maxBytes: Infinity, isReliable: false, forbidsFragments: true },
    ...{ isUp: true, headerBytes: 0 },
    acquire: (bytes) => new Uint8Array(bytes),
    send: (buffer, length) => {
      const packet = decodePacket(buffer.subarray(PILS_HEADER_BYTES, length - TAG_BYTES));
      assert.ok(!(packet instanceof DecodeError));
      sent.push(packet);
    },
  };
  const sender = new TunnelSender({
    transports: { direct, relay: new RelayTransport(direct, () => undefined) },
    stats: newTunnelStats(),
  });
  sender.setSelf(5);
  const changed: number[] = [];
  const peers = new PeerTable({ mode: "auto", random: (out) => out.fill(9) });
  let next = 1;
  const sizes = new PathSizes({
    deadlines,
    sender,
    random: (out) => out.fill(next++),
    maxSegmentBytes: undefined,
    transport: { ...direct, isReliable },
    sizesChanged: ({ node }) => void changed.push(node),
    peers,
    now: NOW,
  });
  const peer = peers.make(7, NOW)!;
  const session = new Session({
    peerKey: new Uint8Array(32),
    aead: { name: "none", seal: () => {}, open: () => true, destroy: () => {} },
    nonces: NonceSequence.start((out) => out.fill(1)),
    expectsKeepalives: false,
    origin: ROUTE,
    now: NOW,
  });
  peer.addCandidate(session);
  peer.open(new Uint8Array(PILS_OVERHEAD_BYTES), NOW);
  assert.equal(peer.live, session, "proven by any frame, as nothing is encrypted");
  peer.paths.heard(ROUTE, NOW, true);
  peer.paths.sent(NOW, false, true);
  /** An answer as peers of any age give it. */
  const answer = (probe: Packet, payload: Uint8Array): Packet => ({
    ...probe,
    ...{ flags: ACK, srcNode: 7, dstNode: 5, srcPort: 0, dstPort: probe.srcPort, payload },
  });
  return { deadlines, sizes, peer, peers, sent, changed, answer };
}

Deno.test("PathSizes counts the whole echo of an older peer and the short answer of a new one", () => {
  for (const bytes of [undefined, PATH_ANSWER_BYTES]) {
    const { sizes, peer, peers, sent, changed, answer } = setUp();
    sizes.demand(peer);
    for (let i = 0; i < 3; i++) {
      const probe = sent.at(-1)!;
      assert.equal(probe.protocol, PROTO_CONTROL);
      assert.deepEqual([probe.flags, probe.dstPort], [0, 0]);
      const echo = probe.payload.slice(0, bytes);
      assert.ok(sizes.onPacket(peer, answer(probe, echo), ROUTE, NOW));
    }
    assert.equal(sent[0]!.payload.length + FRAME_OVERHEAD_BYTES, PATH_BASE_BYTES);
    assert.equal(sizes.segmentBytes(peer), sent[2]!.payload.length);
    assert.deepEqual(changed, [7, 7], "the base is no change");
    peers.close();
  }
});

Deno.test("PathSizes counts an answer once, and none that it did not ask for", () => {
  const { sizes, peer, peers, sent, changed, answer } = setUp();
  sizes.demand(peer);
  const base = sent[0]!;
  const forged = encodePathProbe(new Uint8Array(6).fill(99), 2_000);
  assert.ok(
    sizes.onPacket(peer, answer(base, forged), ROUTE, NOW),
    "it is none of the others' business",
  );
  assert.equal(sent.length, 1);
  sizes.onPacket(peer, answer(base, base.payload), ROUTE, NOW);
  sizes.onPacket(peer, answer(base, base.payload), ROUTE, NOW);
  assert.equal(sent.length, 2);
  sizes.suspect(peer, NOW);
  assert.deepEqual(changed, [], "at the base there is nothing to suspect");
  const other = new PeerTunnel(9, 0, PATHS);
  sizes.onPacket(other, answer(sent[1]!, sent[1]!.payload), ROUTE, NOW);
  assert.deepEqual(changed, [], "another peer's answer does not count");
  peers.close();
});

Deno.test("PathSizes answers from before a suspicion do not end it", () => {
  const { sizes, peer, peers, sent, changed, answer } = setUp();
  sizes.demand(peer);
  for (let i = 0; i < 2; i++) {
    sizes.onPacket(peer, answer(sent.at(-1)!, sent.at(-1)!.payload), ROUTE, NOW);
  }
  const late = sent.at(-1)!;
  assert.ok(late.payload.length > sizes.segmentBytes(peer));
  sizes.suspect(peer, NOW);
  sizes.onPacket(peer, answer(late, late.payload), ROUTE, NOW);
  assert.equal(sizes.segmentBytes(peer) + FRAME_OVERHEAD_BYTES, PATH_BASE_BYTES);
  assert.equal(changed.length, 2);
  peers.close();
});

Deno.test("PathSizes answers probes by the route they came by, short, and at a limited rate", () => {
  const { sizes, peer, sent, answer } = setUp();
  const probe = { ...answer(packetFrom(7), encodePathProbe(new Uint8Array(6).fill(3), 9_000)) };
  const question: Packet = { ...probe, flags: 0, srcPort: 1, dstPort: 0, seq: 41 };
  for (let i = 0; i < PATH_ANSWER_RATE.burst + 10; i++) {
    assert.ok(sizes.onPacket(peer, question, ROUTE, NOW));
  }
  assert.equal(sent.length, PATH_ANSWER_RATE.burst);
  const { flags, srcNode, dstNode, srcPort, dstPort, ack, payload } = sent[0]!;
  assert.deepEqual([flags, srcNode, dstNode, srcPort, dstPort, ack], [ACK, 5, 7, 0, 1, 42]);
  assert.deepEqual(payload, question.payload.slice(0, PATH_ANSWER_BYTES));
});

Deno.test("PathSizes leaves every other packet to the others", () => {
  const { sizes, peer } = setUp();
  const packet = packetFrom(7);
  assert.equal(sizes.onPacket(peer, packet, ROUTE, NOW), false);
  const payload = new TextEncoder().encode("pathprobe.v1");
  assert.equal(sizes.onPacket(peer, { ...packet, payload }, ROUTE, NOW), false);
});

Deno.test("PathSizes starts over when the peer is at another host", () => {
  const { sizes, peer, peers, sent, answer, deadlines } = setUp();
  sizes.demand(peer);
  for (let i = 0; i < 2; i++) {
    sizes.onPacket(peer, answer(sent.at(-1)!, sent.at(-1)!.payload), ROUTE, NOW);
  }
  assert.ok(sizes.segmentBytes(peer) + FRAME_OVERHEAD_BYTES > PATH_BASE_BYTES);
  peer.paths.restarted(
    { via: "direct", endpoint: { host: "192.0.2.99", port: 4000 } },
    NOW,
  );
  assert.equal(sizes.segmentBytes(peer) + FRAME_OVERHEAD_BYTES, PATH_BASE_BYTES);
  assert.equal(sizes.pathMtu(peer), PATH_BASE_BYTES + 28);
  sizes.demand(peer);
  assert.equal(sent.at(-1)!.payload.length + FRAME_OVERHEAD_BYTES, PATH_BASE_BYTES);
  peers.close();
  assert.equal(deadlines.size, 0, "no deadline is left");
});

Deno.test("PathSizes probes nothing on a reliable transport, which takes what it takes", () => {
  const { sizes, peer, peers, sent, deadlines } = setUp(true);
  sizes.demand(peer);
  assert.deepEqual([sent, deadlines.size], [[], 0]);
  assert.equal(sizes.segmentBytes(peer), MAX_SEGMENT_BYTES);
  peers.close();
});

function packetFrom(node: number): Packet {
  return {
    ...{ flags: 0, protocol: PROTO_CONTROL, srcNetwork: 0, srcNode: node, dstNetwork: 0 },
    ...{ dstNode: 5, srcPort: 1, dstPort: 0, seq: 0, ack: 0, window: 0 },
    payload: new Uint8Array(0),
  };
}
