/** The key exchange alone: what it copies, how long it remembers, what it lets wait, and what it wipes. */

import assert from "node:assert/strict";
import { wasmAead } from "../../../protocol/crypto/aead_wasm.ts";
import { NonceSequence } from "../../../protocol/crypto/nonce.ts";
import { Identity, KeyPair, verifySignature } from "../../../protocol/crypto/mod.ts";
import {
  decodeFrame,
  encodePila,
  PILA_BYTES,
  pilaChallenge,
  type PilaFields,
  PILS_HEADER_BYTES,
  PILS_OVERHEAD_BYTES,
} from "../../../protocol/tunnel/frame.ts";
import { RELAY_ROUTE, type Route } from "../../../protocol/path/mod.ts";
import { KeyExchange, type PilaRefusal } from "../../../daemon/tunnel/key_exchange.ts";
import type { Lane } from "../../../protocol/tunnel/lanes.ts";
import {
  KEX_RATE,
  MAX_EARLY_FRAMES,
  MAX_VERIFYING,
  type Verification,
  Verifications,
} from "../../../protocol/tunnel/verifications.ts";
import type { KeyVerdict } from "../../../daemon/tunnel/peer_keys.ts";
import { Session } from "../../../protocol/tunnel/tunnel_session.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { settle } from "../../support/settle.ts";

const ROUTE: Route = { via: "direct", endpoint: { host: "192.0.2.7", port: 4000 } };
const NODE = 7;

/** A session under a verified key. */
interface VerifiedPila extends Verification {
  readonly session: Session;
}

/** A key exchange, with what it asked for and which keys it derived. */
class Rig {
  readonly clock = new ManualClock();
  readonly asked: string[] = [];
  /** Every key that was derived, as it is now. */
  readonly derived: Uint8Array[] = [];
  /** Sequences of nonces begun. */
  sequences = 0;
  verdict: KeyVerdict | Error | Promise<KeyVerdict> = "ok";
  mayKnow = true;
  readonly kex: KeyExchange;
  readonly verifications: Verifications;
  readonly keyPair: KeyPair;

  constructor(keyPair: KeyPair, { maxNonces }: { maxNonces?: number } = {}) {
    this.keyPair = keyPair;
    const derive = keyPair.deriveTunnelKey.bind(keyPair);
    keyPair.deriveTunnelKey = async (peer) => {
      const key = await derive(peer);
      if (key !== undefined) this.derived.push(key);
      return key;
    };
    this.kex = new KeyExchange({
      keyPair,
      aead: wasmAead,
      keys: {
        check: async (node, shown) => {
          this.asked.push(`key of ${node}`);
          this.shown = shown.slice();
          if (this.verdict instanceof Error) throw this.verdict;
          return await this.verdict;
        },
      },
      visibility: {
        askMayKnow: (node) => {
          this.asked.push(`may ${node} know`);
          return Promise.resolve(this.mayKnow);
        },
      },
    });
    this.verifications = new Verifications({
      random: (out) => {
        this.sequences++;
        crypto.getRandomValues(out);
      },
      ...(maxNonces === undefined ? {} : { maxNonces }),
    });
  }

  /** The last key that was compared. */
  shown: Uint8Array | undefined;

  static async create(options: { maxNonces?: number } = {}): Promise<Rig> {
    return new Rig(await KeyPair.generate(), options);
  }

  /** As the tunnels do it. */
  async verify(
    pila: PilaFields,
    { lane = "known" as Lane, isExpected = true } = {},
  ): Promise<VerifiedPila | PilaRefusal | "busy"> {
    const verification = this.verifications.begin(pila, ROUTE, lane, isExpected);
    if (verification === undefined) return "busy";
    try {
      const result = await this.kex.verify(verification);
      if (typeof result === "string") return result;
      const session = this.verifications.session(verification, result, this.clock.now());
      return { ...verification, session };
    } finally {
      this.verifications.end(verification);
    }
  }
}

/** A peer that signs. */
class Peer {
  readonly identity: Identity;
  readonly keyPair: KeyPair;

  constructor(identity: Identity, keyPair: KeyPair) {
    this.identity = identity;
    this.keyPair = keyPair;
  }

  static async create(): Promise<Peer> {
    return new Peer(await Identity.generate(), await KeyPair.generate());
  }

  /** Its PILA; the fields are views of the frame, as they are of a receive buffer. */
  async pila(
    { node = NODE, request = false, response = false, x25519 = this.keyPair.publicKey } = {},
  ): Promise<{ frame: Uint8Array; fields: PilaFields }> {
    const signature = await this.identity.sign(pilaChallenge(node, x25519));
    const ed25519 = this.identity.publicKey;
    const frame = encodePila({ sender: node, x25519, ed25519, signature, request, response });
    const fields = decodeFrame(frame);
    assert.ok("type" in fields && fields.type === "pila");
    return { frame, fields };
  }
}

function verified(result: VerifiedPila | string): VerifiedPila {
  if (typeof result === "string") throw new Error(`not verified: ${result}`);
  return result;
}

/** Ends the keys of sessions that nobody uses. */
function destroy(...results: (VerifiedPila | string)[]): void {
  for (const result of results) if (typeof result !== "string") result.session.destroy();
}

Deno.test("a PILA is copied before anything is waited for: its buffer is the next datagram's", async () => {
  const rig = await Rig.create();
  const peer = await Peer.create();
  const { frame, fields } = await peer.pila({ request: true });
  const verifying = rig.verify(fields);
  frame.fill(0xaa);
  const { node, session, early } = verified(await verifying);
  assert.deepEqual([node, early, session.origin], [NODE, [], ROUTE]);
  assert.deepEqual(session.peerKey, peer.keyPair.publicKey);
  assert.deepEqual(rig.shown, peer.identity.publicKey);
  assert.equal(session.createdMs, rig.clock.now());
  // Both ends have the same key: what the peer seals can be opened.
  const key = await peer.keyPair.deriveTunnelKey(rig.keyPair.publicKey);
  const theirs = new Session({
    peerKey: rig.keyPair.publicKey,
    aead: wasmAead(key!),
    nonces: NonceSequence.start((out) => void crypto.getRandomValues(out)),
    origin: ROUTE,
    expectsKeepalives: false,
    now: 0,
  });
  const sealed = new Uint8Array(PILS_OVERHEAD_BYTES + 4);
  sealed.set([1, 2, 3, 4], PILS_HEADER_BYTES);
  theirs.seal(sealed, 0, NODE, 4);
  assert.equal(session.open(sealed), "ok");
  assert.deepEqual([...sealed.subarray(PILS_HEADER_BYTES, PILS_HEADER_BYTES + 4)], [1, 2, 3, 4]);
  session.destroy();
  theirs.destroy();
});

Deno.test("frames that come before their key is verified are copied, kept in order and up to a bound", async () => {
  const rig = await Rig.create();
  const peer = await Peer.create();
  const { fields } = await peer.pila();
  rig.verifications.holdEarly(NODE, Uint8Array.of(9), ROUTE); // nothing is being verified
  const verdict = Promise.withResolvers<KeyVerdict>();
  rig.verdict = verdict.promise;
  const verifying = rig.verify(fields, { lane: "known" });
  const beside = rig.verify(fields, { lane: "relay" });
  const buffer = new Uint8Array(2);
  for (let n = 0; n < MAX_EARLY_FRAMES + 3; n++) {
    buffer.set([n, 1]);
    rig.verifications.holdEarly(NODE, buffer, n === 0 ? RELAY_ROUTE : ROUTE);
    buffer.fill(0xaa);
  }
  rig.verifications.holdEarly(NODE + 1, buffer, ROUTE);
  verdict.resolve("ok");
  const results = [verified(await verifying), verified(await beside)];
  for (const { early } of results) {
    assert.deepEqual(
      early.map(({ frame }) => [...frame]),
      Array.from({ length: MAX_EARLY_FRAMES }, (_, n) => [n, 1]),
    );
    assert.deepEqual(early.slice(0, 2).map(({ route }) => route), [RELAY_ROUTE, ROUTE]);
  }
  destroy(...results);
});

Deno.test("the nonces of a peer's key continue, and those of the key used longest ago are forgotten first", async () => {
  const rig = await Rig.create({ maxNonces: 3 });
  const [a, b, c, d] = await Promise.all([1, 2, 3, 4].map(() => Peer.create()));
  /** Verifies a key; true when its nonces start over. */
  const isNew = async (peer: Peer) => {
    const before = rig.sequences;
    destroy(verified(await rig.verify((await peer.pila()).fields)));
    return rig.sequences > before;
  };
  for (const peer of [a!, b!, c!]) assert.equal(await isNew(peer), true);
  for (const peer of [a!, b!, c!, a!]) assert.equal(await isNew(peer), false, "all have room");
  assert.equal(await isNew(d!), true);
  assert.equal(await isNew(a!), false, "it was used since");
  assert.equal(await isNew(c!), false);
  assert.equal(await isNew(b!), true, "the one used longest ago gave way");
});

Deno.test("one sequence of nonces serves all sessions with one key: no counter comes twice", async () => {
  const rig = await Rig.create();
  const peer = await Peer.create();
  const counters = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const { session } = verified(await rig.verify((await peer.pila()).fields));
    const frame = new Uint8Array(PILS_OVERHEAD_BYTES);
    session.seal(frame, 0, NODE, 0);
    counters.add(frame.subarray(8, PILS_HEADER_BYTES).toHex());
    session.destroy();
  }
  assert.equal(counters.size, 3);
});

Deno.test("a frame that was seen in one session of a key is a replay in the next", async () => {
  const rig = await Rig.create();
  const peer = await Peer.create();
  const key = await peer.keyPair.deriveTunnelKey(rig.keyPair.publicKey);
  const theirs = new Session({
    peerKey: rig.keyPair.publicKey,
    aead: wasmAead(key!),
    nonces: NonceSequence.start((out) => void crypto.getRandomValues(out)),
    origin: ROUTE,
    expectsKeepalives: false,
    now: 0,
  });
  const frames = [1, 2].map(() => {
    const frame = new Uint8Array(PILS_OVERHEAD_BYTES);
    theirs.seal(frame, 0, NODE, 0);
    return frame;
  });
  const opened = async (frame: Uint8Array) => {
    const { session } = verified(await rig.verify((await peer.pila()).fields));
    const result = session.open(frame.slice());
    session.destroy();
    return result;
  };
  assert.deepEqual(
    [await opened(frames[0]!), await opened(frames[0]!), await opened(frames[1]!)],
    ["ok", "replayed", "ok"],
  );
  theirs.destroy();
});

Deno.test("a PILA with a bad signature is refused before anybody is asked", async () => {
  const rig = await Rig.create();
  const peer = await Peer.create();
  const { fields } = await peer.pila();
  const forgeries: PilaFields[] = [
    { ...fields, sender: NODE + 1 },
    { ...fields, signature: fields.signature.with(0, fields.signature[0]! ^ 1) },
    { ...fields, x25519: (await KeyPair.generate()).publicKey },
    { ...fields, ed25519: (await Identity.generate()).publicKey },
  ];
  for (const forged of forgeries) {
    assert.equal(await rig.verify(forged, { isExpected: false }), "bad signature");
  }
  assert.deepEqual(rig.asked, []);
  assert.equal(rig.derived.length, 4);
  assert.ok(rig.derived.every((key) => key.every((byte) => byte === 0)), "no key is left over");
});

Deno.test("our own key and keys of low order are weak, and nobody is asked about our own", async () => {
  const rig = await Rig.create();
  const peer = await Peer.create();
  const own = await peer.pila({ x25519: rig.keyPair.publicKey });
  assert.equal(await rig.verify(own.fields), "weak key");
  assert.deepEqual([rig.asked, rig.derived], [[], []]);
  const low = await peer.pila({ x25519: new Uint8Array(32) });
  assert.equal(await rig.verify(low.fields), "weak key");
  assert.equal(rig.derived.length, 0);
});

Deno.test("a key that is not the node's is refused with the reason, and its session key is wiped", async () => {
  const rig = await Rig.create();
  const { fields } = await (await Peer.create()).pila();
  for (const verdict of ["mismatch", "unknown", "unavailable"] as const) {
    rig.verdict = verdict;
    assert.equal(await rig.verify(fields, { isExpected: false }), verdict);
  }
  assert.deepEqual(rig.asked, Array(3).fill("key of 7"), "a stranger's right is not looked at");
  assert.ok(rig.derived.every((key) => key.every((byte) => byte === 0)));
});

Deno.test("a stranger who may not know of us is refused, once the registry knows its key; who is expected is not asked for", async () => {
  const rig = await Rig.create();
  const { fields } = await (await Peer.create()).pila();
  rig.mayKnow = false;
  assert.equal(await rig.verify(fields, { isExpected: false }), "stranger");
  assert.deepEqual(rig.asked.splice(0), ["key of 7", "may 7 know"]);
  const expected = await rig.verify(fields);
  assert.deepEqual(rig.asked.splice(0), ["key of 7"]);
  rig.mayKnow = true;
  const known = await rig.verify(fields, { isExpected: false });
  destroy(verified(expected), verified(known));
  assert.ok(rig.derived.every((key) => key.every((byte) => byte === 0)), "the cipher has its own");
});

Deno.test("a PILA with a mark says that its sender needs no keepalives", async () => {
  const rig = await Rig.create();
  const peer = await Peer.create();
  for (
    const [marks, expects] of [
      [{}, true],
      [{ request: true }, false],
      [{ response: true }, false],
    ] as const
  ) {
    const result = verified(await rig.verify((await peer.pila(marks)).fields));
    assert.equal(result.session.expectsKeepalives, expects, JSON.stringify(marks));
    destroy(result);
  }
});

Deno.test("one PILA of a node and lane is verified at a time, and the next may follow whatever came of it", async () => {
  const rig = await Rig.create();
  const { fields } = await (await Peer.create()).pila();
  assert.equal(rig.verifications.isVerifying(NODE), false);
  const first = rig.verify(fields, { lane: "other" });
  assert.equal(await rig.verify(fields, { lane: "other" }), "busy");
  assert.deepEqual([rig.verifications.isVerifying(NODE), rig.verifications.isVerifying(NODE + 1)], [
    true,
    false,
  ]);
  const beside = rig.verify(fields, { lane: "relay" });
  destroy(verified(await first), verified(await beside));
  assert.equal(rig.verifications.isVerifying(NODE), false);
  rig.verdict = new Error("asking failed");
  await assert.rejects(rig.verify(fields, { lane: "other" }), /asking failed/);
  rig.verdict = "ok";
  destroy(verified(await rig.verify(fields, { lane: "other" })));
});

Deno.test("so many strangers are verified at a time; beyond that only who is expected", async () => {
  const rig = await Rig.create();
  const peer = await Peer.create();
  const { fields } = await peer.pila();
  const verdict = Promise.withResolvers<KeyVerdict>();
  rig.verdict = verdict.promise;
  const waiting = await Promise.all(
    Array.from({ length: MAX_VERIFYING }, (_, n) => peer.pila({ node: 100 + n })),
  );
  const strangers = waiting.map(({ fields }) => rig.verify(fields, { isExpected: false }));
  await settle();
  const late = await peer.pila({ node: 99 });
  assert.equal(await rig.verify(late.fields, { isExpected: false }), "busy");
  const expected = rig.verify(fields);
  verdict.resolve("mismatch");
  assert.deepEqual(await Promise.all(strangers), Array(MAX_VERIFYING).fill("mismatch"));
  assert.equal(await expected, "mismatch");
  assert.equal(await rig.verify(late.fields, { isExpected: false }), "mismatch");
});

Deno.test("nothing is derived after the end", async () => {
  const rig = await Rig.create();
  const { fields } = await (await Peer.create()).pila();
  const verifying = rig.verify(fields);
  rig.kex.close();
  assert.equal(await verifying, "closed");
  assert.equal(rig.sequences, 0);
  assert.ok(rig.derived.every((key) => key.every((byte) => byte === 0)));
});

Deno.test("our own PILA is signed once, in four forms, and there is none before we have a number", async () => {
  const rig = await Rig.create();
  const KINDS = ["plain", "request", "response", "key"] as const;
  for (const kind of KINDS) assert.equal(rig.kex.frames?.[kind], undefined);
  const identity = await Identity.generate();
  await rig.kex.setSelf(5, identity);
  for (const kind of ["plain", "request", "response"] as const) {
    const frame = rig.kex.frames![kind];
    const fields = decodeFrame(frame);
    assert.ok("type" in fields && fields.type === "pila");
    assert.deepEqual(
      [fields.sender, fields.request, fields.response],
      [5, kind === "request", kind === "response"],
    );
    assert.equal(frame.length, kind === "plain" ? PILA_BYTES : PILA_BYTES + 2);
    assert.deepEqual(fields.x25519, rig.keyPair.publicKey);
    const challenge = pilaChallenge(5, rig.keyPair.publicKey);
    assert.ok(await verifySignature(fields.ed25519, challenge, fields.signature));
  }
  const question = decodeFrame(rig.kex.frames!.key);
  assert.ok("type" in question && question.type === "pilk");
  assert.deepEqual([question.sender, question.x25519], [5, rig.keyPair.publicKey]);
  // What the warming up has derived is wiped, too.
  assert.equal(rig.derived.length, 1);
  assert.ok(rig.derived[0]!.every((byte) => byte === 0));
});

Deno.test("strangers are limited by source, who is expected by node and lane, and claims from anywhere by both", async () => {
  const { verifications, clock } = await Rig.create();
  /** How many pass in a moment. */
  const passed = (source: string, node: number, lane: Lane, isExpected: boolean) => {
    let count = 0;
    while (
      count <= KEX_RATE.burst && verifications.admits(source, node, lane, isExpected, clock.now())
    ) count++;
    return count;
  };
  const { burst, perSecond } = KEX_RATE;
  assert.equal(passed("192.0.2.1", 1, "known", false), burst);
  assert.equal(passed("192.0.2.1", 2, "relay", false), 0, "whoever it says to be");
  assert.equal(passed("192.0.2.2", 1, "known", false), burst);
  assert.equal(passed("192.0.2.1", 1, "known", true), burst, "not by where it comes from");
  assert.equal(passed("192.0.2.3", 1, "known", true), 0);
  assert.equal(passed("192.0.2.3", 1, "relay", true), burst, "each lane alone");
  assert.equal(passed("192.0.2.3", 2, "known", true), burst);
  assert.equal(passed("192.0.2.1", 1, "other", true), 0, "from a source that has used up its own");
  assert.equal(passed("192.0.2.4", 1, "other", true), burst);
  assert.equal(passed("192.0.2.5", 1, "other", true), 0, "in the name of one node");
  // In vain, but the source has paid for it.
  await clock.run(1_000);
  assert.equal(passed("192.0.2.1", 3, "known", false), perSecond);
});
