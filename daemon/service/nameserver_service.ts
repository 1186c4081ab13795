/**
 * The nameserver (port 53; docs/protocol/nameserver.md): names of agents, networks and services, registered for
 * minutes. Off unless asked for.
 *
 * @module
 */

import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import { formatAddress } from "../../protocol/address.ts";
import { DecodeError, PilotError } from "../../protocol/errors.ts";
import {
  decodeNameRequest,
  encodeNameReply,
  MAX_NAME_REQUEST_BYTES,
  type NameReply,
} from "../../protocol/service/nameserver_text.ts";
import { PORT_NAMESERVER } from "../../protocol/well_known_ports.ts";
import { type Clock, every } from "../../platform/clock.ts";
import { TaskSet } from "../../platform/task_set.ts";
import type { Backend } from "../ipc/backend.ts";
import type { Conn } from "../stream/stream_conn.ts";
import { NameRecords } from "./nameserver_records.ts";
import { NameStore } from "./nameserver_store.ts";
import { type Service, type ServiceConn, ServicePort } from "./service_port.ts";
import { StreamIo } from "./stream_io.ts";

/** Connections to the nameserver at once: each lives for one short exchange. */
const MAX_NAME_CONNS = 512;
/** Connections of one peer to the nameserver at once: its programs ask at the same time, but not for long. */
const MAX_NAME_CONNS_PER_PEER = 32;
/** Longest wait of the nameserver for the request, and for the client to take the reply, milliseconds: as long as clients wait. */
export const EXCHANGE_TIMEOUT_MS = 10_000;
/** Pause between two sweeps of expired records, milliseconds (docs/protocol/nameserver.md §4). */
const SWEEP_MS = 60_000;

/** What the nameserver needs besides the daemon. */
export interface NameserverOptions {
  /** Time. */
  clock: Clock;
  /** File of the records; made at the first change. */
  path: string;
}

const log = getLogger([LOG_CATEGORY, "nameserver"]);

/** One connection: one request, one reply. */
class NameConn implements ServiceConn {
  readonly finished: Promise<void>;
  readonly #io: StreamIo;
  readonly #stop = new AbortController();
  readonly #answer: (request: Uint8Array, conn: Conn) => NameReply;

  constructor(
    conn: Conn,
    clock: Clock,
    answer: (request: Uint8Array, conn: Conn) => NameReply,
  ) {
    this.#io = new StreamIo(conn, clock);
    this.#answer = answer;
    this.finished = this.#run({ timeoutMs: EXCHANGE_TIMEOUT_MS, signal: this.#stop.signal });
  }

  stop(): void {
    this.#stop.abort();
  }

  async #run(wait: { timeoutMs: number; signal: AbortSignal }): Promise<void> {
    const { conn } = this.#io;
    try {
      // Nothing marks the end of a request: it is what the first segment brings, as for existing servers. One byte
      // more than allowed is enough to see that it is too long.
      const request = await this.#io.readChunk({ ...wait, maxBytes: MAX_NAME_REQUEST_BYTES + 1 });
      if (request !== undefined) {
        // In one write: existing clients read once.
        await this.#io.write(encodeNameReply(this.#answer(request, conn)), wait);
      }
      await this.#io.close(wait);
    } catch (thrown) {
      const { code, message } = PilotError.from(thrown, "internal");
      const from = formatAddress(conn.remoteAddress);
      log.debug("Connection of {from} ended: {code}: {message}", { from, code, message });
      // What was answered is still delivered when the daemon stops; a client that stalls is cut off.
      if (wait.signal.aborted) await this.#io.close();
      else this.#io.abort();
    }
  }
}

/**
 * Runs the nameserver on port 53.
 *
 * @param backend The daemon.
 * @param options Clock and file.
 * @returns The running service; its `close` resolves when the records are on disk.
 * @throws {PilotError} `already_exists` when the port is bound; `io_error` or `limit_exceeded` for the file.
 */
export async function attachNameserver(
  backend: Backend,
  { clock, path }: NameserverOptions,
): Promise<Service> {
  const records = new NameRecords();
  const store = new NameStore(path, records, clock);
  await store.load();
  const answer = (request: Uint8Array, conn: Conn): NameReply => {
    const reply = answerRequest(records, request, conn, clock.now());
    store.touch();
    return reply;
  };
  const running = new TaskSet();
  const port = new ServicePort<NameConn>(backend, {
    port: PORT_NAMESERVER,
    maxConns: MAX_NAME_CONNS,
    maxConnsPerPeer: MAX_NAME_CONNS_PER_PEER,
    serve: (conn, done) => {
      const served = new NameConn(conn, clock, answer);
      running.add(served.finished.then(done));
      return served;
    },
  });
  const endSweeps = every(clock, SWEEP_MS, () => {
    records.sweep(clock.now());
    store.touch();
  });
  return {
    close: async () => {
      endSweeps();
      port.close();
      await running.settled();
      await store.close();
    },
  };
}

function answerRequest(
  records: NameRecords,
  bytes: Uint8Array,
  { remoteAddress, localAddress }: Conn,
  now: number,
): NameReply {
  const request = decodeNameRequest(bytes);
  if (request instanceof DecodeError) return { kind: "error", message: request.message };
  if (request.command === "query") return records.query(request.question, now);
  const caller = { node: remoteAddress.node, self: localAddress.node };
  const refusal = records.register(request.record, caller, now);
  return refusal === undefined ? { kind: "ok" } : { kind: "error", message: refusal };
}
