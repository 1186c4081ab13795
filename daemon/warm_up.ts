/**
 * A first contact played through in memory when a daemon starts. The runtime compiles a function when it is first
 * called and again when it has been called often; without this the first real contact would pay for all of it,
 * measured at 20 to 30 ms, most of its time.
 *
 * @module
 */

import type { AeadFactory } from "../protocol/crypto/aead.ts";
import { Identity, KeyPair } from "../protocol/crypto/mod.ts";
import type { Endpoint } from "../protocol/ip.ts";
import type { Clock } from "../platform/clock.ts";
import {
  type DatagramHandler,
  newUdpStats,
  SEND_BUFFER_BYTES,
  type UdpSocket,
} from "../platform/net/udp.ts";
import { NetworkStack } from "./network_stack.ts";
import type { Conn } from "./stream/stream_conn.ts";

/** Connections opened one after the other: enough for the runtime to compile what they have in common. */
export const DIALS = 8;
/** Bytes echoed over each: a single one, as a first request is small, and enough to fill some segments. */
const MESSAGE_BYTES: readonly number[] = [1, 1, 8_000];
/** Gives up then, milliseconds: a machine that slow has other worries. */
export const LIMIT_MS = 2_000;
const PORT = 7;

/** A socket whose datagrams go straight to another one: below the transport, whose code is to be compiled as well. */
class PipeSocket implements UdpSocket {
  readonly kind = "memory";
  readonly forbidsFragments = true;
  readonly stats = newUdpStats();
  readonly local: Endpoint;
  /** The other end. */
  peer: PipeSocket | undefined;
  #onDatagram: DatagramHandler | undefined;
  #onBatchEnd: (() => void) | undefined;

  constructor(port: number) {
    this.local = { host: "127.0.0.1", port };
  }

  acquire(bytes: number = SEND_BUFFER_BYTES): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new ArrayBuffer(bytes));
  }

  send(buffer: Uint8Array<ArrayBuffer>, length: number): void {
    const { peer, local } = this;
    if (peer === undefined) return;
    queueMicrotask(() => {
      peer.#onDatagram?.(buffer.subarray(0, length), local);
      peer.#onBatchEnd?.();
    });
  }

  start(onDatagram: DatagramHandler, onBatchEnd: () => void): void {
    this.#onDatagram = onDatagram;
    this.#onBatchEnd = onBatchEnd;
  }

  close(): Promise<void> {
    this.#onDatagram = undefined;
    return Promise.resolve();
  }
}

interface Parts {
  readonly clock: Clock;
  readonly random: (out: Uint8Array) => void;
  readonly aead: AeadFactory;
  /** When to give up, milliseconds; default {@linkcode LIMIT_MS}. */
  readonly limitMs?: number;
}

/** One of the two who meet: tunnels and streams as in a daemon, nothing else. */
class Actor {
  readonly node: number;
  readonly identity: Identity;
  readonly socket: PipeSocket;
  readonly stack: NetworkStack;
  /** The other one. */
  peer!: Actor;

  constructor(node: number, identity: Identity, keyPair: KeyPair, parts: Parts) {
    const { clock, random, aead } = parts;
    this.node = node;
    this.identity = identity;
    this.socket = new PipeSocket(node);
    const publicKey = () => this.peer.identity.publicKey;
    this.stack = new NetworkStack({
      clock,
      random,
      aead,
      keyPair,
      socket: this.socket,
      self: () => node,
      consent: {
        pinnedKey: publicKey,
        hasConsent: () => true,
        isFormer: () => false,
        isRevoked: () => false,
        isAsked: () => false,
      },
      isPublic: () => false,
      memberships: { known: () => [], ask: () => Promise.resolve([]) },
      lookupKey: () => Promise.resolve(publicKey()),
      resolve: () => Promise.resolve({ endpoint: this.peer.socket.local, alternatives: [] }),
      emit: () => {},
      log: () => {},
    });
  }

  async start(): Promise<void> {
    this.stack.start({ observed() {} });
    await this.stack.setSelf(this.node, this.identity);
  }

  async end(): Promise<void> {
    await this.socket.close();
    await this.stack.stop(0);
    this.stack.close();
  }
}

/**
 * Plays a few contacts through: key exchange, dial, bytes there and back, close. Nothing leaves this process, and
 * nothing of it is left afterwards. Costs some 50 ms of processor time in small pieces.
 *
 * @param parts What the daemon uses itself.
 * @returns How many contacts went well; never rejects, as nothing depends on it.
 */
export async function warmUp(parts: Parts): Promise<number> {
  const actors: Actor[] = [];
  let contacts = 0;
  try {
    for (const node of [1, 2]) {
      actors.push(new Actor(node, await Identity.generate(), await KeyPair.generate(), parts));
    }
    const [a, b] = actors as [Actor, Actor];
    a.peer = b;
    b.peer = a;
    a.socket.peer = b.socket;
    b.socket.peer = a.socket;
    b.stack.bind(PORT, echo);
    await b.start();
    await a.start();
    const { limitMs = LIMIT_MS } = parts;
    const limit = parts.clock.now() + limitMs;
    for (let i = 0; i < DIALS && parts.clock.now() < limit; i++) {
      const conn = await a.stack.dial({ network: 0, node: b.node }, PORT, {
        timeoutMs: limitMs,
      });
      for (const bytes of MESSAGE_BYTES) await roundTrip(conn, bytes);
      conn.abort();
      contacts++;
    }
  } catch {
    // The first real use will report what is wrong, to the program that asked.
  } finally {
    for (const actor of actors) await actor.end();
  }
  return contacts;
}

function echo(conn: Conn): void {
  conn.setListener({
    onReadable: () => {
      for (let data = conn.read(); data !== undefined; data = conn.read()) conn.write(data);
      if (conn.ended) conn.close();
    },
    onWritable: () => {},
    onClosed: () => {},
  });
}

/** Resolves when as many bytes have come back, or the connection has ended. */
function roundTrip(conn: Conn, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    const out = new Uint8Array(bytes);
    let left = bytes;
    conn.setListener({
      onReadable: () => {
        while (left > 0) {
          const got = conn.readInto(out);
          if (got === 0) return;
          left -= got;
        }
        resolve();
      },
      onWritable: () => {},
      onClosed: () => resolve(),
    });
    conn.write(out);
  });
}
