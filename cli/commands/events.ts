/**
 * Events by topic: `subscribe`, `publish` (services-cli.md §2).
 *
 * @module
 */

import { usageError } from "../errors.ts";
import { gather } from "../gather.ts";
import type { Invocation } from "../invocation.ts";
import { counted, type Outcome } from "../output.ts";
import { parseCount, parseDuration } from "../parse.ts";
import { PAYLOAD_OPTIONS, payloadFields, readPayload } from "../payload.ts";
import type { CommandGroup } from "../spec.ts";

/** Longest topic, bytes (services-cli.md §2.1). */
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
  const driver = await call.driver();
  await using subscription = await driver.subscribe(target, topic, { signal: call.signal });
  const options = {
    count,
    what: `Subscription to "${topic}" of ${target}`,
    key: "events",
    timeoutMs: 0,
  };
  const outcome = await gather(call, options, async (_seq, signal) => {
    const event = await subscription.next({ signal });
    if (event === undefined) return undefined;
    const data = {
      topic: event.topic,
      ...payloadFields(event.payload),
      bytes: event.payload.length,
    };
    return { data, body: event.payload, label: event.topic };
  });
  return outcome;
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

/** Publish and subscribe. */
export const eventsGroup: CommandGroup = {
  title: "Events",
  commands: [
    {
      name: "subscribe",
      summary: "Show the events of a topic as they arrive",
      args: "<target> <topic>",
      options: [
        { flags: "--count <n>", description: "Events, 0 for no end (0)", parse: parseCount },
        {
          flags: "--timeout <duration>",
          description: "Longest time, 0 for no limit (0)",
          parse: parseDuration,
        },
      ],
      examples: ["subscribe alice builds", "subscribe alice '*' --count 1 --timeout 1m --json"],
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
  ],
};
