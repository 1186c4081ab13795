/**
 * Lifecycle events for local clients: the calls that begin and end a subscription, and what the daemon pushes
 * (docs/protocol/local-socket.md §9, §10).
 *
 * @module
 */

import { concatBytes, decodeJson, encodeJson, viewOf } from "../bytes.ts";
import { type Decoded, DecodeError } from "../errors.ts";
import {
  isLifecycleEventName,
  type LifecycleEvent,
  type LifecycleEventName,
} from "../lifecycle_events.ts";
import { isJsonObject } from "../json_object.ts";
import { u32 } from "./integers.ts";
import { type FieldCodec, type IpcCall, ipcCall, type NoFields, tooShort } from "./ipc_call.ts";
import { Cmd } from "./ipc_frame.ts";

/** Bytes before what a push says: the subscription. */
const SUBSCRIPTION_BYTES = 4;
/** Characters of an unknown name that its refusal repeats. */
const QUOTED_CHARS = 64;
/** Largest count that travels. */
const MAX_MISSED = 0xffffffff;

/** Which events are wanted. */
export interface EventFilter {
  /** Their names; empty for all. */
  readonly names: readonly LifecycleEventName[];
}

const FILTER: FieldCodec<EventFilter> = {
  encode: ({ names }) => encodeJson({ names }),
  decode: (payload, name) => {
    const malformed = (what: string) => new DecodeError("malformed", `${name}: ${what}`);
    const value = decodeJson(payload);
    if (value instanceof DecodeError) return malformed(value.message);
    if (!isJsonObject(value)) return malformed("not a JSON object");
    const names: unknown = value["names"] ?? [];
    if (!Array.isArray(names)) return malformed("names is not a list");
    // A wait for an event that does not exist would never end.
    const unknown: unknown = names.find((one) => !isLifecycleEventName(one));
    if (unknown === undefined) return { names: names as LifecycleEventName[] };
    if (typeof unknown !== "string") return malformed("a name is not a text");
    return malformed(`no such event: "${unknown.slice(0, QUOTED_CHARS)}"`);
  },
};

const SUBSCRIPTION: FieldCodec<{ readonly subscription: number }> = {
  encode: ({ subscription }) => u32(subscription),
  decode: (payload, name) =>
    payload.length < SUBSCRIPTION_BYTES
      ? tooShort(`${name}: missing subscription`)
      : { subscription: viewOf(payload).getUint32(0) },
};

/** What answers {@linkcode SUBSCRIBE_EVENTS}. */
export interface SubscribeEventsReply {
  /** Number that the pushes carry. */
  readonly subscription: number;
}

/** Begins a subscription to the daemon's events, from now on. */
export const SUBSCRIBE_EVENTS: IpcCall<EventFilter, SubscribeEventsReply> = ipcCall({
  ...{ cmd: Cmd.SubscribeEvents, name: "subscribe_events", isExtension: true },
  // Without a prefix calls are answered at once: before the first event.
  ...{ prefix: "", fields: FILTER },
});

/** Ends a subscription. */
export const UNSUBSCRIBE_EVENTS: IpcCall<{ readonly subscription: number }, NoFields> = ipcCall({
  ...{ cmd: Cmd.UnsubscribeEvents, name: "unsubscribe_events", isExtension: true },
  ...{ prefix: "", fields: SUBSCRIPTION },
});

/** Payload of EventPush. */
export interface IpcEventPush {
  /** Whose it is. */
  readonly subscription: number;
  /** What has happened; from a newer daemon it may have a name that is not known here. */
  readonly event: LifecycleEvent;
}

/**
 * Encodes EventPush.
 *
 * @param push Subscription and event.
 * @returns 4 bytes and JSON {id, name, at_ms, data}.
 */
export function encodeEventPush({ subscription, event }: IpcEventPush): Uint8Array {
  const { id, name, atMs, data } = event;
  return concatBytes(u32(subscription), encodeJson({ id, name, at_ms: atMs, data }));
}

const NO_SUBSCRIPTION = tooShort("event: missing subscription");
const BAD_EVENT = new DecodeError("malformed", "event: not {id, name, at_ms, data}");

/**
 * Decodes EventPush.
 *
 * @param payload 4 bytes and JSON.
 * @returns Subscription and event, or a {@linkcode DecodeError}. The daemon is trusted to keep the types of `data`.
 */
export function decodeEventPush(payload: Uint8Array): Decoded<IpcEventPush> {
  if (payload.length < SUBSCRIPTION_BYTES) return NO_SUBSCRIPTION;
  const value = decodeJson(payload.subarray(SUBSCRIPTION_BYTES));
  if (value instanceof DecodeError) return value;
  if (!isJsonObject(value)) return BAD_EVENT;
  const { id, name, at_ms: atMs, data } = value;
  const isEvent = typeof id === "number" && typeof name === "string" && typeof atMs === "number" &&
    isJsonObject(data);
  if (!isEvent) return BAD_EVENT;
  const event = { id, name, atMs, data } as unknown as LifecycleEvent;
  return { subscription: viewOf(payload).getUint32(0), event };
}

/** Payload of EventsMissed. */
export interface IpcEventsMissed {
  /** Whose it is. */
  readonly subscription: number;
  /** Events that would stand here, had the client been faster. */
  readonly count: number;
}

/**
 * Encodes EventsMissed.
 *
 * @param missed Subscription and count.
 * @returns 8 bytes.
 */
export function encodeEventsMissed({ subscription, count }: IpcEventsMissed): Uint8Array {
  return concatBytes(u32(subscription), u32(Math.min(count, MAX_MISSED)));
}

/**
 * Decodes EventsMissed.
 *
 * @param payload At least 8 bytes.
 * @returns Subscription and count, or a {@linkcode DecodeError}.
 */
export function decodeEventsMissed(payload: Uint8Array): Decoded<IpcEventsMissed> {
  if (payload.length < SUBSCRIPTION_BYTES + 4) {
    return tooShort("events missed: missing subscription or count");
  }
  const view = viewOf(payload);
  return { subscription: view.getUint32(0), count: view.getUint32(SUBSCRIPTION_BYTES) };
}
