/**
 * Everything a test of the daemon's network half needs: a clock, a network, a registry, a beacon, nodes.
 *
 * @module
 */

import { DecodeError } from "../../../protocol/errors.ts";
import { decodeBeacon, isBeaconMessage } from "../../../protocol/beacon/beacon_message.ts";
import { decodeFrame, type TunnelFrame } from "../../../protocol/tunnel/frame.ts";
import { type Packet, PROTO_DATAGRAM } from "../../../protocol/packet.ts";
import { TestBeacon } from "./beacon.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { FakeDirectory } from "./directory.ts";
import { type NodeOptions, TestNode } from "./node.ts";
import { settle } from "../../support/settle.ts";
import { type Sent, VirtualNetwork } from "./udp.ts";

/** Where the beacon listens. */
export const BEACON = { host: "203.0.113.1", port: 9001 };

/** A tunnel frame seen on the wire. */
export type SeenFrame = TunnelFrame & { readonly sent: Sent; readonly isRelayed: boolean };

/** One test's world. */
export class World implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly net: VirtualNetwork = new VirtualNetwork(this.clock);
  readonly directory: FakeDirectory;
  readonly beacon: TestBeacon | undefined;
  readonly #nodes = new Set<TestNode>();
  #seed = 1;

  constructor(options: { hasBeacon?: boolean; directory?: FakeDirectory } = {}) {
    this.directory = options.directory ?? new FakeDirectory();
    this.beacon = options.hasBeacon === false ? undefined : new TestBeacon(this.net, BEACON);
  }

  /** Not random at all, but never twice the same. */
  readonly random = (out: Uint8Array): void => {
    for (let i = 0; i < out.length; i++) {
      this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0;
      out[i] = this.#seed >>> 16;
    }
  };

  /** Starts a node. */
  async node(node: number, options: Partial<NodeOptions> = {}): Promise<TestNode> {
    const endpoint = options.endpoint ?? { host: `192.0.2.${node}`, port: 4000 };
    const started = await TestNode.start(this, node, { ...options, endpoint });
    this.#nodes.add(started);
    return started;
  }

  /** Lets time pass. */
  run(ms: number): Promise<void> {
    return this.clock.run(ms);
  }

  /** Brings a tunnel up: both sides have proven their keys. */
  async meet(a: TestNode, b: TestNode): Promise<void> {
    await this.clock.finish(a.control.ping({ network: 0, node: b.node }, { timeoutMs: 30_000 }));
    await this.clock.until(() =>
      [[a, b], [b, a]].every(([one, other]) =>
        one!.tunnels.list().some((peer) => peer.node_id === other!.node && peer.authenticated)
      )
    );
  }

  /** Sends a datagram and catches its frame on the way, so that it does not arrive. */
  async capture(from: TestNode, to: TestNode, text: string): Promise<Uint8Array> {
    const { drop } = this.net;
    let caught: Uint8Array | undefined;
    this.net.drop = (sent) => {
      if (caught !== undefined || sent.from.host !== from.endpoint.host) return drop(sent);
      caught = sent.data;
      return true;
    };
    from.send(datagram(from, to, text));
    this.net.drop = drop;
    await settle();
    if (caught === undefined) throw new Error("nothing was sent");
    return caught;
  }

  /** Tunnel frames sent so far; `filter` narrows them. */
  frames(filter: (frame: SeenFrame) => boolean = () => true): SeenFrame[] {
    return this.net.log.map(asFrame).filter((frame) => frame !== undefined).filter(filter);
  }

  /** Frames of one type from one node to another, directly. */
  between<T extends TunnelFrame["type"]>(type: T, from: TestNode, to: TestNode): SeenFrame[] {
    return this.frames(({ type: is, sent }) =>
      is === type && sent.from.host === from.endpoint.host && sent.to.host === to.endpoint.host
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.kill();
    await this.beacon?.socket.close();
    await settle();
  }
}

function asFrame(sent: Sent): SeenFrame | undefined {
  let bytes = sent.data;
  let isRelayed = false;
  if (isBeaconMessage(bytes)) {
    const message = decodeBeacon(bytes);
    if (message instanceof DecodeError || message.type !== "relay") return undefined;
    bytes = message.frame;
    isRelayed = true;
  }
  const frame = decodeFrame(bytes);
  return frame instanceof DecodeError ? undefined : { ...frame, sent, isRelayed };
}

/** A datagram packet. */
export function datagram(
  from: { readonly node: number },
  to: { readonly node: number },
  text: string,
  changes: Partial<Packet> = {},
): Packet {
  return {
    flags: 0,
    protocol: PROTO_DATAGRAM,
    srcNetwork: 0,
    srcNode: from.node,
    dstNetwork: 0,
    dstNode: to.node,
    srcPort: 50_000,
    dstPort: 2000,
    seq: 0,
    ack: 0,
    window: 0,
    payload: new TextEncoder().encode(text),
    ...changes,
  };
}

/** Texts of the datagrams a node got. */
export function texts(node: TestNode): string[] {
  return node.got.map(({ data }) => new TextDecoder().decode(data));
}
