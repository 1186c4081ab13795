/**
 * The largest datagram that reaches a beacon, by asking in ever better fitting ones (RFC 8899 in one sitting).
 *
 * @module
 */

import { isIPv6 } from "node:net";
import { type Endpoint, isLoopbackIp, parseIp } from "../../protocol/ip.ts";
import { withoutZone } from "../../platform/local_addresses.ts";
import type { UdpProber } from "./prober.ts";
import type { MtuReport } from "./netcheck_report.ts";
import type { TimeLeft } from "./time_left.ts";

/** Less than this is not looked for: what tunnels need is 1280 (RFC 8200 §5). */
export const MIN_MTU = 1200;
/** Ethernet. */
export const MAX_MTU = 1500;
/** Loopback interfaces carry more. */
export const MAX_LOOPBACK_MTU = 9000;
const IPV4_UDP_HEADERS = 28;
const IPV6_UDP_HEADERS = 48;
/** Questions per size: one may be lost for other reasons. */
const TRIES = 2;
/** Shortest wait for an answer, milliseconds: a loaded server. */
const MIN_WAIT_MS = 150;

/**
 * Searches the MTU towards a beacon.
 *
 * @param prober Its socket must forbid fragments.
 * @param beacon The beacon to query.
 * @param limits Round trip that was measured, and the time for all of it.
 * @returns The MTU, or why it is not known.
 */
export async function beaconMtu(
  prober: UdpProber,
  beacon: Endpoint,
  { rttMs, time }: { rttMs: number; time: TimeLeft },
): Promise<MtuReport> {
  if (!prober.socket.forbidsFragments) {
    return { bytes: null, note: "the UDP socket of this system cannot forbid fragments" };
  }
  const headers = isIPv6(beacon.host) ? IPV6_UDP_HEADERS : IPV4_UDP_HEADERS;
  const top = isLoopbackIp(parseIp(withoutZone(beacon.host))) ? MAX_LOOPBACK_MTU : MAX_MTU;
  const fits = async (mtu: number): Promise<boolean> => {
    for (let i = 0; i < TRIES; i++) {
      const timeoutMs = time.ms(Math.max(MIN_WAIT_MS, 3 * rttMs));
      if (await prober.ask({ to: beacon, bytes: mtu - headers, timeoutMs })) return true;
    }
    return false;
  };
  if (await fits(top)) return { bytes: top, note: "no larger size was tried" };
  if (!await fits(MIN_MTU)) return { bytes: null, note: `not even ${MIN_MTU} bytes arrive` };
  let low = MIN_MTU;
  let high = top;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (await fits(middle)) low = middle;
    else if (time.ms() === 0) {
      return { bytes: low, note: "there was not enough time to complete the search" };
    } else high = middle;
  }
  return { bytes: low, note: null };
}
