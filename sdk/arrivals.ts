/**
 * What comes in without being asked for: connections to ports that are listened on, datagrams, events of the daemon.
 *
 * @module
 */

import { DecodeError, PilotError } from "../protocol/errors.ts";
import {
  Cmd,
  decodeAccept,
  decodePort,
  decodeRecvFrom,
  encodeConn,
  encodePort,
} from "../protocol/ipc/mod.ts";
import type { AbortOptions } from "./abort.ts";
import { Conn } from "./conn.ts";
import type { DaemonLink, LinkHandler } from "./daemon_link.ts";
import { DatagramReceiver } from "./datagrams.ts";
import { EventWatches } from "./event_watches.ts";
import { DEFAULT_BACKLOG, Listener } from "./listener.ts";
import { protocolError } from "./remote_error.ts";
import { checkU16 } from "./target.ts";

/** How to listen. */
export interface ListenOptions extends AbortOptions {
  /** Most connections waiting to be accepted, default 64; more are ended. */
  backlog?: number;
}

/** The listeners and receivers of a driver. */
export class Arrivals implements LinkHandler {
  /** Subscriptions to the daemon's events. */
  readonly events: EventWatches;
  readonly #session: DaemonLink;
  readonly #listeners = new Map<number, Listener>();
  readonly #receivers = new Set<DatagramReceiver>();

  constructor(session: DaemonLink) {
    this.#session = session;
    this.events = new EventWatches(session);
  }

  /** See `Driver.listen`. */
  async listen(port: number, options: ListenOptions): Promise<Listener> {
    checkU16(port, "port");
    const { backlog = DEFAULT_BACKLOG, signal } = options;
    const listener = await this.#session.request<Listener>({
      what: `Listening on port ${port}`,
      cmd: Cmd.Bind,
      expect: Cmd.BindOk,
      payload: encodePort(port),
      signal,
      decode: (payload) => {
        const bound = decodePort(payload);
        if (bound instanceof DecodeError) return bound;
        const listener: Listener = new Listener(
          bound,
          backlog,
          () => this.#unbind(listener),
        );
        this.#listeners.set(bound, listener);
        return listener;
      },
      onLate: (listener) => {
        listener.close().catch(() => {
          // The caller has gone on; a port that stays bound ends with the driver.
        });
      },
    });
    return listener;
  }

  /** See `Driver.datagrams`. */
  datagrams(port?: number): DatagramReceiver {
    if (port !== undefined) checkU16(port, "port");
    const receiver = new DatagramReceiver(
      port,
      () => this.#receivers.delete(receiver),
    );
    if (this.#session.lost === undefined) this.#receivers.add(receiver);
    else receiver.end(this.#session.lost);
    return receiver;
  }

  onAccept(payload: Uint8Array): void {
    const accept = decodeAccept(payload);
    if (accept instanceof DecodeError) return this.#malformed(accept);
    const listener = this.#listeners.get(accept.port);
    if (listener === undefined) {
      // Its listener was closed while the connection was under way.
      return this.#session.send(Cmd.Close, encodeConn(accept.conn));
    }
    listener.offer(
      new Conn(this.#session, {
        id: accept.conn,
        remote: { ...accept.remote, port: accept.remotePort },
        localPort: accept.port,
      }),
    );
  }

  onDatagram(payload: Uint8Array): void {
    if (this.#receivers.size === 0) return;
    const datagram = decodeRecvFrom(payload);
    if (datagram instanceof DecodeError) return this.#malformed(datagram);
    for (const receiver of this.#receivers) {
      if (receiver.port === undefined || receiver.port === datagram.port) {
        // Each receiver owns its copy.
        receiver.offer({ ...datagram, data: new Uint8Array(datagram.data) });
      }
    }
  }

  onEvent(payload: Uint8Array): void {
    const error = this.events.onEvent(payload);
    if (error !== undefined) this.#malformed(error);
  }

  onEventsMissed(payload: Uint8Array): void {
    const error = this.events.onMissed(payload);
    if (error !== undefined) this.#malformed(error);
  }

  onLost(error: PilotError): void {
    this.events.onLost(error);
    for (const listener of this.#listeners.values()) listener.end(error);
    for (const receiver of this.#receivers) receiver.end(error);
    this.#listeners.clear();
    this.#receivers.clear();
  }

  #malformed(error: DecodeError): void {
    this.#session.close(protocolError(error.message));
  }

  async #unbind(listener: Listener): Promise<void> {
    if (this.#session.lost !== undefined) return;
    if (this.#listeners.get(listener.port) === listener) {
      this.#listeners.delete(listener.port);
    }
    try {
      await this.#session.request({
        what: `Closing the listener on port ${listener.port}`,
        cmd: Cmd.Unbind,
        expect: Cmd.UnbindOk,
        payload: encodePort(listener.port),
        decode: decodePort,
      });
    } catch (error) {
      // Old daemons free a port only when the client goes; what arrives until then is closed on arrival.
      const ignored = error instanceof PilotError &&
        (error.code === "unavailable" || error.code === "connection_closed");
      if (!ignored) throw error;
    }
  }
}
