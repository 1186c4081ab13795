/**
 * Data exchange (port 1001; docs/protocol/services.md §2, §3): messages into the inbox, files into the received
 * directory. Each frame is answered when its content is on disk, never before.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Clock } from "../../platform/clock.ts";
import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import { formatAddress } from "../../protocol/address.ts";
import { concatBytes, encodeText } from "../../protocol/bytes.ts";
import { type Decoded, DecodeError, PilotError } from "../../protocol/errors.ts";
import { PORT_DATA_EXCHANGE } from "../../protocol/well_known_ports.ts";
import {
  ackText,
  DataExchangeReader,
  type DataFrame,
  DataType,
  dataTypeName,
  decodeFile,
  encodeDataFrame,
  errText,
} from "../../protocol/service/data_exchange.ts";
import { decodeFileStream, encodeFileStream } from "../../protocol/service/file_stream.ts";
import {
  decodeTaggedMessage,
  decodeTrace,
  encodeTraceAnswer,
  type MessageTags,
} from "../../protocol/service/tagged.ts";
import { TaskSet } from "../../platform/task_set.ts";
import type { Backend } from "../ipc/backend.ts";
import type { Conn } from "../stream/stream_conn.ts";
import { type ByteAccount, ByteBudget } from "./byte_budget.ts";
import { type ArrivedFile, FileTransfers } from "./file_transfers.ts";
import { Inbox, type InboxOptions, tagFields } from "./message_inbox.ts";
import { RecentMessages } from "./recent_messages.ts";
import { Refusal, Refusals } from "./store_refusal.ts";
import { ReceivedFiles, type ReceivedFilesOptions } from "./received_files.ts";
import { peerKey, type Service, type ServiceConn, ServicePort } from "./service_port.ts";
import { StreamIo } from "./stream_io.ts";

/** Connections at once: each may hold a frame and open files. */
const MAX_EXCHANGE_CONNS = 256;
/** Connections of one peer at once. */
const MAX_EXCHANGE_CONNS_PER_PEER = 64;
/** Frames being received or stored over all connections, bytes: four of the largest. */
const FRAME_BYTES = 64 * 1024 * 1024;
/** Of one peer, bytes: two of the largest. */
const FRAME_BYTES_PER_PEER = 33 * 1024 * 1024;
/** Part of a frame that every connection may hold in any case, bytes: a file chunk fits. */
const FRAME_FREE_BYTES = 64 * 1024;
/** A connection on which nothing comes for this long is closed, milliseconds (docs/protocol/services.md §7). */
export const IDLE_MS = 120_000;
/**
 * A peer that does not take its answers for this long is cut off, milliseconds (docs/protocol/services.md §7: step).
 */
export const ANSWER_MS = 60_000;
/** Reason that an answer may carry, characters: some name what the peer sent. */
const MAX_REASON = 200;

/** Where received things go, and how much of them is kept. */
export interface DataExchangeOptions {
  clock: Clock;
  /** Directory of messages; made when the first one arrives. */
  inboxDir: string;
  /** Directory of files; made when the first one arrives. */
  receivedDir: string;
  /** Bounds of the inbox. */
  inbox?: Omit<InboxOptions, "dir" | "clock">;
  /** Bounds of received files. */
  received?: Omit<ReceivedFilesOptions, "dir" | "clock">;
}

/** A fault after which the connection cannot continue. */
class Fatal extends Refusal {
  constructor(message: string) {
    super("protocol_error", message);
  }
}

const BUSY = new Refusal("limit_exceeded", "receiver is busy, try again later");

const log = getLogger([LOG_CATEGORY, "data-exchange"]);

interface Shared {
  readonly backend: Backend;
  readonly inbox: Inbox;
  readonly files: ReceivedFiles;
  readonly budget: ByteBudget;
  readonly refusals: Refusals;
  readonly recent: RecentMessages;
  readonly clock: Clock;
}

/** One connection: takes frames in turn, answers each. */
class ExchangeConn implements ServiceConn {
  readonly finished: Promise<void>;
  readonly #shared: Shared;
  readonly #io: StreamIo;
  readonly #from: string;
  readonly #stop = new AbortController();
  readonly #reader = new DataExchangeReader();
  readonly #account: ByteAccount;
  readonly #transfers: FileTransfers;
  #answers: Uint8Array[] = [];

  constructor(shared: Shared, conn: Conn) {
    this.#shared = shared;
    this.#io = new StreamIo(conn, shared.clock);
    this.#from = formatAddress(conn.remoteAddress);
    const peer = peerKey(conn);
    this.#account = shared.budget.open(peer);
    this.#transfers = new FileTransfers({
      files: shared.files,
      peer,
      reason: (thrown) => this.#reason(thrown),
      onArrived: (file) => this.#arrived(file),
    });
    this.finished = this.#run();
  }

  stop(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const wait = { signal: this.#stop.signal };
    try {
      for (;;) {
        const chunk = await this.#io.readChunk({
          ...wait,
          timeoutMs: IDLE_MS,
        });
        if (chunk === undefined) break;
        const done = await this.#take(chunk);
        await this.#flush();
        if (done) break;
      }
      await this.#io.close();
    } catch (thrown) {
      const { code, message } = PilotError.from(thrown, "internal");
      log.debug("Connection of {from} ended: {code}: {message}", {
        from: this.#from,
        code,
        message,
      });
      await this.#io.close();
    } finally {
      this.#account.hold(0);
      await this.#transfers.close();
    }
  }

  /** Answers what the chunk completes; true when the connection cannot continue. */
  async #take(chunk: Uint8Array): Promise<boolean> {
    this.#reader.push(chunk);
    if (!this.#account.hold(this.#reader.bufferedBytes)) {
      this.#answer(errText(0, this.#reason(BUSY)));
      return true;
    }
    for (;;) {
      const frame = this.#reader.next();
      if (frame === undefined) break;
      if (frame instanceof DecodeError) {
        this.#answer(errText(0, frame.message));
        return true;
      }
      try {
        await this.#handle(frame);
      } catch (thrown) {
        this.#answer(errText(frame.type, this.#reason(thrown)));
        if (thrown instanceof Fatal) return true;
      }
    }
    this.#account.hold(this.#reader.bufferedBytes);
    return false;
  }

  async #handle({ type, payload }: DataFrame): Promise<void> {
    switch (type) {
      case DataType.text:
      case DataType.binary:
      case DataType.json:
        return this.#answer(await this.#message({ type, payload }));
      case DataType.tagged:
        return await this.#tagged(payload);
      case DataType.trace:
        return await this.#trace(payload);
      case DataType.file:
        return await this.#file(payload);
      case DataType.fileStream:
        return await this.#fileStream(payload);
      default:
        this.#answer(`ERR UNKNOWN(${type}) save failed: type is not supported`);
    }
  }

  /** Stores a message. @returns The answer. */
  async #message({ type, payload }: DataFrame, tags: MessageTags = {}): Promise<string> {
    const { inbox, backend } = this.#shared;
    const message = {
      type: dataTypeName(type),
      from: this.#io.conn.remoteAddress,
      payload,
      tags,
    };
    const { id } = await inbox.store(message);
    backend.emit("message.received", {
      type: message.type,
      from: this.#from,
      size: payload.length,
      id,
      ...tagFields(tags),
    });
    return ackText(type, payload.length);
  }

  /** Stores a message with ids, which may be traced. */
  async #tagged(payload: Uint8Array): Promise<void> {
    const { tags, inner } = unwrap(decodeTaggedMessage(payload));
    if (inner.type === DataType.trace) await this.#trace(inner.payload, tags);
    else this.#answer(await this.#once(inner, tags));
  }

  /** Stores a message, which may have ids, and returns when. Without `tags` they may be in it. */
  async #trace(payload: Uint8Array, tags?: MessageTags): Promise<void> {
    const { clock } = this.#shared;
    const received = nowNs(clock);
    const { sent, inner } = unwrap(decodeTrace(payload));
    const isTagged = tags === undefined && inner.type === DataType.tagged;
    const tagged = isTagged
      ? unwrap(decodeTaggedMessage(inner.payload))
      : { tags: tags ?? {}, inner };
    const ack = await this.#once(tagged.inner, tagged.tags);
    const stored = nowNs(clock);
    const times = { sent, received, stored, answered: nowNs(clock) };
    this.#answers.push(encodeDataFrame(DataType.json, encodeTraceAnswer(times, ack)));
  }

  /** Stores a message unless it was stored before. @returns The answer that the message alone would have got. */
  async #once(inner: DataFrame, tags: MessageTags): Promise<string> {
    if (!isMessage(inner)) {
      throw new Refusal("protocol_error", "only messages can have ids or be traced");
    }
    const store = () => this.#message(inner, tags);
    const { messageId } = tags;
    if (messageId === undefined) return await store();
    const sender = peerKey(this.#io.conn);
    // One with other content is another message, whatever it calls itself.
    const hash = createHash("sha256").update(inner.payload).digest("base64");
    const isNew = await this.#shared.recent.once(
      sender,
      `${messageId} ${inner.type} ${hash}`,
      store,
    );
    const answer = ackText(inner.type, inner.payload.length);
    return isNew ? answer : `${answer} (duplicate)`;
  }

  async #file(payload: Uint8Array): Promise<void> {
    const file = decodeFile(payload);
    if (file instanceof DecodeError) throw new Fatal(file.message);
    const stored = await this.#shared.files.save(
      peerKey(this.#io.conn),
      file.name,
      file.data,
    );
    const size = file.data.length;
    this.#arrived({ ...stored, filename: file.name, size });
    this.#answer(ackText(DataType.file, size));
  }

  async #fileStream(payload: Uint8Array): Promise<void> {
    const message = decodeFileStream(payload);
    if (message instanceof DecodeError) throw new Fatal(message.message);
    const answer = await this.#transfers.take(message);
    if (answer === undefined) return;
    this.#answers.push(
      encodeDataFrame(
        DataType.fileStream,
        encodeFileStream(answer),
      ),
    );
  }

  #arrived({ filename, size, path }: ArrivedFile): void {
    this.#shared.backend.emit("file.received", {
      filename,
      size,
      path,
      from: this.#from,
    });
  }

  /** What the peer learns of an error. */
  #reason(thrown: unknown): string {
    return shorten(this.#shared.refusals.reason(thrown, this.#from));
  }

  #answer(text: string): void {
    this.#answers.push(encodeDataFrame(DataType.text, encodeText(text)));
  }

  /** All answers to what one read brought leave together. */
  async #flush(): Promise<void> {
    if (this.#answers.length === 0) return;
    const answers = this.#answers;
    this.#answers = [];
    await this.#io.write(
      answers.length === 1 ? answers[0]! : concatBytes(...answers),
      { signal: this.#stop.signal, timeoutMs: ANSWER_MS },
    );
  }
}

function unwrap<T>(decoded: Decoded<T>): T {
  if (decoded instanceof DecodeError) throw new Refusal("protocol_error", decoded.message);
  return decoded;
}

function isMessage({ type }: DataFrame): boolean {
  return type === DataType.text || type === DataType.binary || type === DataType.json;
}

function nowNs(clock: Clock): bigint {
  return BigInt(clock.unixNow()) * 1_000_000n;
}

function shorten(reason: string): string {
  return reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}...` : reason;
}

/**
 * Runs data exchange on port 1001.
 *
 * @param backend The daemon.
 * @param options Directories and bounds.
 * @returns The running service; its `close` resolves when nothing is written any more.
 * @throws {PilotError} `already_exists` when the port is bound.
 */
export function attachDataExchange(
  backend: Backend,
  options: DataExchangeOptions,
): Service {
  const { clock } = options;
  const shared: Shared = {
    backend,
    clock,
    inbox: new Inbox({ ...options.inbox, clock, dir: options.inboxDir }),
    files: new ReceivedFiles({ ...options.received, clock, dir: options.receivedDir }),
    budget: new ByteBudget({
      total: FRAME_BYTES,
      perPeer: FRAME_BYTES_PER_PEER,
      free: FRAME_FREE_BYTES,
    }),
    refusals: new Refusals(clock),
    recent: new RecentMessages(clock),
  };
  const running = new TaskSet();
  const port = new ServicePort<ExchangeConn>(backend, {
    port: PORT_DATA_EXCHANGE,
    maxConns: MAX_EXCHANGE_CONNS,
    maxConnsPerPeer: MAX_EXCHANGE_CONNS_PER_PEER,
    serve: (conn, done) => {
      const served = new ExchangeConn(shared, conn);
      running.add(served.finished.then(done));
      return served;
    },
  });
  return {
    close: async () => {
      port.close();
      await running.settled();
    },
  };
}
