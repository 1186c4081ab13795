/** A registry client that speaks raw bytes, and a node that signs, for the tests of the rendezvous. */

import assert from "node:assert/strict";
import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { Identity } from "../../../protocol/crypto/identity.ts";
import { challenges } from "./challenges.ts";
import { SIGNED_BY, signMarked } from "./whole.ts";

/** A JSON reply. */
export type Reply = Record<string, unknown>;

/** Host and port of `host:port`. */
export function split(addr: string): { hostname: string; port: number } {
  const colon = addr.lastIndexOf(":");
  return {
    hostname: addr.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(addr.slice(colon + 1)),
  };
}

/** `[u32 length][body]` by hand, so that our own codec is not tested against itself. */
export function jsonFrame(body: string): Uint8Array {
  const bytes = new TextEncoder().encode(body);
  const out = new Uint8Array(4 + bytes.length);
  new DataView(out.buffer).setUint32(0, bytes.length);
  out.set(bytes, 4);
  return out;
}

/** One raw TCP connection. */
export class RawClient implements Disposable {
  readonly #conn: Deno.TcpConn | Deno.TlsConn;

  constructor(conn: Deno.TcpConn | Deno.TlsConn) {
    this.#conn = conn;
  }

  static async open(addr: string): Promise<RawClient> {
    return new RawClient(await Deno.connect(split(addr)));
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += await this.#conn.write(bytes.subarray(at));
    }
  }

  /** Reads exactly `count` bytes, or undefined when the server ended the connection before the first of them. */
  async read(count: number): Promise<Uint8Array | undefined> {
    const out = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const got = await this.#conn.read(out.subarray(at)).catch((error) => {
        if (error instanceof Deno.errors.ConnectionReset) return null;
        throw error;
      });
      if (got === null) {
        assert.equal(at, 0, "connection ended inside a frame");
        return undefined;
      }
      at += got;
    }
    return out;
  }

  /** Reads until the server ends the connection. */
  async drain(): Promise<void> {
    while (await this.read(1) !== undefined);
  }

  /** Reads `[u32 length][body]`. */
  async readFrame(): Promise<Uint8Array | undefined> {
    const head = await this.read(4);
    if (head === undefined) return undefined;
    return await this.read(new DataView(head.buffer).getUint32(0));
  }

  /** Sends a JSON request and reads its reply. Signs it as a whole if it is marked with {@linkcode WHOLE_BY}. */
  async call(request: object): Promise<Reply> {
    const sent = await signMarked(this, request);
    await this.write(jsonFrame(JSON.stringify(sent)));
    const body = await this.readFrame();
    assert.ok(body !== undefined, "the server closed the connection");
    return JSON.parse(new TextDecoder().decode(body));
  }

  /** Sends a request that must succeed. */
  async ok(request: { type: string; [name: string]: unknown }): Promise<Reply> {
    const reply = await this.call(request);
    assert.equal(reply["type"], `${request.type}_ok`, JSON.stringify(reply));
    return reply;
  }

  /** Sends a request that must fail, and returns the text. */
  async fails(request: object): Promise<string> {
    const reply = await this.call(request);
    assert.equal(reply["type"], "error", JSON.stringify(reply));
    return String(reply["error"]);
  }

  close(): void {
    this.#conn.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A node with its key. */
export class TestNode {
  readonly identity: Identity;
  id = 0;
  /** It has signed a whole request, and so must go on. */
  isHeld = false;

  constructor(identity: Identity) {
    this.identity = identity;
  }

  static async create(): Promise<TestNode> {
    return new TestNode(await Identity.generate());
  }

  /** Signs a challenge: base64. */
  async sign(challenge: Uint8Array): Promise<string> {
    return encodeBase64(await this.identity.sign(challenge));
  }

  /** A signed register request. */
  async registration(
    extra: { listen_addr?: string; [name: string]: unknown } = {},
  ): Promise<{ type: string; [name: string]: unknown }> {
    const listenAddr = extra.listen_addr ?? "0.0.0.0:4000";
    const key = this.identity.publicKeyBase64;
    return {
      type: "register",
      public_key: key,
      ...extra,
      listen_addr: listenAddr,
      signature: await this.sign(challenges.register(listenAddr, key)),
    };
  }

  /** A lookup of itself, which it signs: it is shown everything. */
  async lookup(): Promise<{ type: string; [name: string]: unknown }> {
    const signature = await this.sign(challenges.lookup(this.id, this.id));
    return {
      type: "lookup",
      node_id: this.id,
      requester_id: this.id,
      signature,
      [SIGNED_BY]: this,
    };
  }

  /** Registers with a signature and keeps the number. */
  async register(client: RawClient, extra: object = {}): Promise<Reply> {
    const reply = await client.ok({
      ...await this.registration({ ...extra }),
      [SIGNED_BY]: this,
    });
    this.id = Number(reply["node_id"]);
    return reply;
  }
}

/** Makes and registers a node. */
export async function registered(client: RawClient, extra: object = {}): Promise<TestNode> {
  const node = await TestNode.create();
  await node.register(client, extra);
  return node;
}
