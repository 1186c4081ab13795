/**
 * Ours, as an application uses it: the SDK over the daemon's socket.
 *
 * @module
 */

import { type Conn, connect, type DatagramReceiver, type Driver } from "../../../mod.ts";
import { PORT_ECHO } from "../../../protocol/well_known_ports.ts";
import type { ByteStream, Message, Transport, TransportConfig } from "./measured_transport.ts";

/** Connections that may wait to be accepted: more than any scenario opens at once. */
const BACKLOG = 1_024;

/** Opens it. */
export async function openPilot(
  config: Extract<TransportConfig, { transport: "pilot" }>,
): Promise<Transport> {
  const { socket, target, port } = config;
  const driver = await connect({ socket, name: "bench" });
  const dial = async () => new PilotStream(await driver.dial(target, port));
  let receiver: DatagramReceiver | undefined;
  return {
    async listen({ onStream, onMessage }) {
      const listener = await driver.listen(port, { backlog: BACKLOG });
      (async () => {
        for await (const conn of listener) onStream(new PilotStream(conn));
      })();
      serveMessages(driver, port, onMessage);
      return `port ${port}`;
    },
    prepare: async () => void await driver.ping(target),
    dial,
    dialFresh: dial,
    dialEcho: async () => new PilotStream(await driver.dial(target, PORT_ECHO)),
    ping: async () => (await driver.ping(target)).rtt_ms,
    sendMessage: (data) => driver.sendDatagram(target, port, data),
    async *messages() {
      receiver ??= driver.datagrams();
      for await (const { data } of receiver) yield data;
    },
    close: () => driver.close(),
  };
}

async function serveMessages(
  driver: Driver,
  port: number,
  onMessage: (message: Message) => void,
): Promise<void> {
  for await (const { data, source, sourcePort } of driver.datagrams(port)) {
    onMessage({ data, reply: (data) => driver.sendDatagram(source, sourcePort, data) });
  }
}

class PilotStream implements ByteStream {
  readonly #conn: Conn;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(conn: Conn) {
    this.#conn = conn;
    this.#writer = conn.writable.getWriter();
    // Failures are reported by the write that meets them.
    this.#writer.closed.catch(() => {});
  }

  read(): Promise<Uint8Array | undefined> {
    return this.#conn.read();
  }

  write(data: Uint8Array): Promise<void> {
    return this.#writer.write(data);
  }

  finish(): Promise<void> {
    return this.#writer.close();
  }

  abort(): void {
    this.#conn.abort();
  }
}
