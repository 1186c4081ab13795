/**
 * What follows from what the beacon says of this node.
 *
 * @module
 */

import type { Endpoint } from "../protocol/ip.ts";
import type { Emit } from "../protocol/lifecycle_events.ts";
import type { Clock } from "../platform/clock.ts";
import type { BeaconFinder } from "./beacon_finder.ts";
import type { NetworkChange } from "./network_change.ts";
import type { Invites } from "./registry/invite_watch.ts";
import type { Memberships } from "./registry/memberships.ts";
import type { RegistrationLoop } from "./registry/registration.ts";
import type { Directory } from "./registry_entry.ts";
import type { TrustService } from "./trust/trust_service.ts";
import type { BeaconNews } from "./tunnel/beacon_link.ts";
import { type Rate, TokenBucket } from "../protocol/rate_limit.ts";

/** Registrations caused by the beacon seeing us elsewhere: a change of network, not a forger with the beacon's address. */
const ENDPOINT_NEWS_RATE: Rate = { perSecond: 0.1, burst: 3 };

/** The parts that the beacon's news concern. */
export interface BeaconListenerParts {
  readonly clock: Clock;
  readonly directory: Directory;
  readonly registration: RegistrationLoop;
  readonly change: NetworkChange;
  readonly finder: BeaconFinder | undefined;
  readonly trust: TrustService;
  readonly invites: Invites;
  readonly memberships: Memberships;
  readonly emit: Emit;
}

/** Hands the beacon's news on. */
export class BeaconListener implements BeaconNews {
  readonly #parts: BeaconListenerParts;
  readonly #endpointNews: TokenBucket;

  constructor(parts: BeaconListenerParts) {
    this.#parts = parts;
    this.#endpointNews = new TokenBucket(ENDPOINT_NEWS_RATE, parts.clock.now());
  }

  observed(endpoint: Endpoint): void {
    const { clock, directory, registration, change } = this.#parts;
    const before = directory.observed;
    const admit = () => this.#endpointNews.take(clock.now());
    if (directory.observe(endpoint, admit)) registration.trigger();
    if ((before?.host ?? endpoint.host) !== endpoint.host) change.seenElsewhere();
  }

  answers(endpoint: Endpoint): void {
    this.#parts.finder?.answers(endpoint);
  }

  silent(): void {
    this.#parts.finder?.silent();
  }

  proven(): void {
    this.#parts.emit("tunnel.endpoint_proven", {});
  }

  wake(): void {
    this.#parts.trust.wake();
    this.#parts.invites.look();
    this.#parts.memberships.refresh();
  }
}
