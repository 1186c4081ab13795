/**
 * Tunnels of a few nodes over a seeded network, driven by their deadlines alone: virtual time, no timer, no promise.
 * Signatures are pretended, as WebCrypto's promises have no place here; ciphers are real.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { type Aead, nodeAead } from "../../../protocol/crypto/mod.ts";
import { equalBytes } from "../../../protocol/crypto/base64.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { ACK, type Packet, PROTO_CONTROL, PROTO_DATAGRAM } from "../../../protocol/packet.ts";
import { directRoute, type Route } from "../../../protocol/path/mod.ts";
import { encodePila, encodePilk } from "../../../protocol/tunnel/frame.ts";
import { TunnelCore } from "../../../protocol/tunnel/tunnel_core.ts";
import type {
  OwnKeyFrames,
  TunnelAction,
  TunnelHost,
} from "../../../protocol/tunnel/tunnel_host.ts";
import type { Verification } from "../../../protocol/tunnel/verifications.ts";
import { Link, type LinkOptions } from "../network.ts";
import { Random } from "../random.ts";
import { MemoryTransport } from "./memory_transport.ts";

const PORT_PING = 0;

function digest(...parts: (Uint8Array | string)[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
}

/** The identity of a node. */
function identityOf(node: number): Uint8Array {
  return digest(`identity ${node}`);
}

/** What only the node could sign. */
function signatureOf(node: number, x25519: Uint8Array): Uint8Array {
  const half = digest(`signature ${node}`, x25519);
  return Uint8Array.from([...half, ...half]);
}

/** Something that will happen. */
interface Event {
  readonly at: number;
  readonly run: () => void;
}

/** One process of a node. */
export class SimTunnel implements TunnelHost {
  readonly node: number;
  readonly endpoint: Endpoint;
  readonly core: TunnelCore;
  /** Its key for the tunnel, another one in each process. */
  readonly x25519: Uint8Array;
  readonly frames: OwnKeyFrames;
  /** Texts of datagrams that it got. */
  readonly got: string[] = [];
  readonly actions: TunnelAction[] = [];
  /** Its tunnels are to be kept up. */
  isNeeded = true;
  readonly #world: TunnelWorld;

  constructor(world: TunnelWorld, node: number, process: number, endpoint: Endpoint) {
    this.#world = world;
    this.node = node;
    this.endpoint = endpoint;
    const x25519 = this.x25519 = digest(`key ${node} ${process}`);
    const fields = { sender: node, x25519, ed25519: identityOf(node) };
    const pila = { ...fields, signature: signatureOf(node, x25519) };
    this.frames = {
      request: encodePila({ ...pila, request: true }),
      response: encodePila({ ...pila, response: true }),
      key: encodePilk(node, x25519),
    };
    this.core = new TunnelCore({
      transports: {
        direct: new MemoryTransport((frame, route) => world.send(this, frame, route)),
        relay: new MemoryTransport(() => {}, false),
      },
      host: this,
      random: (out) => void world.random.fill(out),
      now: world.now,
    });
    this.core.setSelf(node, this.frames);
  }

  /** The session that a peer has proven. */
  liveKey(node: number): Uint8Array | undefined {
    return this.core.peers.get(node)?.live?.peerKey;
  }

  /** Where frames to a peer go. */
  routeTo(node: number): Route | undefined {
    return this.core.peers.get(node)?.paths.current?.route;
  }

  /** How often a peer has proven a key. */
  proofs(node: number): number {
    return this.actions.filter((action) => action.type === "proven" && action.node === node).length;
  }

  /** Sends a datagram, over a path found through the registry if none is known. */
  say(node: number, text: string): void {
    const { now } = this.#world;
    const peer = this.core.peers.make(node, now)!;
    peer.paths.add("public", this.#world.endpointOf(node));
    this.core.send(packet(this.node, node, new TextEncoder().encode(text)), now);
  }

  /** Does what the core wants done. */
  perform(): void {
    for (const action of this.core.takeActions()) {
      this.actions.push(action);
      if (action.type === "verify") this.#world.verify(this, action.verification);
      if (action.type === "resolve") {
        const { node, reason } = action;
        const found = { endpoint: this.#world.endpointOf(node), alternatives: [] };
        this.#world.after(
          20,
          this,
          () => this.core.onResolved(node, reason, found, this.#world.now),
        );
      }
    }
  }

  onPacket(packet: Packet, route: Route): void {
    if (packet.protocol === PROTO_DATAGRAM) this.got.push(new TextDecoder().decode(packet.payload));
    const isQuestion = packet.protocol === PROTO_CONTROL && packet.dstPort === PORT_PING &&
      (packet.flags & ACK) === 0 && packet.payload.length > 0;
    if (!isQuestion) return;
    const { srcNode, srcPort, payload } = packet;
    this.core.send(
      {
        ...packet,
        ...{ flags: ACK, srcNode: this.node, dstNode: srcNode, srcPort: PORT_PING },
        ...{ dstPort: srcPort, payload: payload.slice() },
      },
      this.#world.now,
      route,
    );
  }

  hasConns(): boolean {
    return this.isNeeded;
  }

  isWanted(): boolean {
    return this.isNeeded;
  }

  pinnedKey(node: number): Uint8Array {
    return identityOf(node);
  }

  isFormer(): boolean {
    return false;
  }

  mayKnow(): boolean {
    return true;
  }
}

/** A datagram. */
function packet(from: number, to: number, payload: Uint8Array): Packet {
  return {
    ...{ flags: 0, protocol: PROTO_DATAGRAM, srcNetwork: 0, srcNode: from, dstNetwork: 0 },
    ...{ dstNode: to, srcPort: 1, dstPort: 2, seq: 0, ack: 0, window: 0, payload },
  };
}

/** The nodes, the network between them, and the time. */
export class TunnelWorld {
  /** Milliseconds. */
  now = 1_000;
  readonly random: Random;
  /** Every frame that was sent, in order. */
  readonly sent: { readonly from: Endpoint; readonly to: Endpoint; readonly frame: Uint8Array }[] =
    [];
  /** Frames that arrived as they were sent; who has recorded them can replay them. */
  readonly arrived: { readonly from: Endpoint; readonly frame: Uint8Array }[] = [];
  readonly #running = new Map<number, SimTunnel>();
  readonly #genuine = new WeakSet<Uint8Array>();
  readonly #links = new Map<string, Link>();
  readonly #options: LinkOptions;
  #events: Event[] = [];
  #processes = 0;

  constructor(seed: number, options: LinkOptions = {}) {
    this.random = new Random(seed);
    this.#options = options;
  }

  /** Where a node is. */
  endpointOf(node: number): Endpoint {
    return { host: `192.0.2.${node}`, port: 4_000 };
  }

  /** Starts a node's process; one that ran before is gone without a word. */
  start(node: number): SimTunnel {
    this.#running.get(node)?.core.close();
    const tunnel = new SimTunnel(this, node, this.#processes++, this.endpointOf(node));
    this.#running.set(node, tunnel);
    return tunnel;
  }

  /** Ends all processes. */
  stop(): void {
    for (const { core } of this.#running.values()) core.close();
  }

  /** A process sends a frame. */
  send(from: SimTunnel, frame: Uint8Array, route: Route): void {
    if (route.via === "direct") this.inject(frame, from.endpoint, route.endpoint);
  }

  /** Sends a frame from any address: networks do not check it. */
  inject(frame: Uint8Array, from: Endpoint, to: Endpoint): void {
    this.sent.push({ from, to, frame });
    this.#genuine.add(frame);
    const key = `${from.host} ${to.host}`;
    let link = this.#links.get(key);
    if (link === undefined) {
      const route = directRoute(from);
      link = new Link(this.#options, this.random, (at, bytes) =>
        this.#at(at, () => {
          const receiver = [...this.#running.values()]
            .find(({ endpoint }) => endpoint.host === to.host);
          // A corrupted one is another array.
          if (this.#genuine.has(bytes)) this.arrived.push({ from, frame: bytes });
          receiver?.core.onFrame(bytes.slice(), route, false, this.now);
          receiver?.perform();
        }));
      this.#links.set(key, link);
    }
    link.send(frame, this.now);
  }

  /** Verifies a key, which takes its time. */
  verify(tunnel: SimTunnel, verification: Verification): void {
    const { node, x25519, ed25519, signature } = verification;
    const isGenuine = equalBytes(ed25519, identityOf(node)) &&
      equalBytes(signature, signatureOf(node, x25519));
    this.after(this.random.int(1, 30), tunnel, () => {
      const result = isGenuine ? this.#cipher(tunnel.x25519, x25519) : "bad signature";
      tunnel.core.onVerified(verification, result, this.now);
    });
  }

  /** Calls a process back, which may have ended by then. */
  after(ms: number, tunnel: SimTunnel, run: () => void): void {
    this.#at(this.now + ms, () => {
      run();
      tunnel.perform();
    });
  }

  /** Lets time pass: deliveries and deadlines, whichever is next. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const first = this.#events.reduce<Event | undefined>(
        (best, event) => best === undefined || event.at < best.at ? event : best,
        undefined,
      );
      const tunnels = [...this.#running.values()];
      const deadline = Math.min(...tunnels.map(({ core }) => core.deadline));
      const at = Math.min(first?.at ?? Infinity, deadline);
      if (at > end) break;
      this.now = Math.max(this.now, at);
      if (first !== undefined && first.at <= deadline) {
        this.#events = this.#events.filter((event) => event !== first);
        first.run();
        continue;
      }
      for (const tunnel of tunnels) {
        if (tunnel.core.deadline > this.now) continue;
        tunnel.core.poll(this.now);
        tunnel.perform();
      }
    }
    this.now = end;
  }

  #at(at: number, run: () => void): void {
    this.#events.push({ at, run });
  }

  /** The cipher that two keys agree on. */
  #cipher(a: Uint8Array, b: Uint8Array): Aead {
    const [first, second] = [a.toHex(), b.toHex()].sort();
    return nodeAead(digest(first!, second!));
  }
}
