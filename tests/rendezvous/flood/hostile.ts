/**
 * A hostile client of a rendezvous, as a process of its own: `deno run -A hostile.ts CONFIG` attacks in every way at
 * once until its stdin ends, and then prints what it has done as JSON.
 *
 * @module
 */

import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { Identity } from "../../../protocol/crypto/identity.ts";
import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import {
  BinaryType,
  encodeBinaryFrame,
  encodeBinaryHeartbeat,
  encodeBinaryResolve,
} from "../../../protocol/registry/registry_message.ts";
import { MAX_REQUEST_BYTES } from "../../../rendezvous/registry/registry_limits.ts";
import { forgeries } from "./forgeries.ts";

/** The server and node to attack. */
export interface HostileConfig {
  /** Port of the registry on 127.0.0.1. */
  readonly registry: number;
  /** Port of the beacon on 127.0.0.1. */
  readonly beacon: number;
  /** Own address. */
  readonly from: string;
  /** A node in whose name is lied, its key, and the number of a network. */
  readonly victim: { readonly id: number; readonly key: string; readonly network: number };
}

const HOST = "127.0.0.1";
/** Connections of one kind held at a time. */
const HELD = 700;
/** Requests that are on their way on each forging connection. */
const FORGERS = 8;
const GARBAGE_BYTES = 4_096;
/** Beacon datagrams of one burst, and the pause after it, ms: some 20,000 a second. */
const BURST = 100;
const BURST_PAUSE_MS = 5;

const counts: Record<string, number> = {};
let isOver = false;

function count(what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function random(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes));
}

function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
}

/** A connection from our own address; whatever becomes of it is fine. */
function open({ registry, from }: HostileConfig): Socket {
  const socket = connect({ host: HOST, port: registry, localAddress: from });
  socket.on("error", () => count("broken"));
  socket.on("data", () => {});
  return socket;
}

function gone(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Holds as many connections as it gets, each having said `words`, and opens others for those that are closed. */
async function hold(config: HostileConfig, what: string, words: () => Uint8Array): Promise<void> {
  const held = new Set<Socket>();
  while (!isOver) {
    while (held.size < HELD && !isOver) {
      const socket = open(config);
      count(what);
      held.add(socket);
      socket.once("close", () => held.delete(socket));
      socket.once("connect", () => socket.write(words()));
      if (held.size % 50 === 0) await pause(1);
    }
    // Those that dribble on are not idle.
    for (const socket of held) if (Math.random() < 0.01) socket.write(random(1));
    await pause(20);
  }
  for (const socket of held) socket.destroy();
}

/** Connects, says something senseless and goes, over and over. */
async function babble(config: HostileConfig): Promise<void> {
  while (!isOver) {
    const socket = open(config);
    count("garbage");
    const closed = gone(socket);
    const length = Math.random() < 0.5 ? random(4) : u32(Math.floor(Math.random() * 100));
    socket.write(Buffer.concat([length, random(GARBAGE_BYTES)]));
    if (Math.random() < 0.5) socket.destroy();
    await Promise.race([closed, pause(20)]);
    socket.destroy();
  }
}

/** Counts what was granted to a liar: nothing, if all is well. */
function watchReplies(socket: Socket): void {
  let tail = "";
  socket.on("data", (data) => {
    const text = tail + new TextDecoder("latin1").decode(data as Uint8Array);
    for (const _ of text.matchAll(/"type":"[a-z_]+_ok"/g)) count("granted");
    // What is cut in two by the end of the data is found in the next; what was counted is not kept.
    tail = text.slice(Math.max(text.lastIndexOf('"type"'), text.length - 64)).replace(/_ok"/g, "");
  });
}

/** Says well-formed lies as fast as they are refused. */
async function lie(config: HostileConfig, stranger: Identity): Promise<void> {
  while (!isOver) {
    const socket = open(config);
    let isClosed = false;
    const closed = gone(socket).then(() => void (isClosed = true));
    watchReplies(socket);
    const lies = await forgeries(config.victim, stranger);
    while (!isClosed && !isOver) {
      for (const body of lies) {
        const bytes = new TextEncoder().encode(JSON.stringify(body));
        count("forgery");
        if (!socket.write(Buffer.concat([u32(bytes.length), bytes]))) {
          await Promise.race([closed, new Promise((done) => socket.once("drain", done))]);
        }
        if (isClosed) break;
      }
      await pause(2);
    }
    socket.destroy();
    await Promise.race([closed, pause(50)]);
  }
}

/** Heartbeats and resolves of the binary mode with signatures that do not hold. */
async function lieInBinary(config: HostileConfig): Promise<void> {
  const { id } = config.victim;
  while (!isOver) {
    const socket = open(config);
    let isClosed = false;
    const closed = gone(socket).then(() => void (isClosed = true));
    socket.write(Uint8Array.of(0x50, 0x49, 0x4c, 0x54, 1));
    while (!isClosed && !isOver) {
      const signature = random(64);
      count("binary forgery");
      const beat = encodeBinaryHeartbeat({ node: id, signature });
      const resolve = encodeBinaryResolve({ node: id, requester: id, signature });
      socket.write(encodeBinaryFrame(BinaryType.heartbeat, beat));
      socket.write(encodeBinaryFrame(BinaryType.resolve, resolve));
      await pause(1);
    }
    socket.destroy();
    await Promise.race([closed, pause(50)]);
  }
}

/** Tells the beacon that everybody is here, relays in the name of others, and talks nonsense. */
async function misguide({ beacon, from, victim }: HostileConfig): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, from, () => resolve()));
  socket.on("message", () => count("beacon answers"));
  const id = u32(victim.id);
  const node = () => u32(Math.floor(Math.random() * 1e6));
  const kinds: (() => Uint8Array)[] = [
    () => Buffer.concat([Uint8Array.of(1), id]),
    () => Buffer.concat([Uint8Array.of(8), node()]),
    () => Buffer.concat([Uint8Array.of(3), id, node()]),
    () => Buffer.concat([Uint8Array.of(5), id, node(), random(1_000)]),
    () => Buffer.concat([Uint8Array.of(5), node(), id, random(100)]),
    () => Buffer.concat([Uint8Array.of(7), node(), random(200)]),
    () => Buffer.concat([Uint8Array.of(0x0d), id, Uint8Array.of(1), random(96)]),
    () => random(1 + Math.floor(Math.random() * 1_400)),
  ];
  while (!isOver) {
    for (let i = 0; i < BURST; i++) {
      count("beacon datagram");
      socket.send(kinds[i % kinds.length]!(), beacon, HOST);
    }
    await pause(BURST_PAUSE_MS);
  }
  await new Promise<void>((resolve) => socket.close(() => resolve()));
}

async function main(config: HostileConfig): Promise<void> {
  const stranger = await Identity.generate();
  const attacks = [
    hold(config, "idle connection", () => new Uint8Array(0)),
    hold(config, "half frame", () => Buffer.concat([u32(1_000), random(100)])),
    hold(config, "huge length", () => Buffer.concat([u32(MAX_REQUEST_BYTES), random(2_000)])),
    babble(config),
    babble(config),
    lieInBinary(config),
    misguide(config),
    ...Array.from({ length: FORGERS }, () => lie(config, stranger)),
  ];
  console.log(JSON.stringify({ attacking: true, key: encodeBase64(stranger.publicKey) }));
  for await (const _ of Deno.stdin.readable) {
    // Only its end counts.
  }
  isOver = true;
  await Promise.all(attacks);
  console.log(JSON.stringify(counts));
}

if (import.meta.main) {
  await main(JSON.parse(Deno.args[0]!) as HostileConfig);
  Deno.exit(0);
}
