/**
 * Delivers what the trust state owes to peers: through the registry, which keeps it, and directly where that
 * may be faster (docs/protocol/trust.md §3.6, §4).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { encodeHandshake, signHandshake, type Statement } from "../../protocol/trust/mod.ts";
import type { NodeRegistry } from "../registry/node_registry.ts";
import { type Clock, unixSeconds } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";

/** Longest wait for a direct message to a peer that may not be there. */
export const DIRECT_TIMEOUT_MS = 4_000;

/** What is sent of a reason too long for a message, characters: fits even if each takes six bytes of JSON. */
const SHORT_REASON_CHARS = 80;

/** What ends an attempt for good: asking the same again would bring the same answer. */
const FINAL_CODES: ReadonlySet<string> = new Set(["not_found", "denied", "invalid_argument"]);

/** What delivery needs. */
export interface DeliveryDeps {
  readonly registry: NodeRegistry;
  readonly clock: Clock;
  /** What is owed now. */
  readonly owed: () => readonly Statement[];
  /** The registry has it, or will never take it. */
  readonly delivered: (statement: Statement) => void;
  /** Sends one handshake message to a peer's daemon. */
  readonly send: (node: number, bytes: Uint8Array, timeoutMs: number) => Promise<void>;
  readonly log: Log;
}

/** Carries statements to where they belong. */
export class StatementDelivery {
  readonly #deps: DeliveryDeps;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** Hands everything owed to the registry; what it cannot take now stays owed. Never rejects. */
  async flush(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#run().finally(() => this.#running = undefined);
    await this.#running;
  }

  /**
   * Hands one statement to the registry.
   *
   * @throws {PilotError} Why that failed; the statement stays owed unless it never will be taken.
   */
  async relay(statement: Statement): Promise<void> {
    const { registry, delivered } = this.#deps;
    const { nodeId: node, type, text } = statement;
    const message = new TextDecoder().decode(await this.#encode(statement));
    try {
      if (type === "handshake_request") await registry.requestHandshake(node, text, message);
      else if (type === "handshake_revoke") await registry.revokeTrust(node, message);
      else await registry.respondHandshake(node, type === "handshake_accept", message);
    } catch (error) {
      if (error instanceof PilotError && FINAL_CODES.has(error.code)) delivered(statement);
      throw error;
    }
    delivered(statement);
  }

  /** Sends a statement to the peer itself; false when it could not be reached. */
  async direct(statement: Statement): Promise<boolean> {
    const { nodeId: node, type } = statement;
    try {
      await this.#deps.send(node, await this.#encode(statement), DIRECT_TIMEOUT_MS);
      return true;
    } catch (error) {
      this.#deps.log("debug", "direct handshake message failed", {
        peer_node_id: node,
        type,
        error: String(error),
      });
      return false;
    }
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      for (const statement of this.#deps.owed()) {
        if (!await this.#relayQuietly(statement)) return;
      }
    }
  }

  /** False when the registry is away, so that there is no use in going on. */
  async #relayQuietly(statement: Statement): Promise<boolean> {
    try {
      await this.relay(statement);
      return true;
    } catch (error) {
      this.#deps.log("warn", "registry did not help with trust", {
        peer_node_id: statement.nodeId,
        type: statement.type,
        error: error instanceof Error ? error.message : String(error),
      });
      return error instanceof PilotError && error.code !== "unavailable" &&
        error.code !== "timeout";
    }
  }

  async #encode(statement: Statement): Promise<Uint8Array> {
    const { type, text } = statement;
    try {
      return encodeHandshake(await this.#sign(statement, text));
    } catch (error) {
      if (type === "handshake_request") throw error;
      // The answer counts, its reason is for people: the peer must not wait for what never fits.
      return encodeHandshake(await this.#sign(statement, text.slice(0, SHORT_REASON_CHARS)));
    }
  }

  async #sign(
    { type, nodeId, order, re }: Statement,
    text: string,
  ): ReturnType<typeof signHandshake> {
    const { registry, clock } = this.#deps;
    return await signHandshake(registry.identity, {
      type,
      from: registry.node,
      to: nodeId,
      timestamp: unixSeconds(clock),
      order,
      re,
      ...(type === "handshake_request" ? { justification: text } : { reason: text }),
    });
  }
}
