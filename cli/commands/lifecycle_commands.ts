/**
 * What happens in the daemon: `events` (docs/protocol/local-socket.md §10).
 *
 * @module
 */

import {
  isLifecycleEventName,
  LIFECYCLE_EVENT_NAMES,
  type LifecycleEvent,
  type LifecycleEventName,
} from "../../protocol/lifecycle_events.ts";
import { usageError } from "../command_failure.ts";
import { type Arrival, gather } from "../gather.ts";
import type { Invocation } from "../invocation.ts";
import { counted, type Outcome } from "../output.ts";
import { parseCount, parseDuration } from "../parse.ts";
import type { CommandSpec } from "../spec.ts";

const WHAT = "Events of the daemon";

/** A name is checked here, too, so that a mistake is found before a daemon is. */
function parseEventName(text: string): LifecycleEventName {
  if (isLifecycleEventName(text)) return text;
  const alike = namesLike(text);
  throw usageError(
    `There is no event "${text}"`,
    alike.length > 0
      ? `Did you mean ${alike.join(" or ")}?`
      : `There are: ${LIFECYCLE_EVENT_NAMES.join(", ")}.`,
  );
}

/** Names that share a word with what was given: people mix those up. */
function namesLike(text: string): LifecycleEventName[] {
  const words = text.toLowerCase().split(/[^a-z]+/).filter((word) => word !== "");
  const shared = (name: string) => words.filter((word) => name.split(/[._]/).includes(word)).length;
  const most = Math.max(...LIFECYCLE_EVENT_NAMES.map(shared));
  return most === 0 ? [] : LIFECYCLE_EVENT_NAMES.filter((name) => shared(name) === most);
}

/** One line: fields as they are called on the wire. */
function arrivalOf({ id, name, atMs, data }: LifecycleEvent): Arrival {
  const fields = Object.entries(data).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return {
    data: { id, name, at_ms: atMs, data },
    label: `${new Date(atMs).toISOString()} ${name}`,
    body: new TextEncoder().encode(fields.join(" ")),
  };
}

async function events(call: Invocation): Promise<Outcome | undefined> {
  const names = call.options.list("name").map(parseEventName);
  const count = call.options.number("count") ?? 0;
  const driver = await call.driver();
  await using watched = await driver.events({
    names,
    signal: call.signal,
    onMissed: (missed) =>
      call.warn(
        "limit_exceeded",
        `${counted(missed, "event")} missing here: they came faster than they were read`,
      ),
  });
  const options = { count, what: WHAT, key: "events", timeoutMs: 0 };
  return await gather(call, options, async (_seq, signal) => {
    const event = await watched.next({ signal });
    return event === undefined ? undefined : arrivalOf(event);
  });
}

/** Shows lifecycle events. */
export const lifecycleCommand: CommandSpec = {
  name: "events",
  summary: "Show what happens in the daemon: trust, connections, messages, files",
  options: [
    {
      flags: "--name <name>",
      description: "Only events of this name; may be given several times (all)",
      collect: () => {
        const names: string[] = [];
        return (text) => {
          names.push(parseEventName(text));
          return names;
        };
      },
    },
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
  ],
  notes: `Names: ${LIFECYCLE_EVENT_NAMES.join(", ")}.
When events come faster than they are read, stderr reports how many are missing.`,
  examples: [
    "events",
    "events --name handshake.pending --name handshake.auto_approved",
    "events --name message.received --count 1 --timeout 1m --json",
  ],
  returns: "events[{id, name, at_ms, data}], timeout; without a count: one object per line",
  run: events,
};
