/** `pilotctl events`. */

import assert from "node:assert/strict";
import { EXIT_CODES } from "../../cli/exit_codes.ts";
import type { CliDriver } from "../../cli/main.ts";
import type { EventsOptions, LifecycleEvent } from "../../sdk/mod.ts";
import { abortError } from "../../sdk/abort.ts";
import { at, type FakeDriver, run, runJson } from "./support.ts";

const EVENTS: readonly LifecycleEvent[] = [
  {
    ...{ id: 4, name: "handshake.pending", atMs: 1_700_000_000_000 },
    data: { peer_node_id: 7, justification: "let us\ntalk" },
  },
  { id: 5, name: "tunnel.endpoint_proven", atMs: 1_700_000_000_500, data: {} },
];

/** A driver with these events, and no more; a number stands for so many missed ones. */
function driverOf(items: readonly (LifecycleEvent | number)[] = EVENTS): {
  driver: FakeDriver;
  asked: unknown[];
} {
  const asked: unknown[] = [];
  const events = (options: EventsOptions = {}) => {
    asked.push(options.names);
    const rest = [...items];
    const watched = {
      next: ({ signal }: { signal: AbortSignal }) => {
        while (typeof rest[0] === "number") options.onMissed?.(rest.shift() as number);
        if (rest.length > 0) return Promise.resolve(rest.shift());
        const { promise, reject } = Promise.withResolvers<never>();
        const abort = () => reject(abortError(signal, "Waiting for an event"));
        signal.addEventListener("abort", abort);
        waiting();
        return promise;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    return Promise.resolve(watched as unknown as Awaited<ReturnType<CliDriver["events"]>>);
  };
  return { driver: { events } as FakeDriver, asked };
}

/** Called when nothing is left to be shown; acts as Ctrl-C. */
let waiting = () => {};

async function untilIdle<T>(running: (onInterruptible: (stop: () => void) => void) => Promise<T>) {
  try {
    return await running((stop) => waiting = stop);
  } finally {
    waiting = () => {};
  }
}

Deno.test("events shows one line per event until Ctrl-C", async () => {
  const { driver, asked } = driverOf();
  const shown = await untilIdle((onInterruptible) => run(["events"], { driver, onInterruptible }));
  assert.equal(
    shown.stdout,
    '[2023-11-14T22:13:20.000Z handshake.pending] peer_node_id=7 justification="let us\\ntalk"\n' +
      "[2023-11-14T22:13:20.500Z tunnel.endpoint_proven] \n",
  );
  assert.equal(shown.code, EXIT_CODES.aborted);
  assert.deepEqual(asked, [[]]);
});

Deno.test("events --json gives one object per line, or one envelope for a count", async () => {
  const { driver, asked } = driverOf();
  const [first, second] = EVENTS.map(({ id, name, atMs, data }) => ({
    id,
    name,
    at_ms: atMs,
    data,
  }));
  const names = ["--name", "handshake.pending", "--name", "tunnel.endpoint_proven"];
  const shown = await untilIdle((onInterruptible) =>
    run(["events", ...names, "--json"], { driver, onInterruptible })
  );
  assert.deepEqual(shown.stdout.trimEnd().split("\n").map((line) => JSON.parse(line)), [
    first,
    second,
  ]);
  assert.deepEqual(asked, [["handshake.pending", "tunnel.endpoint_proven"]]);
  const counted = await runJson(["events", "--count", "2"], { driver });
  assert.deepEqual(counted.data, { events: [first, second], timeout: false });
});

Deno.test("events says on stderr where some are missing", async () => {
  const [first, second] = EVENTS;
  const { driver } = driverOf([first!, 3, second!]);
  const shown = await run(["events", "--count", "2"], { driver });
  assert.equal(shown.code, 0);
  assert.match(shown.stderr, /^warning: 3 events missing here/);
  const json = await run(["events", "--count", "2", "--json"], { driver });
  assert.equal(at(JSON.parse(json.stderr), "status"), "warning");
  assert.equal(at(JSON.parse(json.stdout), "data", "events", "length"), 2);
});

Deno.test("events knows names that do not exist, and which were meant", async () => {
  const hintFor = async (name: string) => {
    const { error, code } = await runJson(["events", "--name", name]);
    assert.equal(code, EXIT_CODES.invalid_argument);
    assert.match(String(error?.message), /--name: There is no event/);
    return String(error?.hint);
  };
  assert.equal(await hintFor("handshake-pending"), "Did you mean handshake.pending?");
  assert.match(await hintFor("trust.approved"), /handshake\.approved/);
  assert.match(await hintFor("weather"), /^There are: node\.registered, .*pubsub\.published\.$/);
  assert.match(await hintFor("toString"), /^There are: /);
  assert.match(await hintFor("\u001b[2J"), /^There are: /);
});
