/**
 * A daemon of the existing kind as far as paths go: it answers by the way it last heard us, obeys punch commands by
 * three empty punches, sends its key once for each key of ours and when it is asked by PILK, and answers every control
 * packet, or none. It keeps no list of ways and probes nothing (docs/protocol/tunnel.md §4.1, §4.5,
 * docs/protocol/paths.md §2, docs/protocol/beacon.md §4, docs/protocol/paths.md §5).
 *
 * @module
 */

import {
  decodeBeacon,
  encodeBeacon,
  isBeaconMessage,
} from "../../../protocol/beacon/beacon_message.ts";
import { Identity, KeyPair, nodeAead, NonceSequence } from "../../../protocol/crypto/mod.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import {
  decodeFrame,
  encodePila,
  encodePunch,
  pilaChallenge,
  PILS_HEADER_BYTES,
  PILS_OVERHEAD_BYTES,
} from "../../../protocol/tunnel/frame.ts";
import { type Endpoint, formatIp } from "../../../protocol/ip.ts";
import {
  ACK,
  decodePacket,
  encodePacketInto,
  HEADER_BYTES,
  type Packet,
  PROTO_CONTROL,
  PROTO_DATAGRAM,
} from "../../../protocol/packet.ts";
import { RELAY_ROUTE, type Route } from "../../../protocol/path/mod.ts";
import { Session } from "../../../protocol/tunnel/tunnel_session.ts";
import type { Uplink, VirtualSocket } from "./udp.ts";
import { datagram, type World } from "./world.ts";

/** How often it tells the beacon where it is. */
const DISCOVER_MS = 25_000;

/** How an {@linkcode OldPeer} is set up. */
export interface OldPeerOptions {
  readonly endpoint: Endpoint;
  readonly nat?: Uplink;
  /** It answers control packets; some of the oldest do not. */
  readonly answersControl?: boolean;
}

/** A peer of one daemon of ours. */
export class OldPeer implements Disposable {
  readonly node: number;
  /** Texts of the datagrams that came. */
  readonly got: string[] = [];
  /** Sealed frames that came. */
  heard = 0;
  /** Its endpoint as the beacon sees it. */
  observed: Endpoint | undefined;
  /** Where it answers to. */
  route: Route | undefined;
  readonly #world: World;
  readonly #socket: VirtualSocket;
  readonly #pila: Uint8Array;
  readonly #pair: KeyPair;
  readonly #answersControl: boolean;
  #session: Session | undefined;
  #cancel = () => {};

  private constructor(
    world: World,
    node: number,
    pila: Uint8Array,
    pair: KeyPair,
    options: OldPeerOptions,
  ) {
    this.#world = world;
    this.node = node;
    this.#pila = pila;
    this.#pair = pair;
    this.#answersControl = options.answersControl ?? true;
    const { host, port } = options.endpoint;
    this.#socket = world.net.bind(host, port, options.nat);
    this.#socket.start((data, from) => this.#onDatagram(data, from));
    this.#discover();
  }

  /** Starts one, and makes it known to the registry. */
  static async start(world: World, node: number, options: OldPeerOptions): Promise<OldPeer> {
    const identity = await Identity.generate();
    const pair = await KeyPair.generate();
    const x25519 = pair.publicKey;
    const signature = await identity.sign(pilaChallenge(node, x25519));
    const pila = encodePila({ sender: node, x25519, ed25519: identity.publicKey, signature });
    world.directory.keys.set(node, identity.publicKey);
    if (options.nat === undefined) world.directory.endpoints.set(node, options.endpoint);
    return new OldPeer(world, node, pila, pair, options);
  }

  /** Sends a datagram by the way it last heard the peer; nothing before that. */
  say(to: { readonly node: number }, text: string): void {
    this.#seal(datagram(this, to, text));
  }

  [Symbol.dispose](): void {
    this.#cancel();
    this.#session?.destroy();
    void this.#socket.close();
  }

  get #beacon(): Endpoint {
    return this.#world.beacon!.socket.local;
  }

  #discover(): void {
    this.#raw(encodeBeacon({ type: "discover", node: this.node, ex: false }), this.#beacon);
    this.#cancel = this.#world.clock.after(DISCOVER_MS, () => this.#discover());
  }

  #onDatagram(data: Uint8Array, from: Endpoint): void {
    if (!isBeaconMessage(data)) return this.#onFrame(data, { via: "direct", endpoint: from });
    const message = decodeBeacon(data);
    if (message instanceof DecodeError) return;
    if (message.type === "discover_reply") {
      this.observed = { host: formatIp(message.ip), port: message.port };
    } else if (message.type === "punch_command") {
      const to = { host: formatIp(message.ip), port: message.port };
      for (let i = 0; i < 3; i++) this.#raw(encodePunch(), to);
    } else if (message.type === "relay_deliver") {
      this.#onFrame(message.frame, RELAY_ROUTE);
    }
  }

  #onFrame(bytes: Uint8Array, route: Route): void {
    const frame = decodeFrame(bytes);
    if (frame instanceof DecodeError) return;
    if (frame.type === "pilk") {
      this.route = route;
      this.#send(this.#pila, frame.sender);
    } else if (frame.type === "pila") void this.#onPila(frame.sender, frame.x25519.slice(), route);
    else if (frame.type === "pils") this.#onSealed(bytes.slice(), route);
  }

  async #onPila(node: number, x25519: Uint8Array, route: Route): Promise<void> {
    this.route = route;
    if (this.#session?.peerKey.every((byte, i) => byte === x25519[i]) === true) return;
    const key = (await this.#pair.deriveTunnelKey(x25519))!;
    const { clock, random } = this.#world;
    const nonces = NonceSequence.start(random);
    const aead = nodeAead(key);
    this.#session = new Session({
      ...{ peerKey: x25519, aead, nonces, origin: route },
      expectsKeepalives: true,
      now: clock.now(),
    });
    this.#send(this.#pila, node);
  }

  #onSealed(frame: Uint8Array, route: Route): void {
    if (this.#session?.open(frame) !== "ok") return;
    this.heard++;
    this.route = route;
    const packet = decodePacket(frame.subarray(PILS_HEADER_BYTES, frame.length - 16));
    if (packet instanceof DecodeError) return;
    if (packet.protocol === PROTO_DATAGRAM) this.got.push(new TextDecoder().decode(packet.payload));
    if (packet.protocol !== PROTO_CONTROL || packet.dstPort !== 0 || !this.#answersControl) return;
    this.#seal({
      ...packet,
      flags: ACK,
      srcNode: packet.dstNode,
      dstNode: packet.srcNode,
      srcPort: packet.dstPort,
      dstPort: packet.srcPort,
    });
  }

  #seal(packet: Packet): void {
    if (this.#session === undefined) return;
    const bytes = HEADER_BYTES + packet.payload.length;
    const frame = new Uint8Array(bytes + PILS_OVERHEAD_BYTES);
    encodePacketInto(packet, frame, PILS_HEADER_BYTES);
    this.#session.seal(frame, 0, this.node, bytes);
    this.#send(frame, packet.dstNode);
  }

  #send(frame: Uint8Array, dest: number): void {
    if (this.route?.via === "direct") this.#raw(frame, this.route.endpoint);
    else this.#raw(encodeBeacon({ type: "relay", sender: this.node, dest, frame }), this.#beacon);
  }

  #raw(data: Uint8Array, to: Endpoint): void {
    const buffer = this.#socket.acquire(data.length);
    buffer.set(data);
    this.#socket.send(buffer, data.length, to);
  }
}
