/**
 * Clients that connect and reset at once, and how long an honest one behind them waits.
 *
 * @module
 */

import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Where a server listens. */
export interface Where {
  readonly hostname: string;
  readonly port: number;
}

/** Connects and resets as soon as the system has connected; whatever becomes of it is right. */
export function reset({ hostname, port }: Where): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(port, hostname, () => socket.resetAndDestroy());
  socket.on("error", () => {});
  socket.on("close", () => resolve());
  return promise;
}

/** So many at once. */
export async function resetBurst(where: Where, count: number): Promise<void> {
  // In portions, since a process has a bound of open files.
  for (let left = count; left > 0; left -= 100) {
    await Promise.all(Array.from({ length: Math.min(left, 100) }, () => reset(where)));
  }
}

/** About so many a second, until stopped. */
export function resetStorm(where: Where, perSecond: number): AsyncDisposable {
  let isOver = false;
  const storm = (async () => {
    while (!isOver) {
      await Promise.all(Array.from({ length: Math.ceil(perSecond / 20) }, () => reset(where)));
      await sleep(50);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      isOver = true;
      await storm;
    },
  };
}

/** Bound of an honest client's wait on a loaded machine, milliseconds; what is required is 100. */
export const HONEST_WAIT_MS = 2_000;

/**
 * Asks behind a burst of a thousand resets, and during a storm of a hundred a second, as honest clients do.
 *
 * @param where Where the server listens.
 * @param ask One connection, one question, one answer.
 * @returns The longest waits, milliseconds: behind the burst, in the storm.
 */
export async function waitsBehindResets(
  where: Where,
  ask: () => Promise<void>,
): Promise<{ burst: number; storm: number }> {
  const timed = async () => {
    const startMs = performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer in 10 s")), 10_000);
    });
    try {
      await Promise.race([ask(), late]);
    } finally {
      clearTimeout(timer);
    }
    return performance.now() - startMs;
  };
  await timed(); // what is loaded with the first question is no part of it
  await resetBurst(where, 1_000);
  const burst = await timed();
  await using _storm = resetStorm(where, 100);
  let storm = 0;
  for (let i = 0; i < 30; i++) {
    storm = Math.max(storm, await timed());
    await sleep(100);
  }
  return { burst, storm };
}
