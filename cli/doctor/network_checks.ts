/**
 * Checks of the network, from what `netcheck` found.
 *
 * @module
 */

import { adviceText } from "../advice_text.ts";
import { PIN_REGISTRY, registryWarning } from "../../platform/registry_exposure.ts";
import { keyExpiry } from "../netcheck/registry_probe.ts";
import { beaconFault, registryAdvice } from "../netcheck/netcheck_report.ts";
import { TimeLeft } from "../netcheck/time_left.ts";
import { formatMillis } from "../output.ts";
import { type Check, fail, ok, skip, warn } from "./doctor_check.ts";

/** Handshakes older than this are refused, milliseconds (docs/protocol/trust.md §2; `HANDSHAKE_MAX_AGE_S`). */
const SKEW_FAIL_MS = 300_000;
/** Threshold above which a warning is shown. */
const SKEW_WARN_MS = 30_000;
/** Longest question for the key's age, milliseconds. */
const EXPIRY_MS = 1_500;
/** A key that expires sooner should be looked after, milliseconds. */
const EXPIRY_WARN_MS = 14 * 24 * 60 * 60 * 1000;

const NO_NETWORK = skip("the configuration cannot be used");

const registry: Check = {
  id: "registry",
  title: "Registry",
  run({ network, options, info }) {
    if (network === undefined || options === undefined) return NO_NETWORK;
    const { address, error, error_code, rtt_ms, tls } = network.registry;
    const advice = registryAdvice(network.registry);
    if (advice !== undefined) {
      const what = error_code === "untrusted" ? "is not the pinned registry" : "does not answer";
      return fail(error ?? `${address} ${what}`, advice);
    }
    const pins = [
      ...(tls ? ["certificate pinned"] : []),
      ...(options.registryKey === undefined ? [] : ["key pinned"]),
    ];
    const detail = `${address} answers in ${formatMillis(rtt_ms)}`;
    if (pins.length > 0) return ok(`${detail}, ${pins.join(", ")}`);
    if (registryWarning(options) === undefined) return ok(detail);
    // The daemon may have more settings from its command line.
    const isDaemonSafe = info?.registry === address && info.registry_warning === null;
    if (isDaemonSafe) return ok(`${detail}, and the daemon was started with what it needs`);
    return warn(
      `${detail}, but anyone on the network path can read and answer in its place: nothing is pinned`,
      adviceText(PIN_REGISTRY),
    );
  },
};

const udp: Check = {
  id: "udp",
  title: "Beacon over UDP",
  run({ network, info }) {
    if (network === undefined) return NO_NETWORK;
    const { beacon, ipv4, ipv6 } = network;
    const fault = beaconFault(beacon);
    if (fault !== undefined) return fail(`${beacon.address}: ${fault.what}`, fault.advice);
    const seen = ipv4.reflexive ?? ipv6.reflexive;
    const detail = `${beacon.address} answers in ${
      formatMillis(beacon.rtt_median_ms)
    }, which sees us as ${seen}`;
    if (beacon.answered < beacon.sent) {
      return warn(
        `${detail}; ${beacon.sent - beacon.answered} of ${beacon.sent} datagrams were lost`,
        "The network or the beacon is overloaded: run pilotctl netcheck again.",
      );
    }
    if (info?.beacon_answers === false && info.registration === "registered") {
      return warn(
        `${detail}; the daemon gets no answer from it`,
        "Right after a start or a change of the network it takes a few seconds. The daemon's own port may be blocked " +
          "(--listen), or it was started with another --beacon: pilotctl health shows which one it asks.",
      );
    }
    if (info?.endpoint_proven !== false || info.registration !== "registered") return ok(detail);
    return warn(
      `${detail}; the daemon's endpoint is not proven to it`,
      "Right after a start it takes a few seconds. A beacon that is not part of its registry cannot do it: requests are then " +
        "polled for instead of pushed.",
    );
  },
};

const nat: Check = {
  id: "nat",
  title: "NAT",
  run({ network }) {
    if (network === undefined) return NO_NETWORK;
    const { behind, mapping } = network.nat;
    if (behind === null) return skip("the beacon does not answer");
    if (!behind) return ok("none between here and the beacon");
    if (mapping !== "address_dependent" && mapping !== "address_and_port_dependent") {
      return ok(`there is one; mapping: ${mapping.replaceAll("_", " ")}`);
    }
    return warn(
      `The NAT gives each destination another port (${mapping.replaceAll("_", " ")})`,
      "Peers behind such NATs are reached through the relay. Forward a UDP port and start the daemon with --listen and " +
        "--endpoint, or use IPv6.",
    );
  },
};

const clock: Check = {
  id: "clock",
  title: "Clock",
  run({ network }) {
    if (network === undefined) return NO_NETWORK;
    if (!network.registry.reachable) return skip("the registry does not answer");
    const skew = network.registry.skew_ms;
    if (skew === null) return skip("the registry does not tell its time");
    const off = Math.abs(skew);
    if (off < SKEW_WARN_MS) return ok(`agrees with the registry's within ${formatMillis(off)}`);
    const detail = `${Math.round(off / 1000)} s ${skew > 0 ? "behind" : "ahead of"} the registry's`;
    const fix = "Set the clock, and keep it synchronized (NTP).";
    if (off < SKEW_FAIL_MS) return warn(detail, fix);
    return fail(`${detail}: handshakes are refused as too old`, fix);
  },
};

const expiry: Check = {
  id: "key_expiry",
  title: "Expiry of the key",
  async run({ network, options, info }) {
    const node = info?.node_id;
    const isOut = info?.registration !== undefined && info.registration !== "registered";
    if (typeof node !== "number" || node === 0 || isOut) {
      return skip("no registered daemon answers");
    }
    if (options === undefined || network?.registry.reachable !== true) {
      return skip("the registry does not answer");
    }
    const time = new TimeLeft(EXPIRY_MS, new AbortController().signal);
    const expires = await keyExpiry(options, node, time);
    if (expires === undefined) return ok("does not expire");
    const left = Date.parse(expires) - Date.now();
    const fix = "Rotate or extend it with the administrator of the network.";
    if (left <= 0) return fail(`expired at ${expires}`, fix);
    return left < EXPIRY_WARN_MS ? warn(`expires at ${expires}`, fix) : ok(`expires at ${expires}`);
  },
};

/** In the order of the report. */
export const NETWORK_CHECKS: readonly Check[] = [registry, udp, nat, clock, expiry];
