/**
 * The real registry without its sockets: it can be down, restarted, and lose requests and replies on their way.
 *
 * @module
 */

import { PilotError } from "../../../protocol/errors.ts";
import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import { getLogger } from "../../../platform/log.ts";
import { RegistryClient, registryFailure } from "../../../platform/registry_client.ts";
import { answerJson } from "../../../rendezvous/registry/answer.ts";
import { ConnectionAuth } from "../../../rendezvous/registry/connection_auth.ts";
import { RegistryCore } from "../../../rendezvous/registry/core.ts";
import type { ManualClock } from "../../support/manual_clock.ts";
import { watch } from "../../support/settle.ts";
import type { Random } from "../random.ts";
import { LastingStore } from "./store.ts";

/** How long a request that is lost keeps its sender waiting. */
const LOST_AFTER_MS = 500;

/** A registry of a simulated network. */
export class SimRegistry {
  readonly #clock: ManualClock;
  readonly #random: Random;
  readonly #store = new LastingStore();
  #core: RegistryCore;
  /** It does not answer. */
  isDown = false;
  /** Chance that a request or its reply is lost. */
  loss = 0;
  /** Told that something waits for a node. */
  wake: (node: number) => void = () => {};

  constructor(clock: ManualClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#core = this.#open();
  }

  /** The tables, for what is to be true of them. */
  get core(): RegistryCore {
    return this.#core;
  }

  /** Restarts the process from what was stored. */
  restart(): void {
    this.#core = this.#open();
  }

  #open(): RegistryCore {
    const core = new RegistryCore({
      store: this.#store,
      clock: this.#clock,
      log: getLogger(["test"]),
    });
    core.inboxWatch = { waiting: (node) => this.wake(node), fetched: () => {} };
    return core;
  }

  /** What one node asks with. */
  client(host: string): RegistryClient {
    return new SimClient(this, this.#clock, host);
  }

  /** Asks, and gives the reply if neither is lost. */
  async ask(request: JsonObject, auth: ConnectionAuth, host: string): Promise<JsonObject> {
    const isRequestLost = this.isDown || this.#random.chance(this.loss);
    const isReplyLost = this.#random.chance(this.loss);
    const lost = () =>
      new Promise<never>((_, reject) =>
        this.#clock.after(
          LOST_AFTER_MS,
          () => reject(new PilotError("unavailable", "the registry is not there")),
        )
      );
    if (isRequestLost) return await lost();
    const peer = { ip: host, key: host, port: 1, loopback: false, auth };
    const { auth: _, ...sent } = request;
    const reply = await watch(answerJson(this.#core, sent, peer)) as JsonObject;
    if (isReplyLost) return await lost();
    if (typeof reply.error === "string") throw registryFailure(String(request.type), reply);
    return reply;
  }
}

class SimClient extends RegistryClient {
  readonly #registry: SimRegistry;
  readonly #auth = new ConnectionAuth();
  readonly #host: string;

  constructor(registry: SimRegistry, clock: ManualClock, host: string) {
    super({ address: "none:1", clock });
    this.#registry = registry;
    this.#host = host;
  }

  override request(request: JsonObject): Promise<JsonObject> {
    return this.#registry.ask(request, this.#auth, this.#host);
  }
}
