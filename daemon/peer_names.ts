/**
 * Names of trusted peers, so that they work while the registry is away. The registry's answer always counts more: what
 * is kept here is only used where there is none.
 *
 * @module
 */

import { formatAddress } from "../protocol/address.ts";
import { encodeBase64 } from "../protocol/crypto/base64.ts";
import { type ErrorCode, PilotError } from "../protocol/errors.ts";
import type { IpcResolvedHostname } from "../protocol/ipc/mod.ts";
import { numberField, textField } from "../protocol/registry/registry_message.ts";

/** Names kept; beyond, the one learned first goes. Far more than a person knows, a few hundred KiB. */
export const MAX_PEER_NAMES = 4_096;
/** Longest name kept, characters: a registry's hostnames have 63. */
const MAX_NAME_LENGTH = 253;

/** The registry has not answered. */
const AWAY: readonly ErrorCode[] = [
  "connection_closed",
  "connection_failed",
  "timeout",
  "unavailable",
];

/** What is needed of the trust state. */
export interface PinnedKeys {
  /** Is a node trusted? */
  isTrusted(node: number): boolean;
  /** The key pinned for a trusted node, 32 bytes. */
  pinnedKey(node: number): Uint8Array | undefined;
}

/** Where names are kept. */
export interface NameStore {
  /** The text; undefined when there is none. */
  read(): Promise<string | undefined>;
  /** Replaces it. */
  write(text: string): Promise<void>;
}

interface Entry {
  readonly hostname: string;
  /** The key that the name belongs to, base64; undefined until its node is trusted. */
  key: string | undefined;
}

/** Reports what goes wrong. */
type Warn = (message: string, fields: Record<string, unknown>) => void;

/** Names by node. A name belongs to one node, and counts only while that node is trusted under the same key. */
export class PeerNames {
  readonly #keys: PinnedKeys;
  readonly #store: NameStore;
  readonly #warn: Warn;
  readonly #byNode = new Map<number, Entry>();
  readonly #ready: Promise<void>;
  #text = "";
  #writing: Promise<void> | undefined;

  /**
   * @param keys Who is trusted, under which key.
   * @param store Where the names are; read at once.
   * @param warn Called when they cannot be read or written.
   */
  constructor(keys: PinnedKeys, store: NameStore, warn: Warn) {
    this.#keys = keys;
    this.#store = store;
    this.#warn = warn;
    this.#ready = this.#load();
  }

  /** The name of a trusted peer; empty when none is known. */
  nameOf(node: number): string {
    const entry = this.#byNode.get(node);
    return entry !== undefined && this.#counts(node, entry) ? entry.hostname : "";
  }

  /**
   * Takes what the registry says about a node.
   *
   * @param node The node.
   * @param hostname Its name; empty when it has none, or hides it.
   * @param publicKey Its key as the registry has it, base64, where it says so.
   */
  async learn(node: number, hostname: string, publicKey: string = ""): Promise<void> {
    await this.#ready;
    const pinned = this.#pinned(node);
    // Another node has that number now, as far as the registry knows: its name is not our peer's.
    const isOther = publicKey !== "" && pinned !== undefined && pinned !== publicKey;
    if (isOther) this.#byNode.delete(node);
    else if (hostname === "" || hostname.length > MAX_NAME_LENGTH) return; // it may be hidden from us
    else {
      this.#forget(hostname);
      this.#byNode.delete(node);
      this.#byNode.set(node, { hostname, key: pinned });
      if (this.#byNode.size > MAX_PEER_NAMES) {
        const [first] = this.#byNode.keys();
        this.#byNode.delete(first!);
      }
    }
    this.#save();
  }

  /**
   * Resolves a name at the registry, or from memory when the registry is unavailable.
   *
   * @param hostname The name.
   * @param ask Asks the registry.
   * @returns Its answer; or node_id, address, hostname and `cached`.
   * @throws {PilotError} What the registry says; that it is away, for a name that is not known.
   */
  async resolve(
    hostname: string,
    ask: () => Promise<IpcResolvedHostname>,
  ): Promise<IpcResolvedHostname> {
    try {
      const reply = await ask();
      await this.learn(reply.node_id, hostname);
      return reply;
    } catch (error) {
      await this.#ready;
      const code = error instanceof PilotError ? error.code : undefined;
      if (code === "not_found") {
        this.#forget(hostname);
        this.#save();
      }
      const node = code !== undefined && AWAY.includes(code) ? this.#nodeOf(hostname) : undefined;
      if (node === undefined) throw error;
      const address = formatAddress({ network: 0, node });
      return { node_id: node, address, hostname, cached: true };
    }
  }

  /** A node is trusted now: its name belongs to its key from here on. */
  trusted(node: number): void {
    if (this.nameOf(node) !== "") this.#save();
  }

  /** Waits until everything is written. */
  async close(): Promise<void> {
    await this.#ready;
    await this.#writing;
  }

  #nodeOf(hostname: string): number | undefined {
    for (const [node, entry] of this.#byNode) {
      if (entry.hostname === hostname && this.#counts(node, entry)) return node;
    }
    return undefined;
  }

  #counts(node: number, entry: Entry): boolean {
    const pinned = this.#pinned(node);
    if (pinned === undefined) return false;
    entry.key ??= pinned;
    return entry.key === pinned;
  }

  #pinned(node: number): string | undefined {
    const key = this.#keys.isTrusted(node) ? this.#keys.pinnedKey(node) : undefined;
    return key === undefined ? undefined : encodeBase64(key);
  }

  #forget(hostname: string): void {
    for (const [node, entry] of this.#byNode) {
      if (entry.hostname === hostname) this.#byNode.delete(node);
    }
  }

  async #load(): Promise<void> {
    let names: unknown;
    try {
      this.#text = await this.#store.read() ?? "";
      names = this.#text === "" ? [] : Object(JSON.parse(this.#text)).names;
    } catch (error) {
      // What the registry has said can be asked again.
      this.#warn("names.json not read", { error: String(error) });
    }
    for (const item of Array.isArray(names) ? names.slice(0, MAX_PEER_NAMES) : []) {
      const entry = Object(item);
      const node = numberField(entry, "node_id");
      const hostname = textField(entry, "hostname");
      const key = textField(entry, "public_key");
      if (node > 0 && hostname !== "" && key !== "") this.#byNode.set(node, { hostname, key });
    }
  }

  /** One write at a time, of the newest. */
  #save(): void {
    this.#writing ??= Promise.resolve().then(() => this.#write()).finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    for (let text = this.#toFile(); text !== this.#text; text = this.#toFile()) {
      this.#text = text;
      try {
        await this.#store.write(text);
      } catch (error) {
        this.#warn("names.json not written", { error: String(error) });
        this.#text = ""; // the next change writes it all
        return;
      }
    }
  }

  #toFile(): string {
    const names = [...this.#byNode].filter(([node, entry]) => this.#counts(node, entry))
      .map(([node_id, { hostname, key }]) => ({ node_id, hostname, public_key: key }));
    return JSON.stringify({ names }, null, 2) + "\n";
  }
}
