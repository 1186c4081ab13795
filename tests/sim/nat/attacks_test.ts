/** What strangers send: it moves no path, and is no lever against third parties. */

import assert from "node:assert/strict";
import { encodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import { decodeFrame, type TunnelFrame } from "../../../protocol/tunnel/frame.ts";
import { type Endpoint, parseIp } from "../../../protocol/ip.ts";
import { BEACON_V4 } from "./beacon_host.ts";
import { Couple, couple } from "./conversation.ts";
import { type Datagram, name } from "./internet.ts";
import { KINDS } from "./kinds.ts";
import { Topology } from "./topology.ts";

/** Largest answer to a stranger, bytes: that of a key. */
const SMALL_BYTES = 200;
/** Frames from this size on carry data of the conversation. */
const DATA_BYTES = 500;

/** Two agents in conversation, and somebody who sees and forges everything. */
class Scene implements AsyncDisposable {
  readonly topology: Topology;
  readonly both: Couple;
  readonly stranger: Endpoint;
  /** What came to the stranger. */
  readonly got: Datagram[] = [];
  /** What agent a sent, from its start. */
  readonly seen: readonly Datagram[];
  readonly #before: readonly unknown[];

  constructor(topology: Topology, both: Couple, seen: readonly Datagram[]) {
    this.topology = topology;
    this.both = both;
    this.seen = seen;
    this.stranger = { host: topology.address(), port: 666 };
    topology.internet.core.attach(this.stranger.host, (datagram) => void this.got.push(datagram));
    this.#before = this.#paths();
    this.forgetRelayed();
  }

  static async open(): Promise<Scene> {
    const topology = new Topology();
    const seen: Datagram[] = [];
    topology.internet.tap((datagram) => void seen.push(datagram));
    // Public: nothing is kept off by a box.
    const both = await couple(topology, { from: KINDS.public });
    await both.settle(); // What is replayed has arrived before.
    await topology.run(1_000);
    return new Scene(topology, both, seen.filter(({ from }) => from.host === both.a.host.address));
  }

  /** The endpoint of agent b. */
  get target(): Endpoint {
    return { host: this.both.b.host.address, port: this.both.b.node.endpoint.port };
  }

  /** The last frame of a type that a sent to b. */
  frame(type: TunnelFrame["type"]): Uint8Array {
    const frame = this.seen.findLast(({ data, to }) => {
      const decoded = decodeFrame(data.slice());
      return !(decoded instanceof DecodeError) && decoded.type === type &&
        name(to) === name(this.target);
    });
    assert.ok(frame !== undefined, `no ${type} was seen`);
    return frame.data;
  }

  /** Sends to b, by default from the stranger. */
  send(data: Uint8Array, from: Endpoint = this.stranger): void {
    this.topology.internet.core.send({ from, to: this.target, data, mayFragment: false });
  }

  /** Sends large frames of a to b by another way, and not by their own, for a while. */
  async divert(forward: (data: Uint8Array) => void): Promise<number> {
    const { core } = this.topology.internet;
    let diverted = 0;
    core.drop = ({ from, to, data }) => {
      const isOurs = from.host === this.both.a.host.address && name(to) === name(this.target) &&
        data.length >= DATA_BYTES && diverted < 10;
      if (isOurs) {
        diverted++;
        forward(data);
      }
      return isOurs;
    };
    await this.both.speak(2_000);
    core.drop = () => false;
    return diverted;
  }

  /** What the relay was used for so far does not count. */
  forgetRelayed(): void {
    this.topology.beacon.relayed.length = 0;
  }

  /** The conversation continues as if nothing had happened; the stranger got so many small datagrams at most. */
  async check(maxAnswers: number): Promise<void> {
    await this.both.speak(5_000);
    await this.topology.run(10_000);
    assert.deepEqual(this.#paths(), this.#before);
    const { got } = this;
    assert.ok(got.length <= maxAnswers, `the stranger got ${got.length} datagrams`);
    for (const { data } of got) assert.ok(data.length <= SMALL_BYTES, `${data.length} bytes`);
    const agents = [this.both.a, this.both.b].map(({ host }) => host.address);
    const relayed = this.topology.beacon.relayed.filter(({ from, bytes }) =>
      bytes >= DATA_BYTES && agents.includes(from.host)
    );
    assert.deepEqual(relayed, [], "data took the relay");
    await this.both.settle();
  }

  #paths(): unknown[] {
    return [this.both.a, this.both.b].map(({ node }) =>
      node.tunnels.list().map(({ node_id, endpoint, relay }) => ({ node_id, endpoint, relay }))
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.topology[Symbol.asyncDispose]();
  }
}

Deno.test("a punch command from a stranger is ignored", async () => {
  await using scene = await Scene.open();
  const { host, port } = scene.stranger;
  const command = encodeBeacon({ type: "punch_command", ip: parseIp(host), port });
  for (let i = 0; i < 100; i++) scene.send(command);
  await scene.check(0);
});

Deno.test(
  "punch commands with the beacon's forged address make an agent send little",
  async () => {
    await using scene = await Scene.open();
    const { host, port } = scene.stranger;
    const command = encodeBeacon({ type: "punch_command", ip: parseIp(host), port });
    for (let i = 0; i < 1_000; i++) scene.send(command, BEACON_V4);
    await scene.check(100);
  },
);

Deno.test("a relay delivery from a stranger is dropped, whatever is in it", async () => {
  await using scene = await Scene.open();
  const sender = scene.both.a.node.node;
  const deliver = (frame: Uint8Array) =>
    scene.send(encodeBeacon({ type: "relay_deliver", sender, frame }));
  for (const type of ["pila", "pils"] as const) deliver(scene.frame(type));
  assert.ok(await scene.divert(deliver) > 0);
  await scene.check(0);
});

Deno.test("a frame replayed through the relay moves nothing", async () => {
  await using scene = await Scene.open();
  const { a, b } = scene.both;
  for (const type of ["pila", "pils"] as const) {
    for (const sender of [a.node.node, 999]) {
      const data = encodeBeacon({
        type: "relay",
        sender,
        dest: b.node.node,
        frame: scene.frame(type),
      });
      scene.topology.internet.core.send({
        from: scene.stranger,
        to: BEACON_V4,
        data,
        mayFragment: false,
      });
    }
  }
  // The beacon tells the stranger its endpoint, because it is not that of the node it says to be.
  await scene.check(2);
});

Deno.test("a frame held back and sent through the relay moves nothing for good", async () => {
  await using scene = await Scene.open();
  const dest = scene.both.b.node.node;
  const diverted = await scene.divert((frame) => {
    const data = encodeBeacon({ type: "relay", sender: 999, dest, frame });
    const { core } = scene.topology.internet;
    core.send({ from: scene.stranger, to: BEACON_V4, data, mayFragment: false });
  });
  assert.ok(diverted > 0);
  await scene.both.until("direct", 10_000);
  scene.forgetRelayed();
  await scene.check(0);
});

Deno.test(
  "a replayed key from a stranger's address draws one small answer and moves nothing",
  async () => {
    await using scene = await Scene.open();
    scene.send(scene.frame("pila"));
    await scene.check(1);
  },
);

Deno.test("many replayed keys draw few answers", async () => {
  await using scene = await Scene.open();
  const pila = scene.frame("pila");
  for (let i = 0; i < 50; i++) {
    scene.send(pila);
    await scene.topology.run(20);
  }
  await scene.check(3);
});

Deno.test(
  "the key of an earlier process, replayed by a stranger, draws one small answer",
  async () => {
    await using scene = await Scene.open();
    const { a, b } = scene.both;
    const pila = scene.frame("pila");
    const restarted = { ...a, node: await a.node.restart() };
    await scene.topology.run(1_000);
    const talk = await scene.topology.world.clock.finish(scene.topology.call(restarted, b));
    const both = new Couple(scene.topology, restarted, b, talk);
    await both.speak(15_000);
    scene.send(pila);
    await both.speak(15_000);
    assert.equal(both.way, "direct");
    assert.ok(scene.got.length <= 1, `the stranger got ${scene.got.length} datagrams`);
    await both.settle();
  },
);

Deno.test(
  "a replayed frame from a stranger's address draws no answer and moves nothing",
  async () => {
    await using scene = await Scene.open();
    for (let i = 0; i < 10; i++) scene.send(scene.frame("pils"));
    await scene.check(0);
  },
);

Deno.test(
  "a frame replayed to a process that does not know its key draws one small answer",
  async () => {
    await using scene = await Scene.open();
    const { b } = scene.both;
    const pils = scene.frame("pils");
    await b.node.restart();
    scene.send(pils);
    await scene.topology.run(10_000);
    assert.ok(scene.got.length <= 1, `the stranger got ${scene.got.length} datagrams`);
    for (const { data } of scene.got) assert.ok(data.length <= SMALL_BYTES, `${data.length} bytes`);
  },
);

Deno.test("frames held back and sent from a stranger's address draw no data there", async () => {
  await using scene = await Scene.open();
  const diverted = await scene.divert((data) => scene.send(data));
  assert.ok(diverted > 0);
  await scene.check(diverted);
});
