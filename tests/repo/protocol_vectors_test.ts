/** The test vectors printed in docs/protocol: each is regenerated with the codecs. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  encodeAddress,
  formatAddress,
  formatSocketAddress,
  parseAddress,
  parseSocketAddress,
} from "../../protocol/address.ts";
import {
  type BeaconMessage,
  decodeBeacon,
  discoverChallenge,
  encodeBeacon,
} from "../../protocol/beacon/beacon_message.ts";
import { canonicalBytes } from "../../protocol/canonical.ts";
import { nodeAead } from "../../protocol/crypto/aead_node.ts";
import { decodeBase64, encodeBase64 } from "../../protocol/crypto/base64.ts";
import { Identity } from "../../protocol/crypto/identity.ts";
import { KeyPair } from "../../protocol/crypto/key_agreement.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { parseIp } from "../../protocol/ip.ts";
import * as ipc from "../../protocol/ipc/mod.ts";
import { decodePacket, encodePacket } from "../../protocol/packet.ts";
import { encodePathProbe } from "../../protocol/path/probe.ts";
import * as registry from "../../protocol/registry/registry_message.ts";
import * as registryRequests from "../../protocol/registry/requests/mod.ts";
import {
  decodeNameReply,
  decodeNameRequest,
  encodeNameReply,
  encodeNameRequest,
} from "../../protocol/service/nameserver_text.ts";
import * as service from "../../protocol/service/mod.ts";
import { collidesWithSack, encodeSack, parseSack } from "../../protocol/stream/sack.ts";
import { handshakeContent, type HandshakeMessage } from "../../protocol/trust/mod.ts";
import {
  encodePila,
  encodePilk,
  encodePunch,
  pilaChallenge,
  PILS_AAD_OFFSET,
  PILS_HEADER_BYTES,
  PILS_NONCE_OFFSET,
  PILS_OVERHEAD_BYTES,
  writePilsHeader,
} from "../../protocol/tunnel/frame.ts";
import { bytes, hex, range } from "../protocol/hex.ts";
import { ROOT } from "./sources.ts";
import { type VectorBlock, vectorBlocks } from "./vector_blocks.ts";

const NODE_A = 5;
const text = (value: string) => new TextEncoder().encode(value);
const HELLO = text("hello");
const identityA = await Identity.fromSeed(range(0xa0, 32));
const identityR = await Identity.fromSeed(range(0, 32));
const keysA = await KeyPair.fromPrivate(range(0x01, 32));
const keysB = await KeyPair.fromPrivate(range(0x41, 32));
const tunnelKey = (await keysA.deriveTunnelKey(keysB.publicKey))!;

function decoded<T>(value: T | DecodeError): T {
  if (value instanceof DecodeError) throw value;
  return value;
}

/** What a label stands for, as hex or text; made when it is asked for. */
type Known = Readonly<Record<string, () => string | Promise<string>>>;

function known(vectors: Known): (label: string) => Promise<string> {
  return async (label) => {
    assert.ok(Object.hasOwn(vectors, label), `unknown vector: ${label}`);
    return await vectors[label]!();
  };
}

async function pila(): Promise<Uint8Array> {
  return encodePila({
    sender: NODE_A,
    x25519: keysA.publicKey,
    ed25519: identityA.publicKey,
    signature: await identityA.sign(pilaChallenge(NODE_A, keysA.publicKey)),
  });
}

async function trailerOf(flag: "request" | "response"): Promise<string> {
  const fields = {
    sender: NODE_A,
    x25519: keysA.publicKey,
    ed25519: identityA.publicKey,
    signature: new Uint8Array(64),
  };
  return hex(encodePila({ ...fields, [flag]: true }).subarray((await pila()).length));
}

function packetOf(label: string): Uint8Array {
  const [protocol, flags, from, to, seq, ack, window, payload] = label.split(" ");
  const [source, target] = [parseSocketAddress(from!), parseSocketAddress(to!)];
  return encodePacket({
    protocol: Number(protocol),
    flags: Number(flags),
    srcNetwork: source.network,
    srcNode: source.node,
    srcPort: source.port,
    dstNetwork: target.network,
    dstNode: target.node,
    dstPort: target.port,
    seq: Number(seq),
    ack: Number(ack),
    window: Number(window),
    payload: payload === "-" ? new Uint8Array(0) : bytes(payload!),
  });
}

function labelOf(packet: Uint8Array): string {
  const p = decoded(decodePacket(packet));
  return [
    p.protocol,
    p.flags,
    formatSocketAddress({ network: p.srcNetwork, node: p.srcNode, port: p.srcPort }),
    formatSocketAddress({ network: p.dstNetwork, node: p.dstNode, port: p.dstPort }),
    ...[p.seq, p.ack, p.window],
    p.payload.length === 0 ? "-" : hex(p.payload),
  ].join(" ");
}

/** The first packet of the document, sealed by A with prefix deadbeef and counter 1. */
function sealed(): string {
  const packet = packetOf("1 2 0:0000.0000.0005:49152 0:0000.0000.0007:7 1 1 512 68656c6c6f");
  const frame = new Uint8Array(packet.length + PILS_OVERHEAD_BYTES);
  writePilsHeader(frame, 0, NODE_A, 0xdeadbeef, 1);
  frame.set(packet, PILS_HEADER_BYTES);
  nodeAead(tunnelKey).seal(
    frame.slice(PILS_NONCE_OFFSET, PILS_HEADER_BYTES),
    frame.slice(PILS_AAD_OFFSET, PILS_NONCE_OFFSET),
    frame,
    PILS_HEADER_BYTES,
    packet.length,
  );
  return hex(frame);
}

const beacon = (message: BeaconMessage) => () => {
  const datagram = encodeBeacon(message);
  assert.deepEqual(decodeBeacon(datagram), message);
  return hex(datagram);
};

const proofFields = {
  type: "discover_auth",
  node: 42,
  flags: 1,
  nonce: range(0, 16),
  cookie: range(16, 16),
} as const;

function registryFrame(type: number, payload: Uint8Array): string {
  const frame = registry.encodeBinaryFrame(type, payload);
  const reader = new registry.BinaryFrameReader();
  reader.push(frame);
  assert.deepEqual(reader.next(), { type, payload });
  return hex(frame);
}

const { BinaryType } = registry;
const KEY_R = identityR.publicKey;

function ipcFrame(cmd: number, payload: Uint8Array = new Uint8Array(0)): string {
  return hex(ipc.encodeIpcFrame(cmd, payload));
}

const PEER = { network: 0, node: 7 };
const SHA_HELLO = new Uint8Array(await crypto.subtle.digest("SHA-256", HELLO));
const TRANSFER = SHA_HELLO.subarray(0, service.TRANSFER_ID_BYTES);

function fileStream(message: service.FileStreamMessage): string {
  const payload = service.encodeFileStream(message);
  assert.deepEqual(service.decodeFileStream(payload), message);
  return hex(service.encodeDataFrame(service.DataType.fileStream, payload));
}

function signature(identity: Identity): (label: string) => Promise<string> {
  return async (label) => encodeBase64(await identity.sign(text(label)));
}

function content(label: string): string {
  const fields = JSON.parse(label) as Partial<HandshakeMessage>;
  const publicKey = identityA.publicKeyBase64;
  const message = { ...fields, nodeId: NODE_A, publicKey, signature: "" } as HandshakeMessage;
  return new TextDecoder().decode(handshakeContent(message, 7));
}

function exchange(label: string, reply: string): string {
  const request = decoded(decodeNameRequest(text(label)));
  assert.equal(new TextDecoder().decode(encodeNameRequest(request)), label);
  return new TextDecoder().decode(encodeNameReply(decoded(decodeNameReply(text(reply)))));
}

/** Makes the value of a vector from its label, by kind of block; `value` is what is printed. */
const MAKERS: Readonly<Record<string, (label: string, value: string) => string | Promise<string>>> =
  {
    address: (label) => {
      assert.equal(formatAddress(parseAddress(label)), label);
      return hex(encodeAddress(parseAddress(label)));
    },
    packet: (label, value) => {
      assert.equal(labelOf(bytes(value)), label);
      return hex(packetOf(label));
    },
    keys: known({
      "A x25519 public": () => hex(keysA.publicKey),
      "B x25519 public": () => hex(keysB.publicKey),
      "tunnel key": () => hex(tunnelKey),
      "secure key": async () => hex((await keysB.deriveSecureKey(keysA.publicKey))!),
      "A ed25519 public": () => hex(identityA.publicKey),
    }),
    frame: known({
      pila: async () => hex(await pila()),
      "pila request trailer": () => trailerOf("request"),
      "pila response trailer": () => trailerOf("response"),
      pilk: () => hex(encodePilk(NODE_A, keysA.publicKey)),
      pils: sealed,
      pilp: () => hex(encodePunch()),
    }),
    probe: (label) => {
      const [, id, size] = /^id (\w+), (\d+) bytes$/.exec(label)!;
      return hex(encodePathProbe(bytes(id!), Number(size)));
    },
    sack: (label) => {
      const blocks = label.split(" ").map((block) => {
        const [left, right] = block.split("-").map(Number);
        return { left: left!, right: right! };
      });
      const payload = encodeSack(blocks);
      assert.deepEqual(parseSack(payload, 1, 8192), blocks);
      return hex(payload);
    },
    "sack-collision": (label) => collidesWithSack(bytes(label)) ? "cut" : "whole",
    "signature A": signature(identityA),
    "signature R": signature(identityR),
    content,
    canonical: (label) => hex(canonicalBytes("x\n", JSON.parse(label) as unknown[])!),
    registry: known({
      'json {"type":"lookup","node_id":42}': () =>
        hex(registry.encodeJsonFrame({ type: "lookup", node_id: 42 })),
      "heartbeat of R for 42": async () =>
        registryFrame(
          BinaryType.heartbeat,
          registry.encodeBinaryHeartbeat({
            node: 42,
            signature: await identityR.sign(
              registry.signedText(registryRequests.heartbeat, { node_id: 42 })!,
            ),
          }),
        ),
      "heartbeat_ok 1700000000, warning": () =>
        registryFrame(
          BinaryType.heartbeatOk,
          registry.encodeBinaryHeartbeatOk({ time: 1_700_000_000, keyExpiryWarning: true }),
        ),
      "lookup 42": () => registryFrame(BinaryType.lookup, registry.encodeBinaryLookup(42)),
      "lookup_ok 42": () => {
        const facts = {
          node: 42,
          public: true,
          taskExec: true,
          poloScore: -5,
          networks: [0, 3],
          publicKey: KEY_R,
          hostname: "alpha",
          tags: ["ml", "gpu"],
          realAddr: "1.2.3.4:4000",
          externalId: "",
        };
        const payload = registry.encodeBinaryLookupOk(facts);
        assert.deepEqual(registry.decodeBinaryLookupOk(payload), facts);
        return registryFrame(BinaryType.lookupOk, payload);
      },
      "resolve_ok 42 without key": () =>
        registryFrame(
          BinaryType.resolveOk,
          registry.encodeBinaryResolveOk({
            node: 42,
            realAddr: "1.2.3.4:4000",
            lanAddrs: ["10.0.0.5:4000"],
            keyAgeDays: 3,
          }),
        ),
      "error node 9: not found": () =>
        registryFrame(BinaryType.error, registry.encodeBinaryError("node 9: not found")),
    }),
    beacon: known({
      "discover 42": beacon({ type: "discover", node: 42, ex: false }),
      "discover_ex 42": beacon({ type: "discover", node: 42, ex: true }),
      "discover_reply 203.0.113.5:4000": beacon({
        type: "discover_reply",
        ip: parseIp("203.0.113.5"),
        port: 4000,
      }),
      "punch_request 42 43": beacon({ type: "punch_request", requester: 42, target: 43 }),
      "punch_command 203.0.113.6:4001": beacon({
        type: "punch_command",
        ip: parseIp("203.0.113.6"),
        port: 4001,
      }),
      "relay 42 43 hello": beacon({ type: "relay", sender: 42, dest: 43, frame: HELLO }),
      "relay_deliver 42 hello": beacon({ type: "relay_deliver", sender: 42, frame: HELLO }),
      "relay_deliver_dest 42 43 hello": beacon({
        type: "relay_deliver_dest",
        sender: 42,
        dest: 43,
        frame: HELLO,
      }),
      "sync 1: 42 43": beacon({ type: "sync", beacon: 1, nodes: [42, 43] }),
      notify: beacon({ type: "notify" }),
    }),
    "beacon-extension": known({
      ask: beacon({ ...proofFields, cookie: new Uint8Array(16), signature: undefined }),
      "cookie, not proven": beacon({
        type: "cookie",
        isProven: false,
        nonce: proofFields.nonce,
        cookie: proofFields.cookie,
      }),
      "signed bytes": () => hex(discoverChallenge(proofFields)),
      proof: async () =>
        beacon({
          ...proofFields,
          signature: await identityR.sign(discoverChallenge(proofFields)),
        })(),
      wake: beacon({ type: "wake", token: proofFields.nonce, sequence: 7 }),
    }),
    ipc: known({
      "Bind 1000": () => ipcFrame(ipc.Cmd.Bind, ipc.encodePort(1000)),
      "BindOk 1000": () => ipcFrame(ipc.Cmd.BindOk, ipc.encodePort(1000)),
      "Dial 0:0000.0000.0007 7": () =>
        ipcFrame(ipc.Cmd.Dial, ipc.encodeDial({ address: PEER, port: 7 })),
      "DialOk 1": () => ipcFrame(ipc.Cmd.DialOk, ipc.encodeConn(1)),
      "Accept 1000 2 0:0000.0000.0007 49152": () =>
        ipcFrame(
          ipc.Cmd.Accept,
          ipc.encodeAccept({ port: 1000, conn: 2, remote: PEER, remotePort: 49152 }),
        ),
      "Send 1 hello": () => ipcFrame(ipc.Cmd.Send, ipc.encodeSend({ conn: 1, data: HELLO })),
      "Recv 1 hello": () => ipcFrame(ipc.Cmd.Recv, ipc.encodeSend({ conn: 1, data: HELLO })),
      "Close 1": () => ipcFrame(ipc.Cmd.Close, ipc.encodeConn(1)),
      'Error "dial timeout"': () => ipcFrame(ipc.Cmd.Error, ipc.encodeIpcError("dial timeout")),
      "SendTo 0:0000.0000.0007 9 hello": () =>
        ipcFrame(ipc.Cmd.SendTo, ipc.encodeSendTo({ address: PEER, port: 9, data: HELLO })),
      "RecvFrom 0:0000.0000.0007 49152 9 hello": () =>
        ipcFrame(
          ipc.Cmd.RecvFrom,
          ipc.encodeRecvFrom({ source: PEER, sourcePort: 49152, port: 9, data: HELLO }),
        ),
      'Handshake send 7 "hi"': () =>
        ipcFrame(
          ipc.Cmd.Handshake,
          ipc.REQUEST_TRUST.encode({ node: 7, text: "hi" }),
        ),
      "Handshake wait 7 5000": () =>
        ipcFrame(
          ipc.Cmd.Handshake,
          ipc.AWAIT_TRUST.encode({ node: 7, timeoutMs: 5000 }),
        ),
      'Network join 3 "t"': () =>
        ipcFrame(ipc.Cmd.Network, ipc.JOIN_NETWORK.encode({ network: 3, token: "t" })),
      "Tagged 1 Info": () => ipcFrame(ipc.Cmd.Tagged, ipc.encodeTag(1, ipc.Cmd.Info)),
      Cancel: () => ipcFrame(ipc.Cmd.Cancel),
    }),
    service: known({
      "TEXT hello": () => hex(service.encodeDataFrame(service.DataType.text, HELLO)),
      "FILE a.txt hello": () => hex(service.encodeFileHeader("a.txt", HELLO.length)) + hex(HELLO),
      "answer to TEXT hello": () => {
        const answer = service.ackText(service.DataType.text, HELLO.length);
        return hex(service.encodeDataFrame(service.DataType.text, text(answer)));
      },
      "TAGGED m-1 TEXT hello": () => {
        const tags = { messageId: "m-1" };
        const inner = { type: service.DataType.text, payload: HELLO };
        const payload = service.encodeTaggedMessage(tags, inner);
        assert.deepEqual(service.decodeTaggedMessage(payload), { tags, inner });
        return hex(service.encodeDataFrame(service.DataType.tagged, payload));
      },
      init: () =>
        fileStream({
          kind: "init",
          transferId: TRANSFER,
          size: HELLO.length,
          sha256: SHA_HELLO,
          chunkBytes: service.FILE_STREAM_CHUNK_BYTES,
          name: "a.txt",
        }),
      "chunk 0 hello": () =>
        fileStream({ kind: "chunk", transferId: TRANSFER, offset: 0, data: HELLO }),
      "ack 5": () => fileStream({ kind: "ack", transferId: TRANSFER, offset: 5 }),
      done: () => fileStream({ kind: "done", transferId: TRANSFER }),
      "event weather/rain hello": () =>
        hex(service.encodeEvent({ topic: "weather/rain", payload: HELLO })),
    }),
    nameserver: exchange,
  };

const folder = join(ROOT, "docs", "protocol");
const blocks: VectorBlock[] = readdirSync(folder).filter((name) => name.endsWith(".md")).sort()
  .flatMap((name) =>
    vectorBlocks(`docs/protocol/${name}`, readFileSync(join(folder, name), "utf8"))
  );

for (const { path, kind, vectors } of blocks) {
  Deno.test(`the ${kind} vectors of ${path} are what the codecs make`, async () => {
    const make = MAKERS[kind];
    assert.ok(make !== undefined, `no maker for vectors of the kind "${kind}"`);
    for (const { label, value } of vectors) assert.equal(await make(label, value), value, label);
  });
}

Deno.test("every kind of vector stands in a document", () => {
  assert.deepEqual(
    Object.keys(MAKERS).sort(),
    [...new Set(blocks.map(({ kind }) => kind))].sort(),
  );
});

Deno.test("the signatures that are printed verify in base64", () => {
  const printed = blocks.filter(({ kind }) => kind.startsWith("signature"))
    .flatMap(({ vectors }) => vectors);
  assert.ok(printed.length > 0);
  for (const { value } of printed) assert.equal(decodeBase64(value)?.length, 64);
});
