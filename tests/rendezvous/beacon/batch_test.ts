/** What leaves and arrives in batches comes out of the relay datagram by datagram, with both forms of socket. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { getLogger } from "../../../platform/log.ts";
import { type Libc, loadLibc } from "../../../platform/net/linux/libc.ts";
import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import { LinuxUdpSocket } from "../../../platform/net/linux/batch_socket.ts";
import { openUdpSocket } from "../../../platform/net/open_udp_socket.ts";
import type { UdpSocket } from "../../../platform/net/udp.ts";
import type { UdpKind } from "../../../platform/settings/mod.ts";
import {
  type BeaconMessage,
  decodeBeacon,
  encodeBeacon,
} from "../../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import { BeaconServer } from "../../../rendezvous/beacon/beacon_server.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** Longest wait for datagrams that must come; only a failing test takes as long. */
const DEADLINE_MS = 10_000;
/** More than the Linux form sends at once (256); as much as the kernel's default buffers hold for the other. */
const LONG_RUN = { linux: 300, portable: 100 } as const;
const PROBLEM = linuxSocketProblem();

/** A frame of a burst: who sends it to whom. */
interface Sent {
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

/** A node that keeps what the beacon sends it. */
class Node {
  readonly #got: Uint8Array[] = [];
  readonly socket: UdpSocket;
  readonly number: number;
  #arrived = () => {};

  private constructor(socket: UdpSocket, number: number) {
    this.socket = socket;
    this.number = number;
    socket.start((data) => {
      this.#got.push(data.slice());
      this.#arrived();
    });
  }

  static async open(kind: UdpKind, number: number): Promise<Node> {
    return new Node(await openUdpSocket({ host: "127.0.0.1", port: 0, kind }), number);
  }

  /** The next messages. */
  async take(count: number): Promise<BeaconMessage[]> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const fail = () => reject(new Error(`${this.#got.length} of ${count} datagrams came`));
      timer = setTimeout(fail, DEADLINE_MS);
    });
    try {
      while (this.#got.length < count) {
        await Promise.race([new Promise<void>((resolve) => this.#arrived = resolve), late]);
      }
    } finally {
      clearTimeout(timer);
    }
    return this.#got.splice(0, count).map((data) => {
      const message = decodeBeacon(data);
      assert.ok(!(message instanceof DecodeError), `${data.length} bytes of nonsense`);
      return message;
    });
  }
}

/** Messages of the kernel that the beacon's socket took and gave: fewer than datagrams where it makes batches. */
interface Messages {
  sent: number;
  received: number;
}

/** A beacon, two nodes that send, and three that receive, one of them of the older kind. */
class Bed implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly messages: Messages = { sent: 0, received: 0 };
  readonly #socket: UdpSocket;
  readonly #beacon: BeaconServer;
  readonly senders: Node[] = [];
  readonly receivers: Node[] = [];

  private constructor(socket: UdpSocket, messages: Messages) {
    this.messages = messages;
    this.#socket = socket;
    const { clock } = this;
    this.#beacon = new BeaconServer({ clock, log: getLogger(["pilot", "test"]), socket });
  }

  static async create(kind: "linux" | "portable"): Promise<Bed> {
    const messages: Messages = { sent: 0, received: 0 };
    const socket = kind === "linux"
      ? LinuxUdpSocket.bind(counting(messages), "127.0.0.1", 0)
      : await openUdpSocket({ host: "127.0.0.1", port: 0, kind });
    const bed = new Bed(socket, messages);
    // The other form beside it: that one of them is wrong must not be hidden by the other end being wrong likewise.
    const other: UdpKind = kind === "linux" ? "portable" : "auto";
    for (const number of [1, 2]) bed.senders.push(await Node.open(kind, number));
    for (const [i, form] of ([kind, other, kind] as const).entries()) {
      bed.receivers.push(await Node.open(form, 11 + i));
    }
    await bed.announce();
    return bed;
  }

  /** Every node tells where it is. */
  async announce(): Promise<void> {
    for (const node of [...this.senders, ...this.receivers]) {
      const ex = node !== this.receivers[2];
      this.#send(node, encodeBeacon({ type: "discover", node: node.number, ex }));
      assert.equal((await node.take(1))[0]!.type, "discover_reply");
    }
  }

  /** Sends everything at once, and asserts that it comes out as it went in. */
  async relay(burst: readonly Sent[]): Promise<void> {
    // Enough for the beacon to relay the next burst to endpoints that nobody has proven.
    this.clock.advance(4_000);
    const frames = burst.map(({ size }, i) => pattern(size, i));
    // Were something cut in two or made up, this would not be the last that comes.
    const fence = this.receivers.map((_, to) => ({ from: 0, to, frame: new Uint8Array(3) }));
    const all = [...burst.map((sent, i) => ({ ...sent, frame: frames[i]! })), ...fence];
    for (const { from, to, frame } of all) {
      const [sender, dest] = [this.senders[from]!.number, this.receivers[to]!.number];
      this.#send(this.senders[from]!, encodeBeacon({ type: "relay", sender, dest, frame }));
    }
    for (const [to, receiver] of this.receivers.entries()) {
      const wanted = all.filter((sent) => sent.to === to);
      const got = await receiver.take(wanted.length);
      for (const from of this.senders.keys()) {
        const sender = this.senders[from]!.number;
        // Each sender's are in order; whose come first nobody promises.
        assert.deepEqual(
          got.filter((message) => "sender" in message && message.sender === sender),
          wanted.filter((sent) => sent.from === from).map(({ frame }) =>
            to === 2
              ? { type: "relay_deliver", sender, frame }
              : { type: "relay_deliver_dest", sender, dest: receiver.number, frame }
          ),
        );
      }
    }
  }

  /** Datagrams that the beacon's socket has sent and received. */
  get datagrams(): Messages {
    const { sent, received } = this.#socket.stats;
    return { sent, received };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const nodes = [...this.senders, ...this.receivers];
    await Promise.all([this.#beacon.close(), ...nodes.map(({ socket }) => socket.close())]);
  }

  #send({ socket }: Node, datagram: Uint8Array): void {
    const buffer = socket.acquire(datagram.length);
    buffer.set(datagram);
    socket.send(buffer, datagram.length, this.#socket.local);
  }
}

/** Libc that counts the messages that pass. */
function counting(messages: Messages): Libc {
  const real = loadLibc();
  return {
    ...real,
    sendmmsg(fd, address, count, flags) {
      const done = real.sendmmsg(fd, address, count, flags);
      messages.sent += Math.max(0, done);
      return done;
    },
    recvmmsg(fd, address, count, flags, timeout) {
      const done = real.recvmmsg(fd, address, count, flags, timeout);
      messages.received += Math.max(0, done);
      return done;
    },
  };
}

/** A frame of `size` bytes whose content depends on `seed`. */
function pattern(size: number, seed: number): Uint8Array {
  const frame = new Uint8Array(size);
  for (let i = 0; i < size; i++) frame[i] = (i * 31 + seed * 17 + 1) & 0xff;
  return frame;
}

/** Runs of equal sizes, the last of a run perhaps shorter: what the kernel's segmentation is made for. */
const bursts = fc.array(
  fc.record({
    from: fc.nat(1),
    to: fc.array(fc.nat(2), { minLength: 1, maxLength: 3 }),
    size: fc.integer({ min: 1, max: 1_400 }),
    count: fc.integer({ min: 1, max: 6 }),
    last: fc.option(fc.integer({ min: 1, max: 1_400 })),
  }),
  { minLength: 1, maxLength: 8 },
).map((runs) =>
  runs.flatMap(({ from, to, size, count, last }): Sent[] => {
    const sizes = new Array<number>(count).fill(size);
    if (last !== null) sizes.push(Math.min(last, size));
    return sizes.map((size, i) => ({ from, to: to[i % to.length]!, size }));
  })
);

for (const kind of ["portable", "linux"] as const) {
  const ignore = kind === "linux" && PROBLEM !== "";
  const test = (name: string, fn: (bed: Bed) => Promise<void>) =>
    Deno.test({
      name: `the beacon ${name} (${kind} socket${ignore ? `: ${PROBLEM}` : ""})`,
      ignore,
      async fn() {
        await using bed = await Bed.create(kind);
        await fn(bed);
      },
    });

  test("relays any burst as the same datagrams to the right nodes", async (bed) => {
    // What a failed run left under way would be taken for the next one's, so there is none.
    const options = { numRuns: 60, endOnFailure: true };
    await fc.assert(fc.asyncProperty(bursts, (burst) => bed.relay(burst)), options);
    if (kind === "portable") return;
    const { datagrams, messages } = bed;
    assert.ok(messages.received < datagrams.received, "nothing came in one piece");
    assert.ok(messages.sent < datagrams.sent, "nothing left in one piece");
  });

  test("relays a run longer than one batch, whose last is shorter, and one after it", async (bed) => {
    const length = LONG_RUN[kind];
    const run = Array.from({ length }, (_, i): Sent => ({ from: 0, to: i % 2, size: 200 }));
    await bed.relay([...run, { from: 0, to: 0, size: 7 }, { from: 0, to: 0, size: 200 }]);
    const same = run.map((sent): Sent => ({ ...sent, to: 2 }));
    await bed.relay([...same, { from: 0, to: 2, size: 199 }, { from: 0, to: 0, size: 199 }]);
  });

  test("relays a run on both sides of the size that is sent alone", async (bed) => {
    const sizes = [1_222, 1_223, 1_223, 1_224, 1_224, 1_223, 1_400, 1_400, 1, 1_223, 1_223];
    await bed.relay(sizes.flatMap((size) => [0, 1, 2].map((to): Sent => ({ from: 0, to, size }))));
  });
}
