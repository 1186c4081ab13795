/**
 * What time does to a stream: deadlines of its states, dead peers, lost data (docs/protocol/streams.md §1, §6, §8).
 *
 * @module
 */

import { PilotError } from "../errors.ts";
import { MAX_RETRANSMISSIONS } from "./stream_config.ts";
import type { Core } from "./stream_core.ts";

/**
 * @param core The stream's state.
 * @returns When something is due, milliseconds; Infinity when nothing is.
 */
export function deadline(core: Core): number {
  if (core.reset !== undefined) return 0;
  if (core.state === "CLOSED") return Infinity;
  const { peer } = core;
  const until = Math.min(core.retry.deadline, core.stateUntil);
  if (peer === undefined || core.state === "SYN_RECV") return until;
  const busy = Math.min(until, peer.receiver.deadline, core.peerFin.deadline);
  if (core.over) return busy;
  const quiet = core.state === "ESTABLISHED" ? core.activeAt + core.config.idleTimeoutMs : Infinity;
  return Math.min(
    busy,
    core.sender.deadline(),
    core.live.deadline(core.idle),
    quiet,
  );
}

/**
 * Runs what is due.
 *
 * @param core The stream's state.
 * @param now Milliseconds.
 */
export function onTimer(core: Core, now: number): void {
  if (core.state === "CLOSED") return;
  if (now >= core.stateUntil) {
    onStateTimeout(core, now);
    return;
  }
  const { peer } = core;
  if (peer === undefined || core.over || core.state === "SYN_RECV") return;
  core.sender.onTimer(now);
  const isFinLost = core.finOffset !== undefined && now >= core.retry.deadline &&
    core.retry.count > MAX_RETRANSMISSIONS;
  if (core.sender.failed || isFinLost && core.isExpectingData) {
    core.fail("timeout", "Connection timed out: the peer stopped answering", true);
    return;
  }
  if (isFinLost) {
    // Everything was acknowledged before the FIN went out, so nothing is lost.
    core.resetPeer();
    core.finish();
    return;
  }
  if (core.peerFin.onTimer(now, peer.receiver)) {
    core.error ??= new PilotError(
      "connection_closed",
      "Peer closed the connection before all of its data arrived",
    );
    core.onPeerFin(now, peer);
  }
  if (
    core.state === "ESTABLISHED" &&
    now >= core.activeAt + core.config.idleTimeoutMs
  ) {
    core.startClosing(now);
    core.state = "FIN_WAIT";
  }
  if (!core.over) onLiveness(core, now);
}

function onStateTimeout(core: Core, now: number): void {
  switch (core.state) {
    case "SYN_SENT":
      core.fail("timeout", "Dial timed out: the peer did not answer");
      break;
    case "SYN_RECV":
      core.fail("timeout", "Handshake timed out: the peer went silent");
      break;
    case "TIME_WAIT":
      core.finish();
      break;
    default:
      if (core.finAcked) {
        // Ours is delivered and confirmed; the peer merely never closed its side.
        core.resetPeer();
        core.finish();
        break;
      }
      // What is repeated at ever longer intervals has a limit of its own, and the next repeat may be the one that arrives.
      if (core.sender.inFlight > 0 && core.sender.window > 0) {
        core.linger(now);
        break;
      }
      core.fail(
        "timeout",
        `Close timed out: ${core.sender.pending} bytes were not acknowledged`,
        true,
      );
  }
}

function onLiveness(core: Core, now: number): void {
  switch (core.live.due(now, core.idle)) {
    case "dead":
      core.fail(
        "timeout",
        "Connection timed out: keepalives went unanswered",
        true,
      );
      break;
    case "restarted":
      core.fail("connection_closed", "Connection lost: the peer restarted");
      break;
    case "keepalive":
      core.sign = "keepalive";
      // An idle stream gives its send memory back.
      core.sender.shrink();
      break;
    case "probe":
      core.sign = "probe";
      break;
    case undefined:
  }
}
