/**
 * Finding other beacons through a registry: `beacon_register` and `beacon_list` (docs/protocol/registry.md §4.6,
 * docs/protocol/beacon.md §3).
 *
 * On the wire neither is authenticated: anyone who can talk to that registry can become a peer, unless it asks for the
 * cluster's token. So this happens only where the operator has asked for it.
 *
 * @module
 */

import { isIP } from "node:net";
import type { Advice } from "../../protocol/advice.ts";
import { DecodeError, PilotError } from "../../protocol/errors.ts";
import { type Endpoint, formatEndpoint, isUnspecified, parseEndpoint } from "../../protocol/ip.ts";
import {
  encodeJsonFrame,
  JsonFrameReader,
  readReply,
  type RegistryRequest,
  textField,
} from "../../protocol/registry/registry_message.ts";
import {
  beaconList,
  beaconRegister,
  type ListedBeacon,
} from "../../protocol/registry/requests/beacon_schema.ts";
import {
  isTlsAlert,
  type LinkSettings,
  openLink,
  type RegistryLink,
} from "../../platform/registry_link.ts";
import type { Clock } from "../../platform/clock.ts";
import { Deadline } from "../../platform/waiting.ts";
import type { ClusterToken } from "../cluster_token.ts";
import { LISTING_TIMEOUT_MS } from "./beacon_limits.ts";

/** Bytes of answers read at most: 256 beacons need far less. */
const MAX_LISTING_BYTES = 1_048_576;
const READ_BYTES = 16_384;
/** One setting for both: with a fingerprint it is TLS. */
const SETTINGS: LinkSettings = {
  fingerprint: "beaconRegistryFingerprint",
  tls: "beaconRegistryFingerprint",
};
const PIN_LISTING: Advice = { id: "pin_listing" };

/** Where beacons announce themselves to each other. */
export interface BeaconListing {
  /**
   * Announces a beacon and lists all.
   *
   * @param id Its non-zero number.
   * @param addr Its `host:port` as others reach it; an unspecified host stands for "the one I use to reach you".
   * @param signal Ends it early.
   * @returns All beacons, the announced one included.
   */
  exchange(id: number, addr: Endpoint, signal: AbortSignal): Promise<readonly ListedBeacon[]>;
}

/**
 * Endpoints of the other beacons in a listing; entries that are no IP address and port are left out.
 *
 * @param listed The listing.
 * @param self Our own number.
 */
export function otherBeacons(listed: readonly ListedBeacon[], self: number): Endpoint[] {
  const found: Endpoint[] = [];
  for (const { id, addr } of listed) {
    if (id === self) continue;
    try {
      const endpoint = parseEndpoint(addr);
      // Names are not looked up: anyone may have written them there. A zone means nothing here.
      const isUsable = isIP(endpoint.host) !== 0 && !endpoint.host.includes("%") &&
        !isUnspecified(endpoint.host) &&
        endpoint.port !== 0;
      if (isUsable) found.push(endpoint);
    } catch (error) {
      if (!(error instanceof PilotError)) throw error; // what anyone may have written there
    }
  }
  return found;
}

/** Which registry lists the beacons, and how it is known. */
export interface RemoteListingOptions {
  /** Its `host:port`. */
  readonly registry: string;
  /** SHA-256 of its certificate, 64 lowercase hex digits: it speaks TLS then; undefined is plain TCP. */
  readonly fingerprint?: string | undefined;
  /** Proves that we belong to the cluster; undefined where the registry does not ask. */
  readonly token?: ClusterToken | undefined;
  readonly clock: Clock;
}

/**
 * The listing of a registry elsewhere, over TLS with a pinned certificate or plain TCP
 * (docs/protocol/registry.md §1.5).
 */
export class RemoteBeaconListing implements BeaconListing {
  readonly #registry: Endpoint;
  readonly #fingerprint: string | undefined;
  readonly #token: ClusterToken | undefined;
  readonly #clock: Clock;

  /** @param options The registry. */
  constructor({ registry, fingerprint, token, clock }: RemoteListingOptions) {
    this.#clock = clock;
    this.#token = token;
    this.#registry = parseEndpoint(registry);
    this.#fingerprint = fingerprint;
  }

  async exchange(
    id: number,
    addr: Endpoint,
    signal: AbortSignal,
  ): Promise<readonly ListedBeacon[]> {
    let link: RegistryLink | undefined;
    const deadline = new Deadline(this.#clock, LISTING_TIMEOUT_MS, signal);
    deadline.signal.addEventListener("abort", () => link?.close());
    try {
      const pin = { fingerprint: this.#fingerprint, settings: SETTINGS };
      link = await openLink({ to: this.#registry, ...pin, signal: deadline.signal });
      deadline.signal.throwIfAborted(); // the end may have come together with the link
      const host = isUnspecified(addr.host) ? link.localHost : addr.host;
      const own = formatEndpoint({ host, port: addr.port });
      const reader = new JsonFrameReader();
      const proof = await this.#proof(link, reader, { id, addr: own });
      await call(link, reader, beaconRegister, { beacon_id: id, addr: own, ...proof });
      return (await call(link, reader, beaconList, {})).beacons;
    } finally {
      deadline.clear();
      link?.close();
      await link?.closed;
    }
  }

  /** Signed with the registry's own time, so that clocks need not agree. */
  async #proof(
    link: RegistryLink,
    reader: JsonFrameReader,
    own: { id: number; addr: string },
  ): Promise<{ time?: number; token_code?: string }> {
    if (this.#token === undefined) return {};
    const { time: timeMs = 0 } = await call(link, reader, beaconList, {});
    return { time: timeMs, token_code: this.#token.sign({ ...own, timeMs }) };
  }
}

async function call<F extends object, R extends object>(
  link: RegistryLink,
  reader: JsonFrameReader,
  request: RegistryRequest<F, R>,
  fields: F,
): Promise<R> {
  await link.write(encodeJsonFrame({ type: request.type, ...fields }));
  let total = 0;
  for (;;) {
    const reply = reader.next();
    if (reply instanceof DecodeError) {
      throw new PilotError("protocol_error", `The registry's answer is broken: ${reply.message}`);
    }
    if (reply !== undefined) {
      if (!("error" in reply)) return readReply(request, reply);
      throw new PilotError(
        "denied",
        `The registry refused ${request.type}: ${textField(reply, "error")}`,
        textField(reply, "error").includes("token") ? { advice: { id: "give_beacon_token" } } : {},
      );
    }
    const chunk = new Uint8Array(READ_BYTES);
    const read = await link.read(chunk);
    const bytes = chunk.subarray(0, read ?? 0);
    if (total === 0 && isTlsAlert(bytes)) {
      throw new PilotError("protocol_error", "The registry that lists the beacons speaks TLS", {
        advice: PIN_LISTING,
      });
    }
    total += bytes.length;
    if (read === null || total > MAX_LISTING_BYTES) {
      throw new PilotError(
        "protocol_error",
        "The registry ended before its answer was complete",
        total === 0 ? { advice: PIN_LISTING } : {}, // what a registry of ours does to one who speaks no TLS
      );
    }
    reader.push(bytes);
  }
}
