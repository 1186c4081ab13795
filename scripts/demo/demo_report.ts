/**
 * What the demo prints: lines for people, or one JSON object.
 *
 * @module
 */

import type { WireCount, WireKind } from "./wire_record.ts";

/** The JSON object of a run. Values are there as far as the run came. */
export interface Report {
  /** `ok`, or `error` with {@linkcode failed} and {@linkcode message}. */
  status: "ok" | "error";
  /** The step that failed. */
  failed?: string;
  /** Why. */
  message?: string;
  /** The slower daemon, from the start of its process to its ready line. */
  ready_ms?: number;
  /** Addresses by name. */
  addresses?: Record<string, string>;
  /** From the first handshake request until both sides trust each other. */
  trust_ms?: number;
  /** The file that arrived has the bytes of the one that was sent. */
  file_sha256_ok?: boolean;
  /** Bytes of the file. */
  file_bytes?: number;
  /** Speed of the file, through the recorder, 10^6 bytes per second. */
  file_mb_s?: number;
  /** What the recorder saw. */
  wire?: Record<WireKind, WireCount>;
  /** Datagrams that carried readable application bytes or were none of ours; must be 0. */
  plaintext_datagrams?: number;
  /** Median round trip, without the recorder. */
  ping_p50_ms?: number;
  /** Median dial, without the recorder. */
  dial_p50_ms?: number;
  /** One stream, one direction, without the recorder, 10^6 bytes per second. */
  bulk_mb_s?: number;
  /** The whole run. */
  total_ms?: number;
}

/** Where lines go: to stdout for people, nowhere with `--json`. */
export class Printer {
  readonly #json: boolean;

  /** @param json Only the JSON object is printed. */
  constructor(json: boolean) {
    this.#json = json;
  }

  /** A heading. */
  heading(text: string): void {
    if (!this.#json) console.log(`\n${text}`);
  }

  /** What came of a step. */
  line(label: string, text: string): void {
    if (!this.#json) console.log(`  ${label.padEnd(12)}${text}`);
  }

  /** The end: the verdict, or the whole report. */
  end(report: Report): void {
    if (this.#json) console.log(JSON.stringify(report));
    else if (report.status === "ok") console.log("demo: ok");
    else console.log(`demo: failed at ${report.failed}: ${report.message}`);
  }
}
