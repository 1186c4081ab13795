/** What the batch does when the kernel refuses: a libc in which `sendmmsg` fails as told. */

import assert from "node:assert/strict";
import { type Libc, loadLibc } from "../../../platform/net/linux/libc.ts";
import { linuxSocketProblem } from "../../../platform/net/linux/self_test.ts";
import { LinuxUdpSocket } from "../../../platform/net/linux/batch_socket.ts";
import type { Endpoint } from "../../../protocol/ip.ts";

const EIO = 5, EAGAIN = 11, EINVAL = 22, ENOBUFS = 105, ECONNREFUSED = 111, EINTR = 4;

/** What the next calls of `sendmmsg` do: an error, or how many messages they take at most. */
type Script = ({ errno: number } | { most: number })[];

interface Bed {
  readonly a: LinuxUdpSocket;
  readonly b: LinuxUdpSocket;
  readonly script: Script;
  /** Messages given to each call. */
  readonly calls: number[];
  readonly got: number[];
  take(count: number): Promise<number[]>;
}

function batchTest(name: string, fn: (bed: Bed) => Promise<void>): void {
  Deno.test({
    name: `LinuxUdpSocket ${name}`,
    ignore: linuxSocketProblem() !== "",
    async fn() {
      const script: Script = [];
      const calls: number[] = [];
      const real = loadLibc();
      let errno: number | undefined;
      const libc: Libc = {
        ...real,
        sendmmsg(fd, messages, count, flags) {
          calls.push(count);
          const step = script.shift();
          errno = step !== undefined && "errno" in step ? step.errno : undefined;
          if (errno !== undefined) return -1;
          const most = step !== undefined && "most" in step ? step.most : count;
          return real.sendmmsg(fd, messages, Math.min(most, count), flags);
        },
        errno: () => errno ?? real.errno(),
      };
      const a = LinuxUdpSocket.bind(libc, "127.0.0.1", 0);
      const b = LinuxUdpSocket.bind(loadLibc(), "127.0.0.1", 0);
      const got: number[] = [];
      let arrived = () => {};
      b.start((data) => {
        got.push(data[0]!);
        arrived();
      });
      const take = async (count: number) => {
        while (got.length < count) await new Promise<void>((resolve) => arrived = resolve);
        return got;
      };
      await fn({ a, b, script, calls, got, take });
      await Promise.all([a.close(), b.close()]);
    },
  });
}

function send(socket: LinuxUdpSocket, values: number[], to: Endpoint, size: number = 100): void {
  for (const value of values) socket.send(socket.acquire(size).fill(value, 0, size), size, to);
}

batchTest("sends a run of equal sizes as one message", async ({ a, b, calls, take }) => {
  send(a, [1, 2, 3, 4], b.local);
  assert.deepEqual(calls, [], "nothing before the task ends");
  assert.deepEqual(await take(4), [1, 2, 3, 4]);
  assert.deepEqual(calls, [1]);
  assert.equal(a.stats.sendCalls, 1);
});

batchTest("begins a message where GSO cannot continue", async ({ a, b, calls, take }) => {
  send(a, [1, 2], b.local, 100);
  send(a, [3], b.local, 50);
  send(a, [4], b.local, 100);
  send(a, [5], b.local, 200);
  send(a, new Array(65).fill(6), b.local, 300);
  send(a, new Array(4).fill(7), b.local, 20_000);
  await take(74);
  // 100 100 50 | 100 | 200 | 64 x 300 | 300 | 3 x 20000 | 20000
  assert.deepEqual(calls, [7]);
});

batchTest("continues after a partial batch", async ({ a, b, script, calls, take }) => {
  script.push({ most: 1 }, { most: 2 });
  for (const [i, size] of [10, 20, 30, 40, 50].entries()) send(a, [i], b.local, size);
  assert.deepEqual(await take(5), [0, 1, 2, 3, 4]);
  assert.deepEqual(calls, [5, 4, 2]);
  assert.equal(a.stats.sent, 5);
});

batchTest("does without GSO where it is refused, and does not try again", async (bed) => {
  const { a, b, script, calls, take } = bed;
  script.push({ errno: EIO });
  send(a, [1, 2, 3], b.local);
  assert.deepEqual(await take(3), [1, 2, 3]);
  assert.deepEqual(calls, [1, 1, 1, 1]);
  assert.deepEqual(a.stats.errors, { EIO: 1 });
  assert.equal(a.stats.dropped, 0);
  assert.equal(a.stats.sent, 3);
  send(a, [4, 5], b.local);
  await take(5);
  assert.deepEqual(calls.slice(4), [2]);
});

batchTest("keeps GSO for sizes below the one that a path refused", async (bed) => {
  const { a, b, script, calls, take } = bed;
  script.push({ errno: EINVAL });
  send(a, [1, 2], b.local, 2000);
  await take(2);
  assert.deepEqual(calls, [1, 1, 1]);
  send(a, [3, 4], b.local, 1000);
  send(a, [5, 6], b.local, 2000);
  assert.deepEqual(await take(6), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(calls.slice(3), [3]);
});

batchTest("keeps what the kernel has no room for, in order", async (bed) => {
  const { a, b, script, take } = bed;
  script.push({ most: 1 }, { errno: EAGAIN });
  for (const [i, size] of [10, 20, 30].entries()) send(a, [i], b.local, size);
  await Promise.resolve();
  send(a, [3], b.local, 40);
  assert.deepEqual(await take(4), [0, 1, 2, 3]);
  assert.equal(a.stats.dropped, 0);
});

batchTest("drops new datagrams while the kernel has no room for a whole batch", async (bed) => {
  const { a, b, script, take } = bed;
  for (let i = 0; i < 3; i++) script.push({ errno: EAGAIN });
  send(a, new Array(300).fill(9), b.local, 10);
  assert.equal(a.stats.dropped, 300 - 256);
  await take(256);
  send(a, [1], b.local);
  assert.equal((await take(257)).at(-1), 1);
});

batchTest("drops what is queued when it is closed while the kernel has no room", async (bed) => {
  const { a, b, script } = bed;
  for (let i = 0; i < 1000; i++) script.push({ errno: EAGAIN });
  send(a, [1, 2], b.local);
  await a.close();
  assert.equal(a.stats.dropped, 2);
});

batchTest("drops a message that finds no buffers and sends the others", async (bed) => {
  const { a, b, script, take } = bed;
  script.push({ errno: ENOBUFS });
  send(a, [1, 2], b.local, 100);
  send(a, [3], b.local, 200);
  assert.deepEqual(await take(1), [3]);
  assert.equal(a.stats.dropped, 2);
  assert.deepEqual(a.stats.errors, { ENOBUFS: 1 });
});

batchTest("sends again after an error that is not of this datagram", async (bed) => {
  const { a, b, script, take } = bed;
  script.push({ errno: ECONNREFUSED }, { most: 1 }, { errno: EINTR });
  send(a, [1], b.local, 10);
  send(a, [2], b.local, 20);
  assert.deepEqual(await take(2), [1, 2]);
  assert.equal(a.stats.dropped, 0);
});

batchTest(
  "distinguishes a refused source from a refused size, and from a full buffer",
  async (bed) => {
    const { a, b, script, calls, take } = bed;
    const from = (): Endpoint => ({ ...b.local, local: a.local.host });
    // Refused with the source, taken without it: never again with it.
    const gone = from();
    script.push({ errno: EINVAL });
    send(a, [1, 2], gone);
    await take(2);
    assert.deepEqual(calls.splice(0), [1, 1]);
    assert.deepEqual(a.stats.errors, {});
    script.push({ errno: EINVAL }, { errno: EINVAL });
    send(a, [3], gone);
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(calls.splice(0), [1], "one try: there is no source to leave out");
    // Refused either way: one by one, with the source.
    script.length = 0;
    script.push({ errno: EINVAL }, { errno: EINVAL });
    send(a, [4, 5], from(), 2000);
    assert.deepEqual(await take(4), [1, 2, 4, 5]);
    assert.deepEqual(calls.splice(0), [1, 1, 1, 1]);
    // No room for the second try: the message waits as it was.
    const { dropped } = a.stats;
    script.push({ errno: EINVAL }, { errno: EAGAIN });
    send(a, [6, 7], from());
    assert.deepEqual((await take(6)).slice(4), [6, 7]);
    assert.equal(a.stats.dropped, dropped);
  },
);
