/**
 * Events by topic: `subscribe`, `publish` (docs/protocol/services.md §5); beside them `events`.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { Subscription, TopicEvent } from "../../sdk/mod.ts";
import { usageError } from "../command_failure.ts";
import { gather } from "../gather.ts";
import type { Invocation } from "../invocation.ts";
import { counted, type Outcome } from "../output.ts";
import { parseCount, parseDuration } from "../parse.ts";
import { PAYLOAD_OPTIONS, payloadFields, readPayload } from "../payload.ts";
import type { CommandGroup } from "../spec.ts";
import { lifecycleCommand } from "./lifecycle_commands.ts";

/** Longest topic, bytes (docs/protocol/services.md §5.1). */
const MAX_TOPIC_BYTES = 1024;

function topicOf(call: Invocation): string {
  const topic = call.arg(1, "topic");
  if (topic === "" || new TextEncoder().encode(topic).length > MAX_TOPIC_BYTES) {
    throw usageError(`A topic has 1 to ${MAX_TOPIC_BYTES} bytes`);
  }
  return topic;
}

async function subscribe(call: Invocation): Promise<Outcome | undefined> {
  const target = call.arg(0, "target");
  const topic = topicOf(call);
  const count = call.options.number("count") ?? 0;
  const resubscribe = call.options.flag("resubscribe") ?? false;
  const what = `Subscription to "${topic}" of ${target}`;
  const driver = await call.driver();
  await using subscription = await driver.subscribe(target, topic, {
    signal: call.signal,
    resubscribe,
    onInterrupted: ({ code, message }) =>
      call.warn(code, `${what} was interrupted: ${message}; trying again`),
    onResumed: () =>
      call.warn("connection_closed", `${what} is restored; events in between may be missing`),
  });
  return await gather(call, { count, what, key: "events", timeoutMs: 0 }, async (_seq, signal) => {
    const event = await nextEvent(subscription, signal, resubscribe);
    if (event === undefined) return undefined;
    const data = {
      topic: event.topic,
      ...payloadFields(event.payload),
      bytes: event.payload.length,
    };
    return { data, body: event.payload, label: event.topic };
  });
}

/** What to do when a subscription ends although nobody asked for it. */
const ENDED_HINT = "Events published from now on are missed. Subscribe again; with --resubscribe " +
  "the subscription survives a restart of either side.";

async function nextEvent(
  subscription: Subscription,
  signal: AbortSignal,
  isResubscribing: boolean,
): Promise<TopicEvent | undefined> {
  try {
    return await subscription.next({ signal });
  } catch (error) {
    const { code, message } = PilotError.from(error, "connection_failed");
    if (code === "aborted" || isResubscribing) throw error;
    throw new PilotError(code, message, { hint: ENDED_HINT, cause: error });
  }
}

async function publish(call: Invocation): Promise<Outcome> {
  const target = call.arg(0, "target");
  const topic = topicOf(call);
  const payload = await readPayload(call);
  const driver = await call.driver();
  await driver.publish(target, topic, payload, { signal: call.signal });
  return {
    data: { target, topic, bytes: payload.length },
    text: `Published ${counted(payload.length, "byte")} to ${topic}`,
  };
}

const SUBSCRIBE_NOTES =
  `Ends with an error when the broker's daemon or the local one stops, and when events come faster than they are
read, so no event is missed silently. Events are delivered at most once, in order.`;

/** Publish and subscribe, and the daemon's events. */
export const eventsGroup: CommandGroup = {
  title: "Events",
  commands: [
    {
      name: "subscribe",
      summary: "Show the events of a topic as they arrive",
      args: "<target> <topic>",
      options: [
        {
          flags: "--count <n>",
          description: "Number of events, 0 for no limit (0)",
          parse: parseCount,
        },
        {
          flags: "--timeout <duration>",
          description: "Maximum time, 0 for no limit (0)",
          parse: parseDuration,
        },
        {
          flags: "--resubscribe",
          description:
            "Resubscribe after the broker or the local daemon restarts; stderr reports gaps",
        },
      ],
      notes: SUBSCRIBE_NOTES,
      examples: [
        "subscribe alice builds",
        "subscribe alice builds --resubscribe",
        "subscribe alice '*' --count 1 --timeout 1m --json",
      ],
      returns: "events[{topic, data, bytes}], timeout; without a count: one object per line",
      run: subscribe,
    },
    {
      name: "publish",
      summary: "Publish an event; returns when the broker has it",
      args: "<target> <topic>",
      options: PAYLOAD_OPTIONS,
      examples: ['publish alice builds --data "done"'],
      returns: "target, topic, bytes",
      run: publish,
    },
    lifecycleCommand,
  ],
};
