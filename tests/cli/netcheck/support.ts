/** A UDP socket in a network made of functions: which server answers, what it sees, and how much fits. */

import type { ProbeSocket } from "../../../cli/netcheck/prober.ts";
import { encodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import { type Endpoint, parseIp } from "../../../protocol/ip.ts";
import { newUdpStats } from "../../../platform/net/udp.ts";

/** What a server sees of our socket; undefined when it does not answer. */
export type Seen = (server: Endpoint, bytes: number) => Endpoint | undefined;

/** A socket whose questions are answered by a function. */
export class FakeNetwork {
  /** Destinations in order. */
  readonly asked: Endpoint[] = [];
  readonly #seen: Seen;
  readonly #forbidsFragments: boolean;
  /** From where answers to a question come; default whom it was sent to. */
  readonly #answers: (server: Endpoint) => Endpoint;

  constructor(
    seen: Seen,
    options: { forbidsFragments?: boolean; answers?: (server: Endpoint) => Endpoint } = {},
  ) {
    this.#answers = options.answers ?? ((server) => server);
    this.#seen = seen;
    this.#forbidsFragments = options.forbidsFragments ?? true;
  }

  /** In place of the platform's. */
  readonly open = (): Promise<ProbeSocket> => {
    let receive: (data: Uint8Array, from: Endpoint) => void = () => {};
    return Promise.resolve({
      local: { host: "0.0.0.0", port: 4000 },
      stats: newUdpStats(),
      forbidsFragments: this.#forbidsFragments,
      acquire: (bytes = 2048) => new Uint8Array(bytes),
      send: (_data, bytes, to) => {
        this.asked.push(to);
        const seen = this.#seen(to, bytes);
        if (seen === undefined) return;
        const ip = parseIp(seen.host);
        const reply = encodeBeacon({ type: "discover_reply", ip, port: seen.port });
        queueMicrotask(() => receive(reply, this.#answers(to)));
      },
      start: (handler) => void (receive = handler),
      close: () => Promise.resolve(),
    });
  };
}
