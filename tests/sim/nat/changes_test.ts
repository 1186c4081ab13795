/** Networks that change under a running conversation. */

import assert from "node:assert/strict";
import { connect, Couple, couple, strangers } from "./conversation.ts";
import { type Kind, KINDS } from "./kinds.ts";
import { Topology } from "./topology.ts";
import type { Agent } from "./topology.ts";

const HOUR_MS = 3_600_000;
/** A kind whose boxes forget after 30 s. */
function shortLived(kind: Kind): Kind {
  return { ...kind, boxes: kind.boxes.map((box) => ({ ...box, timeoutMs: 30_000 })) };
}

/** Nothing passes between two agents but through the beacon; the returned function ends that. */
function cut(topology: Topology, a: Agent, b: Agent): () => void {
  const hosts = [a, b].map(({ site, host }) => site.boxes[0]?.host ?? host.address);
  const { core } = topology.internet;
  core.drop = ({ from, to }) => hosts.includes(from.host) && hosts.includes(to.host);
  return () => core.drop = () => false;
}

// A relayed pair looks for a direct path all the time, so that its hours cost more.
for (const [kind, hours] of [[KINDS.port, 24], [KINDS.symmetric, 4]] as const) {
  Deno.test(
    `an agent idle for ${hours} h behind a ${kind.name} box that forgets after 30 s is reached within a second`,
    async () => {
      await using topology = new Topology();
      const [known, idle] = await strangers(topology, shortLived(kind));
      const stranger = await topology.agent(shortLived(kind));
      topology.trust(stranger, idle);
      const early = await connect(topology, known, idle);
      await early.speak(1_000);
      await topology.run(hours * HOUR_MS);
      for (const caller of [stranger, known]) {
        const startMs = topology.now;
        const { talk } = await connect(topology, caller, idle);
        talk.dialer.say(100);
        await topology.world.clock.until(() => talk.acceptor.heard === 100);
        assert.ok(topology.now - startMs < 1_000, `${topology.now - startMs} ms`);
      }
      await early.speak(1_000);
      await early.settle();
    },
  );
}

for (const side of ["a", "b"] as const) {
  const who = side === "a" ? "caller" : "called";
  for (const kind of [KINDS.port, KINDS.address, KINDS.cgnat]) {
    Deno.test(
      `mappings of the ${who}'s ${kind.name} box are flushed: 5 s later traffic flows again`,
      async () => {
        await using topology = new Topology();
        const both = await couple(topology, { from: kind });
        both[side].site.boxes[0]!.flush();
        await both.speak(40_000);
        assert.ok(both.longestGapMs <= 5_000, `${both.longestGapMs} ms of silence`);
        assert.equal(both.way, "direct");
        await both.settle();
      },
    );
  }

  Deno.test(
    `the ${who}'s symmetric box is flushed while relaying: 5 s later traffic flows again`,
    async () => {
      await using topology = new Topology();
      const both = await couple(topology, { from: KINDS.symmetric, way: "relay" });
      both[side].site.boxes[0]!.flush();
      await both.speak(40_000);
      assert.ok(both.longestGapMs <= 5_000, `${both.longestGapMs} ms of silence`);
      await both.settle();
    },
  );

  Deno.test(`the ${who}'s box gets another public address: 5 s later traffic flows again`, async () => {
    await using topology = new Topology();
    const both = await couple(topology);
    both[side].site.boxes[0]!.move(topology.address());
    await both.speak(40_000);
    assert.ok(both.longestGapMs <= 5_000, `${both.longestGapMs} ms of silence`);
    assert.equal(both.way, "direct");
    await both.settle();
  });

  Deno.test(`the ${who} moves into another network: 5 s later traffic flows again`, async () => {
    await using topology = new Topology();
    const both = await couple(topology);
    const { lan } = topology.site(KINDS.port);
    both[side].host.move({ segment: lan, address: "192.168.7.2" });
    await both.speak(40_000);
    assert.ok(both.longestGapMs <= 5_000, `${both.longestGapMs} ms of silence`);
    assert.equal(both.way, "direct");
    await both.settle();
  });

  Deno.test(`the ${who}, public, gets another address: 5 s later traffic flows again`, async () => {
    await using topology = new Topology();
    const both = await couple(topology, { from: KINDS.public });
    both[side].host.move({ segment: topology.internet.core, address: topology.address() });
    await both.speak(40_000);
    assert.ok(both.longestGapMs <= 5_000, `${both.longestGapMs} ms of silence`);
    assert.equal(both.way, "direct");
    await both.settle();
  });
}

Deno.test(
  "a direct path that breaks is replaced by the relay in 3 s, and used again when it is whole",
  async () => {
    await using topology = new Topology();
    const both = await couple(topology);
    const restore = cut(topology, both.a, both.b);
    await both.speak(20_000);
    assert.ok(both.longestGapMs <= 3_000, `${both.longestGapMs} ms of silence`);
    assert.equal(both.way, "relay");
    restore();
    both.forgetGaps();
    await both.until("direct", 30_000);
    await both.speak(10_000);
    assert.equal(both.way, "direct");
    assert.ok(both.longestGapMs < 1_000, `${both.longestGapMs} ms of silence on the way back`);
    await both.settle();
  },
);

Deno.test(
  "a direct path that breaks in one direction is replaced by the relay in 3 s",
  async () => {
    await using topology = new Topology();
    const both = await couple(topology);
    const [from, to] = [both.a, both.b].map(({ site }) => site.boxes[0]!.host);
    topology.internet.core.drop = (datagram) =>
      datagram.from.host === from && datagram.to.host === to;
    await both.speak(40_000);
    assert.ok(both.longestGapMs <= 3_000, `${both.longestGapMs} ms of silence`);
    await both.settle();
  },
);

Deno.test(
  "a bulk transfer survives a cut, the relay and the return without a wrong byte",
  async () => {
    await using topology = new Topology();
    const both = await couple(topology);
    const { dialer, acceptor } = both.talk;
    const bytes = 3_000_000;
    dialer.say(bytes);
    acceptor.say(bytes);
    await topology.run(300);
    const heard = acceptor.heard;
    assert.ok(heard < bytes, "it was over before the cut");
    const restore = cut(topology, both.a, both.b);
    await topology.world.clock.until(() => acceptor.heard > heard + bytes / 10);
    assert.equal(both.way, "relay");
    restore();
    await both.until("direct", 30_000);
    await both.settle();
  },
);

for (const kind of [KINDS.port, KINDS.cgnat]) {
  Deno.test(`both ${kind.name} boxes are flushed at once: 5 s later traffic flows again`, async () => {
    await using topology = new Topology();
    const both = await couple(topology, { from: kind });
    for (const { site } of [both.a, both.b]) site.boxes[0]!.flush();
    await both.speak(40_000);
    assert.ok(both.longestGapMs <= 5_000, `${both.longestGapMs} ms of silence`);
    assert.equal(both.way, "direct");
    await both.settle();
  });
}

Deno.test("an agent that was off the network for 10 s recovers 5 s later", async () => {
  await using topology = new Topology();
  const both = await couple(topology);
  const { segment } = both.b.host;
  segment.drop = () => true;
  await both.speak(10_000);
  segment.drop = () => false;
  for (const talker of [both.talk.dialer, both.talk.acceptor]) talker.lastByteMs = topology.now;
  both.forgetGaps();
  await both.speak(30_000);
  assert.ok(both.longestGapMs <= 5_000, `${both.longestGapMs} ms of silence`);
  assert.equal(both.way, "direct");
  await both.settle();
});

Deno.test(
  "an agent leaves the LAN of its peer and comes back: 5 s later traffic flows again",
  async () => {
    await using topology = new Topology();
    const site = topology.site(KINDS.port);
    const both = await couple(topology, { from: site, to: site, way: "lan" });
    let outside = 0;
    topology.internet.tap(({ segment, data }) => {
      if (segment === topology.internet.core.name && data.length > 1_000) outside++;
    });
    await both.speak(5_000);
    assert.equal(outside, 0, "data left the LAN");
    const { lan } = topology.site(KINDS.port);
    for (
      const { place, way } of [
        { place: { segment: lan, address: "192.168.1.55" }, way: "direct" },
        { place: { segment: site.lan, address: "192.168.1.56" }, way: "lan" },
      ] as const
    ) {
      both.b.host.move(place);
      both.forgetGaps();
      await both.speak(40_000);
      assert.ok(both.longestGapMs <= 5_000, `${both.longestGapMs} ms of silence`);
      assert.equal(both.way, way);
    }
    await both.settle();
  },
);

Deno.test("peers that talk directly do not notice that the beacon is gone", async () => {
  await using topology = new Topology();
  const both = await couple(topology, { from: shortLived(KINDS.port) });
  topology.beacon.isDown = true;
  await both.speak(20_000);
  await topology.run(10 * 60_000); // Idle: keepalives alone hold the mappings.
  assert.equal(both.way, "direct");
  both.talk.dialer.lastByteMs = both.talk.acceptor.lastByteMs = topology.now;
  both.forgetGaps();
  await both.speak(20_000);
  assert.ok(both.longestGapMs <= 300, `${both.longestGapMs} ms of silence`);
  assert.equal(both.way, "direct");
  await both.settle();
});

Deno.test("relayed peers talk on within 30 s after the beacon was restarted", async () => {
  await using topology = new Topology();
  const both = await couple(topology, { from: KINDS.symmetric, way: "relay" });
  topology.beacon.restart();
  await both.speak(60_000);
  assert.ok(both.longestGapMs <= 30_000, `${both.longestGapMs} ms of silence`);
  await both.settle();
});

for (const kind of [KINDS.port, KINDS.symmetric]) {
  Deno.test(`two agents behind ${kind.name} boxes call each other at once`, async () => {
    await using topology = new Topology();
    const [a, b] = await strangers(topology, kind);
    const startMs = topology.now;
    const talks = await topology.world.clock.finish(
      Promise.all([topology.call(a, b), topology.call(b, a)]),
    );
    const couples = [new Couple(topology, a, b, talks[0]), new Couple(topology, b, a, talks[1])];
    await Promise.all(couples.map(({ talk }) => {
      talk.dialer.say(100);
      talk.acceptor.say(100);
      return topology.world.clock.until(() => talk.dialer.heard === 100);
    }));
    assert.ok(topology.now - startMs < 1_000, `${topology.now - startMs} ms`);
    await topology.run(30_000);
    for (const both of couples) {
      assert.equal(both.way, kind === KINDS.port ? "direct" : "relay");
      await both.settle();
    }
  });
}

Deno.test(
  "agents behind every pair of boxes get through a network that loses 3 percent",
  async () => {
    await using topology = new Topology({ seed: 3 });
    topology.internet.core.drop = () => topology.internet.random.chance(0.03);
    for (const to of [KINDS.public, KINDS.port, KINDS.symmetric]) {
      const way = to === KINDS.symmetric ? "relay" : "direct";
      const both = await couple(topology, { from: KINDS.port, to, way });
      await both.speak(20_000);
      await both.settle();
      assert.equal(both.way, way);
    }
  },
);
