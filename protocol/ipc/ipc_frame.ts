/**
 * Framing of the local socket: `u32 length | cmd u8 | payload` and the command numbers
 * (docs/protocol/local-socket.md §1, §2).
 *
 * @module
 */

import type { ByteQueue } from "../bytes.ts";
import { DecodeError, PilotError } from "../errors.ts";
import { type BytesNeeded, FrameReader, type FrameSpan, lengthPrefixed } from "../frame_reader.ts";

/** Largest value of the length field, command byte included. */
export const IPC_MAX_FRAME_BYTES = 1024 * 1024;
/** Bytes before the payload: length and command. */
export const IPC_HEADER_BYTES = 5;
/** Un-credited Recv bytes per connection once a client has said Hello (extension 44). */
export const IPC_RECV_WINDOW_BYTES = 1024 * 1024;
/** Unanswered tagged Send bytes per connection (extension 42). */
export const IPC_SEND_WINDOW_BYTES = 1024 * 1024;
/** Version in Hello and HelloOk. */
export const IPC_EXTENSION_VERSION = 1;

/** Commands: the common numbering of §2 and, from 0x40, our extensions. */
export const Cmd = {
  Bind: 0x01,
  BindOk: 0x02,
  Dial: 0x03,
  DialOk: 0x04,
  Accept: 0x05,
  Send: 0x06,
  Recv: 0x07,
  Close: 0x08,
  CloseOk: 0x09,
  Error: 0x0a,
  SendTo: 0x0b,
  RecvFrom: 0x0c,
  Info: 0x0d,
  InfoOk: 0x0e,
  Handshake: 0x0f,
  HandshakeOk: 0x10,
  ResolveHostname: 0x11,
  ResolveHostnameOk: 0x12,
  SetHostname: 0x13,
  SetHostnameOk: 0x14,
  SetVisibility: 0x15,
  SetVisibilityOk: 0x16,
  Deregister: 0x17,
  DeregisterOk: 0x18,
  SetTags: 0x19,
  SetTagsOk: 0x1a,
  SetWebhook: 0x1b,
  SetWebhookOk: 0x1c,
  SetTaskExec: 0x1d,
  SetTaskExecOk: 0x1e,
  Network: 0x1f,
  NetworkOk: 0x20,
  Health: 0x21,
  HealthOk: 0x22,
  Managed: 0x23,
  ManagedOk: 0x24,
  RotateKey: 0x25,
  RotateKeyOk: 0x26,
  Broadcast: 0x29,
  BroadcastOk: 0x2a,
  Cancel: 0x2b,
  PreferDirect: 0x2d,
  PreferDirectOk: 0x2e,
  SubmitBadge: 0x2f,
  SubmitBadgeOk: 0x30,
  EnrollRecovery: 0x31,
  EnrollRecoveryOk: 0x32,
  SignEnvelope: 0x33,
  SignEnvelopeOk: 0x34,
  VerifyEnvelope: 0x35,
  VerifyEnvelopeOk: 0x36,
  Unbind: 0x37,
  UnbindOk: 0x38,
  SendToConfirm: 0x39,
  SendToConfirmOk: 0x3a,
  Hello: 0x40,
  HelloOk: 0x41,
  Tagged: 0x42,
  TaggedReply: 0x43,
  RecvCredit: 0x44,
  CancelTag: 0x45,
  Lookup: 0x46,
  LookupOk: 0x47,
  Ping: 0x48,
  PingOk: 0x49,
  HandshakeTarget: 0x4a,
  HandshakeTargetOk: 0x4b,
  Path: 0x4c,
  PathOk: 0x4d,
  CloseWrite: 0x50,
  CloseWriteOk: 0x51,
  /** Ours, daemon to client: the peer has closed its writing alone. */
  ReadEnd: 0x52,
  SubscribeEvents: 0x53,
  SubscribeEventsOk: 0x54,
  UnsubscribeEvents: 0x55,
  UnsubscribeEventsOk: 0x56,
  /** Ours, daemon to client: something has happened. */
  EventPush: 0x57,
  /** Ours, daemon to client: so many events are missing here. */
  EventsMissed: 0x58,
  /** Ours, not answered: the connection is reset, without an end that could be taken for an orderly one. */
  Abort: 0x59,
  /** Ours, daemon to client, empty: are you alive? Dropped like every unknown command. */
  Probe: 0x4f,
} as const;

/** One frame. `payload` may be a view of the chunk it came in: copy what is kept. */
export interface IpcFrame {
  /** One of {@linkcode Cmd}, or an unknown one. */
  readonly cmd: number;
  /** What follows the command. */
  readonly payload: Uint8Array;
}

const TOO_LONG = new DecodeError("too_long", "IPC frame longer than 1 MiB");

/** Cuts the socket's bytes into frames; frames of length 0 are skipped. */
export class IpcFrameReader extends FrameReader<IpcFrame> {
  /** Finds the extent of the first frame from its length. */
  protected override span(queue: ByteQueue): FrameSpan | BytesNeeded | DecodeError {
    return lengthPrefixed(queue, 0, IPC_MAX_FRAME_BYTES, TOO_LONG);
  }

  /** Makes the value from a complete frame. */
  protected override frame(bytes: Uint8Array): IpcFrame | undefined {
    if (bytes.length < IPC_HEADER_BYTES) return undefined;
    return { cmd: bytes[4]!, payload: bytes.subarray(IPC_HEADER_BYTES) };
  }
}

/**
 * Encodes a frame.
 *
 * @param cmd The command.
 * @param parts The payload, in pieces that are copied one after the other.
 * @returns The frame, length included.
 * @throws {PilotError} `invalid_argument` when it is longer than {@linkcode IPC_MAX_FRAME_BYTES}.
 */
export function encodeIpcFrame(
  cmd: number,
  ...parts: readonly Uint8Array[]
): Uint8Array {
  let length = 1;
  for (const part of parts) length += part.length;
  if (length > IPC_MAX_FRAME_BYTES) {
    throw new PilotError(
      "invalid_argument",
      `An IPC frame holds at most ${IPC_MAX_FRAME_BYTES} bytes, not ${length}`,
      { hint: "Send large data in several pieces." },
    );
  }
  const out = new Uint8Array(4 + length);
  out[0] = length >>> 24;
  out[1] = length >>> 16;
  out[2] = length >>> 8;
  out[3] = length;
  out[4] = cmd;
  let offset = IPC_HEADER_BYTES;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}
