/**
 * Invitations to networks: read when the beacon says that something waits, and reported once each.
 *
 * @module
 */

import type { JsonObject } from "../../protocol/registry/registry_message.ts";
import type { Log } from "../../platform/log.ts";

/** Invitations already reported; as many as the registry keeps for one node. */
const MAX_TOLD = 100;

/** What reading invitations needs. */
export interface InvitesDeps {
  /** Asks the registry; the reply to `poll_invites`. */
  readonly poll: () => Promise<JsonObject>;
  /** A new invitation. */
  readonly invited: (invite: { network_id: number; inviter_id: number }) => void;
  readonly log: Log;
}

/** The invitations of this node. */
export class Invites {
  readonly #deps: InvitesDeps;
  #told: ReadonlySet<string> = new Set();
  #running: Promise<void> | undefined;
  #again = false;

  constructor(deps: InvitesDeps) {
    this.#deps = deps;
  }

  /** Something may wait. One question at a time; what comes meanwhile is one more. */
  look(): void {
    this.#again = true;
    this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  /** Resolves when no question is under way. */
  async stop(): Promise<void> {
    this.#again = false;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      try {
        this.#take(await this.#deps.poll());
      } catch (error) {
        // They stay in the registry: the next wake, registration or `network invites` finds them.
        this.#deps.log("debug", "invitations not read", { error: String(error) });
      }
    }
  }

  #take({ invites }: JsonObject): void {
    if (!Array.isArray(invites)) return;
    const told = new Set<string>();
    for (const invite of (invites as JsonObject[]).slice(0, MAX_TOLD)) {
      const [network_id, inviter_id] = [Number(invite.network_id), Number(invite.inviter_id)];
      const key = `${network_id} ${inviter_id}`;
      told.add(key);
      if (!this.#told.has(key)) this.#deps.invited({ network_id, inviter_id });
    }
    this.#told = told;
  }
}
