/**
 * What existing daemons say to a rendezvous, as the reference has it, byte for byte: requests with their fields in
 * alphabetical order, texts that are signed written out, nothing of our extensions (docs/protocol/registry.md §5.2,
 * docs/protocol/trust.md; docs/protocol/registry.md §1.4, §2, §5.2).
 *
 * @module
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Rendezvous } from "../../../rendezvous/mod.ts";
import { RawClient, type Reply, split, TestNode } from "./client.ts";

/**
 * `1.9`: one connection, registers unsigned. `1.18`: four connections used in turn, registers signed. `1.18 binary`:
 * the same, with heartbeats, lookups and resolves in binary frames on connections of their own.
 */
export type Release = "1.9" | "1.18" | "1.18 binary";

/** Connections of newer clients (docs/protocol/registry.md §5.2). */
const POOL = 4;
/** First byte of the beacon's notice. */
const NOTICE = 0x0a;
/** Longest wait for a datagram that must come. */
const DATAGRAM_MS = 10_000;

/** One daemon of the existing kind, as far as registry and beacon see it. */
export class ReferenceClient implements AsyncDisposable {
  readonly release: Release;
  readonly name: string;
  readonly isPublic: boolean;
  id = 0;
  /** What it holds in trust.json. */
  readonly trusted = new Set<number>();
  readonly pending = new Set<number>();
  /** The nodes it has asked; in memory only. */
  readonly outgoing = new Set<number>();
  readonly #server: Rendezvous;
  readonly #node: TestNode;
  #pool: RawClient[] = [];
  #binary: RawClient | undefined;
  #next = 0;
  #udp: Deno.DatagramConn;

  private constructor(
    server: Rendezvous,
    release: Release,
    name: string,
    isPublic: boolean,
    node: TestNode,
  ) {
    this.#server = server;
    this.release = release;
    this.name = name;
    this.isPublic = isPublic;
    this.#node = node;
    this.#udp = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  }

  /** Makes a key and starts with it. */
  static async start(
    server: Rendezvous,
    release: Release,
    name: string,
    isPublic = false,
  ): Promise<ReferenceClient> {
    const client = new ReferenceClient(server, release, name, isPublic, await TestNode.create());
    await client.#start();
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await Promise.resolve();
  }

  /** As `kill -9`: nothing is said. */
  kill(): void {
    for (const connection of this.#pool) connection.close();
    this.#binary?.close();
    this.#udp.close();
    this.#pool = [];
    this.#binary = undefined;
  }

  /** Comes back with its files: key and trusted peers, and nothing else. */
  async restart(): Promise<void> {
    this.kill();
    this.outgoing.clear();
    this.#udp = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    await this.#start();
  }

  get key(): string {
    return this.#node.identity.publicKeyBase64;
  }

  get #isNew(): boolean {
    return this.release !== "1.9";
  }

  /** Its address, as it registers it. */
  get endpoint(): string {
    const { hostname, port } = this.#udp.addr as Deno.NetAddr;
    return `${hostname}:${port}`;
  }

  async #start(): Promise<void> {
    const count = this.#isNew ? POOL : 1;
    for (let i = 0; i < count; i++) {
      this.#pool.push(await RawClient.open(this.#server.registryAddr));
    }
    this.#next = 0;
    if (this.release === "1.18 binary") {
      this.#binary = await RawClient.open(this.#server.registryAddr);
      await this.#binary.write(Buffer.from("PILT\x01", "latin1"));
    }
    const listen_addr = this.endpoint;
    const registration = { listen_addr, owner: `${this.name}@example.com`, public_key: this.key };
    const signature = this.#isNew
      ? await this.sign(`register:${listen_addr}:${this.key}`)
      : undefined;
    const version = this.release === "1.9" ? "v1.9.0" : "1.18.0";
    const reply = await this.ask("register", { ...registration, signature, version });
    this.id = Number(reply["node_id"]);
    await this.#discover();
    if (this.isPublic) {
      const visibility = { node_id: this.id, public: true };
      await this.#asked("set_visibility", visibility, `set_visibility:${this.id}`);
    }
    const hostname = { hostname: this.name, node_id: this.id };
    await this.#asked("set_hostname", hostname, `set_hostname:${this.id}`);
    if (!this.#isNew) return;
    await this.ask("lookup", { node_id: this.id });
    await this.ask("get_network_policy", { network_id: 0 });
    await this.ask("list_networks", {});
    await this.ask("list_networks", {});
  }

  /** Signs an ASCII text: base64. */
  async sign(text: string): Promise<string> {
    return await this.#node.sign(Buffer.from(text, "ascii"));
  }

  /** Sends a request on the connection whose turn it is. */
  async call(type: string, fields: Record<string, unknown>): Promise<Reply> {
    const connection = this.#pool[this.#next++ % this.#pool.length]!;
    const entries = Object.entries({ ...fields, type }).filter(([, value]) => value !== undefined);
    // As their JSON library writes maps.
    entries.sort(([a], [b]) => a < b ? -1 : 1);
    return await connection.call(Object.fromEntries(entries));
  }

  /** A request that must succeed. */
  async ask(type: string, fields: Record<string, unknown>): Promise<Reply> {
    const reply = await this.call(type, fields);
    assert.equal(reply["type"], `${type}_ok`, `${this.name} ${type}: ${JSON.stringify(reply)}`);
    return reply;
  }

  async #asked(type: string, fields: Record<string, unknown>, text: string): Promise<Reply> {
    return await this.ask(type, { ...fields, signature: await this.sign(text) });
  }

  // ---- What it does unasked

  /** A turn of its clock, every minute: heartbeat, announcement, inbox (docs/protocol/registry.md §5.2). */
  async minute(): Promise<void> {
    const text = `heartbeat:${this.id}`;
    if (this.#binary !== undefined) {
      const reply = await this.#exchange(0x01, [this.id], await this.sign(text));
      assert.equal(reply[0], 0x81, `${this.name} heartbeat`);
    } else {
      await this.#asked("heartbeat", { node_id: this.id }, text);
    }
    await this.#discover();
    await this.poll();
  }

  /** Reads its inbox and acts upon it (docs/protocol/trust.md §4). */
  async poll(): Promise<Reply> {
    const reply = await this.#asked(
      "poll_handshakes",
      { node_id: this.id },
      `poll_handshakes:${this.id}`,
    );
    for (const request of listOf(reply, "requests")) {
      await this.onRequest(Number(request["from_node_id"]));
    }
    for (const response of listOf(reply, "responses")) {
      const peer = Number(response["from_node_id"]);
      if (response["accept"] === true) await this.onAccept(peer);
      else this.outgoing.delete(peer);
    }
    return reply;
  }

  /** A request came, by the registry or directly. */
  async onRequest(peer: number): Promise<void> {
    this.pending.add(peer);
    if (this.outgoing.has(peer)) await this.approve(peer);
  }

  /** An acceptance came, by the registry or directly. */
  async onAccept(peer: number): Promise<void> {
    this.outgoing.delete(peer);
    this.pending.delete(peer);
    this.trusted.add(peer);
    await this.report(peer);
  }

  /** An end of trust came, which is told directly only. */
  async onRevoke(peer: number): Promise<void> {
    for (const set of [this.trusted, this.pending, this.outgoing]) set.delete(peer);
    await this.call("revoke_trust", await this.#aboutPeer("revoke_trust", peer));
  }

  // ---- What its user does

  /**
   * Asks for trust: directly where it may know the peer's endpoint, which it resolves first, else by the registry.
   *
   * @returns Whether the peer's daemon is to hear it directly.
   */
  async handshake(peer: number): Promise<boolean> {
    this.outgoing.add(peer);
    if (await this.resolve(peer) !== undefined) return true;
    const request = { from_node_id: this.id, justification: "hello", to_node_id: peer };
    const reply = await this.#asked("request_handshake", request, `handshake:${this.id}:${peer}`);
    assert.equal(reply["status"], "delivered");
    return false;
  }

  /** Grants what was asked for. */
  async approve(peer: number): Promise<void> {
    this.pending.delete(peer);
    this.outgoing.delete(peer);
    this.trusted.add(peer);
    await this.report(peer);
    await this.#respond(peer, true);
  }

  /** Refuses what was asked for. */
  async reject(peer: number): Promise<void> {
    this.pending.delete(peer);
    await this.#respond(peer, false);
  }

  /** Ends trust, and asks where the peer is to tell it, though that is refused by then. */
  async revoke(peer: number): Promise<void> {
    for (const set of [this.trusted, this.pending, this.outgoing]) set.delete(peer);
    await this.ask("revoke_trust", await this.#aboutPeer("revoke_trust", peer));
    await this.resolve(peer);
  }

  /** Says that it trusts the peer, as it does for all of them when it registers again. */
  async report(peer: number): Promise<void> {
    await this.ask("report_trust", await this.#aboutPeer("report_trust", peer));
  }

  /** Where a peer is; undefined when it is refused. */
  async resolve(peer: number): Promise<string | undefined> {
    const signature = await this.sign(`resolve:${this.id}:${peer}`);
    if (this.#binary !== undefined) {
      const reply = await this.#exchange(0x03, [peer, this.id], signature);
      if (reply[0] !== 0x83) return undefined;
      const at = 1 + 4 + 2;
      return reply.subarray(at, at + reply.readUInt16BE(5)).toString();
    }
    const reply = await this.call("resolve", { node_id: peer, requester_id: this.id, signature });
    return reply["type"] === "resolve_ok" ? String(reply["real_addr"]) : undefined;
  }

  /** The registry's key of a peer, which each key exchange asks for. */
  async lookupKey(peer: number): Promise<string> {
    if (this.#binary === undefined) {
      return String((await this.ask("lookup", { node_id: peer }))["public_key"]);
    }
    const reply = await this.#exchange(0x02, [peer]);
    assert.equal(reply[0], 0x82);
    const at = 1 + 4 + 1 + 4 + 2 + 2 * reply.readUInt16BE(10);
    return reply.subarray(at + 1, at + 1 + reply[at]!).toString("base64");
  }

  /** The number behind a name; undefined when it is not found. */
  async find(hostname: string): Promise<number | undefined> {
    const reply = await this.call("resolve_hostname", { hostname });
    return reply["type"] === "resolve_hostname_ok" ? Number(reply["node_id"]) : undefined;
  }

  /** What a private daemon asks about the sender of a SYN whom it does not trust. */
  async checks(peer: number): Promise<unknown> {
    return (await this.ask("check_trust", { node_id: this.id, peer_id: peer }))["trusted"];
  }

  /** Joins an open network. */
  async join(network: number): Promise<void> {
    const request = { network_id: network, node_id: this.id };
    await this.#asked("join_network", request, `join_network:${this.id}:${network}`);
  }

  async #respond(peer: number, accept: boolean): Promise<void> {
    const response = { accept, node_id: this.id, peer_id: peer };
    await this.#asked("respond_handshake", response, `respond:${this.id}:${peer}`);
  }

  async #aboutPeer(type: string, peer: number): Promise<Record<string, unknown>> {
    const signature = await this.sign(`${type}:${this.id}:${peer}`);
    return { node_id: this.id, peer_id: peer, signature };
  }

  async #exchange(type: number, numbers: readonly number[], signature = ""): Promise<Buffer> {
    const signed = Buffer.from(signature, "base64");
    const frame = Buffer.alloc(5 + 4 * numbers.length + signed.length);
    frame.writeUInt32BE(frame.length - 4);
    frame[4] = type;
    numbers.forEach((number, i) => frame.writeUInt32BE(number, 5 + 4 * i));
    frame.set(signed, 5 + 4 * numbers.length);
    await this.#binary!.write(frame);
    const reply = await this.#binary!.readFrame();
    assert.ok(reply !== undefined, "the registry closed the connection");
    return Buffer.from(reply);
  }

  // ---- The beacon

  async #discover(): Promise<void> {
    await this.#toBeacon(0x01, [this.id]);
    const reply = await this.receive();
    assert.equal(reply[0], 0x02);
  }

  /** Asks the beacon to introduce it to a peer. */
  async punch(peer: number): Promise<void> {
    await this.#toBeacon(0x03, [this.id, peer]);
  }

  /** Sends a frame to a peer through the beacon. */
  async relay(peer: number, frame: string): Promise<void> {
    await this.#toBeacon(0x05, [this.id, peer], frame);
  }

  async #toBeacon(type: number, numbers: readonly number[], rest = ""): Promise<void> {
    const data = Buffer.alloc(1 + 4 * numbers.length + rest.length);
    data[0] = type;
    numbers.forEach((number, i) => data.writeUInt32BE(number, 1 + 4 * i));
    data.write(rest, 1 + 4 * numbers.length, "latin1");
    await this.#udp.send(data, { transport: "udp", ...split(this.#server.beaconAddr) });
  }

  /** The next datagram. */
  async receive(): Promise<Buffer> {
    const late = AbortSignal.timeout(DATAGRAM_MS);
    const onLate = () => this.#udp.close();
    late.addEventListener("abort", onLate);
    try {
      for (;;) {
        const [data] = await this.#udp.receive();
        // A notice of something in the inbox, which v1.18 knows and v1.9 passes over.
        if (data[0] !== NOTICE) return Buffer.from(data);
      }
    } finally {
      late.removeEventListener("abort", onLate);
    }
  }
}

function listOf(reply: Reply, name: string): Reply[] {
  const list = reply[name];
  assert.ok(Array.isArray(list), `no ${name} in ${JSON.stringify(reply)}`);
  return list;
}
