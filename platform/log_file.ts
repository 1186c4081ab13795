/**
 * A log in a file of its own: bounded in size, and reopened when another program has renamed it.
 *
 * @module
 */

import { closeSync, fstatSync, openSync, renameSync } from "node:fs";
import { PilotError } from "../protocol/errors.ts";
import { errorCode, PRIVATE_FILE_MODE } from "./private_files.ts";
import { writeAnyway } from "./log.ts";

/** Bytes of a log file, after which the next one is begun: weeks at level `info`, and a file that editors still open. */
export const LOG_MAX_BYTES = 16 * 1024 * 1024;
/** Older log files that are kept, `pilot.log.1` the youngest; with the current one 64 MiB at most. */
export const LOG_MAX_OLD_FILES = 3;

/** How a log file is bounded. */
export interface LogFileOptions {
  /** Where it is; its directory must exist. */
  readonly path: string;
  /** Default {@linkcode LOG_MAX_BYTES}. */
  readonly maxBytes?: number;
  /** Default {@linkcode LOG_MAX_OLD_FILES}. */
  readonly maxOldFiles?: number;
}

const encoder = new TextEncoder();

/** A log file that is written to. */
export class LogFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #maxOldFiles: number;
  #file: number;
  /** Size at which it is looked at again. */
  #lookAtBytes: number;
  #bytes: number;

  /**
   * Opens the file at its end; a new one gets mode 0600.
   *
   * @param options Where, and how large.
   * @throws {PilotError} `io_error`.
   */
  constructor(options: LogFileOptions) {
    this.#path = options.path;
    this.#maxBytes = options.maxBytes ?? LOG_MAX_BYTES;
    this.#maxOldFiles = options.maxOldFiles ?? LOG_MAX_OLD_FILES;
    try {
      this.#file = openSync(this.#path, "a", PRIVATE_FILE_MODE);
    } catch (error) {
      throw PilotError.from(error, "io_error", `Cannot write the log ${this.#path}`);
    }
    this.#bytes = fstatSync(this.#file).size;
    this.#lookAtBytes = this.#maxBytes;
  }

  /**
   * Writes a line. One that cannot be written is lost, and nothing else.
   *
   * @param line The line without its end.
   */
  write(line: string): void {
    const size = encoder.encode(line).length + 1;
    if (this.#bytes > 0 && this.#bytes + size > this.#lookAtBytes) this.#makeRoom(size);
    writeAnyway(this.#file, line);
    this.#bytes += size;
  }

  /** Continues in a new file at the path, after the old one was renamed or removed. */
  reopen(): void {
    try {
      const file = openSync(this.#path, "a", PRIVATE_FILE_MODE);
      closeSync(this.#file);
      this.#file = file;
      this.#bytes = fstatSync(file).size;
      this.#lookAtBytes = this.#maxBytes;
    } catch (error) {
      const { message } = PilotError.from(error, "io_error");
      writeAnyway(this.#file, `the log continues here, as it cannot be reopened: ${message}`);
    }
  }

  /** Closes the file. */
  close(): void {
    closeSync(this.#file);
  }

  /** Begins the next file, unless another program has truncated this one meanwhile. */
  #makeRoom(size: number): void {
    this.#bytes = fstatSync(this.#file).size;
    if (this.#bytes + size <= this.#maxBytes) {
      this.#lookAtBytes = this.#maxBytes;
      return;
    }
    try {
      for (let n = this.#maxOldFiles; n > 1; n--) {
        moveIfThere(`${this.#path}.${n - 1}`, `${this.#path}.${n}`);
      }
      moveIfThere(this.#path, `${this.#path}.1`);
    } catch (error) {
      // Better one file that grows than none; tried again when it has grown by as much again.
      const { message } = PilotError.from(error, "io_error");
      this.#lookAtBytes = this.#bytes + this.#maxBytes;
      return writeAnyway(this.#file, `the log cannot be rotated: ${message}`);
    }
    this.reopen();
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}
