/** Which endpoint a beacon believes of a node, and what may go there without proof (docs/protocol/beacon.md §1). */

import assert from "node:assert/strict";
import { sameEndpoint } from "../../../protocol/ip.ts";
import {
  MAPPING_TTL_MS,
  PROOF_TTL_MS,
  UNPROVEN_CREDIT,
} from "../../../rendezvous/beacon/beacon_limits.ts";
import {
  type Announcement,
  isProven,
  Mappings,
  renewCredit,
  takeCredit,
} from "../../../rendezvous/beacon/mappings.ts";
import { sourceOf } from "../../../platform/net/source.ts";

/** An announcement from a port of a host. */
function from(host: string, port = 4000, ex = false): Announcement {
  return { addr: { host, port }, source: sourceOf(host), ex };
}

const HOME = from("203.0.113.5");
const AWAY = from("198.51.100.7");
const TOKEN = Uint8Array.of(1, 2, 3);

Deno.test("an endpoint is a host and a port", () => {
  const { addr } = HOME;
  assert.ok(sameEndpoint(addr, { ...addr }));
  assert.ok(!sameEndpoint(addr, { ...addr, port: 4001 }));
  assert.ok(!sameEndpoint(addr, { ...addr, host: AWAY.addr.host }));
});

Deno.test("credit is spent to the last byte and renewed whole", () => {
  const mappings = new Mappings();
  mappings.announce(1, HOME, 0);
  const mapping = mappings.get(1)!;
  assert.equal(mapping.credit, 0, "nobody has taken part yet");
  assert.ok(!takeCredit(mapping, 1));
  renewCredit(mapping);
  assert.ok(!takeCredit(mapping, UNPROVEN_CREDIT + 1));
  assert.equal(mapping.credit, UNPROVEN_CREDIT, "what is refused costs nothing");
  assert.ok(takeCredit(mapping, UNPROVEN_CREDIT - 10));
  assert.ok(takeCredit(mapping, 10), "exactly what is left");
  assert.ok(!takeCredit(mapping, 1));
  renewCredit(mapping);
  assert.equal(mapping.credit, UNPROVEN_CREDIT);
});

Deno.test("credit stays at the address that took part and does not follow the node to another one", () => {
  const mappings = new Mappings();
  mappings.announce(1, HOME, 0);
  renewCredit(mappings.get(1)!);
  assert.equal(mappings.announce(1, HOME, 1), "noted");
  assert.equal(mappings.get(1)!.credit, UNPROVEN_CREDIT);
  // Another port is another place, too: behind it may be somebody else.
  for (const elsewhere of [AWAY, from(AWAY.addr.host, 4001), HOME]) {
    assert.equal(mappings.announce(1, elsewhere, 2), "noted");
    assert.deepEqual(
      [mappings.get(1)!.addr, mappings.get(1)!.credit],
      [elsewhere.addr, 0],
    );
  }
});

Deno.test("a proof counts for its time; until then plain words from elsewhere change nothing", () => {
  const mappings = new Mappings();
  assert.ok(mappings.prove(1, HOME, TOKEN, 100));
  const proven = mappings.get(1)!;
  assert.deepEqual([proven.credit, proven.wakeToken, proven.provenAt], [0, TOKEN, 100]);
  assert.ok(isProven(proven, 100 + PROOF_TTL_MS));
  assert.ok(!isProven(proven, 101 + PROOF_TTL_MS));
  assert.equal(mappings.announce(1, AWAY, 200), "kept");
  assert.equal(mappings.get(1), proven);
  assert.equal(proven.lastSeen, 100, "somebody else is no sign of life");
  assert.equal(mappings.announce(1, HOME, 300), "noted");
  assert.equal(mappings.get(1), proven);
  assert.equal(proven.lastSeen, 300);
  const late = 101 + PROOF_TTL_MS;
  assert.equal(mappings.announce(1, AWAY, late), "noted");
  assert.deepEqual(mappings.get(1), {
    ...AWAY,
    lastSeen: late,
    provenAt: undefined,
    wakeToken: undefined,
    credit: 0,
  });
  assert.deepEqual([mappings.size, mappings.proven], [1, 0]);
});

Deno.test("plain nodes are bounded in all, proven ones apart from them", () => {
  const mappings = new Mappings({ total: 2, proven: 2 });
  assert.equal(mappings.announce(1, HOME, 0), "noted");
  assert.equal(mappings.announce(2, AWAY, 0), "noted");
  assert.equal(mappings.announce(3, from("192.0.2.1"), 0), "full");
  assert.equal(mappings.get(3), undefined);
  assert.equal(mappings.announce(1, AWAY, 0), "noted", "one that is known may move");
  // Proving makes room among the plain ones.
  assert.ok(mappings.prove(1, HOME, undefined, 0));
  assert.ok(mappings.prove(3, HOME, undefined, 0));
  assert.equal(mappings.proven, 2);
  assert.ok(!mappings.prove(4, HOME, undefined, 0), "a new one");
  assert.ok(!mappings.prove(2, HOME, undefined, 0), "a plain one that would be one more");
  assert.ok(mappings.prove(1, AWAY, undefined, 0), "one that was proven before may move");
  assert.equal(mappings.announce(5, HOME, 0), "noted");
  assert.equal(mappings.announce(6, HOME, 0), "full");
  // An old proof that gives way to a plain word needs room as a plain one.
  assert.equal(mappings.announce(1, HOME, PROOF_TTL_MS + 1), "full");
  assert.deepEqual([mappings.size, mappings.proven], [4, 2]);
  assert.deepEqual([...mappings.nodes()], [1, 2, 3, 5]);
});

Deno.test("one source has its share of the plain nodes, and a node that moves is counted where it is", () => {
  const mappings = new Mappings({ perSource: 2 });
  for (const node of [1, 2]) assert.equal(mappings.announce(node, HOME, 0), "noted");
  assert.equal(mappings.announce(3, from(HOME.addr.host, 1), 0), "full", "whatever the port");
  assert.equal(mappings.announce(1, from(HOME.addr.host, 1), 0), "noted", "counted already");
  assert.equal(mappings.announce(3, AWAY, 0), "noted");
  assert.equal(mappings.announce(3, HOME, 0), "full");
  assert.deepEqual(mappings.get(3)!.addr, AWAY.addr);
  assert.equal(mappings.announce(1, AWAY, 0), "noted");
  assert.equal(mappings.announce(3, HOME, 0), "noted", "there is room since one has gone");
  assert.equal(mappings.announce(4, HOME, 0), "full");
  const single = new Mappings({ perSource: 1 });
  assert.equal(single.announce(1, HOME, 0), "noted", "the first of a source is no second");
  assert.equal(single.announce(2, HOME, 0), "full");
  // A proven one takes nobody's share.
  assert.ok(mappings.prove(4, HOME, undefined, 0));
  assert.equal(mappings.announce(4, AWAY, PROOF_TTL_MS + 1), "noted");
  assert.equal(mappings.announce(5, AWAY, 0), "full");
});

Deno.test("what is counted of a source goes with its last plain node", () => {
  const mappings = new Mappings({ perSource: 2 });
  for (let node = 0; node < 100; node++) mappings.announce(node, from(`203.0.113.${node}`), 0);
  assert.equal(mappings.sources, 100);
  // By moving all to one source and to none, by proof, and by silence.
  mappings.announce(1, from("203.0.113.0"), 0);
  assert.equal(mappings.sources, 99);
  mappings.prove(2, AWAY, undefined, 0);
  assert.equal(mappings.sources, 98);
  mappings.sweep(MAPPING_TTL_MS + 1);
  assert.deepEqual([mappings.size, mappings.proven, mappings.sources], [0, 0, 0]);
});

Deno.test("a node is forgotten after its silence, not before", () => {
  const mappings = new Mappings();
  mappings.announce(1, HOME, 0);
  mappings.prove(2, AWAY, undefined, 1);
  mappings.announce(3, AWAY, 2);
  mappings.sweep(MAPPING_TTL_MS);
  assert.equal(mappings.size, 3);
  mappings.sweep(MAPPING_TTL_MS + 2);
  assert.deepEqual([...mappings.nodes()], [3]);
  assert.deepEqual([mappings.size, mappings.proven, mappings.sources], [1, 0, 1]);
});
