/**
 * Sending a file: as a FILESTREAM, resumed and verified, or in one frame to agents that know no streams
 * (docs/protocol/services.md §2, §3).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Address } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import { PORT_DATA_EXCHANGE } from "../protocol/well_known_ports.ts";
import {
  DATA_EXCHANGE_MAX_BYTES,
  DataType,
  encodeFileChunkHeader,
  encodeFileHeader,
  encodeFileName,
  encodeFileStream,
  FILE_STREAM_CHUNK_BYTES,
  FILE_STREAM_WINDOW_CHUNKS,
  parseAnswer,
  TRANSFER_ID_BYTES,
} from "../protocol/service/mod.ts";
import { type WaitOptions, withDeadline } from "./abort.ts";
import { DataChannel, refusedBecause } from "./data_channel.ts";
import { type FileSource, readPieces } from "./file_source.ts";
import { type Dialler, peerName, using } from "./messages.ts";
import type { Target } from "./target.ts";

/** Longest wait for an answer to a transfer request before the older form is used, milliseconds. */
const NEGOTIATION_MS = 5_000;
/** Bytes sent and not acknowledged. */
const WINDOW_BYTES = FILE_STREAM_CHUNK_BYTES * FILE_STREAM_WINDOW_CHUNKS;
/** How receivers without file streams name them in their answer. */
const UNKNOWN_TYPE = `UNKNOWN(${DataType.fileStream})`;

/** How far a transfer is. */
export interface FileProgress {
  /** Bytes the other side has, those of an earlier attempt included. */
  readonly bytes: number;
  /** Bytes of the file. */
  readonly total: number;
}

/** How to send a file. */
export interface SendFileOptions extends WaitOptions {
  /** Name sent to the other side; default that of the file. */
  name?: string | undefined;
  /** Called with each acknowledgement. */
  onProgress?: ((progress: FileProgress) => void) | undefined;
}

/** What became of a file. */
export interface FileReceipt {
  /** Who has it. */
  readonly address: Address;
  /** Name sent to the other side. */
  readonly name: string;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Bytes the other side had from an earlier attempt. */
  readonly resumed: number;
  /** SHA-256 of the content, hex. */
  readonly sha256: string;
  /** `filestream`, or `file` for one frame. */
  readonly transport: "filestream" | "file";
  /** The other side compared the hash. */
  readonly verified: boolean;
  /** What it said at the end. */
  readonly ack: string;
}

interface Transfer {
  readonly source: FileSource;
  readonly target: Target;
  readonly sha256: Uint8Array;
  readonly transferId: Uint8Array;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: FileProgress) => void;
}

/**
 * Sends a file and waits until the other side has stored it.
 *
 * @param driver Opens connections.
 * @param target The node.
 * @param open Opens what to send; released at the end.
 * @param options Progress, signal, limit.
 * @returns The receipt.
 * @throws {PilotError} As {@linkcode Dialler.dial}; `denied` when the other side refused, `limit_exceeded` when it
 * has no room for more of this sender, or takes no stream and the file is above 16 MiB, `io_error` when the file cannot be read, `timeout`, `aborted`.
 */
export async function sendFile(
  driver: Dialler,
  target: Target,
  open: (signal: AbortSignal) => Promise<FileSource>,
  options: SendFileOptions = {},
): Promise<FileReceipt> {
  return await withDeadline(options, "Sending the file", async (signal) => {
    const source = await open(signal);
    try {
      encodeFileName(source.name);
      const sha256 = await hash(source, signal);
      const transfer: Transfer = {
        source,
        target,
        sha256,
        transferId: sha256.subarray(0, TRANSFER_ID_BYTES),
        signal,
        onProgress: options.onProgress ?? (() => {}),
      };
      return await sendStream(driver, transfer) ??
        await sendWhole(driver, transfer);
    } finally {
      await source.release();
    }
  });
}

/** As a stream; undefined when the other side does not know how. */
async function sendStream(
  driver: Dialler,
  transfer: Transfer,
): Promise<FileReceipt | undefined> {
  const { source, target, signal } = transfer;
  const conn = await driver.dial(target, PORT_DATA_EXCHANGE, { signal });
  return await using(conn, async () => {
    const channel = new DataChannel(conn, peerName(conn.remote));
    const resumed = await negotiate(channel, transfer);
    if (resumed === undefined) return undefined;
    const ack = await streamFrom(channel, transfer, resumed);
    return {
      ...receipt(transfer, conn.remoteAddress),
      bytes: source.size,
      resumed,
      transport: "filestream",
      verified: true,
      ack,
    };
  });
}

/** Offers the file; gives the offset to begin at, or undefined when the other side knows no streams. */
async function negotiate(
  channel: DataChannel,
  { source, sha256, transferId, signal }: Transfer,
): Promise<number | undefined> {
  const what = `Offering "${source.name}"`;
  const offer = encodeFileStream({
    kind: "init",
    transferId,
    size: source.size,
    sha256,
    chunkBytes: FILE_STREAM_CHUNK_BYTES,
    name: source.name,
  });
  await channel.send(DataType.fileStream, offer, signal);
  try {
    const answer = await channel.answer(what, signal, NEGOTIATION_MS);
    if (answer.kind === "text") {
      const { ok, typeName, text } = parseAnswer(answer.text);
      // Peers that do not know the frame type say so, or acknowledge it unread.
      if (ok || typeName === UNKNOWN_TYPE) return undefined;
      throw refused(source, text);
    }
    if (answer.kind === "other") return undefined;
    const { message } = answer;
    if (message.kind === "init_ack") return Math.min(message.offset, source.size);
    if (message.kind === "abort") throw refused(source, message.text);
    if (message.kind === "complete" && !message.ok) {
      throw refused(source, message.text);
    }
    throw unexpected(what, message.kind);
  } catch (error) {
    const silent = error instanceof PilotError && !signal.aborted &&
      (error.code === "timeout" || error.code === "connection_closed");
    if (silent) return undefined;
    throw error;
  }
}

async function streamFrom(
  channel: DataChannel,
  transfer: Transfer,
  start: number,
): Promise<string> {
  const { source, transferId, signal, onProgress } = transfer;
  const total = source.size;
  const what = `Sending "${source.name}"`;
  let sent = start;
  let acked = start;
  onProgress({ bytes: acked, total });
  /** Takes one answer; gives the final text when it was the last. */
  const takeAnswer = async (): Promise<string | undefined> => {
    const answer = await channel.answer(what, signal);
    if (answer.kind === "text") throw refused(source, answer.text);
    if (answer.kind === "other") throw unexpected(what, `type ${answer.type}`);
    const { message } = answer;
    switch (message.kind) {
      case "ack":
        if (message.offset > acked) {
          acked = Math.min(message.offset, sent);
          onProgress({ bytes: acked, total });
        }
        return undefined;
      case "complete":
        if (!message.ok) throw refused(source, message.text);
        return message.text;
      case "abort":
        throw refused(source, message.text);
      default:
        throw unexpected(what, message.kind);
    }
  };
  for await (
    const piece of readPieces(source, start, FILE_STREAM_CHUNK_BYTES, signal)
  ) {
    while (sent + piece.length - acked > WINDOW_BYTES) {
      if (await takeAnswer() !== undefined) {
        throw unexpected(what, "an early end");
      }
    }
    const header = encodeFileChunkHeader(transferId, sent, piece.length);
    await channel.write([header, piece], signal);
    sent += piece.length;
  }
  const done = encodeFileStream({ kind: "done", transferId });
  await channel.send(DataType.fileStream, done, signal);
  for (;;) {
    const end = await takeAnswer();
    if (end === undefined) continue;
    if (acked < total) onProgress({ bytes: total, total });
    return end;
  }
}

/** In one frame, as every version understands it. */
async function sendWhole(
  driver: Dialler,
  transfer: Transfer,
): Promise<FileReceipt> {
  const { source, target, signal, onProgress } = transfer;
  const total = source.size;
  const nameBytes = encodeFileName(source.name).length;
  if (2 + nameBytes + total > DATA_EXCHANGE_MAX_BYTES) {
    throw new PilotError(
      "limit_exceeded",
      `"${source.name}" has ${total} bytes; this agent takes no files above 16 MiB`,
      { hint: "The other side needs a daemon that receives file streams." },
    );
  }
  const what = `Sending "${source.name}"`;
  const conn = await driver.dial(target, PORT_DATA_EXCHANGE, { signal });
  return await using(conn, async () => {
    const channel = new DataChannel(conn, peerName(conn.remote));
    await channel.write([encodeFileHeader(source.name, total)], signal);
    let sent = 0;
    onProgress({ bytes: 0, total });
    for await (
      const piece of readPieces(source, 0, FILE_STREAM_CHUNK_BYTES, signal)
    ) {
      await channel.write([piece], signal);
      onProgress({ bytes: sent += piece.length, total });
    }
    const ack = await channel.acknowledged(what, signal);
    return {
      ...receipt(transfer, conn.remoteAddress),
      bytes: total,
      resumed: 0,
      transport: "file",
      verified: false,
      ack,
    };
  });
}

function receipt(
  { source, sha256 }: Transfer,
  address: Address,
): Pick<FileReceipt, "address" | "name" | "sha256"> {
  return { address, name: source.name, sha256: Buffer.from(sha256).toString("hex") };
}

async function hash(
  source: FileSource,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const digest = createHash("sha256");
  for await (const piece of readPieces(source, 0, 256 * 1024, signal)) {
    digest.update(piece);
  }
  return new Uint8Array(digest.digest());
}

function refused({ name }: FileSource, text: string): PilotError {
  return refusedBecause(`The other side did not take "${name}": ${text}`, text);
}

function unexpected(what: string, got: string): PilotError {
  return new PilotError("protocol_error", `${what}: unexpected answer: ${got}`);
}
