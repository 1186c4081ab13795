/**
 * What `netcheck` finds out: the shape of its `--json` (docs/TROUBLESHOOTING.md).
 *
 * @module
 */

/** The registry over TCP or TLS. */
export interface RegistryReport {
  /** `host:port`. */
  readonly address: string;
  /** It answered, and its certificate is the pinned one. */
  readonly reachable: boolean;
  readonly tls: boolean;
  /** Connection, TLS and the first answer, milliseconds. */
  readonly connect_ms: number | null;
  /** One question and its answer, milliseconds. */
  readonly rtt_ms: number | null;
  /** By how much the registry's clock is ahead of ours, milliseconds; null where it does not report its time. */
  readonly skew_ms: number | null;
  /** Code of the failure. */
  readonly error_code: string | null;
  readonly error: string | null;
}

/** The beacon over UDP, by the better of the two kinds of IP. */
export interface BeaconReport {
  /** `host:port`. */
  readonly address: string;
  readonly reachable: boolean;
  readonly rtt_min_ms: number | null;
  readonly rtt_median_ms: number | null;
  readonly sent: number;
  readonly answered: number;
  /** Where it was asked: all the addresses of its name that this machine can send to, `ip:port`. */
  readonly asked: readonly string[];
  /** Addresses from which answers came that were not asked; these answers are ignored. */
  readonly strays: readonly string[];
  /** Why nothing could be sent. */
  readonly error: string | null;
}

/** One kind of IP. */
export interface FamilyReport {
  /** This machine's addresses: IPv4 other than loopback, global IPv6. */
  readonly local: readonly string[];
  /** The beacon's address of this kind, `ip:port`; null when it has none. */
  readonly beacon: string | null;
  /** Whether the beacon answered; null when it was not asked. */
  readonly reachable: boolean | null;
  /** Our endpoint as the beacon sees it. */
  readonly reflexive: string | null;
}

/**
 * How a NAT maps one local port for several destinations (RFC 4787 §4.1). "not_port_dependent": two ports of one server
 * saw the same, and no second address was there to ask.
 */
export type NatMapping =
  | "none"
  | "endpoint_independent"
  | "not_port_dependent"
  | "address_dependent"
  | "address_and_port_dependent"
  | "unknown";

/** Our endpoint as one server sees it. */
export interface Sighting {
  /** Who: `ip:port`. */
  readonly server: string;
  /** What it saw, `ip:port`; null when it did not answer. */
  readonly endpoint: string | null;
}

/** The NAT between us and the beacon. */
export interface NatReport {
  /** The beacon sees an address that is none of ours. */
  readonly behind: boolean | null;
  readonly mapping: NatMapping;
  /** The outer port is the local one. */
  readonly port_preserved: boolean | null;
  readonly seen: readonly Sighting[];
}

/** The largest datagram that reaches the beacon. */
export interface MtuReport {
  /** With IP and UDP headers; null when it is not known. */
  readonly bytes: number | null;
  /** Why it is not known, or that there may be more. */
  readonly note: string | null;
}

/** What a running daemon says about itself. */
export interface DaemonReport {
  readonly version: string | null;
  readonly registration: string | null;
  readonly registry: string | null;
  readonly beacon: string | null;
  /** Its endpoint as others see it. */
  readonly endpoint: string | null;
  /** The beacon has its proof for that. */
  readonly endpoint_proven: boolean | null;
  readonly socket_kind: string | null;
}

/** All of it. */
export interface NetcheckReport {
  /** The beacon answers over UDP: agents can be reached. */
  readonly udp: boolean;
  readonly registry: RegistryReport;
  readonly beacon: BeaconReport;
  readonly ipv4: FamilyReport;
  readonly ipv6: FamilyReport;
  readonly nat: NatReport;
  readonly mtu: MtuReport;
  /** Null when none runs. */
  readonly daemon: DaemonReport | null;
  readonly duration_ms: number;
}

/**
 * What is wrong with a beacon that does not answer.
 *
 * @param report What was found.
 * @returns The text behind its address and a colon, and what to do; undefined when it answers.
 */
export function beaconFault(
  { address, reachable, error, sent, asked, strays }: BeaconReport,
): { readonly what: string; readonly advice: string } | undefined {
  if (reachable) return undefined;
  if (error !== null) {
    return {
      what: error,
      advice:
        "Check --beacon, PILOT_BEACON or config.json, and this machine's name service and network.",
    };
  }
  const at = asked.length === 1 && asked[0] === address ? "" : ` to ${asked.join(", ")}`;
  const [stray] = strays;
  if (stray !== undefined) {
    return {
      what: `${sent} datagrams${at}, but the answers came from ${strays.join(", ")}`,
      advice:
        "The server has several addresses and answers from another one than was asked; such answers are ignored, " +
        `and NATs drop them. Give --beacon ${stray}, or bind the beacon to the address that is asked (--beacon-addr on the ` +
        "server), or give it the batch socket (--udp linux), which answers from the one that is asked.",
    };
  }
  return {
    what: `${sent} datagrams${at}${asked.length > 1 ? " each" : ""}, no answer`,
    advice:
      "Without it there are no direct paths and no relay. Check that the beacon runs there, that firewalls let " +
      "UDP out to its port and the answers in, and that a server with several addresses answers from the one that is " +
      "asked (--beacon-addr on the server).",
  };
}

/**
 * What to do about a registry that does not answer as it should.
 *
 * @param report What was found.
 * @returns A sentence or two for people; undefined when all is well.
 */
export function registryAdvice({ reachable, error_code }: RegistryReport): string | undefined {
  if (error_code === "untrusted") {
    return "Ask its operator for the join command (pilotctl rendezvous status on the server), and run it again. " +
      "If nothing has changed there, another server answers here.";
  }
  return reachable
    ? undefined
    : "Check that the rendezvous runs and that --registry, PILOT_REGISTRY or config.json names it.";
}
