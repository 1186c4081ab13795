/**
 * The daemon's small files: identity.json, trust.json, node.json (docs/protocol/tunnel.md §7,
 * docs/protocol/trust.md §6). All are private to the user and never half-written.
 *
 * @module
 */

import { join } from "node:path";
import { Identity } from "../protocol/crypto/identity.ts";
import { PilotError } from "../protocol/errors.ts";
import { TrustState } from "../protocol/trust/mod.ts";
import { readPrivateFile, writeFileAtomic } from "../platform/private_files.ts";
import { PeerNames, type PinnedKeys } from "./peer_names.ts";
import { RevocationJournal } from "./trust/revocation_journal.ts";

/** What the registry last reported, so that a daemon has its address before the registry is reachable. */
export interface NodeFile {
  /** Node number. */
  readonly node: number;
  /** Base64 key the number belongs to. */
  readonly publicKey: string;
  /** Anyone may reach the node. */
  readonly isPublic: boolean;
  /** Its hostname, empty when it has none. */
  readonly hostname: string;
  /** Networks that were joined here; undefined in files of daemons that did not note it. */
  readonly joined?: readonly number[] | undefined;
}

/** What is known of the registry that gave the number; for `pilotctl join`. */
export interface RegistryMark {
  /** `host:port`. */
  readonly registry?: string | undefined;
  /** The key that is pinned of it, base64. */
  readonly registryKey?: string | undefined;
}

/** Reads and writes the files of one home directory. */
export class StateFiles {
  readonly #identityPath: string;
  readonly #trustPath: string;
  readonly #nodePath: string;
  readonly #namesPath: string;
  readonly #revokedPath: string;
  #isNew = false;
  readonly #at: RegistryMark;
  /** What node.json holds: each registration says the same again, which is no reason to write. */
  #nodeText: string | undefined;

  /**
   * @param home The home directory.
   * @param identityPath Path of identity.json.
   * @param at The registry that is used, noted with the number: it counts there only.
   */
  constructor(home: string, identityPath: string, at: RegistryMark = {}) {
    this.#at = { registry: at.registry, registryKey: at.registryKey };
    this.#identityPath = identityPath;
    this.#trustPath = join(home, "trust.json");
    this.#nodePath = join(home, "node.json");
    this.#namesPath = join(home, "names.json");
    this.#revokedPath = join(home, "revoked.journal");
  }

  /** The identity was made by this process: nothing can be known of it. */
  get isNew(): boolean {
    return this.#isNew;
  }

  /**
   * Opens the place for revocations that trust.json cannot take.
   *
   * @throws {PilotError} `io_error`.
   */
  revocations(): Promise<RevocationJournal> {
    return RevocationJournal.open(this.#revokedPath);
  }

  /**
   * The identity; made and saved at the first start.
   *
   * @throws {PilotError} `invalid_argument` for a damaged file, which is never overwritten; `denied` when others may
   * read it; `io_error`.
   */
  async identity(): Promise<Identity> {
    const text = await readPrivateFile(this.#identityPath);
    if (text !== undefined) {
      try {
        return await Identity.fromFile(text);
      } catch (error) {
        throw new PilotError("invalid_argument", `Identity file ${this.#identityPath} is damaged`, {
          hint: "Restore it from a backup; without it this node gets a new address.",
          cause: error,
        });
      }
    }
    const identity = await Identity.generate();
    await writeFileAtomic(this.#identityPath, identity.toFile());
    this.#isNew = true;
    return identity;
  }

  /**
   * The trust state; empty at the first start.
   *
   * @throws {PilotError} `invalid_argument` for a damaged file, which is never overwritten; `denied`, `io_error`.
   */
  async trust(): Promise<TrustState> {
    const text = await readPrivateFile(this.#trustPath);
    if (text === undefined) return new TrustState();
    try {
      return TrustState.fromFile(text);
    } catch (error) {
      throw new PilotError("invalid_argument", `Trust file ${this.#trustPath} is damaged`, {
        hint: "Restore it from a backup, or remove it and shake hands again.",
        cause: error,
      });
    }
  }

  /**
   * The names of trusted peers; a damaged file counts as none, being a copy of what the registry says.
   *
   * @param keys Who is trusted.
   * @param warn Called when the file cannot be read or written.
   */
  peerNames(
    keys: PinnedKeys,
    warn: (message: string, fields: Record<string, unknown>) => void,
  ): PeerNames {
    const store = {
      read: () => readPrivateFile(this.#namesPath),
      write: (text: string) => writeFileAtomic(this.#namesPath, text),
    };
    return new PeerNames(keys, store, warn);
  }

  /** Saves the trust state. */
  async saveTrust(json: string): Promise<void> {
    await writeFileAtomic(this.#trustPath, json);
  }

  /** What is known from an earlier run under this key; undefined when nothing usable is. */
  async node(publicKey: string): Promise<NodeFile | undefined> {
    const text = await readPrivateFile(this.#nodePath);
    this.#nodeText = text;
    if (text === undefined) return undefined;
    let file: Partial<NodeFile>;
    try {
      file = JSON.parse(text) ?? {};
    } catch {
      // Only a cache of what the registry says: as good as absent.
      return undefined;
    }
    const { node, isPublic, hostname, joined } = file;
    if (file.publicKey !== publicKey || !Number.isInteger(node)) return undefined;
    if (node! < 1 || node! > 0xffffffff) return undefined;
    return {
      node: node!,
      publicKey,
      isPublic: isPublic === true,
      hostname: typeof hostname === "string" ? hostname : "",
      joined: Array.isArray(joined) ? joined.filter(Number.isInteger) : undefined,
    };
  }

  /** Remembers what the registry said, unless the file says so already. */
  async saveNode(file: NodeFile): Promise<void> {
    const text = JSON.stringify({ ...file, ...this.#at }, null, 2) + "\n";
    if (text === this.#nodeText) return;
    await writeFileAtomic(this.#nodePath, text);
    this.#nodeText = text;
  }
}
