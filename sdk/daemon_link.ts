/**
 * The seam between the SDK and a daemon: requests with their answers, and the traffic of connections. Frames over the
 * local socket implement it (`daemon_session.ts`); a daemon in the same process could be another.
 *
 * @module
 */

import type { PilotError } from "../protocol/errors.ts";
import type { ReplySink, Request } from "./call.ts";
import type { SendBudget } from "./send_budget.ts";

/** Gets what a connection receives. */
export interface ConnSink {
  /** Bytes of the stream; the view is valid during the call. */
  onData(view: Uint8Array): void;
  /** Everything that arrived at once has been handed over. */
  onBatchEnd(): void;
  /** The peer sends no more, and takes what we still write. */
  onReadEnd(): void;
  /** The peer has ended; `error` says that it was not in order. */
  onEnd(error: PilotError | undefined): void;
  /** The daemon is gone. */
  onLost(error: PilotError): void;
}

/** Gets what nobody has asked for. */
export interface LinkHandler {
  /** A connection to a port that is listened on. */
  onAccept(payload: Uint8Array): void;
  /** A datagram. */
  onDatagram(payload: Uint8Array): void;
  /** A lifecycle event of the daemon. */
  onEvent(payload: Uint8Array): void;
  /** Lifecycle events that the daemon has left out. */
  onEventsMissed(payload: Uint8Array): void;
  /** The daemon is gone. */
  onLost(error: PilotError): void;
}

/** One conversation with a daemon. */
export interface DaemonLink {
  /** The daemon has our extensions: requests may overlap, and writes are answered. */
  readonly tagged: boolean;
  /** Optional abilities that the daemon announced. */
  readonly features: readonly string[];
  /** Why the conversation has ended, once it has. */
  readonly lost: PilotError | undefined;
  /** Connections that are open. */
  readonly openConns: readonly number[];
  /** Bytes under way of all connections together. */
  readonly budget: SendBudget;
  /** Takes what comes until the conversation ends. */
  run(handler: LinkHandler): Promise<void>;
  /** From now on the daemon is known to have these extensions. */
  enableTags(features: readonly string[]): void;
  /** Asks and waits for the answer. */
  request<T>(request: Request<T>): Promise<T>;
  /** Sends what is not answered. */
  send(cmd: number, ...parts: Uint8Array[]): void;
  /** Sends what is answered to `sink`; its id. */
  sendTagged(sink: ReplySink, cmd: number, ...parts: Uint8Array[]): number;
  /** Resolves when everything that was sent has left. */
  flushed(): Promise<void>;
  /** Connects a connection with what it receives. */
  register(id: number, sink: ConnSink): void;
  /** The connection has ended. */
  unregister(id: number): void;
  /** A connection has enough for now: the conversation is not read while one has. */
  pauseFor(sink: ConnSink): void;
  /** It takes more again. */
  resumeFor(sink: ConnSink): void;
  /** Ends the conversation. */
  close(error: PilotError): void;
}
