/**
 * Finding other beacons through a registry: `beacon_register` and `beacon_list` (rendezvous.md §4.6, §10).
 *
 * Neither is authenticated: whoever can talk to that registry can become a peer. So this happens only where the
 * operator has asked for it.
 *
 * @module
 */

import { isIP } from "node:net";
import { DecodeError, PilotError } from "../../protocol/errors.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../../protocol/ip.ts";
import {
  encodeJsonFrame,
  JsonFrameReader,
  type JsonObject,
  numberField,
  objectListField,
  textField,
} from "../../protocol/registry.ts";
import { LISTING_TIMEOUT_MS } from "./limits.ts";

/** Bytes of answers read at most: 256 beacons need far less. */
const MAX_LISTING_BYTES = 1_048_576;
const READ_BYTES = 16_384;

/** A beacon as the registry lists it. */
export interface ListedBeacon {
  readonly id: number;
  readonly addr: string;
}

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

/** Is it an address that means "all interfaces"? */
export function isUnspecified(host: string): boolean {
  return host === "" || host === "0.0.0.0" || host === "::";
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
      // Names are not looked up: anybody may have written them there.
      const isUsable = isIP(endpoint.host) !== 0 && !isUnspecified(endpoint.host) &&
        endpoint.port !== 0;
      if (isUsable) found.push(endpoint);
    } catch (error) {
      if (!(error instanceof PilotError)) throw error; // what anybody may have written there
    }
  }
  return found;
}

/** The listing of a registry elsewhere, over plain TCP. */
export class TcpBeaconListing implements BeaconListing {
  readonly #registry: Endpoint;

  /** @param registry `host:port`. */
  constructor(registry: string) {
    this.#registry = parseEndpoint(registry);
  }

  async exchange(
    id: number,
    addr: Endpoint,
    signal: AbortSignal,
  ): Promise<readonly ListedBeacon[]> {
    const { host: hostname, port } = this.#registry;
    let conn: Deno.TcpConn | undefined;
    const ending = new AbortController();
    const end = () => {
      ending.abort();
      try {
        conn?.close();
      } catch {
        // Closed already, by the deadline or the end.
      }
    };
    const deadline = setTimeout(end, LISTING_TIMEOUT_MS);
    signal.addEventListener("abort", end, { once: true });
    try {
      conn = await Deno.connect({ hostname, port, signal: ending.signal });
      const local = conn.localAddr;
      const host = isUnspecified(addr.host) ? local.hostname : addr.host;
      const own = formatEndpoint({ host, port: addr.port });
      const reader = new JsonFrameReader();
      await call(conn, reader, { type: "beacon_register", beacon_id: id, addr: own });
      const reply = await call(conn, reader, { type: "beacon_list" });
      return objectListField(reply, "beacons").map((entry) => ({
        id: numberField(entry, "id"),
        addr: textField(entry, "addr"),
      }));
    } finally {
      clearTimeout(deadline);
      signal.removeEventListener("abort", end);
      end();
    }
  }
}

async function call(
  conn: Deno.Conn,
  reader: JsonFrameReader,
  request: JsonObject,
): Promise<JsonObject> {
  const bytes = encodeJsonFrame(request);
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
  let total = 0;
  for (;;) {
    const reply = reader.next();
    if (reply instanceof DecodeError) {
      throw new PilotError("protocol_error", `The registry's answer is broken: ${reply.message}`);
    }
    if (reply !== undefined) {
      if (!("error" in reply)) return reply;
      throw new PilotError(
        "denied",
        `The registry refused ${String(request.type)}: ${textField(reply, "error")}`,
      );
    }
    const chunk = new Uint8Array(READ_BYTES);
    const read = await conn.read(chunk);
    total += read ?? 0;
    if (read === null || total > MAX_LISTING_BYTES) {
      throw new PilotError("protocol_error", "The registry ended before its answer was complete");
    }
    reader.push(chunk.subarray(0, read));
  }
}
