/**
 * The clients of `registry`: nodes that register, look each other up, resolve and heartbeat. Started as
 * `registry_clients.ts CONFIG`, told what to do by JSON lines on stdin; it ends with its stdin.
 *
 * @module
 */

import { equalBytes } from "../../../protocol/crypto/base64.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import {
  type BinaryFrame,
  BinaryFrameReader,
  BinaryType,
  decodeBinaryError,
  decodeBinaryLookupOk,
  encodeBinaryFrame,
  encodeBinaryHeartbeat,
  encodeBinaryLookup,
  encodeBinaryResolve,
  encodeJsonFrame,
  JsonFrameReader,
  type JsonObject,
  signedText,
} from "../../../protocol/registry/registry_message.ts";
import * as requests from "../../../protocol/registry/requests/mod.ts";
import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { eachLine } from "../../lines.ts";
import { type LoadRequest, runLoad } from "./registry_load.ts";
import { Nodes } from "./registry_nodes.ts";

/** What the clients are. */
export interface RegistryClientsConfig {
  /** Port of the registry on loopback. */
  readonly port: number;
  /** Nodes that register in the timed phase. */
  readonly nodes: number;
  /** Nodes that are registering when the registry is killed. */
  readonly late: number;
  /** Nodes that heartbeat and resolve. */
  readonly signers: number;
  /** Of those, nodes that anyone may resolve. */
  readonly targets: number;
}

/** How a load is timed. */
interface Timing {
  readonly warmUpMs: number;
  readonly ms: number;
}

/**
 * Connections at a time. At up to 102,400 requests a second in all, none asks more than the 100 a second from which
 * the registry slows a connection down.
 */
const CONNECTIONS = 1_024;
/** Requests under way on each connection. */
const WINDOW = 4;
/** Pause between tries to reach a registry that starts, milliseconds. */
const RETRY_MS = 10;

class Clients {
  readonly #config: RegistryClientsConfig;
  readonly #nodes: Nodes;
  readonly #connections: number;

  constructor(config: RegistryClientsConfig) {
    this.#config = config;
    const { nodes, late, signers } = config;
    this.#nodes = new Nodes({ count: nodes + late, signers, late });
    this.#connections = Math.max(1, Math.min(CONNECTIONS, nodes >> 2));
  }

  /** All but the late nodes. */
  async register(): Promise<object> {
    const { nodes } = this.#config;
    const seconds = await this.#register(0, nodes);
    return { count: nodes, seconds };
  }

  /** The late nodes. Half of them acknowledged, the registry is killed. */
  async cut(pid: number): Promise<object> {
    const { nodes, late } = this.#config;
    let acknowledged = 0;
    let killedAt = 0;
    await this.#register(nodes, nodes + late, () => {
      if (++acknowledged < late >> 1 || killedAt !== 0) return;
      Deno.kill(pid, "SIGKILL");
      killedAt = epochMs();
    });
    if (killedAt === 0) throw new Error("The registry was gone before it was killed");
    return { acknowledged, killedAt };
  }

  async #register(from: number, to: number, onEach?: () => void): Promise<number> {
    let index = from;
    return await runLoad<JsonObject>({
      port: this.#config.port,
      connections: this.#connections,
      // A connection's registrations are acknowledged one after the other: more would only wait.
      window: 1,
      binary: false,
      reader: () => new JsonFrameReader(),
      next: () => index < to ? { frame: this.#nodes.registration(index), tag: index++ } : undefined,
      take: (reply, tag) => {
        if (reply.type !== "register_ok") throw refused(reply);
        this.#nodes.ids[tag] = Number(reply.node_id);
        onEach?.();
      },
      mayBreak: onEach !== undefined,
    });
  }

  /** Makes the targets public, so that resolves succeed. */
  async publish(): Promise<object> {
    const targets = this.#targets();
    let next = 0;
    await runLoad<JsonObject>({
      port: this.#config.port,
      connections: this.#connections,
      window: 1,
      binary: false,
      reader: () => new JsonFrameReader(),
      next: () => {
        const index = targets[next++];
        if (index === undefined) return undefined;
        const id = this.#nodes.ids[index]!;
        const signature = encodeBase64(
          this.#nodes.sign(index, signedText(requests.setVisibility, { node_id: id })!),
        );
        const request = { type: "set_visibility", node_id: id, public: true, signature };
        return { frame: encodeJsonFrame(request), tag: index };
      },
      take: (reply) => {
        if (reply.type !== "set_visibility_ok") throw refused(reply);
      },
    });
    return { count: targets.length };
  }

  #targets(): readonly number[] {
    return this.#nodes.signers.slice(0, this.#config.targets);
  }

  /** Lookups of any nodes. */
  async lookups(timing: Timing): Promise<object> {
    const { nodes } = this.#config;
    return await this.#timed(timing, BinaryType.lookupOk, () => {
      const id = this.#nodes.ids[Math.floor(Math.random() * nodes)]!;
      return encodeBinaryFrame(BinaryType.lookup, encodeBinaryLookup(id));
    });
  }

  /** Heartbeats of the signers in turn. What they sign never changes. */
  async heartbeats(timing: Timing): Promise<object> {
    const frames = this.#nodes.signers.map((index) => {
      const node = this.#nodes.ids[index]!;
      const signature = this.#nodes.sign(index, signedText(requests.heartbeat, { node_id: node })!);
      return encodeBinaryFrame(BinaryType.heartbeat, encodeBinaryHeartbeat({ node, signature }));
    });
    return await this.#timed(timing, BinaryType.heartbeatOk, inTurn(frames));
  }

  /** Each signer resolves one of the targets, in turn. */
  async resolves(timing: Timing): Promise<object> {
    const targets = this.#targets();
    const frames = this.#nodes.signers.map((index, i) => {
      const requester = this.#nodes.ids[index]!;
      const node = this.#nodes.ids[targets[i % targets.length]!]!;
      const signature = this.#nodes.sign(
        index,
        signedText(requests.resolve, { node_id: node, requester_id: requester })!,
      );
      const payload = encodeBinaryResolve({ node, requester, signature });
      return encodeBinaryFrame(BinaryType.resolve, payload);
    });
    return await this.#timed(timing, BinaryType.resolveOk, inTurn(frames));
  }

  async #timed(
    { warmUpMs, ms }: Timing,
    expected: number,
    frame: () => Uint8Array,
  ): Promise<object> {
    let count = 0;
    const from = performance.now() + warmUpMs;
    const to = from + ms;
    await this.#ask(
      () => performance.now() < to ? { frame: frame(), tag: 0 } : undefined,
      ({ type, payload }) => {
        if (type !== expected) throw new Error(`Refused: ${decodeBinaryError(payload)}`);
        const now = performance.now();
        if (now >= from && now < to) count++;
      },
    );
    return { count, seconds: ms / 1000 };
  }

  async #ask(
    next: () => LoadRequest | undefined,
    take: (frame: BinaryFrame, tag: number) => void,
    connections = this.#connections,
  ): Promise<void> {
    await runLoad<BinaryFrame>({
      port: this.#config.port,
      connections,
      window: WINDOW,
      binary: true,
      reader: () => new BinaryFrameReader(),
      next,
      take,
    });
  }

  /** Waits until the registry answers a lookup again. */
  async serving(): Promise<object> {
    for (;;) {
      try {
        await this.#check([0], 1);
        return { at: epochMs() };
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /**
   * Looks up some acknowledged nodes: a sample of those registered long ago, every late one, and the one with the
   * highest number.
   */
  async check(sample: number): Promise<object> {
    const { nodes } = this.#config;
    const { count, ids } = this.#nodes;
    const wanted = new Set<number>();
    while (wanted.size < Math.min(sample, nodes)) wanted.add(Math.floor(Math.random() * nodes));
    for (let i = nodes; i < count; i++) if (ids[i] !== 0) wanted.add(i);
    wanted.add(ids.reduce((best, id, index) => id > ids[best]! ? index : best, 0));
    const numbers = new Set(ids.filter((id) => id !== 0));
    const acknowledged = ids.reduce((sum, id) => sum + Number(id !== 0), 0);
    if (numbers.size !== acknowledged) throw new Error("Two nodes were given one number");
    await this.#check([...wanted], this.#connections);
    return { checked: wanted.size, highest: Math.max(...[...wanted].map((i) => ids[i]!)) };
  }

  /** Looks nodes up and compares their keys. */
  async #check(indexes: readonly number[], connections: number): Promise<void> {
    let next = 0;
    await this.#ask(
      () => {
        const index = indexes[next++];
        if (index === undefined) return undefined;
        const lookup = encodeBinaryLookup(this.#nodes.ids[index]!);
        return { frame: encodeBinaryFrame(BinaryType.lookup, lookup), tag: index };
      },
      ({ type, payload }, index) => {
        const id = this.#nodes.ids[index]!;
        if (type !== BinaryType.lookupOk) {
          throw new Error(
            `Node ${id} was acknowledged and is lost: ${decodeBinaryError(payload)}`,
          );
        }
        const found = decodeBinaryLookupOk(payload);
        if (found instanceof DecodeError) throw found;
        if (found.node !== id || !equalBytes(found.publicKey, this.#nodes.publicKey(index))) {
          throw new Error(`Node ${id} has another key than the one that was acknowledged`);
        }
      },
      connections,
    );
  }
}

function refused(reply: JsonObject): Error {
  return new Error(`Refused: ${JSON.stringify(reply)}`);
}

/** One after the other, over and over. */
function inTurn(frames: readonly Uint8Array[]): () => Uint8Array {
  let next = 0;
  return () => frames[next++ % frames.length]!;
}

/** Now, comparable between processes, milliseconds. */
function epochMs(): number {
  return performance.timeOrigin + performance.now();
}

async function answer(clients: Clients, line: string): Promise<object> {
  const { op, ...args } = JSON.parse(line) as { op: string } & Record<string, number>;
  const timing = { warmUpMs: args.warmUpMs ?? 0, ms: args.ms ?? 0 };
  switch (op) {
    case "register":
      return await clients.register();
    case "publish":
      return await clients.publish();
    case "lookups":
      return await clients.lookups(timing);
    case "heartbeats":
      return await clients.heartbeats(timing);
    case "resolves":
      return await clients.resolves(timing);
    case "cut":
      return await clients.cut(args.pid!);
    case "serving":
      return await clients.serving();
    case "check":
      return await clients.check(args.sample!);
    default:
      throw new Error(`No operation ${op}`);
  }
}

if (import.meta.main) {
  const clients = new Clients(JSON.parse(Deno.args[0]!));
  console.log(JSON.stringify({ ready: true }));
  // One at a time: the other side waits for each answer.
  await eachLine(Deno.stdin.readable, (line) => {
    answer(clients, line).then(
      (data) => console.log(JSON.stringify({ data })),
      (error) => console.log(JSON.stringify({ error: String(error?.message ?? error) })),
    );
  });
  Deno.exit(0);
}
