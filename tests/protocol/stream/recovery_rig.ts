/**
 * A sender whose loss recovery is driven segment by segment.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { CongestionControl } from "../../../protocol/stream/congestion.ts";
import { Recovery } from "../../../protocol/stream/recovery.ts";
import { Scoreboard } from "../../../protocol/stream/scoreboard.ts";
import { SeqSpace } from "../../../protocol/stream/seq.ts";

/** Segment size, bytes. */
export const MSS = 1000;
/** Smoothed round trip, milliseconds; the first sample makes the timeout three times as long. */
export const RTT = 100;
/** The timeout after the first sample, milliseconds. */
export const RTO = 300;
const SPACE = new SeqSpace(1_000_000);

/** Segments from and up to a number. */
export type Block = readonly [from: number, to: number];

/** A sender of segments of one size, numbered from 0, and everything its congestion control was told. */
export class Rig {
  readonly calls: unknown[][] = [];
  readonly board = new Scoreboard(SPACE, { minRtoMs: 200, maxRtoMs: 60_000 }, 7);
  readonly recovery: Recovery;
  /** What the congestion control allows, bytes. */
  window = 10 * MSS;

  constructor({ rttMs = RTT, samples = 1, afterLoss }: {
    rttMs?: number;
    samples?: number;
    afterLoss?: number;
  } = {}) {
    const window = () => this.window;
    const told = (name: string) => (...what: unknown[]) => void this.calls.push([name, ...what]);
    const congestion: CongestionControl = {
      get window() {
        return window();
      },
      threshold: Infinity,
      onAck: told("ack"),
      onLoss: (...what) => {
        told("loss")(...what);
        this.window = afterLoss === undefined ? this.window / 2 : afterLoss * MSS;
      },
      onTimeout: told("timeout"),
      undo: told("undo"),
      onIdle: told("idle"),
      setMss: told("mss"),
    };
    this.recovery = new Recovery(this.board, congestion, MSS);
    for (let i = 0; i < samples; i++) this.board.rtt.sample(rttMs, 0);
    this.recovery.resume(0);
  }

  /** Sends new segments. */
  send(now: number, count = 1): void {
    for (let i = 0; i < count; i++) {
      this.board.sent(MSS, now);
      this.recovery.onSent(MSS, now);
    }
  }

  /** Sends what is lost again, the first in line; gives its number. */
  resend(now: number): number {
    const lost = this.board.flight.nextLost;
    assert.ok(lost !== undefined, "nothing is lost");
    this.board.flight.resent(lost, now);
    this.recovery.onResent(lost.end - lost.offset, now);
    return lost.offset / MSS;
  }

  /** Everything below a segment has arrived, and what lies in some blocks. */
  ack(now: number, below: number, ...blocks: Block[]): boolean {
    const sacks = blocks.map(([left, right]) => ({
      left: SPACE.toWire(left * MSS),
      right: SPACE.toWire(right * MSS),
    }));
    return this.recovery.onAck(below * MSS, sacks, true, now);
  }

  /** Runs timers up to a time; tail probes leave at once. Gives the times at which something was due. */
  pass(until: number): number[] {
    const times: number[] = [];
    while (this.recovery.deadline <= until) {
      const now = this.recovery.deadline;
      times.push(now);
      this.recovery.onTimer(now);
      if (this.recovery.takeProbeDue()) this.recovery.onProbeSent();
    }
    return times;
  }

  /** Numbers of the segments that wait to be sent again, in order. */
  get lost(): number[] {
    const numbers: number[] = [];
    for (let s = this.board.flight.nextLost; s !== undefined; s = s.next) {
      numbers.push(s.offset / MSS);
    }
    return numbers;
  }

  /** Names of what the congestion control was told, growth apart. */
  get told(): unknown[] {
    return this.calls.map(([name]) => name).filter((name) => name !== "ack");
  }
}
