/**
 * The receiving side of FILESTREAM on one connection (docs/protocol/services.md §3): any number of files one after the
 * other or interleaved, each resumable and checked.
 *
 * @module
 */

import { ackText, DataType, errText } from "../../protocol/service/data_exchange.ts";
import type { FileStreamMessage } from "../../protocol/service/file_stream.ts";
import { equalBytes } from "../../protocol/crypto/base64.ts";
import { TRANSFER_ID_BYTES } from "../../protocol/service/file_stream.ts";
import type { PartialFile } from "./partial_file.ts";
import { Refusal } from "./store_refusal.ts";
import type { ReceivedFile, ReceivedFiles } from "./received_files.ts";

/** Files on their way on one connection (docs/protocol/services.md §3). */
export const MAX_TRANSFERS_PER_CONN = 64;

/** A file that has arrived. */
export interface ArrivedFile extends ReceivedFile {
  /** What the sender calls it. */
  readonly filename: string;
  /** Its bytes. */
  readonly size: number;
}

/** Where transfers put their files and what they notify. */
export interface FileTransfersOptions {
  /** The directory. */
  files: ReceivedFiles;
  /** Number of the sender's node. */
  peer: number;
  /** What the sender learns of an error. */
  reason(thrown: unknown): string;
  /** A file is complete and in its place. */
  onArrived(file: ArrivedFile): void;
}

interface Transfer {
  readonly name: string;
  readonly size: number;
  readonly file: PartialFile;
}

/** Takes the FILESTREAM messages of one connection. */
export class FileTransfers {
  readonly #options: FileTransfersOptions;
  readonly #transfers = new Map<string, Transfer>();

  /**
   * @param options Where to put files and what to notify.
   */
  constructor(options: FileTransfersOptions) {
    this.#options = options;
  }

  /**
   * Takes one message.
   *
   * @param message From the sender.
   * @returns The answer, or undefined when there is none.
   */
  async take(
    message: FileStreamMessage,
  ): Promise<FileStreamMessage | undefined> {
    const { transferId } = message;
    const id = toHex(transferId);
    try {
      switch (message.kind) {
        case "init":
          return await this.#init(id, message);
        case "chunk": {
          const { file } = this.#find(id);
          await file.write(message.offset, message.data);
          return { kind: "ack", transferId, offset: file.offset };
        }
        case "done":
          return await this.#done(id, transferId);
        case "abort":
          await this.#drop(id);
          return undefined;
        case "ack":
        case "init_ack":
        case "complete":
          return undefined; // answers, which only a receiver sends
      }
    } catch (thrown) {
      await this.#drop(id);
      return { kind: "abort", transferId, text: this.#options.reason(thrown) };
    }
  }

  /** Closes unfinished files; they stay on disk to be resumed. */
  async close(): Promise<void> {
    for (const id of [...this.#transfers.keys()]) await this.#drop(id);
  }

  async #init(
    id: string,
    message: FileStreamMessage & { kind: "init" },
  ): Promise<FileStreamMessage> {
    const { transferId, size, sha256, name } = message;
    await this.#drop(id);
    if (!equalBytes(transferId, sha256.subarray(0, TRANSFER_ID_BYTES))) {
      throw new Refusal("protocol_error", "transfer id and hash differ");
    }
    if (this.#transfers.size >= MAX_TRANSFERS_PER_CONN) {
      throw new Refusal(
        "limit_exceeded",
        `more than ${MAX_TRANSFERS_PER_CONN} files at once`,
      );
    }
    const file = await this.#options.files.openPartial({
      peer: this.#options.peer,
      transferId: id,
      size,
      sha256: sha256.slice(),
    });
    this.#transfers.set(id, { name, size, file });
    return {
      kind: "init_ack",
      transferId: transferId.slice(),
      offset: file.offset,
    };
  }

  async #done(id: string, transferId: Uint8Array): Promise<FileStreamMessage> {
    const { name, size, file } = this.#find(id);
    this.#transfers.delete(id);
    try {
      const stored = await this.#options.files.finish(file, this.#options.peer, name);
      this.#options.onArrived({ ...stored, filename: name, size });
      return {
        kind: "complete",
        transferId,
        ok: true,
        text: ackText(DataType.file, size),
      };
    } catch (thrown) {
      return {
        kind: "complete",
        transferId,
        ok: false,
        text: errText(DataType.file, this.#options.reason(thrown)),
      };
    } finally {
      await file.close();
    }
  }

  #find(id: string): Transfer {
    const transfer = this.#transfers.get(id);
    if (transfer === undefined) {
      throw new Refusal("not_found", "unknown transfer");
    }
    return transfer;
  }

  async #drop(id: string): Promise<void> {
    const transfer = this.#transfers.get(id);
    this.#transfers.delete(id);
    await transfer?.file.close();
  }
}

function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
