/**
 * `GET /metrics` of a daemon.
 *
 * @module
 */

import { MetricSet } from "../../platform/http/metric_set.ts";
import type { InfoParts } from "../info.ts";
import type { TunnelStats } from "../../protocol/tunnel/tunnel_stats.ts";
import type { EventCounts } from "./event_counts.ts";

/** Counters of the tunnel layer: name, what it counts, field. */
const TUNNEL_COUNTERS: readonly (readonly [string, string, keyof TunnelStats])[] = [
  ["sent_packets", "Packets sealed and sent.", "packetsSent"],
  ["received_packets", "Packets received.", "packetsReceived"],
  ["sent_bytes", "Payload bytes sent.", "bytesSent"],
  ["received_bytes", "Payload bytes received.", "bytesReceived"],
  ["unopened_frames", "Frames that would not open or held no packet.", "encryptFail"],
  ["replayed_frames", "Authentic frames seen before, dropped.", "replaysDropped"],
  ["plaintext_frames", "Plaintext frames refused.", "plaintextRefused"],
];

/** The metrics of one daemon. */
export class DaemonMetrics extends MetricSet {
  /**
   * @param parts What is read, for each request again.
   * @param events Counts of lifecycle events.
   */
  constructor(parts: () => InfoParts, events: EventCounts) {
    super();
    this.#node(parts);
    this.#network(parts);
    this.counters(
      "events",
      "Lifecycle events, by name.",
      ["event"],
      () => [...events.entries()].map(([event, count]) => [{ event }, count]),
    );
  }

  #node(parts: () => InfoParts): void {
    this.gauge("uptime_seconds", "Seconds since the start.", () => parts().uptimeMs / 1000);
    this.gauge(
      "registered",
      "1 while the registry has this node.",
      () => Number(parts().registration.state === "registered"),
    );
    this.gauge(
      "registry_connected",
      "1 while there is a connection to the registry.",
      () => Number(parts().client.isConnected),
    );
    this.gauge(
      "beacon_answers",
      "1 while the beacon answers.",
      () => Number(parts().stack.tunnels.beacon.isAnswering),
    );
    this.gauge(
      "handshakes_pending",
      "Requests for trust that wait for a decision.",
      () => parts().trust.pendingCount,
    );
  }

  #network(parts: () => InfoParts): void {
    this.gauges("peers", "Tunnels to peers, by path.", ["path"], () => {
      const peers = parts().stack.tunnels.list();
      const relayed = peers.filter(({ relay }) => relay).length;
      return [[{ path: "direct" }, peers.length - relayed], [{ path: "relay" }, relayed]];
    });
    this.gauge("connections", "Stream connections.", () => parts().stack.streams.size);
    this.gauge("bound_ports", "Ports listened on.", () => parts().stack.streams.boundPorts);
    for (const [name, help, field] of TUNNEL_COUNTERS) {
      this.counter(name, help, () => parts().stack.tunnels.stats[field]);
    }
    this.counter(
      "dropped_datagrams",
      "Datagrams that the UDP socket has dropped.",
      () => parts().socket.stats.dropped,
    );
  }
}
