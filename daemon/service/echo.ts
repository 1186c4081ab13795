/**
 * Echo (port 7): returns every byte as soon as it arrives (docs/protocol/services.md §1). Buffers nothing of its own:
 * it reads only what the other direction takes.
 *
 * @module
 */

import { PORT_ECHO } from "../../protocol/well_known_ports.ts";
import type { Backend } from "../ipc/backend.ts";
import type { Conn, ConnListener } from "../stream/stream_conn.ts";
import { type Service, type ServiceConn, ServicePort } from "./service_port.ts";

/** Echo connections at once: half of what one port may have in the reference, so that echo cannot use up the daemon. */
const MAX_ECHO_CONNS = 512;
/** Echo connections of one peer: a peer that measures needs a few. */
const MAX_ECHO_CONNS_PER_PEER = 128;

class EchoConn implements ConnListener, ServiceConn {
  readonly #conn: Conn;
  readonly #done: () => void;
  #stopped = false;
  #pumping = false;

  constructor(conn: Conn, done: () => void) {
    this.#conn = conn;
    this.#done = done;
    conn.setListener(this);
  }

  onReadable(): void {
    this.#pump();
  }

  onWritable(): void {
    this.#pump();
  }

  onClosed(): void {
    this.#done();
  }

  stop(): void {
    this.#stopped = true;
    this.#conn.close();
    this.#pump();
  }

  #pump(): void {
    // The connection calls back from within read and write; a nested round would overtake this one's bytes.
    if (this.#pumping) return;
    this.#pumping = true;
    const conn = this.#conn;
    // Nothing goes back any more, but the peer's end must still be reached.
    while (this.#stopped && conn.read() !== undefined);
    for (let room = conn.writableBytes; room > 0; room = conn.writableBytes) {
      const data = conn.read(room);
      if (data === undefined) break;
      // It broke in between; a hole must not look like an echo.
      if (conn.write(data) < data.length) conn.abort();
    }
    this.#pumping = false;
    if (conn.ended) conn.close();
  }
}

/**
 * Serves echo on port 7.
 *
 * @param backend The daemon.
 * @returns The running service.
 * @throws {PilotError} `already_exists` when the port is bound.
 */
export function attachEcho(backend: Backend): Service {
  return new ServicePort<EchoConn>(backend, {
    port: PORT_ECHO,
    maxConns: MAX_ECHO_CONNS,
    maxConnsPerPeer: MAX_ECHO_CONNS_PER_PEER,
    serve: (conn, done) => new EchoConn(conn, done),
  });
}
